"""The rows of a table as the checks ask for them, wherever they lie.

The checks are the same for a table in memory and for one on a cluster; only these few questions are
answered in different ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from .problems import SHOWN_ROWS, Problem, Severity


@dataclass(frozen=True)
class Found:
    """Rows for which something holds.

    Attributes:
        count: how many.
        rows: the numbers of the first few, where rows have numbers.
        example: the columns `text` and `label` of one of them, the first where there is an order.
    """

    count: int = 0
    rows: tuple[int, ...] = ()
    example: Mapping[str, str | None] = field(default_factory=dict)


def problem_of(severity: Severity, code: str, message: str, hits: Found, advice: str) -> Problem:
    """A problem of the rows that were found."""
    return Problem(severity, code, message, hits.rows, hits.count, advice)


class Rows(Protocol):
    """Rows with the columns `text` and `label`, `normalised`, and those of the split."""

    @property
    def height(self) -> int:
        """How many there are."""

    def find(self, which: pl.Expr) -> Found:
        """Those for which `which` holds."""

    def values(self, column: str, which: pl.Expr) -> dict[str | None, int]:
        """How often each value of a column occurs where `which` holds."""

    def histogram(self, value: pl.Expr) -> dict[int, int]:
        """How often each whole number occurs; nulls are left out."""


class RowsOfFrame:
    """Rows in memory, numbered in a column `row`; see `Rows`."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self.height = frame.height

    def find(self, which: pl.Expr) -> Found:
        """See `Rows.find`."""
        hits = self._frame.lazy().filter(which).select("row").collect()["row"]
        if hits.is_empty():
            return Found()
        first = self._frame.row(int(hits[0]) - 1, named=True)
        example = {name: first[name] for name in ("text", "label")}
        return Found(len(hits), tuple(hits.head(SHOWN_ROWS).to_list()), example)

    def values(self, column: str, which: pl.Expr) -> dict[str | None, int]:
        """See `Rows.values`."""
        counted = self._frame.lazy().filter(which).group_by(column).len().collect()
        return dict(counted.iter_rows())

    def histogram(self, value: pl.Expr) -> dict[int, int]:
        """See `Rows.histogram`."""
        values = self._frame.lazy().select(value.alias("value")).drop_nulls()
        return dict(values.group_by("value").len().collect().iter_rows())
