"""Vocabulary and number scale, learned from all training texts of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...config import Config
from ...text.encoder import TextEncoder
from ...text.notation import PLAIN, Notation, count_written, notation_by
from ...text.numbers import NumberScale
from ...text.tokens import is_number, number_value, tokenize
from ...text.vocabulary import SPECIAL, Vocabulary
from .frames import collected, over_batches, written

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


IN_MEMORY = 2**20
"""Different numbers up to which the driver takes them all at once, 16 bytes each."""


def learn_encoder(train: DataFrame, config: Config, folder: Path) -> TextEncoder:
    """As `text.learn.learn_encoder`, from the distinct training texts.

    Args:
        train: column `key`. Read up to three times.
        config: the settings.
        folder: that driver and executors share, for numbers that are too many for the memory.

    """
    from pyspark.sql import functions as F  # noqa: N812

    scale = learn_numbers(train, config, folder) if config.numbers else None
    notation = PLAIN if scale is None else scale.notation

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        words = (
            tokenize(frame["key"], config.limits.max_tokens, notation=notation)
            .list.unique()
            .explode()
            .drop_nulls()
        )
        if scale is not None:
            words = words.filter(~is_number(words))
        return words.rename("word").value_counts(name="n").cast({"n": pl.Int64})

    counted = over_batches(train.select("key"), count, "word string, n long")
    known = (
        counted.groupBy("word")
        .agg(F.sum("n").alias("n"))
        .where(F.col("n") >= config.limits.min_texts)
    )
    ordered = known.orderBy(F.desc("n"), F.asc("word")).limit(config.limits.max_words)
    words = collected(ordered.select("word"))["word"].to_list()
    return TextEncoder(Vocabulary([*SPECIAL, *words]), scale, config.limits.max_tokens)


def learn_numbers(train: DataFrame, config: Config, folder: Path) -> NumberScale | None:
    """The number scale; None if there are fewer than two different numbers."""
    from pyspark.sql import functions as F  # noqa: N812

    notation = learn_notation(train)

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        tokens = tokenize(frame["key"], config.limits.max_tokens, notation=notation)
        tokens = tokens.explode().drop_nulls()
        values = number_value(tokens.filter(is_number(tokens)), notation)
        finite = values.filter(values.is_finite())
        return finite.rename("value").value_counts(name="n").cast({"n": pl.Int64})

    found = over_batches(train.select("key"), count, "value double, n long")
    counted = found.groupBy("value").agg(F.sum("n").alias("n"))
    some = collected(counted.limit(IN_MEMORY + 1))
    if len(some) <= IN_MEMORY:
        return NumberScale.learn(
            some["value"].to_numpy().astype(np.float64),
            config.number_bins,
            some["n"].to_numpy(),
            notation,
        )
    # One file for each stretch of values; their names are in the order of the stretches.
    stretches = counted.repartitionByRange("value").sortWithinPartitions("value")
    rising = written(stretches, folder / "numbers")
    sums = collected(rising.agg(F.count("*").alias("distinct"), F.sum("n").alias("total")))
    return NumberScale.learn_rising(
        _pieces(folder / "numbers"),
        config.number_bins,
        distinct=int(sums["distinct"].item()),
        total=int(sums["total"].item()),
        notation=notation,
    )


def learn_notation(train: DataFrame) -> Notation:
    """As `text.notation.learn_notation`."""
    from pyspark.sql import functions as F  # noqa: N812

    found = over_batches(
        train.select("key"), lambda frame: count_written(frame["key"]), "kind string, n long"
    )
    counted = collected(found.groupBy("kind").agg(F.sum("n").alias("n")))
    return notation_by(dict(counted.iter_rows()))


def _pieces(folder: Path) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Values and counts, a file at a time."""
    for file in sorted(folder.glob("part-*.parquet")):
        frame = pl.read_parquet(file)
        if len(frame):
            yield frame["value"].to_numpy(), frame["n"].to_numpy()
