"""The split, decided as on one machine, without sorting all texts.

There, the units (texts or groups) of each label are ranked by their hash and cut at the fractions.
Here, the hashes at the two cuts are looked for: a count of the hashes by their first digits tells
among which few a cut lies, and only those are fetched and ranked. What lies before, between and
behind the cuts is then a comparison in every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from ...data.split import Fractions, cut_sizes
from .frames import collected

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

HASH_DIGITS = 16
FETCHED = 65_536
"""Hashes with the same first digits at most, about: so many are fetched for a cut."""

_CUTS = "stratum string, val_hash string, val_unit string, test_hash string, test_unit string"


@dataclass(frozen=True)
class Cut:
    """Where a stratum is cut: the first unit of validation, and of the test; None: there is none.

    Each is the unit's hash (16 hexadecimal digits) and the unit itself, by which equal hashes are
    ranked.
    """

    val: tuple[str, str] | None
    test: tuple[str, str] | None


def hash_column(unit: Column, seed: int) -> Column:
    """The first 64 bits of SHA-256 over "SEED, line feed, unit" as 16 hexadecimal digits.

    In their alphabetical order they are in the order of `data.split.hash_of`.
    """
    from pyspark.sql import functions as F  # noqa: N812

    digest = F.sha2(F.concat(F.lit(f"{seed}\n"), unit).cast("binary"), 256)
    return F.substring(digest, 1, HASH_DIGITS)


def main_labels(pairs: DataFrame, unit: str) -> DataFrame:
    """The most frequent label of each unit, the first in alphabetical order among equals.

    Args:
        pairs: columns `unit`, `label` and `rows`, one row each unit and label.
        unit: name of the unit's column.

    Returns:
        Columns `unit` and `stratum`.

    """
    from pyspark.sql import functions as F  # noqa: N812

    first = F.min(F.struct((-F.col("rows")).alias("rows"), F.col("label").alias("label")))
    return pairs.groupBy(unit).agg(first.getField("label").alias("stratum"))


def find_cuts(units: DataFrame, fractions: Fractions) -> dict[str, Cut]:
    """Where each stratum is cut.

    Args:
        units: columns `stratum`, `hash` and `unit`, one row each unit. Read three times.
        fractions: train, validation and test.

    """
    from pyspark.sql import functions as F  # noqa: N812

    sizes = collected(units.groupBy("stratum").agg(F.count("*").alias("size")))
    ranks: dict[str, tuple[int, int, int]] = {}
    for stratum, size in sizes.iter_rows():
        tests, vals = cut_sizes(size, fractions)
        ranks[stratum] = (size, size - tests - vals, size - tests)
    digits, most = 0, max((size for size, _, _ in ranks.values()), default=0)
    while digits < HASH_DIGITS and most / 16**digits > FETCHED:
        digits += 1
    prefix = F.substring("hash", 1, digits) if digits else F.lit("")
    counted = collected(
        units.groupBy("stratum", prefix.alias("prefix")).agg(F.count("*").alias("units"))
    ).sort("stratum", "prefix")
    wanted: dict[tuple[str, str], int] = {}
    for (stratum,), bins in counted.group_by("stratum", maintain_order=True):
        size, *cuts = ranks[str(stratum)]
        ends = bins["units"].cum_sum()
        for rank in cuts:
            if rank < size:
                place = int((ends <= rank).sum())
                before = int(ends[place - 1]) if place else 0
                wanted[str(stratum), bins["prefix"][place]] = before
    if not wanted:
        return {stratum: Cut(None, None) for stratum in ranks}
    spark = units.sparkSession
    chosen = spark.createDataFrame(list(wanted), "stratum string, prefix string")
    near = units.withColumn("prefix", prefix).join(F.broadcast(chosen), ["stratum", "prefix"])
    fetched = collected(near.select("stratum", "prefix", "hash", "unit"))
    return {
        stratum: Cut(*(_at(fetched, wanted, stratum, size, rank) for rank in cuts))
        for stratum, (size, *cuts) in ranks.items()
    }


def _at(
    fetched: pl.DataFrame,
    before: dict[tuple[str, str], int],
    stratum: str,
    size: int,
    rank: int,
) -> tuple[str, str] | None:
    """Hash and unit at a rank of its stratum; None behind the last."""
    if rank >= size:
        return None
    for (other, prefix), start in before.items():
        if other != stratum:
            continue
        bin_ = fetched.filter(stratum=stratum, prefix=prefix).sort("hash", "unit")
        if start <= rank < start + len(bin_):
            found: dict[str, Any] = bin_.row(rank - start, named=True)
            return found["hash"], found["unit"]
    raise AssertionError(f"rank {rank} of {stratum!r} was not fetched")


def with_parts(units: DataFrame, cuts: dict[str, Cut], spark: SparkSession) -> DataFrame:
    """`units` (columns `stratum`, `hash`, `unit`) with the column `part`: 0, 1 or 2."""
    from pyspark.sql import functions as F  # noqa: N812

    rows = [
        (stratum, *(cut.val or (None, None)), *(cut.test or (None, None)))
        for stratum, cut in cuts.items()
    ]
    table = F.broadcast(spark.createDataFrame(rows, _CUTS))

    def from_on(part: str) -> Column:
        hash_, unit = F.col(f"{part}_hash"), F.col(f"{part}_unit")
        beyond = (F.col("hash") > hash_) | ((F.col("hash") == hash_) & (F.col("unit") >= unit))
        return F.coalesce(beyond, F.lit(False))

    part = F.when(from_on("test"), 2).when(from_on("val"), 1).otherwise(0)
    named = units.join(table, "stratum").withColumn("part", part)
    return named.drop("val_hash", "val_unit", "test_hash", "test_unit")
