"""What else could stand in the place of a word, as the training texts show it.

To see what a word does to a decision, it must be taken away; but a note with a hole in it is like
no text the model was trained on, and what a model says of such a text explains nothing. So a word
is replaced by what stands between the same two neighbours elsewhere ("in _ condition": poor,
fair, good, new), as in Kim, Yi, Kim and Yoon, "Interpretation of NLP models through input
marginalization" (EMNLP 2020), who ask a language model; short texts of one trade need only counts.
Where the two neighbours were hardly seen together, the one before is asked, and then all texts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .encoder import Encoded
from .reader import TextReader
from .vocabulary import PAD, UNKNOWN

Ids = npt.NDArray[np.int64]

MOST_TEXTS = 100_000
"""Texts that are learned from: every second, third … of more."""

MOST_PLACES = 20_000
"""Pairs of neighbours, and single ones before, that are remembered: the most frequent."""

MOST_WORDS = 16
"""Words that are remembered for a place: the most frequent. For any place: 256."""

SEEN = 5
"""How often a place must have been seen: in one that was seen once, there is no choice of words."""

_ANYWHERE = 256
_EDGE = PAD
"""Stands before the first token and behind the last."""


class _Table:
    """Words for each of several places, with how often each was seen there.

    Attributes:
        places: what tells places apart; rising. Shape: (places,).
        ends: where each place's words end in `words`. Shape: (places,).
        words: token ids, place by place. Shape: (words,).
        counts: how often. Shape: (words,).

    """

    _FIELDS = ("places", "ends", "words", "counts")

    def __init__(self, places: Ids, ends: Ids, words: Ids, counts: Ids) -> None:
        self.places, self.ends, self.words, self.counts = places, ends, words, counts
        self._sums = np.cumsum(counts)

    @classmethod
    def count(
        cls, places: Ids, words: Ids, most_places: int, most_words: int, seen: int = SEEN
    ) -> _Table:
        """Count pairs of a place and a word."""
        size = int(words.max(initial=0)) + 1
        pairs, counts = np.unique(places * size + words, return_counts=True)
        place, word = np.divmod(pairs, size)
        # By place, the most frequent word first.
        order = np.lexsort((word, -counts, place))
        place, word, counts = place[order], word[order], counts[order]
        known, starts, sizes = np.unique(place, return_index=True, return_counts=True)
        rank = np.arange(len(place)) - np.repeat(starts, sizes)
        total = np.add.reduceat(counts, starts) if len(starts) else counts
        often = np.lexsort((known, -total))
        kept = np.zeros(len(known), dtype=bool)
        kept[often[:most_places]] = True
        kept &= total >= seen
        inside = np.repeat(kept, sizes) & (rank < most_words)
        left = np.minimum(sizes, most_words)[kept]
        return cls(known[kept], np.cumsum(left), word[inside], counts[inside])

    def draw(self, places: Ids, shares: npt.NDArray[np.float64]) -> Ids:
        """A word for each place, by `shares` in [0, 1); -1 where the place is not known."""
        if not len(self.places):
            return np.full(places.shape, -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.places, places), len(self.places) - 1)
        first = np.concatenate(([0], self.ends[:-1]))[at]
        before = np.where(first > 0, self._sums[np.maximum(first - 1, 0)], 0)
        total = self._sums[self.ends[at] - 1] - before
        found = np.searchsorted(self._sums, before + np.floor(shares * total), side="right")
        return np.where(self.places[at] == places, self.words[found], -1)

    def to_json(self) -> dict[str, list[int]]:
        return {
            name: getattr(self, name).tolist() for name in ("places", "ends", "words", "counts")
        }

    @classmethod
    def from_json(cls, values: dict[str, list[int]]) -> _Table:
        for name in cls._FIELDS:
            if not isinstance(values[name], list) or any(type(v) is not int for v in values[name]):
                raise TypeError(f"its {name} must be a list of whole numbers")
        named = {name: np.array(values[name], dtype=np.int64) for name in cls._FIELDS}
        table = cls(**named)
        ends = np.concatenate(([0], table.ends))
        if len(table.places) != len(table.ends) or (np.diff(ends) <= 0).any():
            raise ValueError("its ends do not fit its places")
        if (np.diff(table.places) <= 0).any():
            raise ValueError("its places must rise")
        # Float, as a sum of integers may wrap around.
        if (table.counts < 1).any() or table.counts.sum(dtype=np.float64) > 2**53:
            raise ValueError("its counts must be 1 or more")
        return table


class Fills:
    """What stands in which place, learned from encoded texts; `vocabulary` is the number of ids."""

    def __init__(self, between: _Table, after: _Table, anywhere: _Table, vocabulary: int) -> None:
        self._between, self._after, self._anywhere = between, after, anywhere
        self.vocabulary = vocabulary

    @classmethod
    def learn(cls, texts: Encoded, vocabulary: int) -> Fills:
        """Count what stands where. Tokens without an id of their own are no words to fill in.

        Args:
            texts: the distinct training texts, encoded.
            vocabulary: number of ids.

        """
        ids = texts.ids.astype(np.int64)
        first, last = texts.starts, texts.starts + texts.lengths - 1
        before, after = np.roll(ids, 1), np.roll(ids, -1)
        before[first], after[last] = _EDGE, _EDGE
        known = ids != UNKNOWN
        ids, before, after = ids[known], before[known], after[known]
        return cls(
            _Table.count(before * vocabulary + after, ids, MOST_PLACES, MOST_WORDS),
            _Table.count(before, ids, MOST_PLACES, MOST_WORDS),
            _Table.count(np.zeros_like(ids), ids, 1, _ANYWHERE, seen=1),
            vocabulary,
        )

    def draw(self, ids: Ids, lengths: Ids, shares: npt.NDArray[np.float64]) -> Ids:
        """Fill every place of each text anew, each by its neighbours in the text as it is.

        Args:
            ids: padded texts. Shape: (texts, longest).
            lengths: tokens of each text. Shape: (texts,).
            shares: chance for each place, in [0, 1). Shape: (..., texts, longest).

        Returns:
            Token ids, `PAD` behind the end. Shape: as `shares`.

        """
        before = np.concatenate([np.full_like(ids[:, :1], _EDGE), ids[:, :-1]], axis=1)
        after = np.concatenate([ids[:, 1:], np.full_like(ids[:, :1], _EDGE)], axis=1)
        inside = np.arange(ids.shape[1]) < lengths[:, None]
        filled = np.broadcast_to(np.int64(-1), shares.shape)
        for table, places in (
            (self._between, before * self.vocabulary + after),
            (self._after, before),
            (self._anywhere, np.zeros_like(ids)),
        ):
            found = table.draw(np.broadcast_to(places, shares.shape), shares)
            filled = np.where(filled < 0, found, filled)
        filled = np.where(filled < 0, UNKNOWN, filled)
        return np.where(inside, filled, PAD)

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build this again, as plain JSON values."""
        return {
            "between": self._between.to_json(),
            "after": self._after.to_json(),
            "anywhere": self._anywhere.to_json(),
            "vocabulary": self.vocabulary,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Fills:
        """The fills that `to_json` described.

        Raises:
            KeyError, TypeError, ValueError: they do not fit together.

        """
        tables = [_Table.from_json(values[name]) for name in ("between", "after", "anywhere")]
        vocabulary = int(values["vocabulary"])
        for table in tables:
            end = int(table.ends[-1]) if len(table.ends) else 0
            if end != len(table.words) or len(table.words) != len(table.counts):
                raise ValueError("its lists differ in length")
            if len(table.words) and not 0 <= table.words.min() <= table.words.max() < vocabulary:
                raise ValueError("it holds words that the vocabulary does not")
        between, after, anywhere = tables
        return cls(between, after, anywhere, vocabulary)


def learn_fills(texts: pl.Series, encoder: TextReader) -> Fills:
    """What stands in which place of these distinct, normalised training texts, or `MOST_TEXTS`."""
    step = -(-len(texts) // MOST_TEXTS)
    return Fills.learn(
        encoder.encode_normalised(texts.gather_every(max(step, 1))), len(encoder.names)
    )
