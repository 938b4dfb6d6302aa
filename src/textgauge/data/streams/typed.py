"""What has types of its own, piece by piece: Parquet and Arrow files, and DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import polars as pl

from ...errors import TextgaugeError
from ..tables import DAMAGE, damaged
from .origin import Origin
from .piece import BYTES, ROWS, Piece, text_bytes

_Read = TypeVar("_Read")

_FIRST = 1 << 13  # rows by which the size of the others is told
_GROWTH = 8


@dataclass(frozen=True)
class Typed:
    """A table that Polars reads from any row on without what stands before it.

    `kind` is the file's format, "" for a DataFrame. A position is the number of rows before it,
    and how many to read next: as many as are within the bounds if they are as long as those before.
    """

    name: str
    frame: pl.LazyFrame = field(repr=False)
    kind: str = ""
    origin: Origin | None = None
    rows: int = ROWS
    kept: Any = field(default=None, repr=False)  # what must live as long as this

    @property
    def size(self) -> int:
        """Bytes of the file; 1 for a DataFrame."""
        return 1 if self.origin is None else self.origin.size

    @property
    def schema(self) -> pl.Schema:
        """Names and types as they are there."""
        return self._guarded(self.frame.collect_schema)

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self._guarded(lambda: self.frame.select(pl.len()).collect()).item())

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield the rows behind the position `after`."""
        row, step = (after["row"], after["step"]) if after else (0, min(_FIRST, self.rows))
        height = self.height
        while row < height:
            if self.origin is not None:
                self.origin.check()
            frame = self._guarded(partial(self._slice, row, step))
            if not frame.height:
                return
            frame = within_bounds(frame)
            row, step = row + frame.height, _next_step(frame, self.rows)
            yield Piece(frame, {"row": row, "step": step}, row / height)

    def _slice(self, row: int, rows: int) -> pl.DataFrame:
        return self.frame.slice(row, rows).collect()

    def _guarded(self, read: Callable[[], _Read]) -> _Read:
        try:
            return read()
        except TextgaugeError:
            raise
        except DAMAGE as error:
            if self.origin is not None:
                self.origin.check()
            raise damaged(self.name, self.kind, error) from (None if self.kind else error)


def within_bounds(frame: pl.DataFrame) -> pl.DataFrame:
    """Return as many of the first rows as are within the bounds, by halves."""
    while frame.height > 1 and text_bytes(frame) > BYTES:
        frame = frame[: frame.height // 2]
    return frame


def _next_step(frame: pl.DataFrame, rows: int) -> int:
    each = max(1.0, text_bytes(frame) / frame.height)
    return max(1, min(rows, _GROWTH * frame.height, int(BYTES / each)))
