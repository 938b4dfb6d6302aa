"""Which part each distinct text belongs to: by its hash, its group, its time or its row's word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ...config import Config
from ...data.columns import times
from ...data.split import (
    NOTHING_TO_TRAIN_ON,
    PARTS,
    TRAIN,
    Fractions,
    named_parts,
    not_a_part,
    time_cuts,
)
from ...errors import EngineError, TableError
from .frames import collected, written
from .splitting import find_cuts, hash_column, main_labels, with_parts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_TIMES = 5_000_000
"""Different times that are fetched to be ranked at most."""


@dataclass(frozen=True)
class Parted:
    """Distinct texts with their parts.

    Attributes:
        texts: a row each text and part, cheap to read again: `key`, `part`, `labels` (an array of
            `label` and `rows`), `key_rows` (rows of the text in the whole table; null but in its
            first part).
        method: in plain words, how the parts were decided.

    """

    texts: DataFrame
    method: str


def split_texts(pairs: DataFrame, config: Config, folder: Path) -> Parted:
    """Decide the part of every text, as `data.split.split_rows` does.

    Args:
        pairs: columns `key`, `label`, `unit` and `rows`; read several times.
        config: names the column that decides, if one does.
        folder: a new one that driver and executors share, for the texts.

    Raises:
        TableError: a name that means no part, or no part to train on.

    """
    seed, fractions = config.seed, config.fractions
    if config.split_column is not None:
        parted, method = _by_column(pairs, seed, fractions)
        return Parted(written(parted, folder), method)
    if config.group_column is not None:
        by_group = _hashed(pairs, "unit", seed, fractions, missing="")
        parted = _earliest(pairs.fillna("", ["unit"]).join(by_group, "unit"))
        method = f"whole groups by hash (seed {seed}), stratified by label"
        return Parted(written(parted, folder), method)
    if config.time_column is not None:
        parted = _by_time(pairs, fractions)
        return Parted(written(parted, folder), "by time: the earliest rows train, the latest test")
    parted = _together(pairs, seed, fractions, folder)
    return Parted(parted, f"hash of the normalised text (seed {seed}), stratified by label")


def _together(pairs: DataFrame, seed: int, fractions: Fractions, folder: Path) -> DataFrame:
    """Texts as units: no join is needed, since a text's labels and its part stand in one row.

    The texts are written before the cuts are looked for, and their parts are decided anew, by a
    comparison, whenever they are read.
    """
    from pyspark.sql import functions as F  # noqa: N812

    label = F.struct((-F.col("rows")).alias("rows"), F.col("label").alias("label"))
    texts = pairs.groupBy("key").agg(
        F.min(label).getField("label").alias("stratum"),
        F.collect_list(F.struct("label", "rows")).alias("labels"),
        F.sum("rows").alias("key_rows"),
    )
    texts = written(texts.withColumn("hash", hash_column(F.col("key"), seed)), folder)
    units = texts.withColumn("unit", F.col("key"))
    cuts = find_cuts(units.select("stratum", "hash", "unit"), fractions)
    parted = with_parts(units, cuts, pairs.sparkSession)
    return parted.select("key", "part", "labels", "key_rows")


def _hashed(
    pairs: DataFrame, unit: str, seed: int, fractions: Fractions, missing: str | None = None
) -> DataFrame:
    """The part of each unit by its hash: columns `unit` and `part`."""
    from pyspark.sql import functions as F  # noqa: N812

    if missing is not None:
        pairs = pairs.fillna(missing, [unit])
    counted = pairs.groupBy(unit, "label").agg(F.sum("rows").alias("rows"))
    units = main_labels(counted, unit).withColumnRenamed(unit, "unit")
    units = units.withColumn("hash", hash_column(F.col("unit"), seed))
    cuts = find_cuts(units.select("stratum", "hash", "unit"), fractions)
    return with_parts(units, cuts, pairs.sparkSession).select("unit", "part")


def _by_time(pairs: DataFrame, fractions: Fractions) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812

    moments = pairs.groupBy("unit").agg(F.sum("rows").alias("rows"))
    if moments.count() > MOST_TIMES:
        raise EngineError(
            f"the time column has more than {MOST_TIMES:,} different values. Round them, to days "
            "for example, and pass that column."
        )
    found = collected(moments)
    if found["unit"].null_count():
        rows = int(found.filter(pl.col("unit").is_null())["rows"][0])
        raise TableError(
            f"the time column is empty in {rows:,} rows. Fill them in, leave those rows out, or "
            "split without --time-column."
        )
    found = found.with_columns(time=times(found["unit"], "the table")).sort("time")
    found = found.with_columns(part=time_cuts(found["time"], found["rows"], fractions))
    named = found.select("unit", pl.col("part").cast(pl.Int32))
    table = pairs.sparkSession.createDataFrame(named.to_arrow())
    return _earliest(pairs.join(F.broadcast(table), "unit"))


def _by_column(pairs: DataFrame, seed: int, fractions: Fractions) -> tuple[DataFrame, str]:
    from pyspark.sql import functions as F  # noqa: N812

    said = collected(pairs.groupBy("unit").agg(F.sum("rows").alias("rows")).limit(10_000))
    said = said.with_columns(part=named_parts(said["unit"]).cast(pl.Int32))
    unknown = said.filter(pl.col("part").is_null())["unit"].fill_null("").unique().sort().to_list()
    if unknown:
        wrong, advice = not_a_part(unknown)
        raise TableError(f"the split column {wrong}. {advice}")
    present = set(said["part"].to_list())
    missing = [part for part, share in enumerate(fractions) if share and part not in present]
    if TRAIN in missing:
        wrong, advice = NOTHING_TO_TRAIN_ON
        raise TableError(f"the split column {wrong}. {advice}")
    table = pairs.sparkSession.createDataFrame(said.select("unit", "part").to_arrow())
    named = pairs.join(F.broadcast(table), "unit")
    method = "the table's own split column"
    if missing:
        wanted = [
            share if part in (TRAIN, *missing) else 0.0 for part, share in enumerate(fractions)
        ]
        train, val, test = (share / sum(wanted) for share in wanted)
        inside = named.where(F.col("part") == TRAIN)
        cut = _hashed(inside, "key", seed, (train, val, test)).withColumnRenamed("unit", "key")
        inside = inside.drop("part").join(cut, "key")
        outside = named.where(F.col("part") != TRAIN)
        named = inside.select("key", "label", "rows", "part").unionByName(
            outside.select("key", "label", "rows", "part")
        )
        names_cut = " and ".join(PARTS[part] for part in missing)
        method += f"; {names_cut} cut from train by hash (seed {seed})"
    counted = named.groupBy("key", "part", "label").agg(F.sum("rows").alias("rows"))
    texts = counted.groupBy("key", "part").agg(
        F.collect_list(F.struct("label", "rows")).alias("labels"), F.sum("rows").alias("part_rows")
    )
    by_key = F.sum("part_rows"), F.min("part")
    whole = texts.groupBy("key").agg(by_key[0].alias("all_rows"), by_key[1].alias("first"))
    first = F.col("part") == F.col("first")
    texts = texts.join(whole, "key").withColumn("key_rows", F.when(first, F.col("all_rows")))
    return texts.select("key", "part", "labels", "key_rows"), method


def _earliest(pairs: DataFrame) -> DataFrame:
    """Keep of each text the rows of its earliest part, so that none straddles."""
    from pyspark.sql import functions as F  # noqa: N812

    counted = pairs.groupBy("key", "part", "label").agg(F.sum("rows").alias("rows"))
    texts = counted.groupBy("key").agg(
        F.min("part").alias("part"),
        F.collect_list(F.struct("part", "label", "rows")).alias("every"),
        F.sum("rows").alias("key_rows"),
    )
    kept = F.filter("every", lambda each: each["part"] == F.col("part"))
    labels = F.transform(
        kept, lambda each: F.struct(each["label"].alias("label"), each["rows"].alias("rows"))
    )
    return texts.select("key", "part", labels.alias("labels"), "key_rows")
