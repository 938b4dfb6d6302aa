"""Which words have an id of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import polars as pl

PAD, UNKNOWN, NUMBER = 0, 1, 2
SPECIAL = ("<pad>", "<unk>", "<num>")
"""Ids 0, 1 and 2: filling behind a short text, a word not in the vocabulary, a number."""


class Vocabulary:
    """The words a model knows; the id of a word is its position.

    The first three entries are `SPECIAL`. No text can produce them, since `<` and `>` are
    tokens of their own.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if tuple(words[: len(SPECIAL)]) != SPECIAL:
            raise ValueError(f"the first words must be {SPECIAL}, were {tuple(words[:3])}")
        self.words = tuple(words)
        if len(set(self.words)) != len(self.words):
            raise ValueError("words must be distinct")

    @classmethod
    def learn(cls, tokens: pl.Series, *, min_texts: int, max_words: int) -> Vocabulary:
        """The most frequent words of the training texts.

        Args:
            tokens: lists of strings, a list a distinct training text.
            min_texts: in how many texts a word must occur to get an id.
            max_words: how many words at most, the special ones not counted.

        The order is by frequency, then alphabetical, so equal texts give equal ids.

        """
        counts = (
            pl.DataFrame({"word": tokens.list.unique()})
            .explode("word")
            .drop_nulls()
            .group_by("word")
            .len("texts")
            .filter(pl.col("texts") >= min_texts)
            .sort(["texts", "word"], descending=[True, False])
            .head(max_words)
        )
        return cls([*SPECIAL, *counts["word"].to_list()])

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)}

    @cached_property
    def _frame(self) -> pl.DataFrame:
        ids = pl.Series("id", range(len(self.words)), dtype=pl.Int32)
        return pl.DataFrame({"token": pl.Series(self.words, dtype=pl.String), "id": ids})

    def ids(self, tokens: pl.Series) -> pl.Series:
        """The id of each token, `UNKNOWN` for other words and nulls. Shape: as `tokens`, Int32."""
        if len(tokens) < len(self.words):  # A join would index the whole vocabulary first.
            found = [self._id_of.get(token, UNKNOWN) for token in tokens.to_list()]
            return pl.Series("id", found, dtype=pl.Int32)
        joined = pl.DataFrame({"token": tokens}).join(
            self._frame, on="token", how="left", maintain_order="left"
        )
        return joined["id"].fill_null(UNKNOWN)
