"""From rows to distinct texts with their labels, counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from ...data.columns import strings
from ...data.normal_form import normalise
from ...data.profile import PairCounts
from .frames import collected, over_batches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UNITS = ("split", "group", "time")
"""Columns by which a split may be decided; a table has one of them at most."""


@dataclass(frozen=True)
class Reading:
    """How the values of a table become strings, as `data.tables` does it for a whole column.

    Attributes:
        table: its name, for messages.
        whole: columns of floats that hold whole numbers alone: "1" is meant, not "1.0".

    """

    table: str
    whole: frozenset[str]

    @classmethod
    def of(cls, rows: DataFrame, table: str) -> Reading:
        """Look at the types, and at the values where the types leave it open."""
        from pyspark.sql import functions as F  # noqa: N812

        floats = [name for name, kind in rows.dtypes if kind in ("float", "double")]
        if not floats:
            return cls(table, frozenset())
        whole = [
            F.min(
                F.when(F.isnan(name) | F.col(name).isNull(), True).otherwise(
                    (F.col(name) == F.round(name)) & (F.abs(name) < 2.0**53)
                )
            ).alias(name)
            for name in floats
        ]
        found = rows.agg(*whole).first()
        return cls(table, frozenset(name for name in floats if found is not None and found[name]))

    def read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """All columns as strings, null where a value is missing, empty or blank."""
        return pl.DataFrame([self._strings(column) for column in frame])

    def _strings(self, column: pl.Series) -> pl.Series:
        if column.name in self.whole:
            column = column.fill_nan(None).cast(pl.Int64)
        elif column.dtype.is_float():
            # As it is written with its fraction, even if this batch has whole numbers alone.
            column = column.fill_nan(None).cast(pl.String)
        return strings(column, self.table)


def count_pairs(rows: DataFrame, reading: Reading) -> DataFrame:
    """How many rows each normalised text has under each label, and in each unit of the split.

    Args:
        rows: columns `text`, `label`, and perhaps one of `UNITS`.
        reading: of the table.

    Returns:
        Columns `key`, `label` and `unit` (strings, null where missing) and `rows`.

    """
    from pyspark.sql import functions as F  # noqa: N812

    unit = next((name for name in UNITS if name in rows.columns), None)

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        read = reading.read(frame)
        pairs = read.select(
            key=normalise(read["text"]),
            label="label",
            unit=pl.col(unit) if unit else pl.lit(None, pl.String),
        )
        return pairs.group_by("key", "label", "unit").len("rows").cast({"rows": pl.Int64})

    counted = over_batches(rows, count, "key string, label string, unit string, rows long")
    return counted.groupBy("key", "label", "unit").agg(F.sum("rows").alias("rows"))


def describe_pairs(pairs: DataFrame, *, in_units: bool) -> PairCounts:
    """What the checks want to know of texts and labels: `data.profile.count_pairs` on a cluster.

    The example of a contradiction is the first text in alphabetical order: rows have no order here.

    Args:
        pairs: what `count_pairs` gave.
        in_units: whether a text and label may stand there several times, in different units.

    """
    from pyspark.sql import functions as F  # noqa: N812

    by_label = pairs
    if in_units:
        by_label = pairs.groupBy("key", "label").agg(F.sum("rows").alias("rows"))
    labels = collected(
        by_label.where("label IS NOT NULL")
        .groupBy("label")
        .agg(F.sum("rows").alias("rows"), F.count("key").alias("distinct"))
    ).sort(["rows", "label"], descending=[True, False])
    labelled = F.col("label").isNotNull()
    texts = (
        by_label.where("key IS NOT NULL")
        .groupBy("key")
        .agg(F.count("label").alias("labels"), F.sum(F.when(labelled, F.col("rows"))).alias("rows"))
    )
    several = F.col("labels") > 1
    found = collected(
        texts.agg(
            F.count("*").alias("distinct"),
            F.sum(several.cast("long")).alias("conflicts"),
            F.sum(F.when(several, F.col("rows"))).alias("rows"),
            F.min(F.when(several, F.col("key"))).alias("first"),
        )
    ).row(0, named=True)
    of_it = pl.DataFrame({"label": [], "rows": []})
    if found["first"] is not None:
        of_it = collected(
            by_label.where((F.col("key") == found["first"]) & labelled).select("label", "rows")
        ).sort(["rows", "label"], descending=[True, False])
    return PairCounts(
        distinct=found["distinct"],
        labels=labels,
        conflicts=found["conflicts"] or 0,
        conflict_rows=found["rows"] or 0,
        conflict=found["first"],
        conflict_labels=tuple(of_it.iter_rows()),
    )
