"""A file that is written in steps, appears whole or not at all, and can be gone on with.

Beside the target, until it is whole:

    .NAME.unfinished/
      lock           held by the process that writes
      journal.jsonl  first what the file is made of, then a line a step
      rows           the file so far
      …              what else grows with it, and what the next step needs

A step is done when its line stands in the journal. What a killed process had begun beyond that is
cut off, so whoever goes on with the same steps ends with the same bytes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Self

from ..errors import StorageError

ROWS = "rows"
"""What becomes the target."""

_JOURNAL, _LOCK = "journal.jsonl", "lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Unfinished:
    """A file on its way. Holds the lock from `open` to the end of the `with` block."""

    def __init__(self, target: Path, folder: Path, lock: IO[bytes]) -> None:
        self.target, self.folder, self._lock = target, folder, lock
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
        folder = target.parent / f".{target.name}.unfinished"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / _LOCK).open("ab")
        except OSError as error:
            raise cannot_write(target, error) from None
        unfinished = cls(target, folder, lock)
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

    def step(
        self,
        appended: Mapping[str, bytes],
        told: Mapping[str, Any],
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Do a step: it is on disk when this returns.

        Args:
            appended: what comes to the end of `ROWS` and of others, by name.
            told: what the next step, or the next process, has to know, as plain values. Files of
                the folder that stand in its list `keeps` stay; others of earlier steps go.
            files: whole files, by name.

        Raises StorageError where it cannot be written.
        """
        try:
            for name, content in (files or {}).items():
                self._write(self.folder / name, content)
            for name, content in appended.items():
                file = self._file(name)
                file.write(content)
                _settle(file)
                self._sizes[name] = self._sizes.get(name, 0) + len(content)
            values = {**told, "sizes": dict(self._sizes)}
            journal = self._file(_JOURNAL)
            journal.write(json.dumps(values).encode() + b"\n")
            _settle(journal)
            self.steps.append(values)
            self._drop_all_but(values.get("keeps", []))
        except OSError as error:
            raise cannot_write(self.target, error) from None

    def read(self, name: str) -> bytes:
        """A file that an earlier step wrote. Raises StorageError where it is gone."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise cannot_write(self.target, error) from None

    def size(self, name: str = ROWS) -> int:
        """Bytes of what grows under this name."""
        return self._sizes.get(name, 0)

    def finish(
        self,
        tail: bytes,
        beside: Mapping[str, Path] | None = None,
        rework: Callable[[Path], None] | None = None,
    ) -> None:
        """Put the tail behind the rows, and everything in its place.

        Args:
            tail: the last bytes of the target.
            beside: where others that grew belong, by name; they are left out where they are empty.
            rework: makes another file of the whole one, in its place.

        Raises StorageError where it cannot be written.
        """
        try:
            rows = self._file(ROWS)
            rows.write(tail)
            _settle(rows)
            if rework is not None:
                rework(self.folder / ROWS)
            for name, place in (beside or {}).items():
                if self.size(name):
                    partial = place.with_name(f".{place.name}.partial")
                    shutil.copyfile(self.folder / name, partial)
                    partial.replace(place)
                else:
                    place.unlink(missing_ok=True)
            (self.folder / ROWS).replace(self.target)
        except OSError as error:
            raise cannot_write(self.target, error) from None
        self.discard()

    def discard(self) -> None:
        """Forget all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(
                f"another process is writing {self.target} at this moment. Wait for it, or name "
                "another file."
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:  # Some mounted cloud storage knows no locks.
                raise cannot_write(self.target, error) from None

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
        try:
            if any((self.folder / name).stat().st_size < size for name, size in sizes.items()):
                return False
            for name, size in sizes.items():
                os.truncate(self.folder / name, size)
        except OSError:
            return False
        del sizes[_JOURNAL]
        self.steps, self._sizes = steps[1:], sizes
        return True

    def _begin_anew(self, made_of: Mapping[str, Any] | None) -> None:
        try:
            for path in self.folder.iterdir():
                if path.name != _LOCK:
                    path.unlink()
            journal = self._file(_JOURNAL)
            journal.write(json.dumps({"made_of": made_of}).encode() + b"\n")
            _settle(journal)
        except OSError as error:
            raise cannot_write(self.target, error) from None

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

    def _drop_all_but(self, keeps: list[str]) -> None:
        for path in self.folder.iterdir():
            if path.name not in (*keeps, *self._open, _LOCK):
                path.unlink(missing_ok=True)


def cannot_write(target: Path, error: OSError) -> StorageError:
    """What to tell of a file that cannot be written."""
    advice = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = " Free some space, and run the same command again: it goes on where it stopped."
    return StorageError(f"{target} cannot be written: {error.strerror or error}.{advice}")


def _settle(file: IO[bytes]) -> None:
    """Have it on disk: after a loss of power a journal must not tell of rows that are not there."""
    file.flush()
    os.fsync(file.fileno())
