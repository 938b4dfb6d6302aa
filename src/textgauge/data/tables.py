"""Tables in: files, standard input and DataFrames, as one frame with columns of known names.

A file is read by what it holds, not only by what it is called: its first bytes tell Parquet, Arrow
and gzip from text, and name the formats that are no tables. All that can be wrong with a file ends
in one TableError or ColumnError that says what to do.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..errors import ColumnError, TableError, as_utf8, did_you_mean
from .columns import ROLES, Columns, demand, listed, strings, times
from .encodings import decode, refuse_binary
from .json_lines import (
    SEVERAL_LABELS,
    find_keys,
    holds_lists,
    read_json_lines,
    read_label_lists,
)
from .label_sets import as_written
from .problems import Problem
from .standard_input import open_standard_input, standard_input_is_empty
from .text_files import DELIMITERS, Rows, delimiter_named, find_layout, read_delimited

__all__ = ["Columns", "Table", "read_frame", "read_table"]


def _read_stream(data: io.BytesIO) -> pl.LazyFrame:
    return pl.read_ipc_stream(data).lazy()


SUFFIXES = {
    **{".csv": ",", ".tsv": "\t", ".tab": "\t"},  # the delimiter that the name promises
    **dict.fromkeys((".jsonl", ".ndjson", ".json-lines", ".json"), "JSON lines"),
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "Arrow"),
}
TYPED: tuple[tuple[bytes, str, Callable[[io.BytesIO], pl.LazyFrame]], ...] = (
    (b"PAR1", "Parquet", pl.scan_parquet),
    (b"ARROW1", "Arrow", pl.scan_ipc),
    (b"\xff\xff\xff\xff", "Arrow stream", _read_stream),
)
_SAVE = "Open it and save the table as CSV (UTF-8)."
_NO_TABLES = (  # first bytes, what it is, what to do
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file", _SAVE),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "Unpack it first: zstd -d FILE."),
    (b"BZh", "a bzip2 file", "Unpack it first: bunzip2 FILE."),
    (b"\xfd7zXZ", "an xz file", "Unpack it first: unxz FILE."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it first."),
    (b"FEA1", "a Feather file of version 1", "Write it again as Parquet or as Arrow."),
    (b"\x89PNG", "a PNG picture", ""),
    (b"\xff\xd8\xff", "a JPEG picture", ""),
    (b"%PDF", "a PDF document", ""),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV."),
    (b"\x89HDF", "an HDF5 file", "Export the table as CSV or Parquet."),
    (b"\x93NUMPY", "a NumPy array", "Export the table as CSV or Parquet."),
    (b"{\\rtf", "an RTF document", _SAVE),
    (b"version https://git-lfs", "a Git LFS pointer", "Fetch the file: git lfs pull."),
    (b"<!doctype html", "a web page", "Was a log-in or an error page saved as the file?"),
    (b"<html", "a web page", "Was a log-in or an error page saved as the file?"),
    (b"<?xml", "an XML document", "Export the table as CSV."),
)
_ZIPPED = (
    (b"xl/", "an Excel workbook"),
    (b"word/", "a Word document"),
    (b"opendocument.spreadsheet", "an OpenDocument sheet"),
)
DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    `frame` has one row for each record, and the wanted columns under the names of their roles:
    "row" (Int64, the number that a person would count, from 1, without the header); "text",
    "label", "id", "split" and "group" (String, null where missing, empty or blank); "time"
    (numbers, dates or datetimes). `name` is "notes.csv", "standard input" or "DataFrame";
    `problems` is what was noticed while reading; `lines` is what `line_of_row` looks into.
    """

    frame: pl.DataFrame
    name: str
    columns: Columns
    problems: tuple[Problem, ...] = ()
    lines: int | pl.Series | None = field(default=None, compare=False, repr=False)

    def line_of_row(self, row: int) -> int | None:
        """Return the line of the file, from 1, where `row` begins; None where it is not known."""
        if isinstance(self.lines, pl.Series):
            return int(self.lines[row - 1])
        return None if self.lines is None else self.lines + row - 1


def is_table(given: str) -> bool:
    """Whether a word on the command line names a table, and is not a text itself.

    A file that is there; standard input; or, so that a wrong path is told, one word that ends as
    tables do.

    >>> is_table("-"), is_table("notes.csv.gz"), is_table("see notes.csv"), is_table("iron")
    (True, True, False, False)
    """
    if given == "-":
        return True
    try:
        if Path(given).is_file():
            return True
    except (OSError, ValueError):
        return False  # No path could be so long, or hold such a character.
    ending = Path(given.removesuffix(".gz")).suffix.lower()
    return ending in SUFFIXES and len(given.split()) == 1


def read_table(
    source: Any,
    columns: Columns | None = None,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    label_may_lack: bool = False,
    separator: str | None = None,
) -> Table:
    """Return the wanted columns of `source`, under the names of their roles.

    `source` is the path of a CSV, TSV, text, JSON lines, Parquet or Arrow file (also .gz), "-" for
    standard input, or a pandas or Polars DataFrame or LazyFrame. Only the wanted columns are read.
    Values of a text file stay as they are written ("01" is "01"); other values become strings as
    Polars writes them (true, 1, 2024-05-01), but a column of whole floats, as pandas makes of
    integers with gaps, gives "1" and not "1.0". With `label_may_lack` a table without the label
    column is read without it. With a `separator` a row has a set of labels, in a text that it joins
    or in a list, and the label column holds it as `label_sets.as_written` writes it, never null.

    Raises TableError where the source cannot be read, ColumnError where a column is not there, is
    there twice or cannot be used, and SettingsError for an unknown encoding or delimiter.
    """
    columns = columns or Columns()
    wanted = columns.wanted()
    for role in ("text", "label"):
        for other, name in wanted.items():
            if other != role and wanted.get(role) == name:
                raise ColumnError(
                    f"column {name!r} was asked for twice, as {role} and as {other}. Pass another "
                    f"column with {ROLES[role][0]} or {ROLES[other][0]}."
                )
    how = _How(
        encoding, delimiter, tuple(wanted.values()), wanted.get("label"), separator is not None
    )
    opened = _open(source, how)
    if label_may_lack and wanted.get("label") not in opened.names:
        wanted.pop("label", None)
        columns = replace(columns, label=None)
    demand(wanted, opened.names, opened.name, opened.first_rows)
    rows = opened.load(list(dict.fromkeys(wanted.values())))
    if rows.frame.height == 0:
        raise TableError(f"{opened.name} has a header but no rows.")
    canonical = [pl.int_range(1, rows.frame.height + 1, dtype=pl.Int64, eager=True).alias("row")]
    problems = [*opened.problems, *rows.problems]
    for role, column in wanted.items():
        if role == "label" and separator is not None:
            values, found = as_written(rows.frame[column], opened.name, separator)
            problems += found
        else:
            convert = times if role == "time" else _one_label if role == "label" else strings
            values = convert(rows.frame[column], opened.name)
        canonical.append(values.alias(role))
    return Table(pl.DataFrame(canonical), opened.name, columns, tuple(problems), rows.lines)


def _one_label(column: pl.Series, name: str) -> pl.Series:
    """As `strings`, of a column with one label a row."""
    try:
        return strings(column, name)
    except ColumnError as error:
        if isinstance(column.dtype, pl.List | pl.Array):
            raise ColumnError(f"{error} {SEVERAL_LABELS}") from None
        raise


def read_frame(
    source: Any,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    most_columns: int | None = None,
) -> pl.DataFrame:
    """Return every column of `source`, named and typed as there; all Strings in delimited text.

    A column without a name gets one ("column 3"). Raises as `read_table` does, and ColumnError
    where two columns have one name, or where there are more than `most_columns`.
    """
    opened = _open(source, _How(encoding, delimiter, ()))
    if most_columns is not None and len(opened.names) > most_columns:
        raise ColumnError(
            f"{opened.name} has {len(opened.names):,} columns; {most_columns:,} are allowed."
        )
    demand({name: name for name in opened.names}, opened.names, opened.name)
    frame = opened.load(opened.names).frame
    if frame.height == 0:
        raise TableError(f"{opened.name} has a header but no rows.")
    return frame


# ---- opening -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _How:
    """How the user wants a text file read, and the names by which to guess what is left open.

    `label` is the column with the labels, which may hold lists of them with `sets`.
    """

    encoding: str | None
    delimiter: str | None
    wanted: tuple[str, ...]
    label: str | None = None
    sets: bool = False


@dataclass(frozen=True)
class _Opened:
    """A source whose column names are known and whose columns are not read yet."""

    name: str
    names: list[str]
    load: Callable[[Sequence[str]], Rows]
    problems: tuple[Problem, ...] = ()
    first_rows: tuple[tuple[str, ...], ...] = ()  # of a delimited file, to tell a missing header


def _open(source: Any, how: _How) -> _Opened:
    if isinstance(source, pl.DataFrame | pl.LazyFrame):
        return _open_typed(source.lazy, "DataFrame")
    pandas = sys.modules.get("pandas")  # whoever has a pandas DataFrame has imported pandas
    if pandas is not None and isinstance(source, pandas.DataFrame):
        names = [str(column) for column in source.columns]
        return _Opened("DataFrame", names, lambda chosen: Rows(_from_pandas(source, names, chosen)))
    if not isinstance(source, str | Path):
        raise TableError(
            f"a table cannot be made of {type(source).__name__}. Pass the path of a file, '-' for "
            "standard input, or a pandas or Polars DataFrame."
        )
    name, suffixes = "standard input", [""]
    if str(source) == "-":
        data = _standard_input()
    else:
        path = Path(source).expanduser()
        name, suffixes = as_utf8(path.name), [each.lower() for each in path.suffixes] or [""]
        found = _read_path(path)
        if isinstance(found, pl.LazyFrame):
            return _open_typed(lambda: found, name, suffixes[-1], "Parquet")
        data = found
    if data.startswith(b"\x1f\x8b"):
        data = _unpack(data, name)
        suffixes = suffixes[:-1] or [""]
    for magic, kind, scan in TYPED:
        if data.startswith(magic):
            refuse_cut(data, data[-8:], name)
            return _open_typed(partial(scan, io.BytesIO(data)), name, suffixes[-1], kind)
    refuse_others(data, name)
    if how.encoding is None:
        refuse_binary(data, name)
    return _open_text(data, name, suffixes[-1], how)


def _standard_input() -> bytes:
    data = open_standard_input("check").read()
    if not data.strip():
        raise standard_input_is_empty()
    return data


def _read_path(path: Path) -> bytes | pl.LazyFrame:
    """Return the bytes of a file; a Parquet file is only opened, since it may be large."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            # Polars opens no file whose name is not UTF-8.
            if path.is_file() and head.startswith(b"PAR1") and as_utf8(str(path)) == str(path):
                file.seek(-4, os.SEEK_END)
                refuse_cut(head, file.read(), path.name)
                return pl.scan_parquet(path, glob=False)
            data = path.read_bytes() if path.is_file() else head + file.read()
    except FileNotFoundError:
        raise TableError(no_such_file(path)) from None
    except IsADirectoryError:
        inside = tables_among(_files_in(path))
        example = f", for example {path / inside[0]}" if inside else " in it"
        raise TableError(f"{path} is a folder, not a table. Name a file{example}.") from None
    except PermissionError:
        raise TableError(
            f"{path} cannot be read: permission denied. Ask its owner, or run: chmod u+r {path}"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise TableError(f"{path} cannot be read: {error}.") from None
    if not data.strip():
        size = f" but for {len(data):,} blank characters" if data else ""
        raise TableError(f"{path.name} is empty{size}. See that it was written whole.")
    return data


def no_such_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}, so no file {str(path)!r}. Check the path."
    files = _files_in(folder)
    hint = did_you_mean(path.name, files)
    if not hint:
        tables = tables_among(files)
        hint = f" The tables there: {listed(tables)}." if tables else " There are no tables in it."
    where = "this folder" if str(folder) == "." else str(folder)
    return f"there is no file {path.name!r} in {where}.{hint}"


def _files_in(folder: Path) -> list[str]:
    try:
        return sorted(file.name for file in folder.iterdir() if file.is_file())
    except OSError:  # a folder that may be entered but not listed
        return []


def tables_among(files: list[str]) -> list[str]:
    return [name for name in files if Path(name.removesuffix(".gz")).suffix in SUFFIXES]


def _unpack(data: bytes, name: str) -> bytes:
    with gzip_faults(name):
        unpacked = gzip.decompress(data)
    if not unpacked.strip():
        raise TableError(f"{name} is empty once unpacked. See that it was written whole.")
    return unpacked


@contextmanager
def gzip_faults(name: str) -> Iterator[None]:
    """Say what is wrong where gzip cannot be unpacked."""
    try:
        yield
    except EOFError:
        raise TableError(
            f"{name} is cut off: its gzip data ends too early. Copy it again."
        ) from None
    except (OSError, zlib.error) as error:
        raise TableError(f"{name} is damaged gzip ({error}). Copy it again.") from None


def _open_text(data: bytes, name: str, suffix: str, how: _How) -> _Opened:
    promised = SUFFIXES.get(suffix)
    data, problems = decode(data, name, how.encoding)
    if is_json_lines(data, suffix):
        names = find_keys(data, name, how.wanted, how.label, lists=how.sets)
        load = partial(read_json_lines, data, name, as_written=bool(how.wanted))
        if how.sets and how.label in names and holds_lists(data, name, how.label):
            load = partial(_with_lists, load, partial(read_label_lists, data, name, how.label))
        return _Opened(name, names, load, problems + _misnamed(suffix, "JSON lines"))
    delimiter = delimiter_named(how.delimiter) if how.delimiter else None
    usual = promised if promised in DELIMITERS else None
    layout = find_layout(data, name, wanted=how.wanted, usual=usual, delimiter=delimiter)
    problems += layout.problems
    if promised in ("Parquet", "Arrow"):
        problems += _misnamed(suffix, "text")
    load = partial(read_delimited, data, name, layout)
    return _Opened(name, list(layout.header), load, problems, layout.sample)


def _with_lists(
    load: Callable[[Sequence[str]], Rows], lists: Callable[[], pl.Series], chosen: Sequence[str]
) -> Rows:
    """Load JSON lines, the column with the labels as lists."""
    rows = load(chosen)
    return replace(rows, frame=rows.frame.with_columns(lists()))


def is_json_lines(data: bytes, suffix: str) -> bool:
    """Whether text is one JSON object a line: by the ending of its name, or by how it begins."""
    return SUFFIXES.get(suffix) == "JSON lines" or bool(re.match(rb'\s*\{\s*("|\})', data))


def _open_typed(
    scan: Callable[[], pl.LazyFrame], name: str, suffix: str = "", kind: str = ""
) -> _Opened:
    """Open what has types of its own. A fault inside comes up here or when it is loaded."""

    def guarded(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except DAMAGE as error:
            raise damaged(name, kind, error) from (None if kind else error)

    frame = guarded(scan)
    names = guarded(lambda: frame.collect_schema().names())

    def load(chosen: Sequence[str]) -> Rows:
        return Rows(guarded(lambda: frame.select(chosen).collect()))

    return _Opened(name, names, load, _misnamed(suffix, kind))


def damaged(name: str, kind: str, error: BaseException) -> TableError:
    """Return what to raise where Polars cannot read what is of that `kind`; "" for a DataFrame."""
    reason = (str(error).splitlines() or ["no reason given"])[0].split("(")[0].rstrip(". ")
    if not kind:
        return TableError(f"the DataFrame cannot be collected: {reason}.")
    advice = "Copy it again, or write it again."
    return TableError(f"{name} is damaged {kind}: {reason}. {advice}")


def _misnamed(suffix: str, kind: str) -> tuple[Problem, ...]:
    """Warn where a file's name promises another format than it holds."""
    if SUFFIXES.get(suffix, kind) in (kind, kind.removesuffix(" stream")):
        return ()
    message = f"the file is named {suffix} but holds {kind}, and was read so"
    return (Problem("warning", "format", message, advice="Rename the file."),)


def refuse_cut(head: bytes, tail: bytes, name: str) -> None:
    """Raise TableError for Parquet or Arrow that does not end as it begins: not copied whole."""
    for magic, kind, _ in TYPED[:2]:
        if head.startswith(magic) and not tail.endswith(magic):
            raise TableError(
                f"{name} is cut off: it begins as {kind} and has no end. Copy it again."
            )


def refuse_others(data: bytes, name: str) -> None:
    """Raise TableError for the formats that are known to be no tables, and call them by name."""
    page = data[:512].lstrip().lower()  # of a page, the first tag stands in any case
    found = ((w, a) for m, w, a in _NO_TABLES if data.startswith(m) or page.startswith(m))
    what, advice = next(found, ("", ""))
    if data.startswith(b"PK\x03\x04"):
        inside = data[:4096] + data[-8192:]  # names of the archive's files
        what, advice = next(
            ((w, _SAVE) for part, w in _ZIPPED if part in inside),
            ("a zip archive", "Unpack it first."),
        )
    elif data[0] == 0x80 and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        what, advice = "a Python pickle", "Pickles are not read; write it as CSV or Parquet."
    elif data[257:262] == b"ustar":
        what, advice = "a tar archive", "Unpack it first: tar -xf FILE."
    if what:
        raise TableError(f"{name} is {what}, not a table. {advice}".rstrip())


def _from_pandas(source: Any, names: list[str], chosen: Sequence[str]) -> pl.DataFrame:
    """Convert columns of a pandas DataFrame without pyarrow; null where pandas says missing."""
    series = []
    for name in chosen:
        column = source.iloc[:, names.index(name)]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufbM":
            series.append(pl.Series(name, column.to_numpy(), nan_to_null=True))
            continue
        gaps = column.isna().tolist()
        values = [None if gap else v for v, gap in zip(column.tolist(), gaps, strict=True)]
        try:
            series.append(pl.Series(name, values))
        except (TypeError, pl.exceptions.PolarsError):  # values of several kinds
            texts = [None if value is None else _written(value) for value in values]
            series.append(pl.Series(name, texts, pl.String))
    return pl.DataFrame(series)


def _written(value: Any) -> str:
    """Return a single value as Polars writes it in a column of its own kind."""
    return str(value).lower() if isinstance(value, bool) else str(value)
