"""The same figures for the parts of a table that a column names: where a model fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts, gather_texts
from .intervals import Interval
from .metrics import evaluate

MOST = 50
"""Values that are judged each by itself: those with the most rows. All others are one slice."""

RANGES = 4
"""Into so many ranges of equal share numbers are cut, where there are more than `MOST` of them."""

NONE, OTHERS = "(none)", "(others)"


@dataclass(frozen=True)
class Slice:
    """The rows that share a value.

    Attributes:
        value: of the column; a range of numbers; or `NONE` or `OTHERS`.
        rows: how many.
        texts: distinct texts among them.
        accuracy: share of right decisions over the rows.
        interval: of the accuracy, 95 %.
        macro_f1: mean F1 of the labels that occur.
        loss: mean cross-entropy in nats.

    """

    value: str
    rows: int
    texts: int
    accuracy: float
    interval: Interval
    macro_f1: float
    loss: float

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {**vars(self), "interval": self.interval.to_json()}


def by_slice(
    frame: pl.DataFrame,
    texts: LabelledTexts,
    probabilities: npt.NDArray[np.floating[Any]],
    classes: Sequence[str],
) -> list[Slice]:
    """Judge each slice; the lowest accuracy first.

    Args:
        frame: `text`, `label` and `slice` of every row, strings; labels are known.
        texts: of the same rows.
        probabilities: of `texts`. Shape: (texts, classes).
        classes: the labels.

    """
    places = pl.DataFrame({"text": texts.texts, "place": np.arange(len(texts))})
    found = []
    for value, rows in _cut(frame):
        mine = gather_texts(rows, classes)
        place = mine.texts.to_frame("text").join(
            places, on="text", how="left", maintain_order="left"
        )["place"]
        figures = evaluate(mine, probabilities[place.to_numpy()], classes, with_intervals=True).rows
        assert figures.intervals is not None
        found.append(
            Slice(
                value=value,
                rows=mine.rows,
                texts=len(mine),
                accuracy=figures.accuracy,
                interval=figures.intervals.accuracy,
                macro_f1=figures.macro_f1,
                loss=figures.loss,
            )
        )
    return sorted(found, key=lambda each: (each.accuracy, -each.rows, each.value))


def _cut(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each slice."""
    counts = frame["slice"].drop_nulls().value_counts(sort=True)
    numbers = counts["slice"].cast(pl.Float64, strict=False)
    if len(counts) > MOST and not numbers.has_nulls() and numbers.is_finite().all():
        yield from _ranges(frame)
    else:
        named = sorted(counts["slice"].to_list()) if len(counts) <= MOST else (
            counts.sort(["count", "slice"], descending=[True, False]).head(MOST - 1)["slice"]
        ).to_list()  # fmt: skip
        for value in named:
            yield value, frame.filter(pl.col("slice") == value)
        if len(named) < len(counts):
            rest = pl.col("slice").is_not_null() & ~pl.col("slice").is_in(named)
            yield OTHERS, frame.filter(rest)
    if frame["slice"].has_nulls():
        yield NONE, frame.filter(pl.col("slice").is_null())


def _ranges(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    numbers = frame["slice"].cast(pl.Float64)
    edges = np.unique(np.quantile(numbers.drop_nulls(), np.linspace(0, 1, RANGES + 1)[1:-1]))
    place = pl.Series(np.searchsorted(edges, numbers.fill_null(0.0).to_numpy(), side="right"))
    for number in range(len(edges) + 1):
        inside = (place == number) & numbers.is_not_null()
        if inside.any():
            mine = numbers.filter(inside).to_numpy()
            yield f"{mine.min():g} to {mine.max():g}", frame.filter(inside)
