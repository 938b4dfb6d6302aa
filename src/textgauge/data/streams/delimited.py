"""Delimited text, piece by piece: whole blocks by Polars, lines around a fault with care.

A broken row is passed over and told, and reading goes on behind it.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from ..regular_lines import plain_lines
from ..text_files import Layout, cells_of_any_size
from .careful import LINE_ENDS, Careful
from .origin import Text, Window, block_size
from .piece import ROWS, Piece, Unreadable
from .records import leading_records

_BLOCK = 8 << 20  # bytes that Polars gets at a time
_WITH_CARE = 1 << 16  # bytes read with care around a fault, before Polars is tried again
_FEW = 200  # regular records before a fault that are not worth a call of Polars


@dataclass(frozen=True)
class Delimited:
    """A delimited file with a known layout. Its columns are Strings, null for an empty cell.

    A position is the place in its UTF-8 text, the line there, from 1, and how far it is to be read
    with care; `start` is that of the first row.
    """

    text: Text
    layout: Layout
    start: dict[str, int]
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
        """The header's names."""
        return pl.Schema(dict.fromkeys(self.layout.header, pl.String))

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield the rows behind the position `after`."""
        place = _Place(**(after or self.start))
        with self.text.open(place.at) as window:
            while True:
                step = self._regular(window)
                if step is None:
                    step = self._lines(window, place) or self._with_care(window, place)
                if step is None:
                    return
                window.drop(step.size - step.dropped)
                place = _Place(place.at + step.size, place.line + step.lines, step.care)
                if step.frame.height or step.unreadable:
                    yield Piece(step.frame, vars(place), window.share, tuple(step.unreadable))

    def _regular(self, window: Window) -> _Step | None:
        """Read the records up to the first that is not regular; None where they are few."""
        if self.layout.padded or len(self.layout.delimiter.encode()) > 1:
            return None
        size = block_size(self.rows, _BLOCK)
        window.fill(size + 1)  # one more, to know whether this is the end
        block = window.peek(0, size)
        ended = window.ended and len(block) == len(window)
        text = block.rstrip(LINE_ENDS) if ended else block
        whole = ended
        if not text.isascii():
            text, cut = _valid(text)
            whole = whole and not cut
        if not text:
            return None
        size, number = self._plain(text, whole) or self._records(text, whole)
        if not size or (number < _FEW and size < len(text)):
            return None
        frame = pl.read_csv(
            text[:size], has_header=False, separator=self.layout.delimiter, infer_schema=False
        )
        if frame.shape != (number, len(self.layout.header)):  # no row must get lost unseen
            return None
        frame.columns = list(self.layout.header)
        if b'""' in text:  # Polars makes "" of an empty cell in quotes
            frame = frame.with_columns(pl.all().replace("", None))
        lines = number if b'"' not in text else text.count(b"\n", 0, size) + 1
        size = len(block) if ended and size == len(text) else size + 1
        return _Step(frame, size, lines, _WITH_CARE)

    def _plain(self, text: bytes, whole: bool) -> tuple[int, int] | None:
        """Return the bytes and the number of all records; None where they are not plain lines."""
        size = len(text) if whole else max(0, text.rfind(b"\n"))
        width = len(self.layout.header)
        number = plain_lines(text[:size], self.layout.delimiter, width) if size else None
        return None if number is None or number > self.rows else (size, number)

    def _records(self, text: bytes, whole: bool) -> tuple[int, int]:
        """Return the bytes and the number of the records up to the first that is not regular."""
        width = len(self.layout.header)
        ends = leading_records(text, self.layout.delimiter, width, whole=whole)[: self.rows]
        return (int(ends[-1]), len(ends)) if len(ends) else (0, 0)

    def _lines(self, window: Window, place: _Place) -> _Step | None:
        """Read lines that each are a record, short or padded; None where any is not so."""
        window.fill(place.care + 1)
        block = window.peek(0, place.care)
        ended = window.ended and len(block) == len(window)
        text = block.rstrip(LINE_ENDS) if ended else block[: max(0, block.rfind(b"\n"))]
        if not text:
            return None
        try:
            every = text.decode().split("\n")
        except UnicodeDecodeError:
            return None
        lines = every[: self.rows]
        mark, padded, width = self.layout.delimiter, self.layout.padded, len(self.layout.header)
        reader = csv.reader(lines, delimiter=mark, skipinitialspace=padded, strict=True)
        with cells_of_any_size():
            try:
                records = list(reader)
            except csv.Error:
                return None
        if len(records) < len(lines):
            return None
        kept = []
        for record in records:
            if len(record) > width and any(record[width:]):
                return None
            if record:  # a blank line is no record
                kept.append([*record[:width], *[""] * (width - len(record))])
        size = len("\n".join(lines).encode()) + 1 if len(lines) < len(every) else len(text) + 1
        size = len(block) if ended and len(lines) == len(every) else size
        return _Step(self._frame(kept), size, len(lines), min(2 * place.care, _BLOCK))

    def _with_care(self, window: Window, place: _Place) -> _Step | None:
        """Read some records one by one; None at the end of the file."""
        care = Careful(self.layout, window, place.line, self.text)
        with cells_of_any_size():
            while care.offset < place.care and len(care.kept) < self.rows:
                if not care.read_record():
                    break
        if not care.offset:
            return None
        wider = min(2 * place.care, _BLOCK)
        lines = care.line - place.line
        frame = self._frame(care.kept)
        return _Step(frame, care.offset, lines, wider, care.dropped, care.unreadable)

    def _frame(self, records: list[list[str]]) -> pl.DataFrame:
        columns = zip(*records, strict=True) if records else [()] * len(self.layout.header)
        series = [
            pl.Series(name, cells, pl.String)
            for name, cells in zip(self.layout.header, columns, strict=True)
        ]
        return pl.DataFrame(series).with_columns(pl.all().replace("", None))


def _valid(text: bytes) -> tuple[bytes, bool]:
    """Return the whole lines before the first byte that is not UTF-8, and whether there is one."""
    try:
        codecs.utf_8_decode(text, "strict", False)  # a character may be cut off at the end
    except UnicodeDecodeError as error:
        return text[: text.rfind(b"\n", 0, error.start) + 1], True
    return text, False


@dataclass(frozen=True)
class _Place:
    at: int
    line: int
    care: int = _WITH_CARE


@dataclass
class _Step:
    """What was read at once, and how many bytes and lines it took."""

    frame: pl.DataFrame
    size: int
    lines: int
    care: int
    dropped: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
