"""JSON lines, piece by piece; a line that is no object is passed over and told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ..json_lines import has_empty_row
from .origin import Text, Window, block_size, skip_line
from .piece import ROWS, Piece, Unreadable

_BLOCK = 8 << 20  # bytes that Polars gets at a time
_LONGEST = 64 << 20  # bytes of one line
_REFUSED = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


@dataclass(frozen=True)
class JsonLines:
    """A file with one JSON object a line. Values become Strings as they are written.

    `keys` are its columns. A position is the place in its UTF-8 text, and the line there, from 1.
    """

    text: Text
    keys: tuple[str, ...]
    rows: int = ROWS

    @property
    def name(self) -> str:
        """The file's name."""
        return self.text.origin.name

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.text.origin.size

    @property
    def schema(self) -> pl.Schema:
        """The keys of the first objects."""
        return pl.Schema(dict.fromkeys(self.keys, pl.String))

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield the rows behind the position `after`."""
        broken: tuple[Unreadable, ...]
        at, line = (after["at"], after["line"]) if after else (0, 1)
        with self.text.open(at) as window:
            while True:
                block = self._block(window)
                if block is None:
                    broken = (self._too_long(window, line),)
                    at, line = at + skip_line(window), line + 1
                    frame = self.schema.to_frame()
                elif not block:
                    return
                else:
                    frame, broken = self._read(block, line)
                    at, line = at + len(block), line + block.count(b"\n")
                    window.drop(len(block))
                if frame.height or broken:
                    yield Piece(frame, {"at": at, "line": line}, window.share, broken)

    def _block(self, window: Window) -> bytes | None:
        """Return the next whole lines, b"" at the end; None where a line is too long."""
        size = block_size(self.rows, _BLOCK)
        while True:
            window.fill(size + 1)
            block = window.peek(0, size)
            if window.ended and len(block) == len(window):
                break
            if (cut := block.rfind(b"\n")) >= 0:
                block = block[: cut + 1]
                break
            if size >= _LONGEST:
                return None
            size *= 2
        if block.count(b"\n") > self.rows:
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            block = block[: ends[self.rows - 1] + 1]
        return block

    def _read(self, block: bytes, line: int) -> tuple[pl.DataFrame, tuple[Unreadable, ...]]:
        try:
            frame = pl.read_ndjson(block, schema=self.schema)
        except _REFUSED:
            return self._by_line(block, line)
        lines = block.rstrip(b"\r\n\x1a").count(b"\n") + 1
        if frame.height == lines and not has_empty_row(frame):
            return frame, ()
        return self._by_line(block, line)

    def _by_line(self, block: bytes, first: int) -> tuple[pl.DataFrame, tuple[Unreadable, ...]]:
        """Read line by line those that json takes, in one go if Polars takes them too."""
        sound, broken = [], []
        for line, raw in enumerate(block.split(b"\n"), first):
            if not raw.strip(b" \t\r\x1a"):
                continue
            reason = json_fault(raw)
            if reason is None:
                sound.append((line, raw))
            else:
                broken.append(self._unreadable(line, reason, raw))
        frames, more = self._sound_lines(sound)
        broken = sorted([*broken, *more], key=lambda row: row.line or 0)
        return pl.concat([self.schema.to_frame(), *frames]), tuple(broken)

    def _sound_lines(
        self, lines: list[tuple[int, bytes]]
    ) -> tuple[list[pl.DataFrame], list[Unreadable]]:
        """Read the lines with Polars; those that it does not take are found by halves."""
        if not lines:
            return [], []
        try:
            frame = pl.read_ndjson(b"\n".join(raw for _, raw in lines), schema=self.schema)
        except _REFUSED:
            frame = None
        if frame is not None and frame.height == len(lines):
            return [frame], []
        if len(lines) == 1:
            return [], [self._unreadable(lines[0][0], "a value is out of range", lines[0][1])]
        middle = len(lines) // 2
        (a, b), (c, d) = self._sound_lines(lines[:middle]), self._sound_lines(lines[middle:])
        return a + c, b + d

    def _unreadable(self, line: int, reason: str, raw: bytes) -> Unreadable:
        return Unreadable(self.name, line, reason, self.text.excerpt(raw))

    def _too_long(self, window: Window, line: int) -> Unreadable:
        reason = f"line {line:,} is longer than {_LONGEST >> 20} MB"
        return self._unreadable(line, reason, window.peek(0, 4096))


def json_fault(raw: bytes) -> str | None:
    """Say why a line is no JSON object; None where it is one."""
    try:
        return None if isinstance(json.loads(raw), dict) else "the line is no JSON object"
    except RecursionError:
        return "the line is no JSON: it is nested too deeply"
    except UnicodeDecodeError as error:
        return f"the line has the byte 0x{raw[error.start]:02X}, which is not UTF-8"
    except ValueError as error:
        return f"the line is no JSON: {str(error).split(':')[0].lower()}"


def keys_of(head: bytes) -> tuple[str, ...]:
    """Return the keys of the objects among whole lines; () where there are none."""
    keys: dict[str, None] = {}
    for raw in head.split(b"\n"):
        if raw.strip() and json_fault(raw) is None:
            keys.update(dict.fromkeys(json.loads(raw)))
    return tuple(keys)
