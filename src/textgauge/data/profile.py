"""A table in numbers: its rows, texts and labels, counted.

What is counted of each label and each text serves the checks too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import polars as pl

from .label_sets import each_label
from .rows import Rows

SHOWN_LABELS = 1000  # labels kept in a profile, the largest


@dataclass(frozen=True)
class LabelProfile:
    """How often one label stands in the table; `share` is of the rows that have a label, 0 to 1."""

    label: str
    name: str | None
    rows: int
    distinct_texts: int
    share: float


@dataclass(frozen=True)
class Quantiles:
    """Of a count over the rows that have a text; all 0 where none has."""

    min: int
    median: int
    p95: int
    max: int


@dataclass(frozen=True)
class Profile:
    """A table in numbers. Texts are equal where their normalised forms are.

    `duplicate_rows` repeat the text of an earlier row. `contradictory_texts` stand under more than
    one label, in `contradictory_rows` rows. `distinct_labels` counts all labels, `labels` holds the
    1,000 largest, the largest first. `imbalance` is the rows of the largest label over those of the
    smallest (None without labels).
    """

    rows: int
    distinct_texts: int
    missing_texts: int
    missing_labels: int
    duplicate_rows: int
    contradictory_texts: int
    contradictory_rows: int
    distinct_labels: int
    labels: tuple[LabelProfile, ...]
    text_characters: Quantiles
    text_words: Quantiles
    imbalance: float | None


CHARACTERS = pl.col("text").str.len_chars()
WORDS = pl.col("text").str.count_matches(r"\S+")


@dataclass(frozen=True)
class PairCounts:
    """What is counted of the texts and labels of a table.

    Attributes:
        distinct: different texts.
        labels: columns `label`, `rows` and `distinct` (texts), the largest label first.
        conflicts: texts that stand under more than one label.
        conflict_rows: rows of these.
        conflict: the first of them, normalised.
        conflict_labels: its labels and the rows of each, in the order of their first rows.

    """

    distinct: int
    labels: pl.DataFrame
    conflicts: int
    conflict_rows: int
    conflict: str | None
    conflict_labels: tuple[tuple[str, int], ...]


def count_pairs(pairs: pl.DataFrame, separator: str | None = None) -> PairCounts:
    """Count labels, texts and contradictions.

    Args:
        pairs: one row for each text and label: `normalised` and `label` (null where missing),
            `rows`, and `first`, the number of the first row.
        separator: where `label` holds sets as `label_sets.as_written` writes them: what joins
            them. Then the labels in them are counted, and texts with two sets contradict each
            other.

    """
    with_text = pl.col("normalised").is_not_null()
    single = pairs
    if separator is not None:
        single = (
            each_label(pairs, separator).group_by("normalised", "label").agg(pl.col("rows").sum())
        )
    labels = (
        single.lazy()
        .filter(pl.col("label").is_not_null())
        .group_by("label")
        .agg(pl.col("rows").sum(), with_text.sum().alias("distinct"))
        .sort(["rows", "label"], descending=[True, False])
        .collect()
    )
    texts = (
        pairs.lazy()
        .filter(with_text)
        .group_by("normalised")
        .agg(
            pl.col("label").is_not_null().sum().alias("labels"),
            pl.col("rows").filter(pl.col("label").is_not_null()).sum(),
            pl.col("first").min(),
        )
        .collect()
    )
    conflicts = texts.filter(pl.col("labels") > 1).sort("first")
    of_it = pairs.join(conflicts.head(1), on="normalised", how="semi").drop_nulls("label")
    return PairCounts(
        distinct=texts.height,
        labels=labels,
        conflicts=conflicts.height,
        conflict_rows=int(conflicts["rows"].sum()),
        conflict=conflicts["normalised"][0] if conflicts.height else None,
        conflict_labels=tuple(of_it.sort("first").select("label", "rows").iter_rows()),
    )


def make_profile(
    rows: Rows, counts: PairCounts, names: Mapping[str, str], *, sets: bool = False
) -> Profile:
    """Return the profile of a table; `names` maps labels to names for people.

    With `sets` a row has several labels or none, so that the shares add up to anything.
    """
    labels = counts.labels
    total = rows.height if sets else int(labels["rows"].sum())
    characters, words = rows.histogram(CHARACTERS), rows.histogram(WORDS)
    missing = rows.height - sum(characters.values())
    return Profile(
        rows=rows.height,
        distinct_texts=counts.distinct,
        missing_texts=missing,
        missing_labels=rows.height - total,
        duplicate_rows=rows.height - missing - counts.distinct,
        contradictory_texts=counts.conflicts,
        contradictory_rows=counts.conflict_rows,
        distinct_labels=labels.height,
        labels=tuple(
            LabelProfile(label, names.get(label), n, texts, n / total)
            for label, n, texts in labels.head(SHOWN_LABELS).iter_rows()
        ),
        text_characters=_quantiles(characters),
        text_words=_quantiles(words),
        imbalance=labels["rows"][0] / labels["rows"][-1] if labels.height else None,
    )


def _quantiles(histogram: Mapping[int, int]) -> Quantiles:
    """The values nearest to the quantiles, of numbers that occur so often each."""
    if not histogram:
        return Quantiles(0, 0, 0, 0)
    values = sorted(histogram)
    ends = list(accumulate(histogram[value] for value in values))
    # As Polars' "nearest": the place among all, rounded.
    places = (round(at * (ends[-1] - 1)) for at in (0.0, 0.5, 0.95, 1.0))
    return Quantiles(*(values[bisect_right(ends, place)] for place in places))
