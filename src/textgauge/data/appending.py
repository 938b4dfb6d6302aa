"""Tables out piece by piece, in formats that can be gone on with: bytes to put behind each other.

    head, rows of each piece, …, tail

What a format must know of the pieces so far, to write the tail, it gives with each piece as plain
values; who keeps these with the bytes can go on in another process, and comes to the same file.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from .parquet_parts import MAGIC, join_footers, take_apart

_BLANK = " \t\r\x1a"  # around an object of JSON lines


class Format(Protocol):
    """How a table of one schema is written, piece by piece."""

    def head(self, empty: pl.DataFrame) -> bytes:
        """What stands before the first rows; `empty` has the columns and no rows."""

    def rows(self, frame: pl.DataFrame, lines: pl.Series | None = None) -> tuple[bytes, str]:
        """The rows of a piece, and what `tail` has to know of them.

        `lines`: JSON objects that the columns are added to, for JSON lines alone.
        """

    def tail(self, pieces: Sequence[tuple[int, str]], empty: pl.DataFrame) -> bytes:
        """What stands behind the last rows: given where each piece begins, and what it told."""


class Delimited:
    """CSV and its like: a line with the names, and a line a row."""

    def __init__(self, separator: str) -> None:
        self._separator = separator

    def head(self, empty: pl.DataFrame) -> bytes:
        """The names of the columns."""
        return self._written(empty, header=True)

    def rows(self, frame: pl.DataFrame, lines: pl.Series | None = None) -> tuple[bytes, str]:
        """A line a row."""
        return self._written(frame, header=False), ""

    def tail(self, pieces: Sequence[tuple[int, str]], empty: pl.DataFrame) -> bytes:
        """Nothing."""
        return b""

    def _written(self, frame: pl.DataFrame, *, header: bool) -> bytes:
        out = io.BytesIO()
        frame.write_csv(out, separator=self._separator, include_header=header)
        return out.getvalue()


class JsonLines:
    """An object a row."""

    def head(self, empty: pl.DataFrame) -> bytes:
        """Nothing."""
        return b""

    def rows(self, frame: pl.DataFrame, lines: pl.Series | None = None) -> tuple[bytes, str]:
        """A line a row; with `lines` these as they stand, and the columns behind their keys."""
        out = io.BytesIO()
        frame.write_ndjson(out)
        written = out.getvalue()
        return written if lines is None else _added_to(lines, written), ""

    def tail(self, pieces: Sequence[tuple[int, str]], empty: pl.DataFrame) -> bytes:
        """Nothing."""
        return b""


def _added_to(lines: pl.Series, written: bytes) -> bytes:
    """JSON objects with the keys of other ones behind their own, a line each."""
    added = pl.Series("added", written.decode().split("\n")[:-1], dtype=pl.String)
    begin = pl.col("line").str.strip_chars(_BLANK).str.strip_suffix("}").str.strip_chars_end(_BLANK)
    comma = pl.when(begin == "{").then(pl.lit("")).otherwise(pl.lit(","))
    frame = pl.DataFrame([lines.alias("line"), added])
    joined = frame.select(pl.concat_str(begin, comma, pl.col("added").str.slice(1))).to_series()
    return "".join(f"{line}\n" for line in joined.to_list()).encode()


class Parquet:
    """Row groups that Polars wrote, and a footer that tells where each lies."""

    def head(self, empty: pl.DataFrame) -> bytes:
        """The magic bytes."""
        return MAGIC

    def rows(self, frame: pl.DataFrame, lines: pl.Series | None = None) -> tuple[bytes, str]:
        """The row groups of a piece, and their footer."""
        part = take_apart(self._written(frame))
        return part.rows, base64.b85encode(zlib.compress(part.footer, 1)).decode()

    def tail(self, pieces: Sequence[tuple[int, str]], empty: pl.DataFrame) -> bytes:
        """The footer."""
        if not pieces:
            return join_footers([(len(MAGIC), take_apart(self._written(empty)).footer)])
        return join_footers(
            [(begin, zlib.decompress(base64.b85decode(footer))) for begin, footer in pieces]
        )

    def _written(self, frame: pl.DataFrame) -> bytes:
        out = io.BytesIO()
        frame.write_parquet(out)
        return out.getvalue()


FORMATS: Mapping[str, Callable[[], Format]] = {
    ".csv": lambda: Delimited(","),
    ".tsv": lambda: Delimited("\t"),
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".parquet": Parquet,
}
"""The formats that can be written piece by piece, by the ending of the file's name."""

AS_LINES = (".jsonl", ".ndjson")
"""Formats to whose lines columns can be added."""


def not_held(schema: Mapping[str, pl.DataType], ending: str) -> tuple[str, pl.DataType] | None:
    """The first column that a format cannot hold, and what it holds; None where there is none."""
    wrong = (each for each in schema.items() if ending not in endings_that_hold(each[1]))
    return next(wrong, None)


def endings_that_hold(dtype: pl.DataType) -> list[str]:
    """The formats, with Arrow, that can hold values of this type."""
    inner = _kinds_in(dtype)
    if pl.Object in inner:
        return []
    endings = [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow"]
    if dtype.is_nested() or inner & {pl.Binary, pl.Duration}:
        endings = endings[2:]
    if pl.Binary in inner:
        endings = [each for each in endings if each not in AS_LINES]
    if None in inner:  # Arrow is made of Parquet.
        endings = [each for each in endings if each not in (".parquet", ".arrow")]
    return endings


def _kinds_in(dtype: pl.DataType) -> set[Any]:
    """The types of values within, its own too; None for a struct without fields."""
    if isinstance(dtype, pl.List | pl.Array):
        parts = [_kinds_in(dtype.inner)]  # type: ignore[arg-type]
    elif isinstance(dtype, pl.Struct):
        parts = [_kinds_in(field.dtype) for field in dtype.fields]  # type: ignore[arg-type]
        parts = parts or [{None}]
    else:
        parts = []
    return set[Any]({dtype.base_type()}).union(*parts)
