"""The distinct texts of a table in figures: their words, numbers and lengths, counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import normalise_once
from ..data.profile import WORDS
from .notation import PLAIN, Notation
from .tokens import is_number, number_value, tokenize

CHUNK = 100_000
"""Texts that are cut into tokens at a time: what bounds the memory."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TextCounts:
    """Figures of distinct texts, each of which stands for some rows.

    Attributes:
        texts: normalised, all different. Shape: (texts,).
        rows: of each text. Shape: (texts,).
        words: every word and sign, and every number where these are read as words, the most
            frequent first: `word`, `rows` and `texts` that hold it, `occurrences` in the rows,
            `first` (the place of one of its texts).
        numbers: every finite number: `value`, `rows` and `texts` that hold it, rising.
        lowest: the smallest number of each text, NaN where it has none. Shape: (texts,).
        highest: the largest. Shape: (texts,).
        lengths: words of each text, as `check` counts them. Shape: (texts,).
        tokens: words, numbers and signs, over the rows.

    """

    texts: pl.Series
    rows: Ints
    words: pl.DataFrame
    numbers: pl.DataFrame
    lowest: Floats
    highest: Floats
    lengths: Ints
    tokens: int

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def all_rows(self) -> int:
        """Rows of all texts."""
        return int(self.rows.sum())

    @property
    def numbered(self) -> npt.NDArray[np.bool_]:
        """Whether each text holds a number. Shape: (texts,)."""
        return ~np.isnan(self.lowest)


def count_column(
    texts: pl.Series, *, max_tokens: int | None, magnitudes: bool, notation: Notation = PLAIN
) -> TextCounts:
    """Count a table's column of raw texts; rows without a text are left out. See `count_texts`."""
    keys = normalise_once(texts.drop_nulls())
    distinct = keys.to_frame("text").group_by("text").len("rows").sort("text")
    rows = distinct["rows"].cast(pl.Int64).to_numpy()
    return count_texts(
        distinct["text"], rows, max_tokens=max_tokens, magnitudes=magnitudes, notation=notation
    )


def count_texts(
    texts: pl.Series,
    rows: Ints,
    *,
    max_tokens: int | None,
    magnitudes: bool,
    notation: Notation = PLAIN,
) -> TextCounts:
    """Count distinct texts, chunk by chunk.

    Args:
        texts: normalised. Shape: (texts,).
        rows: that each stands for. Shape: (texts,).
        max_tokens: of a text that are looked at; None: all.
        magnitudes: whether numbers are read as such, or as words.
        notation: how numbers are written.

    """
    lowest, highest = np.full(len(texts), np.nan), np.full(len(texts), np.nan)
    words, numbers, tokens = [], [], 0
    for begin in range(0, len(texts), CHUNK):
        some = texts.slice(begin, CHUNK)
        lists = tokenize(some, max_tokens, notation=notation)
        often = rows[begin : begin + CHUNK]
        tokens += int((lists.list.len().to_numpy().astype(np.int64) * often).sum())
        flat = (
            pl.DataFrame({"token": lists, "text": np.arange(begin, begin + len(some))})
            .with_columns(rows=pl.Series(often))
            .explode("token")
            .drop_nulls("token")
        )
        if magnitudes:
            numeric = is_number(flat["token"])
            found = flat.filter(numeric).with_columns(
                value=number_value(flat["token"].filter(numeric), notation)
            )
            ends = found.group_by("text").agg(low=pl.col("value").min(), high=pl.col("value").max())
            lowest[ends["text"].to_numpy()] = ends["low"].to_numpy()
            highest[ends["text"].to_numpy()] = ends["high"].to_numpy()
            numbers.append(
                found.filter(pl.col("value").is_finite())
                .unique(["value", "text"])
                .group_by("value")
                .agg(pl.col("rows").sum(), texts=pl.len().cast(pl.Int64))
            )
            flat = flat.filter(~numeric)
        words.append(
            flat.group_by("token", "text")
            .agg(pl.col("rows").first(), times=pl.len())
            .group_by(word="token")
            .agg(
                pl.col("rows").sum(),
                texts=pl.len().cast(pl.Int64),
                occurrences=(pl.col("rows") * pl.col("times")).sum(),
                first=pl.col("text").min(),
            )
        )
    return TextCounts(
        texts=texts,
        rows=rows,
        words=_added_up(words, "word", {"word": pl.String, "rows": pl.Int64, "texts": pl.Int64,
                                        "occurrences": pl.Int64, "first": pl.Int64})
        .sort(["rows", "word"], descending=[True, False]),
        numbers=_added_up(numbers, "value", {"value": pl.Float64, "rows": pl.Int64,
                                             "texts": pl.Int64}).sort("value"),
        lowest=lowest,
        highest=highest,
        lengths=texts.to_frame("text").select(WORDS).to_series().cast(pl.Int64).to_numpy(),
        tokens=tokens,
    )  # fmt: skip


def _added_up(
    chunks: list[pl.DataFrame], key: str, kinds: dict[str, type[pl.DataType]]
) -> pl.DataFrame:
    """The counts of all chunks together."""
    if not chunks:
        return pl.DataFrame(schema=kinds)
    every = pl.concat(
        [chunk.select(pl.col(n).cast(kind) for n, kind in kinds.items()) for chunk in chunks]
    )
    if len(chunks) == 1:
        return every
    sums = [pl.col(n).min() if n == "first" else pl.col(n).sum() for n in kinds if n != key]
    return every.group_by(key).agg(*sums)
