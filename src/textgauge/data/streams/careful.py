"""Delimited text read record by record: each fault with its line, and nothing lost around it."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field

from ..text_files import MANY_LINES, Layout, fault_in, rows_in, share_of_rows
from .origin import Text, Window, skip_line
from .piece import Unreadable
from .records import LOOK_LIKE_ROWS, MANY_INNER_LINES

LINE_ENDS = b"\r\n\x1a"
"""What a file may end with; DOS ended text files with a 1A."""

_LONGEST = 16 << 20  # bytes of one row; what goes on longer is a quote that is never closed
_AHEAD = 1 << 20  # bytes to read further where a line goes on


class _TooLongError(Exception):
    """A record goes on for longer than any that is meant so."""


@dataclass
class Careful:
    """Reads record by record with Python's csv reader, and knows where each begins.

    `offset` and `line` are where the next record begins; of the bytes before it, `dropped` are no
    more in memory.
    """

    layout: Layout
    window: Window
    line: int
    text: Text
    offset: int = 0
    dropped: int = 0
    kept: list[list[str]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._taken: list[str] = []  # lines of the record that is being read
        self._ends: list[int] = []  # where they end, from the record's beginning
        self._sound = True
        self._reader = csv.reader(
            iter(self._next_line, None),
            delimiter=self.layout.delimiter,
            skipinitialspace=self.layout.padded,
            strict=True,
        )

    def read_record(self) -> bool:
        """Keep the next record, or pass over one that is broken; False at the end."""
        self._taken, self._ends, self._sound = [], [], True
        try:
            cells = next(self._reader)
        except StopIteration:
            return False
        except _TooLongError:
            self._pass_over_too_long()
            return True
        except csv.Error as error:
            reason = str(error)
            last = self.line + len(self._taken) - 1
            message = fault_in(reason, self.line, last)
            lost = len(self._taken) > 1 and self._first_is_broken(reason)
            self._pass_over(message, 1 if lost else len(self._taken))
            return True
        width = len(self.layout.header)
        if not self._sound:
            begin = self.offset - self.dropped
            raw = self.window.peek(begin, begin + self._ends[-1])
            self._pass_over(self.text.bad_byte(raw), len(self._taken))
        elif len(cells) > width and any(cells[width:]):
            reason = f"the row has {len(cells)} cells, and the header has {width}"
            self._pass_over(reason, len(self._taken))
        elif len(self._taken) > MANY_INNER_LINES and self._swallows(cells):
            last = self.line + len(self._taken) - 1
            self._pass_over(
                f"line {self.line:,} opens a quote that closes on line {last:,}, and the lines "
                "between look like rows",
                1,
            )
        else:
            if cells:  # a blank line is no record
                cells.extend([""] * (width - len(cells)))
                self.kept.append(cells[:width])
            self.offset += self._ends[-1]
            self.line += len(self._taken)
        return True

    def _next_line(self) -> str | None:
        """Give csv's reader the next line of the file; None at the end."""
        taken = self._ends[-1] if self._ends else 0
        if taken > _LONGEST:
            raise _TooLongError
        if len(self._taken) == MANY_LINES:
            alike = share_of_rows(self._taken[1:], self.layout.delimiter, len(self.layout.header))
            if alike > LOOK_LIKE_ROWS:
                raise _TooLongError
        begin = self.offset - self.dropped + taken
        end = self._end_of_line(begin)
        raw = self.window.peek(begin, end)
        self.window.fill(end + 1)
        last = self.window.ended and end == len(self.window)
        if not raw or (last and not raw.strip(LINE_ENDS)):
            return None
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            self._sound = False
            line = self.text.lenient(raw)
        self._taken.append(line.rstrip("\r\n\x1a") if last else line)
        self._ends.append(taken + len(raw))
        return self._taken[-1]

    def _end_of_line(self, begin: int) -> int:
        """Find where a line ends, and have it in memory."""
        looked = begin
        while (found := self.window.find(b"\n", looked)) < 0 and not self.window.ended:
            looked = max(begin, len(self.window))
            if looked - begin > _LONGEST:
                break
            self.window.fill(looked + _AHEAD)
        end = found + 1 if found >= 0 else len(self.window)
        if end - begin > _LONGEST:
            raise _TooLongError
        return end

    def _pass_over(self, reason: str, lines: int) -> None:
        size = self._ends[lines - 1]
        begin = self.offset - self.dropped
        self._tell(reason, self.window.peek(begin, begin + min(size, 4096)))
        self.offset += size
        self.line += lines
        self._begin()

    def _pass_over_too_long(self) -> None:
        """Pass over the first line of a record that goes on for too long."""
        if self._taken:
            reason = f"line {self.line:,} opens a quote that is not closed in the lines behind it"
            self._pass_over(reason, 1)
            return
        self.window.drop(self.offset - self.dropped)
        reason = f"line {self.line:,} is longer than {_LONGEST >> 20} MB"
        self._tell(reason, self.window.peek(0, 4096))
        self.offset += skip_line(self.window)
        self.dropped = self.offset
        self.line += 1
        self._begin()

    def _tell(self, reason: str, raw: bytes) -> None:
        name, content = self.text.origin.name, self.text.excerpt(raw)
        self.unreadable.append(Unreadable(name, self.line, reason, content))

    def _swallows(self, cells: list[str]) -> bool:
        return rows_in(cells, self.layout.delimiter) > LOOK_LIKE_ROWS

    def _first_is_broken(self, reason: str) -> bool:
        """Tell whether the quote that a record's first line opens was never meant to go on.

        So it is where the file ends within it; where the lines behind the first look like rows of
        their own; and where the quote that ended it opens a cell of the last line.
        """
        *inner, last = self._taken[1:]
        mark = self.layout.delimiter
        before = last.partition('"')[0]
        return (
            "unexpected end" in reason
            or share_of_rows(inner, mark, len(self.layout.header)) > LOOK_LIKE_ROWS
            or not before
            or before.endswith(mark)
        )
