"""A file that is written in steps, appears whole or not at all, and can be gone on with.

Beside the target, until it is whole:

    .NAME.unfinished/
      lock           held by the process that writes
      journal.jsonl  first what the file is made of, then a line a step
      rows           the file so far
      placed.json    size and time of what was put in its place
      …              what else grows with it, and what the next step needs

A step is done when its line stands in the journal. What a killed process had begun beyond that is
cut off, so whoever goes on with the same steps ends with the same bytes. While the end is made,
nothing of it is changed but what is behind the last step; the target is put in its place last.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Self

from ..errors import StorageError

ROWS = "rows"
"""What becomes the target."""

_JOURNAL, _LOCK, _PLACED, _REWORKED = "journal.jsonl", "lock", "placed.json", "reworked"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Unfinished:
    """A file on its way. Holds the lock from `open` to the end of the `with` block."""

    def __init__(self, target: Path, folder: Path, lock: IO[bytes], *, again: bool) -> None:
        self.target, self.folder, self._lock, self._again = target, folder, lock, again
        self.steps: list[dict[str, Any]] = []
        """What each step told, those of earlier processes too."""
        self._sizes: dict[str, int] = {}
        self._open: dict[str, IO[bytes]] = {}

    @classmethod
    def open(cls, target: Path, made_of: Mapping[str, Any] | None) -> Self:
        """Begin, or go on with what an earlier process began with the same `made_of`.

        Args:
            target: the file that shall be there in the end.
            made_of: all that decides the file's bytes, as plain values; None: it can't be made
                the same way again, so nothing is gone on with.

        Raises StorageError where it cannot be written, or another process is at it.
        """
        folder = _folder_of(target)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / _LOCK).open("ab")
        except OSError as error:
            raise cannot_write(target, error) from None
        unfinished = cls(target, folder, lock, again=made_of is not None)
        try:
            unfinished._take_lock()
            if made_of is None or not unfinished._take_up(dict(made_of)):
                try:
                    unfinished._begin_anew(made_of)
                except BaseException:
                    unfinished.discard()
                    raise
        except BaseException:
            unfinished.__exit__(None, None, None)
            raise
        return unfinished

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        for file in (*self._open.values(), self._lock):
            with contextlib.suppress(OSError):
                file.close()

    @property
    def kept(self) -> bool:
        """Whether there is something that another process can go on with."""
        return self._again and bool(self.steps)

    def step(
        self,
        appended: Mapping[str, bytes],
        told: Mapping[str, Any],
        files: Mapping[str, bytes] | None = None,
        drops: Iterable[str] = (),
    ) -> None:
        """Do a step: it is on disk when this returns.

        Args:
            appended: what comes to the end of `ROWS` and of others, by name.
            told: what the next step, or the next process, has to know, as plain values.
            files: whole files, by name, which stay until they are dropped.
            drops: those of earlier steps that are not needed any more.

        Raises StorageError where it cannot be written.
        """
        files, drops = files or {}, list(drops)
        try:
            for name, content in files.items():
                self._write(self.folder / name, content)
            for name, content in appended.items():
                file = self._file(name)
                file.write(content)
                _settle(file)
                self._sizes[name] = self._sizes.get(name, 0) + len(content)
            values = {"told": told, "sizes": self._sizes, "files": list(files), "drops": drops}
            journal = self._file(_JOURNAL)
            journal.write(json.dumps(values).encode() + b"\n")
            _settle(journal)
            self.steps.append(dict(told))
            for name in drops:
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._cannot_write(error) from None

    def read(self, name: str) -> bytes:
        """A file that an earlier step wrote. Raises StorageError where it is gone."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise self._cannot_write(error) from None

    def size(self, name: str = ROWS) -> int:
        """Bytes of what grows under this name."""
        return self._sizes.get(name, 0)

    def finish(
        self,
        tail: bytes,
        beside: Mapping[str, Path] | None = None,
        rework: Callable[[Path, Path], None] | None = None,
    ) -> None:
        """Put the tail behind the rows, and everything in its place.

        Args:
            tail: the last bytes of the target.
            beside: where others that grew belong, by name; they are left out where they are empty.
            rework: makes another file of the whole one, under the second name; it may raise
                OSError.

        Raises StorageError where it cannot be written.
        """
        whole = self.folder / ROWS
        try:
            rows = self._file(ROWS)
            rows.write(tail)
            _settle(rows)
            if rework is not None:
                whole = self.folder / _REWORKED
                rework(self.folder / ROWS, whole)
                with whole.open("rb") as file:
                    os.fsync(file.fileno())
            copies: dict[Path, Path | None] = {}
            for name, place in (beside or {}).items():
                copies[place] = self._copy(name) if self.size(name) else None
            self._note_placed([whole, *filter(None, copies.values())])
            for place, copy in copies.items():
                if copy is None:
                    place.unlink(missing_ok=True)
                else:
                    copy.replace(place)
            whole.replace(self.target)
        except OSError as error:
            with contextlib.suppress(OSError):  # It may be what the disk is full of.
                (self.folder / _REWORKED).unlink(missing_ok=True)
            raise self._cannot_write(error) from None
        self.discard()

    def discard(self) -> None:
        """Forget all of it."""
        _remove(self.folder)

    def _copy(self, name: str) -> Path:
        """A copy to put in its place: the file itself is needed until the target is there."""
        copy = self.folder / f"{name}.copy"
        shutil.copyfile(self.folder / name, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        return copy

    def _note_placed(self, paths: Iterable[Path]) -> None:
        stamps = [*_stamps(self.folder), *(_stamp(path) for path in paths)]
        self._write(self.folder / _PLACED, json.dumps(stamps).encode())

    def _cannot_write(self, error: OSError) -> StorageError:
        return cannot_write(self.target, error, kept=self.kept)

    def _take_lock(self) -> None:
        try:
            _lock(self._lock)
        except BlockingIOError:
            raise StorageError(
                f"another process is writing {self.target} at this moment. Wait for it, or name "
                "another file."
            ) from None
        except OSError as error:
            raise self._cannot_write(error) from None

    def _take_up(self, made_of: dict[str, Any]) -> bool:
        """Cut off what is beyond the last step; False where there is nothing to go on with."""
        try:
            lines = (self.folder / _JOURNAL).read_bytes().splitlines(keepends=True)
        except OSError:
            return False
        steps, kept = [], 0
        for line in lines:
            try:
                steps.append(json.loads(line))
            except ValueError:  # The last one, not written to its end.
                break
            kept += len(line)
        if len(steps) < 2 or steps[0] != {"made_of": made_of}:
            return False
        sizes = {**steps[-1]["sizes"], _JOURNAL: kept}
        files: set[str] = set()
        for step in steps[1:]:
            files.update(step["files"])
            files.difference_update(step["drops"])
        try:
            if any((self.folder / name).stat().st_size < size for name, size in sizes.items()):
                return False
            if not all((self.folder / name).is_file() for name in files):
                return False
            for name, size in sizes.items():
                os.truncate(self.folder / name, size)
            self._drop_all_but({*files, *sizes})
        except OSError:
            return False
        del sizes[_JOURNAL]
        self.steps, self._sizes = [step["told"] for step in steps[1:]], sizes
        return True

    def _begin_anew(self, made_of: Mapping[str, Any] | None) -> None:
        try:
            self._drop_all_but(set())
            journal = self._file(_JOURNAL)
            journal.write(json.dumps({"made_of": made_of}).encode() + b"\n")
            _settle(journal)
        except OSError as error:
            raise self._cannot_write(error) from None

    def _file(self, name: str) -> IO[bytes]:
        if name not in self._open:
            self._open[name] = (self.folder / name).open("ab")
        return self._open[name]

    def _write(self, path: Path, content: bytes) -> None:
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as file:
                file.write(content)
                _settle(file)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _drop_all_but(self, names: set[str]) -> None:
        for path in self.folder.iterdir():
            if path.name not in names and path.name not in (_LOCK, _PLACED):
                path.unlink(missing_ok=True)


def was_placed(path: Path, target: Path) -> bool:
    """Whether a file is one that the unfinished work on `target` put there, and nobody changed."""
    return path.is_file() and _stamp(path) in _stamps(_folder_of(target))


def clear_finished(target: Path) -> None:
    """Clear away what a kill left beside a target that is finished.

    What is left of another one, or is written at this moment, stays.
    """
    folder = _folder_of(target)
    with contextlib.suppress(OSError):
        nothing_left = {path.name for path in folder.iterdir()} <= {_LOCK, _PLACED}
        if nothing_left or was_placed(target, target):
            with (folder / _LOCK).open("ab") as lock:
                _lock(lock)
                _remove(folder)


def _lock(lock: IO[bytes]) -> None:
    """Take a lock. Raises BlockingIOError where another process has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:  # Some mounted cloud storage knows no locks.
            raise


def _folder_of(target: Path) -> Path:
    return target.parent / f".{target.name}.unfinished"


def _remove(folder: Path) -> None:
    """Remove a folder, last of it what tells that the target is finished."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name not in (_LOCK, _PLACED):
                path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _stamp(path: Path) -> list[int]:
    """By which a file is known again under another name."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _stamps(folder: Path) -> list[list[int]]:
    try:
        stamps: list[list[int]] = json.loads((folder / _PLACED).read_bytes())
    except (OSError, ValueError):
        return []
    return stamps


def cannot_write(target: Path, error: OSError, *, kept: bool = False) -> StorageError:
    """What to tell of a file that cannot be written; `kept`: what was written so far stays."""
    number, reason = error.errno, error.strerror or str(error)
    told = re.search(r"\(os error (\d+)\)", str(error))  # Polars tells it in words alone.
    if number is None and told is not None:
        number = int(told[1])
        reason = os.strerror(number)
    advice = ""
    if number in (errno.ENOSPC, errno.EDQUOT):
        advice = " Free some space, and run the same command again"
        advice += ": it goes on where it stopped." if kept else "."
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = " Give another path with --out, or see to the rights of its folder."
    return StorageError(f"{target} cannot be written: {reason}.{advice}")


def _settle(file: IO[bytes]) -> None:
    """Have it on disk: after a loss of power a journal must not tell of rows that are not there."""
    file.flush()
    os.fsync(file.fileno())
