"""Where scored rows go, piece by piece: a file that appears whole, or standard output."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import polars as pl
from polars.io.plugins import register_io_source

from ..errors import SettingsError, StorageError
from .appending import FORMATS, Format, endings_that_hold, not_held
from .unfinished import ROWS, Unfinished, cannot_write, clear_finished, was_placed

ARROW = ".arrow"
"""Its footer can't be put together from pieces: written as Parquet, and made Arrow in the end."""

PIPE = "-"
"""Standard output."""

_UNREADABLE = "unreadable"
_REFUSED = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_ARROW_ROWS = 5_000  # handed on at a time to make Arrow of Parquet
_LONGEST_TYPE = 80  # characters that are told of it


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
        drops: Iterable[str] = (),
        lines: pl.Series | None = None,
    ) -> None:
        """Take a piece; see `Unfinished.step` for `told`, `files` and `drops`.

        `lines`: JSON objects that the columns of `frame` are added to, for JSON lines alone.

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
    """The ending of the format that `open_output` will write. Raises as it does.

    What a kill left beside a file that was finished is cleared away.
    """
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
    if out.exists():
        clear_finished(out)
        if not overwrite:
            raise StorageError(f"{out} is there already. Pass --overwrite to replace it.")
    unreadable = _unreadable_beside(out)
    if unreadable.is_dir() or (
        unreadable.exists() and not overwrite and not was_placed(unreadable, out)
    ):
        raise StorageError(
            f"{unreadable} is there already, where rows go that cannot be read. Move it away"
            f"{'.' if unreadable.is_dir() else ', or pass --overwrite to replace it.'}"
        )
    return ending


def refuse_types(schema: Mapping[str, pl.DataType], ending: str) -> None:
    """Raise StorageError where the format cannot hold a column, before anything is written."""
    found = not_held(schema, ending)
    if found is None:
        return
    column, dtype = found
    others = [each for each in endings_that_hold(dtype) if each not in (".tsv", ".ndjson")]
    advice = f"Write {' or '.join(others)}." if others else "Make texts or numbers of it."
    raise StorageError(
        f"column {column!r} holds {str(dtype)[:_LONGEST_TYPE]}, which a {ending} file cannot hold. "
        f"{advice}"
    )


def _unreadable_beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.unreadable.jsonl")


def _format(ending: str) -> Format:
    return FORMATS[".parquet" if ending == ARROW else ending]()


def _cannot_be_held(name: str, ending: str, error: BaseException) -> StorageError:
    reason = (str(error).splitlines() or ["it gave no reason"])[0].rstrip(".")
    return StorageError(
        f"{name} cannot be written as {ending[1:]}: {reason}. Parquet holds columns of any kind."
    )


class _File:
    def __init__(self, unfinished: Unfinished, ending: str, *, kept: bool) -> None:
        self._unfinished, self._ending, self.kept = unfinished, ending, kept
        self._format, self._target = _format(ending), unfinished.target
        self.name = str(self._target)
        self.unreadable = _unreadable_beside(self._target)

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        return self._unfinished.steps

    def write(
        self,
        frame: pl.DataFrame,
        unreadable: bytes,
        told: Mapping[str, Any],
        files: Mapping[str, bytes],
        drops: Iterable[str] = (),
        lines: pl.Series | None = None,
    ) -> None:
        head, rows, footer = b"", b"", None
        try:
            if not self._unfinished.size():
                head = self._format.head(frame.clear())
            if len(frame):
                rows, footer = self._format.rows(frame, lines)
        except _REFUSED as error:
            raise _cannot_be_held(self.name, self._ending, error) from None
        begin = self._unfinished.size() + len(head)
        self._unfinished.step(
            {ROWS: head + rows, _UNREADABLE: unreadable},
            {**told, "piece": None if footer is None else [begin, footer]},
            files,
            drops,
        )

    def read(self, name: str) -> bytes:
        return self._unfinished.read(name)

    def finish(self, empty: pl.DataFrame) -> None:
        tail = self._format.tail(self._pieces(), empty)
        if not self._unfinished.size():  # Not one piece: a table without rows.
            tail = self._format.head(empty) + tail
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
        if raised[0] is not None and not self._unfinished.kept:
            self._unfinished.discard()
        self._unfinished.__exit__(*raised)


def _to_arrow(parquet: Path, arrow: Path) -> None:
    """Make an Arrow file of a Parquet file. Raises OSError where it cannot be written."""
    whole = pl.scan_parquet(glob.escape(str(parquet)))

    def pieces(*_: Any) -> Iterator[pl.DataFrame]:
        begin = 0
        while len(piece := whole.slice(begin, 10 * _ARROW_ROWS).collect()):
            yield from piece.iter_slices(_ARROW_ROWS)
            begin += len(piece)

    try:
        # Read ahead by Polars itself, it would take as much memory as the table is long.
        register_io_source(pieces, schema=whole.collect_schema()).sink_ipc(arrow)
    except pl.exceptions.PolarsError as error:
        raise OSError((str(error).splitlines() or ["no reason given"])[0].rstrip(".")) from None


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
        self._size, self._unreadable_begun = 0, False

    def write(
        self,
        frame: pl.DataFrame,
        unreadable: bytes,
        told: Mapping[str, Any],
        files: Mapping[str, bytes],
        drops: Iterable[str] = (),
        lines: pl.Series | None = None,
    ) -> None:
        try:
            if not self._size:
                self._put(self._format.head(frame.clear()))
            if len(frame):
                rows, footer = self._format.rows(frame, lines)
                self._pieces.append((self._size, footer))
                self._put(rows)
        except _REFUSED as error:
            raise _cannot_be_held(self.name, self._ending, error) from None
        if unreadable:
            try:
                # What an earlier command left there are rows of another table.
                with self.unreadable.open("ab" if self._unreadable_begun else "wb") as file:
                    file.write(unreadable)
                self._unreadable_begun = True
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
