"""Pieces of words: what a word that is not known has in common with those that are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
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
    return grams_in([f"<{word}>" for word in words])


def grams_in(marked: Sequence[str]) -> pl.DataFrame:
    """As `grams_of`, of words whose ends are marked already."""
    texts = pl.DataFrame({"text": pl.Series(marked, dtype=pl.String)}).select(
        pl.int_range(pl.len(), dtype=pl.Int32).alias("word"), "text"
    )
    pieces = (pl.col("text").str.len_chars().cast(pl.Int32) - (LENGTH - 1)).alias("pieces")
    long_enough = texts.with_columns(pieces).filter(pl.col("pieces") > 0)
    return (
        long_enough.with_columns(pl.int_ranges(0, "pieces", dtype=pl.Int32).alias("at"))
        .explode("at")
        .select("word", pl.col("text").str.slice("at", LENGTH).alias("gram"))
    )


def shared_grams(words: Sequence[str]) -> list[str]:
    """The pieces that two of these distinct words have at least, in alphabetical order.

    >>> shared_grams(["iron", "irony", "steel"])
    ['<iro', 'iron']
    """
    return _shared(grams_of(words)).to_list()


def _shared(found: pl.DataFrame) -> pl.Series:
    counted = found.unique().group_by("gram").len().filter(pl.col("len") >= 2)
    return counted["gram"].sort()


def shared_pieces(marked: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The pieces that two of these words have at least, by number, wherever they stand.

    Args:
        marked: distinct words, with a mark at those ends that are known as such.

    Returns:
        Index of the word and number of the piece. Shapes: (found,), (found,).

    >>> shared_pieces(["<iron", "<irony", "ring"])[1].tolist()
    [0, 1, 0, 1]
    """
    found = grams_in(marked)
    number = _shared(found).to_frame().with_row_index("piece")
    found = found.join(number, on="gram", maintain_order="left")
    return found["word"].to_numpy(), found["piece"].cast(pl.Int32).to_numpy()


class KnownGrams:
    """Finds those pieces of words that are known.

    Args:
        grams: the pieces, each once.

    """

    def __init__(self, grams: Sequence[str]) -> None:
        self._frame = pl.DataFrame(
            {
                "gram": pl.Series(grams, dtype=pl.String),
                "piece": pl.Series(range(len(grams)), dtype=pl.Int32),
            }
        )

    def find(self, words: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Each known piece of each word, in the order in which they stand there.

        Returns:
            Index of the word and index of the piece. Shapes: (found,), (found,).

        """
        found = grams_of(words).join(self._frame, on="gram", maintain_order="left")
        return found["word"].to_numpy(), found["piece"].to_numpy()
