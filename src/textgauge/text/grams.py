"""Pieces of words: what a word that is not known has in common with those that are."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

LENGTH = 4
"""Characters of a piece, the marks of a word's two ends included: as long as most stems and endings
are, and a third of the pieces that those of three to five characters would be."""


def grams_of(words: Sequence[str]) -> pl.DataFrame:
    """Every piece of `LENGTH` characters of each word, as often as it stands there.

    Returns:
        Columns `word`, its index, and `gram`.

    >>> grams_of(["iron", "a"]).rows()
    [(0, '<iro'), (0, 'iron'), (0, 'ron>')]
    """
    marked = pl.DataFrame({"text": pl.Series(words, dtype=pl.String)}).select(
        pl.int_range(pl.len(), dtype=pl.Int32).alias("word"),
        ("<" + pl.col("text") + ">").alias("text"),
    )
    pieces = (pl.col("text").str.len_chars().cast(pl.Int32) - (LENGTH - 1)).alias("pieces")
    long_enough = marked.with_columns(pieces).filter(pl.col("pieces") > 0)
    return (
        long_enough.with_columns(pl.int_ranges(0, "pieces", dtype=pl.Int32).alias("at"))
        .explode("at")
        .select("word", pl.col("text").str.slice("at", LENGTH).alias("gram"))
    )
