"""Vocabulary and number scale, learned from all training texts of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ...config import Config
from ...text.encoder import TextEncoder
from ...text.numbers import NumberScale
from ...text.tokens import is_number, number_value, tokenize
from ...text.vocabulary import SPECIAL, Vocabulary
from .frames import collected, over_batches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def learn_encoder(train: DataFrame, config: Config) -> TextEncoder:
    """As `text.learn.learn_encoder`, from the distinct training texts.

    Args:
        train: column `key`. Read once or twice.
        config: the settings.

    """
    from pyspark.sql import functions as F  # noqa: N812

    scale = learn_numbers(train, config) if config.numbers else None

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        words = tokenize(frame["key"], config.max_tokens).list.unique().explode().drop_nulls()
        if scale is not None:
            words = words.filter(~is_number(words))
        return words.rename("word").value_counts(name="n").cast({"n": pl.Int64})

    counted = over_batches(train.select("key"), count, "word string, n long")
    known = counted.groupBy("word").agg(F.sum("n").alias("n")).where(F.col("n") >= config.min_texts)
    ordered = known.orderBy(F.desc("n"), F.asc("word")).limit(config.max_words)
    words = collected(ordered.select("word"))["word"].to_list()
    return TextEncoder(Vocabulary([*SPECIAL, *words]), scale, config.max_tokens)


def learn_numbers(train: DataFrame, config: Config) -> NumberScale | None:
    """The number scale; None if there are fewer than two different numbers."""
    from pyspark.sql import functions as F  # noqa: N812

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        tokens = tokenize(frame["key"], config.max_tokens).explode().drop_nulls()
        values = number_value(tokens.filter(is_number(tokens)))
        return values.rename("value").value_counts(name="n").cast({"n": pl.Int64})

    counted = over_batches(train.select("key"), count, "value double, n long")
    found = collected(counted.groupBy("value").agg(F.sum("n").alias("n"))).sort("value")
    values = found["value"].to_numpy().astype(np.float64)
    return NumberScale.learn(values, config.number_bins, found["n"].to_numpy())
