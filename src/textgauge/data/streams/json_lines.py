"""JSON lines, piece by piece; a line that is no object is passed over and told.

The columns are the keys of the first 256 KB. A key that comes up later has no column: so that
nothing is lost without a word, a row that has one cannot be read, or is given as it stands.
"""

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
_BLANK = b" \t\r\x1a"
_STRING = r'"(?:[^"\\]|\\.)*"\s*:?'
_REFUSED = (pl.exceptions.PolarsError, pl.exceptions.PanicException)

_Rows = tuple[pl.DataFrame, pl.Series, tuple[Unreadable, ...]]
"""The rows, their lines, and those that cannot be read."""


@dataclass(frozen=True)
class JsonLines:
    """A file with one JSON object a line. Values become Strings as they are written.

    `keys` are its columns. `lines_without`: the lines are given too, if they have none of these
    keys beyond the columns; None: they are not, and may have no other keys at all. A position is
    the place in its UTF-8 text, and the line there, from 1.
    """

    text: Text
    keys: tuple[str, ...]
    rows: int = ROWS
    lines_without: tuple[str, ...] | None = None

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
                    frame, lines = self.schema.to_frame(), _as_series([])
                elif not block:
                    return
                else:
                    frame, lines, broken = self._read(block, line)
                    at, line = at + len(block), line + block.count(b"\n")
                    window.drop(len(block))
                if frame.height or broken:
                    given = None if self.lines_without is None else lines
                    yield Piece(frame, {"at": at, "line": line}, window.share, broken, given)

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

    def _read(self, block: bytes, line: int) -> _Rows:
        if self._may_have_other_keys(block):
            return self._by_line(block, line)
        try:
            frame = pl.read_ndjson(block, schema=self.schema)
            lines = _as_series(block.rstrip(_BLANK + b"\n").split(b"\n"))
        except (*_REFUSED, UnicodeDecodeError):
            return self._by_line(block, line)
        if frame.height == len(lines) and not has_empty_row(frame):
            return frame, lines, ()
        return self._by_line(block, line)

    def _may_have_other_keys(self, block: bytes) -> bool:
        """Whether there may be a key that leaves its row unreadable; False: there is none."""
        if self.lines_without is not None:
            others = set(self.lines_without) - set(self.keys)
            return any(json.dumps(key).encode() in block for key in others)
        try:
            strings = pl.Series([block.decode()]).str.extract_all(_STRING).explode()
        except UnicodeDecodeError:
            return True
        found = strings.filter(strings.str.ends_with(":")).unique().to_list()
        # What stands in an object within counts here, too: each line tells.
        return not {key.rstrip(": \t\r\n") for key in found} <= {
            json.dumps(key, ensure_ascii=False) for key in self.keys
        }

    def _fault(self, raw: bytes) -> str | None:
        """Say why a line cannot be read; None where it can."""
        found = _parsed(raw)
        if isinstance(found, str):
            return found
        if self.lines_without is None:
            other = next((key for key in found if key not in self.keys), None)
        else:
            taken = (key for key in self.lines_without if key not in self.keys)
            other = next((key for key in taken if key in found), None)
        if other is None:
            return None
        return (
            f"the key {other[:100]!r} does not come up in the first 256 KB, which tell the columns"
        )

    def _by_line(self, block: bytes, first: int) -> _Rows:
        """Read line by line those that json takes, in one go if Polars takes them too."""
        sound, broken = [], []
        for line, raw in enumerate(block.split(b"\n"), first):
            if not raw.strip(_BLANK):
                continue
            reason = self._fault(raw)
            if reason is None:
                sound.append((line, raw))
            else:
                broken.append(self._unreadable(line, reason, raw))
        frames, lines, more = self._sound_lines(sound)
        broken = sorted([*broken, *more], key=lambda row: row.line or 0)
        return pl.concat([self.schema.to_frame(), *frames]), _as_series(lines), tuple(broken)

    def _sound_lines(
        self, lines: list[tuple[int, bytes]]
    ) -> tuple[list[pl.DataFrame], list[bytes], list[Unreadable]]:
        """Read the lines with Polars; those that it does not take are found by halves."""
        if not lines:
            return [], [], []
        every = [raw for _, raw in lines]
        try:
            frame = pl.read_ndjson(b"\n".join(every), schema=self.schema)
        except _REFUSED:
            frame = None
        if frame is not None and frame.height == len(lines):
            return [frame], every, []
        if len(lines) == 1:
            return [], [], [self._unreadable(lines[0][0], "a value is out of range", every[0])]
        middle = len(lines) // 2
        halves = self._sound_lines(lines[:middle]), self._sound_lines(lines[middle:])
        (a, b, c), (d, e, f) = halves
        return a + d, b + e, c + f

    def _unreadable(self, line: int, reason: str, raw: bytes) -> Unreadable:
        return Unreadable(self.name, line, reason, self.text.excerpt(raw))

    def _too_long(self, window: Window, line: int) -> Unreadable:
        reason = f"line {line:,} is longer than {_LONGEST >> 20} MB"
        return self._unreadable(line, reason, window.peek(0, 4096))


def _as_series(lines: list[bytes]) -> pl.Series:
    return pl.Series("line", [line.decode() for line in lines], dtype=pl.String)


def json_fault(raw: bytes) -> str | None:
    """Say why a line is no JSON object; None where it is one."""
    found = _parsed(raw)
    return found if isinstance(found, str) else None


def _parsed(raw: bytes) -> dict[str, Any] | str:
    """Return the object of a line, or why it has none."""
    try:
        found = json.loads(raw.decode())
    except RecursionError:
        return "the line is no JSON: it is nested too deeply"
    except UnicodeDecodeError as error:
        return f"the line has the byte 0x{raw[error.start]:02X}, which is not UTF-8"
    except ValueError as error:
        return f"the line is no JSON: {str(error).split(':')[0].lower()}"
    return found if isinstance(found, dict) else "the line is no JSON object"


def keys_of(head: bytes) -> tuple[str, ...]:
    """Return the keys of the objects among whole lines; () where there are none."""
    keys: dict[str, None] = {}
    for raw in head.split(b"\n"):
        if raw.strip() and json_fault(raw) is None:
            keys.update(dict.fromkeys(json.loads(raw)))
    return tuple(keys)
