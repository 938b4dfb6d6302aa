"""Delimited text files, read strictly: delimiter, quotes and cells, each fault with its line.

A file goes to Polars only after every line was seen to be a whole, well formed record,
because Polars takes a quote inside a cell (`3" hose`) for an opening one. Any other file goes
through Python's csv reader: slower, but it reads cells of several lines and says which line is bad.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import polars as pl

from ..errors import SettingsError, TableError
from .encodings import PIECE
from .problems import SHOWN_ROWS, Problem, counted, some
from .regular_lines import regular_lines

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}

_SAMPLE = 1 << 16  # bytes from which the delimiter is guessed
MANY_LINES = 1000  # a quoted cell of more lines, most of which look like rows, is an open quote


@dataclass(frozen=True)
class Rows:
    """Records that were read, and where in the file they begin.

    `lines` is the line of the first record where every record takes one line, else a line number
    for each record (Series of Int64), or None where it is not known.
    """

    frame: pl.DataFrame
    lines: int | pl.Series | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How a delimited file is laid out, as far as its first lines show."""

    delimiter: str
    header: tuple[str, ...]  # without stray spaces and quotes; "column 3" where a name is empty
    skipped: int  # lines before the header: blank ones, and Excel's "sep=;"
    padded: bool  # "text, label": a space follows each delimiter and is no part of the cell
    sample: tuple[tuple[str, ...], ...]  # the first records after the header
    problems: tuple[Problem, ...] = ()


# ---- layout of a delimited file ------------------------------------------------------------------


def find_layout(
    data: bytes, name: str, *, wanted: Sequence[str], usual: str | None, delimiter: str | None
) -> Layout:
    """Return the layout of delimited UTF-8 text.

    The delimiter is the one given, or the one that Excel's `sep=` line names, or whichever of
    comma, semicolon, tab and pipe finds most of the `wanted` column names in the first line, and
    the same number of cells in the lines after it. `usual` is what the file's name promises.
    Raises TableError for a file without a header.
    """
    lines = data[:_SAMPLE].decode("utf-8", "ignore").split("\n")
    if len(data) > _SAMPLE and len(lines) > 1:
        lines.pop()  # it is cut off
    skipped, told = _first_line(lines, 0), None
    if skipped < len(lines) and (told := re.fullmatch(r'"?sep=(.)"?\s*', lines[skipped])):
        skipped = _first_line(lines, skipped + 1)
    lines = [f"{line}\n" for line in lines[skipped:]]
    if not lines:
        raise TableError(f"{name} is empty: it has no header and no rows.")
    given = delimiter or (told[1] if told else None)
    chosen, problems = (given, ()) if given else _guess_delimiter(lines, wanted, usual)
    cells = lines[0].split(chosen)[1:]
    padded = bool(cells) and all(cell.startswith(" ") for cell in cells)
    header, *sample = _records(lines, chosen, padded)
    names = tuple(_plain(cell) or f"column {at}" for at, cell in enumerate(header, 1))
    return Layout(chosen, names, skipped, padded, tuple(map(tuple, sample)), problems)


def _first_line(lines: list[str], start: int) -> int:
    """Find the first line from `start` on that is not blank; len(lines) where there is none."""
    return next((at for at in range(start, len(lines)) if lines[at].strip()), len(lines))


def _guess_delimiter(
    lines: list[str], wanted: Sequence[str], usual: str | None
) -> tuple[str, tuple[Problem, ...]]:
    known = {_plain(column).casefold() for column in wanted}

    def score(delimiter: str) -> tuple[float, ...]:
        header, *rest = _records(lines, delimiter)
        named = len(known & {_plain(cell).casefold() for cell in header})
        agree = sum(len(record) == len(header) for record in rest) / max(1, len(rest))
        return named, len(header) > 1, round(agree, 2), delimiter == (usual or ","), len(header)

    chosen = max(DELIMITERS, key=score)
    if chosen == (usual or ",") or score(chosen)[1] == 0:  # nothing is separated in one column
        return chosen, ()
    word = DELIMITERS[chosen]
    instead = f", not by {DELIMITERS[usual]}; the file was read so" if usual else ""
    message = f"the columns are separated by {word}{instead}"
    advice = f"Nothing to do; --delimiter {word} says it outright."
    return chosen, (Problem("warning" if usual else "note", "delimiter", message, advice=advice),)


def delimiter_named(delimiter: str) -> str:
    r"""Return the character that a --delimiter option means: itself, or tab, comma, `\t`.

    Raises SettingsError for anything longer.
    """
    names = {word: character for character, word in DELIMITERS.items()} | {"\\t": "\t"}
    character = names.get(delimiter.lower(), delimiter)
    if len(character.encode()) != 1 or character in '"\r\n':
        known = ", ".join(DELIMITERS.values())
        raise SettingsError(f"--delimiter must be one character, or {known}; was {delimiter!r}.")
    return character


def _plain(cell: str) -> str:
    """Return a column name without the spaces and quotes that stray into header cells."""
    return cell.strip().strip("\"'").strip()


def _records(lines: Iterable[str], delimiter: str, padded: bool = False) -> list[list[str]]:
    """Return the first records, read leniently: for guessing only."""
    with cells_of_any_size():
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=padded)
        try:
            return [record for record, _ in zip(reader, range(200), strict=False) if record]
        except csv.Error:  # a stray carriage return: the real reading names its line
            return [next(iter(lines)).rstrip("\r\n").split(delimiter)]


@contextmanager
def cells_of_any_size() -> Iterator[None]:
    """Lift the csv module's limit of 131,072 characters a cell for a while: it is process-wide."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


# ---- records of a delimited file -----------------------------------------------------------------


def read_delimited(data: bytes, name: str, layout: Layout, names: Sequence[str]) -> Rows:
    """Return the columns `names` of delimited UTF-8 text, all Strings, null for an empty cell.

    Blank lines are no records. Raises TableError that names the rows with more cells than the
    header, and the line where a quote opens that is never closed.
    """
    end = len(data)
    while end and data[end - 1] in b"\r\n\x1a":  # \x1a ends text files of DOS
        end -= 1
    records = _regular_records(data, end, layout)
    if records is None:
        return _read_with_care(data[:end], name, layout, names)
    if records <= 0:  # Less where nothing but blank characters stands behind skipped lines.
        return Rows(pl.DataFrame(schema=dict.fromkeys(names, pl.String)))
    start = _start_of_line(data, layout.skipped)
    whole = start == 0 and data[end:] in (b"", b"\n", b"\r\n")
    positions = sorted({layout.header.index(column) for column in names})
    frame = pl.read_csv(
        data if whole else data[start:end],  # Polars versions differ in blank lines at either end
        has_header=False,
        skip_rows=1,
        separator=layout.delimiter,
        columns=positions,
        infer_schema=False,
    )
    if frame.height != records:  # never known to happen; rows must not get lost unseen
        return _read_with_care(data[:end], name, layout, names)
    frame.columns = [layout.header[at] for at in positions]
    if b'""' in data:  # Polars makes "" of an empty cell in quotes
        frame = frame.with_columns(pl.all().replace("", None))
    return Rows(frame.select(names), layout.skipped + 2)


def _start_of_line(data: bytes, lines: int) -> int:
    """Return where the line begins that stands behind so many `lines`."""
    start = 0
    for _ in range(lines):
        start = data.index(b"\n", start) + 1
    return start


def _regular_records(data: bytes, end: int, layout: Layout) -> int | None:
    """Count the records after the header, if each is one line with the header's number of cells.

    None where any line is not so: it has too few or too many cells, a quote inside a cell, a cell
    that goes on in the next line, or nothing at all.
    """
    if layout.padded:
        return None
    start = _start_of_line(data, layout.skipped)
    count = -1  # the header is a line too
    while start < end:
        stop = data.find(b"\n", start + PIECE, end)
        stop = end if stop < 0 else stop
        regular = regular_lines(data[start:stop], layout.delimiter, len(layout.header))
        if regular is None or not regular.all():
            return None
        count += len(regular)
        start = stop + 1
    return count


@dataclass
class _Faults:
    """Faulty records, gathered so that one message can name the first few of each kind."""

    quotes: list[str] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    short: list[int] = field(default_factory=list)
    swallowing: list[int] = field(default_factory=list)

    def add(self, reason: str, line: int, last: int) -> None:
        """Note what csv's strict reader stumbled over in a record on the lines `line` to `last`."""
        kind = self.breaks if "new-line" in reason else self.quotes
        kind.append(fault_in(reason, line, last))

    def refuse(self, name: str, layout: Layout) -> None:
        """Raise TableError if there is a fault that leaves open which cell is in which column."""
        parts = []
        if self.quotes:
            parts.append(
                f"{some(self.quotes)}. Put quotes around whole cells only, and write a quote "
                'inside a quoted cell twice ("").'
            )
        if self.breaks:
            parts.append(f"{some(self.breaks)}. End every line in the same way.")
        if self.long:
            parts.append(
                f"{counted(len(self.long), 'row')} with more cells than the header, which has "
                f"{len(layout.header)}: {some(self.long)}. Put cells that contain "
                f"{layout.delimiter!r} in double quotes, or check --delimiter."
            )
        if parts:
            raise TableError(f"{name}: " + " ".join(parts))

    def problems(self, layout: Layout) -> tuple[Problem, ...]:
        """Return what was read all the same, as warnings."""
        found = []
        if rows := self.short:
            message = f"the row has fewer cells than the header, which has {len(layout.header)}"
            advice = "Its last cells count as missing; see that no line is broken in two."
            first = tuple(rows[:SHOWN_ROWS])
            found.append(Problem("warning", "short-rows", message, first, len(rows), advice))
        if rows := self.swallowing:
            message = "a quoted cell goes on over many lines that look like rows of their own"
            advice = "See whether a quote is missing in that row."
            first = tuple(rows[:SHOWN_ROWS])
            found.append(Problem("warning", "open-quote", message, first, len(rows), advice))
        return tuple(found)


def fault_in(reason: str, line: int, last: int) -> str:
    """Say what csv's strict reader stumbled over in a record on the lines `line` to `last`."""
    if "new-line" in reason:
        return f"line {last:,} has a carriage return in the middle"
    if "unexpected end" in reason:
        return f"line {line:,} opens a quote that is never closed"
    if last > line:
        return f"line {line:,} opens a quote that is not closed before the one on line {last:,}"
    return f"line {line:,} has a quoted cell with text after its closing quote"


def _read_with_care(data: bytes, name: str, layout: Layout, names: Sequence[str]) -> Rows:
    """Do the same by Python's csv reader: cells of several lines, blank lines, faults by line."""
    positions = [layout.header.index(column) for column in names]
    faults, width = _Faults(), len(layout.header)
    pieces = [pl.DataFrame(schema=dict.fromkeys(names, pl.String))]
    kept: list[list[str]] = []
    starts: list[int] = []

    def keep() -> None:
        columns = list(zip(*kept, strict=True))
        series = [
            pl.Series(n, columns[at], pl.String) for n, at in zip(names, positions, strict=True)
        ]
        pieces.append(pl.DataFrame(series).with_columns(pl.all().replace("", None)))
        kept.clear()

    with cells_of_any_size():
        for row, (line, last, cells) in enumerate(_each_record(data, layout, faults)):
            if row == 0:  # the header
                continue
            starts.append(line)
            if len(cells) < width:
                faults.short.append(row)
                cells.extend([""] * (width - len(cells)))
            elif len(cells) > width:
                if any(cells[width:]):
                    faults.long.append(f"row {row:,} (line {line:,}) has {len(cells)}")
                del cells[width:]
            if last - line >= 10 and rows_in(cells, layout.delimiter) > 0.8:
                faults.swallowing.append(row)
                if last - line >= MANY_LINES:
                    faults.quotes.append(
                        f"line {line:,} opens a quote that closes {last - line:,} lines further "
                        "on, and the lines between look like rows"
                    )
            kept.append(cells)
            if len(kept) == 50_000:
                keep()
    if kept:
        keep()
    faults.refuse(name, layout)
    lines = pl.Series(starts, dtype=pl.Int64)
    return Rows(pl.concat(pieces), lines, faults.problems(layout))


def _each_record(
    data: bytes, layout: Layout, faults: _Faults
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield each record with its first and its last line; an empty one for a quote fault."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="\n")
    for _ in range(layout.skipped):
        text.readline()
    reader = csv.reader(
        text, delimiter=layout.delimiter, skipinitialspace=layout.padded, strict=True
    )
    header_read = False
    while True:
        line = layout.skipped + reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = layout.skipped + reader.line_num
            if header_read or last > line:  # the header's names were read leniently
                faults.add(str(error), line, last)
            record = [""] * len(layout.header)
        if record:
            header_read = True
            yield line, layout.skipped + reader.line_num, record


def rows_in(cells: list[str], delimiter: str) -> float:
    """Return the share of lines, in the longest cell, that have as many cells as the row."""
    inner = max(cells, key=len).split("\n")[1:-1] if len(cells) > 1 else []
    return share_of_rows(inner, delimiter, len(cells))


def share_of_rows(lines: Sequence[str], delimiter: str, width: int) -> float:
    """Return the share of lines that look like rows of `width` cells; 0 where there is no line."""
    return sum(line.count(delimiter) == width - 1 for line in lines) / max(1, len(lines))
