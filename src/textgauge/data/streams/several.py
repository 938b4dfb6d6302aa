"""One stream of one or several parts whose columns agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from ...errors import ColumnError, TableError, did_you_mean
from ..columns import listed
from .piece import ROWS, Part, Piece, gathered

_WIDER = (
    (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128),
    (pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
    (pl.Float32, pl.Float64),
)
"""Types that hold all values of those before them."""


@dataclass(frozen=True)
class Several:
    """Parts one behind the other. Columns are taken by name, in the order of the first part.

    A position is the number of the part and the position in it.
    """

    name: str
    schema: pl.Schema
    parts: Sequence[Part]
    identity: str | None
    rows: int = ROWS

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield the pieces behind the position `after`.

        Raises TableError for a table without any row, and as the parts do.
        """
        rows = 0
        for piece in gathered(self._each(after), self.rows):
            rows += piece.frame.height + len(piece.unreadable)
            yield piece
        if not rows and after is None:
            raise TableError(f"{self.name} has a header but no rows.")

    def _each(self, after: dict[str, Any] | None) -> Iterator[Piece]:
        first = after["part"] if after else 0
        total = sum(part.size for part in self.parts) or 1
        for number in range(first, len(self.parts)):
            part = self.parts[number]
            at = after["at"] if after and number == first else None
            before = sum(each.size for each in self.parts[:number])
            for piece in part.pieces(at):
                yield Piece(
                    _conformed(piece.frame, self.schema),
                    {"part": number, "at": piece.after},
                    min(1.0, (before + piece.done * part.size) / total),
                    piece.unreadable,
                    piece.lines,
                )


@dataclass(frozen=True)
class WithConstants:
    """A part with columns more, each of one value: what the file itself does not hold."""

    part: Part
    constants: pl.DataFrame  # one row

    @property
    def name(self) -> str:
        """The part's name."""
        return self.part.name

    @property
    def size(self) -> int:
        """The part's size."""
        return self.part.size

    @property
    def schema(self) -> pl.Schema:
        """The part's columns, then the others."""
        return pl.Schema({**self.part.schema, **self.constants.schema})

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield the part's pieces, wider."""
        columns = [
            pl.lit(column[0], dtype=column.dtype).alias(column.name)
            for column in self.constants.iter_columns()
        ]
        for piece in self.part.pieces(after):
            yield replace(piece, frame=piece.frame.with_columns(columns))


def _conformed(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    if frame.schema == schema:
        return frame
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def one_schema(parts: Sequence[Part], name: str) -> pl.Schema:
    """Return the schema that all parts fit into. Raises ColumnError where they do not agree."""
    first, *others = parts
    schema = dict(first.schema)
    where = dict.fromkeys(schema, first.name)  # which file gave the type
    for part in others:
        names = part.schema.names()
        missing = [column for column in schema if column not in names]
        extra = [column for column in names if column not in schema]
        if missing or extra:
            raise ColumnError(_unlike(part.name, first.name, missing, extra))
        for column, dtype in part.schema.items():
            wider = _wider(schema[column], dtype)
            if wider is None:
                raise ColumnError(
                    f"column {column!r} is {dtype} in {part.name}, and {schema[column]} in "
                    f"{where[column]}, so that {name} cannot be one table. Write it with one type "
                    "in all files, or score the files one by one."
                )
            if wider != schema[column]:
                schema[column], where[column] = wider, part.name
    return pl.Schema(schema)


def _unlike(name: str, first: str, missing: list[str], extra: list[str]) -> str:
    parts = []
    for column in missing:
        hint = did_you_mean(column, extra) if extra else ""
        parts.append(f"{name} has no column {column!r}, which {first} has.{hint}")
    if extra and not missing:
        parts.append(f"{name} has {_columns(extra)}, which {first} has not.")
    elif extra:
        parts.append(f"It has {_columns(extra)} instead.")
    return (
        " ".join(parts) + " All files of one table must have the same columns: rename them, or "
        "score the files one by one."
    )


def _columns(names: list[str]) -> str:
    return f"{'a column' if len(names) == 1 else 'the columns'} {listed(names)}"


def _wider(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    """Return the type that holds all values of both; None where there is none."""
    if one == other:
        return one
    for this, that in ((one, other), (other, one)):
        if this == pl.Null:
            return that
        if isinstance(this, pl.Categorical | pl.Enum) and that == pl.String:
            return that
    for types in _WIDER:
        if one in types and other in types:
            return types[max(types.index(type(one)), types.index(type(other)))]()
    return None


def identity_of(*facts: Any) -> str:
    """Return a digest of what is read and how."""
    written = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()
