"""Where scored rows go, piece by piece: a file that appears whole, or standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import polars as pl

from ..errors import SettingsError, StorageError
from .appending import FORMATS, Format
from .unfinished import ROWS, Unfinished, cannot_write

ARROW = ".arrow"
"""Its footer can't be put together from pieces: written as Parquet, and made Arrow in the end."""

PIPE = "-"
"""Standard output."""

_UNREADABLE = "unreadable"


class Output(Protocol):
    """Takes the rows of a table in pieces.

    Attributes:
        name: for people.
        unreadable: the file for rows that could not be read, which is there if there are any.
        kept: whether what was written is kept where the work stops, and can be gone on with.

    """

    name: str
    unreadable: Path
    kept: bool

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """What was told with each piece, those of earlier processes too."""

    def write(
        self,
        frame: pl.DataFrame,
        unreadable: bytes,
        told: Mapping[str, Any],
        files: Mapping[str, bytes],
    ) -> None:
        """Take a piece; see `Unfinished.step` for `told` and `files`.

        Raises StorageError where it cannot be written.
        """

    def read(self, name: str) -> bytes:
        """A file that an earlier step was given."""

    def finish(self, empty: pl.DataFrame) -> None:
        """All rows are there; `empty` has their columns. Raises StorageError."""

    def discard(self) -> None:
        """Forget all of it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...


def open_output(
    out: Path | str,
    command: str,
    *,
    made_of: Mapping[str, Any] | None,
    overwrite: bool = False,
    form: str | None = None,
) -> Output:
    """Begin to write, or go on with what an earlier process began.

    Args:
        out: a file, or "-" for standard output.
        command: that asks, for messages.
        made_of: all that decides the output's bytes; None: it can't be made the same way again.
        overwrite: a file that is there is replaced in the end.
        form: the format, as "jsonl"; default by the file's name, for standard output CSV.

    Raises:
        SettingsError: there is no such format.
        StorageError: it cannot be written, is there already, or another process is writing it.

    """
    ending = check_output(out, command, overwrite=overwrite, form=form)
    if str(out) == PIPE:
        return _Pipe(ending)
    if made_of is not None:
        made_of = {**made_of, "format": ending}
    target = Path(out).expanduser()
    return _File(Unfinished.open(target, made_of), ending, kept=made_of is not None)


def check_output(
    out: Path | str, command: str, *, overwrite: bool = False, form: str | None = None
) -> str:
    """The ending of the format that `open_output` will write. Raises as it does."""
    known = (*FORMATS, ARROW)
    if form is not None and f".{form}" not in known:
        listed = ", ".join(each[1:] for each in known)
        raise SettingsError(f"--format must be one of {listed}; was {form!r}.")
    if str(out) == PIPE:
        ending = f".{form or 'csv'}"
        if ending == ARROW:
            raise SettingsError("--format arrow needs a file. Name one by --out.")
        if ending == ".parquet" and sys.stdout.isatty():
            raise SettingsError("--format parquet is not for a terminal. Name a file by --out.")
        return ending
    out = Path(out).expanduser()
    ending = f".{form}" if form else out.suffix.lower()
    if ending not in known:
        raise StorageError(
            f"{out} has an ending that is not known; {command} writes {', '.join(known)}."
        )
    if out.is_dir():
        raise StorageError(f"{out} is a folder. Name a file in it.")
    if out.exists() and not overwrite:
        raise StorageError(f"{out} is there already. Pass --overwrite to replace it.")
    return ending


def _format(ending: str) -> Format:
    return FORMATS[".parquet" if ending == ARROW else ending]()


def _cannot_be_held(name: str, ending: str, error: Exception) -> StorageError:
    reason = (str(error).splitlines() or ["it gave no reason"])[0].rstrip(".")
    return StorageError(
        f"{name} cannot be written as {ending[1:]}: {reason}. Parquet holds columns of any kind."
    )


class _File:
    def __init__(self, unfinished: Unfinished, ending: str, *, kept: bool) -> None:
        self._unfinished, self._ending, self.kept = unfinished, ending, kept
        self._format, self._target = _format(ending), unfinished.target
        self.name = str(self._target)
        self.unreadable = self._target.with_name(f"{self._target.name}.unreadable.jsonl")

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        return self._unfinished.steps

    def write(
        self,
        frame: pl.DataFrame,
        unreadable: bytes,
        told: Mapping[str, Any],
        files: Mapping[str, bytes],
    ) -> None:
        head, rows, footer = b"", b"", None
        try:
            if not self._unfinished.size():
                head = self._format.head(frame.clear())
            if len(frame):
                rows, footer = self._format.rows(frame)
        except pl.exceptions.PolarsError as error:
            raise _cannot_be_held(self.name, self._ending, error) from None
        begin = self._unfinished.size() + len(head)
        self._unfinished.step(
            {ROWS: head + rows, _UNREADABLE: unreadable},
            {**told, "piece": None if footer is None else [begin, footer]},
            files,
        )

    def read(self, name: str) -> bytes:
        return self._unfinished.read(name)

    def finish(self, empty: pl.DataFrame) -> None:
        if not self._unfinished.steps:  # Not one piece: a table without rows.
            self.write(empty, b"", {}, {})
        tail = self._format.tail(self._pieces(), empty)
        beside = {_UNREADABLE: self.unreadable}
        self._unfinished.finish(tail, beside, _to_arrow if self._ending == ARROW else None)

    def _pieces(self) -> list[tuple[int, str]]:
        told = [step["piece"] for step in self._unfinished.steps]
        return [(begin, footer) for begin, footer in filter(None, told)]

    def discard(self) -> None:
        self._unfinished.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if raised[0] is not None and not (self.kept and self._unfinished.steps):
            self._unfinished.discard()
        self._unfinished.__exit__(*raised)


def _to_arrow(parquet: Path) -> None:
    """Make an Arrow file of a Parquet file, in its place."""
    arrow = parquet.with_name("arrow")
    pl.scan_parquet(parquet).sink_ipc(arrow)
    arrow.replace(parquet)


class _Pipe:
    """Standard output: written as it comes; nothing is kept."""

    name, kept = "standard output", False
    steps: Sequence[Mapping[str, Any]] = ()

    def __init__(self, ending: str) -> None:
        if ending == ARROW:
            raise SettingsError(
                "--format arrow cannot go to standard output. Name a file by --out."
            )
        if ending == ".parquet" and sys.stdout.isatty():
            raise SettingsError("--format parquet is not for a terminal. Name a file by --out.")
        self._format, self._ending = _format(ending), ending
        self.unreadable = Path("unreadable.jsonl")
        self._pieces: list[tuple[int, str]] = []
        self._size = 0

    def write(
        self,
        frame: pl.DataFrame,
        unreadable: bytes,
        told: Mapping[str, Any],
        files: Mapping[str, bytes],
    ) -> None:
        try:
            if not self._size:
                self._put(self._format.head(frame.clear()))
            if len(frame):
                rows, footer = self._format.rows(frame)
                self._pieces.append((self._size, footer))
                self._put(rows)
        except pl.exceptions.PolarsError as error:
            raise _cannot_be_held(self.name, self._ending, error) from None
        if unreadable:
            try:
                with self.unreadable.open("ab") as file:
                    file.write(unreadable)
            except OSError as error:
                raise cannot_write(self.unreadable, error) from None

    def _put(self, content: bytes) -> None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        self._size += len(content)

    def read(self, name: str) -> bytes:
        raise FileNotFoundError(name)

    def finish(self, empty: pl.DataFrame) -> None:
        if not self._size:
            self.write(empty, b"", {}, {})
        self._put(self._format.tail(self._pieces, empty))

    def discard(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass
