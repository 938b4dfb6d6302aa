"""A table in numbers: its rows, texts and labels, counted.

What is counted of each label and each text serves the checks too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

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


def count_labels(frame: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Count the rows and the distinct texts of each label; the largest label first."""
    distinct = pairs.lazy().group_by("label").agg(pl.len().alias("distinct"))
    return (
        frame.lazy()
        .filter(pl.col("label").is_not_null())
        .group_by("label")
        .agg(pl.len().alias("rows"))
        .join(distinct, on="label", how="left")
        .with_columns(pl.col("distinct").fill_null(0))
        .sort(["rows", "label"], descending=[True, False])
        .collect()
    )


def count_texts(pairs: pl.DataFrame) -> pl.DataFrame:
    """Count the labels of each normalised text and its rows that have one."""
    labelled = pl.col("label").is_not_null()
    return (
        pairs.lazy()
        .group_by("normalised")
        .agg(
            labelled.sum().alias("labels"),
            pl.col("rows").filter(labelled).sum(),
            pl.col("first").min(),
        )
        .collect()
    )


def make_profile(
    frame: pl.DataFrame,
    distinct: int,
    labels: pl.DataFrame,
    conflicts: pl.DataFrame,
    names: Mapping[str, str],
) -> Profile:
    """Return the profile of a table whose labels, texts and contradictions are counted.

    `distinct` is the number of different texts, `conflicts` the rows of `count_texts` that have
    more than one label, `names` maps labels to names for people.
    """
    total = int(labels["rows"].sum())
    missing = frame["text"].null_count()
    lengths = frame.select(
        pl.col("text").str.len_chars().alias("characters"),
        pl.col("text").str.count_matches(r"\S+").alias("words"),
    )
    return Profile(
        rows=frame.height,
        distinct_texts=distinct,
        missing_texts=missing,
        missing_labels=frame["label"].null_count(),
        duplicate_rows=frame.height - missing - distinct,
        contradictory_texts=conflicts.height,
        contradictory_rows=int(conflicts["rows"].sum()),
        distinct_labels=labels.height,
        labels=tuple(
            LabelProfile(label, names.get(label), rows, texts, rows / total)
            for label, rows, texts in labels.head(SHOWN_LABELS).iter_rows()
        ),
        text_characters=_quantiles(lengths["characters"]),
        text_words=_quantiles(lengths["words"]),
        imbalance=labels["rows"][0] / labels["rows"][-1] if labels.height else None,
    )


def _quantiles(counts: pl.Series) -> Quantiles:
    values = [counts.quantile(at, "nearest") for at in (0.0, 0.5, 0.95, 1.0)]
    return Quantiles(*(int(value or 0) for value in values))
