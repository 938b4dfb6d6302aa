"""What the texts that a model was trained on are like, in figures small enough to be saved with it.

`review.drift` holds other texts against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from .counts import TextCounts

BINS = 10
"""Bins of about equal rows, in which lengths and numbers are counted."""

MOST_WORDS = 2_000
"""Words that are kept: the most frequent."""

LONGEST_WORD = 40
"""Characters of a word that is kept, so that the profile stays small whatever the texts hold."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """How values are spread: counts in bins of about equal rows.

    Attributes:
        low: the smallest value.
        median: half of the rows have at most this.
        ends: the largest value of each bin; rising. Shape: (bins,).
        rows: in each bin. Shape: (bins,).
        texts: distinct texts in each bin. Shape: (bins,).

    """

    low: float
    median: float
    ends: Floats
    rows: Ints
    texts: Ints

    @classmethod
    def of(cls, values: Floats, rows: Ints, texts: Ints) -> Spread | None:
        """Of values that occur in so many rows and texts each; None of none. Shapes: (n,)."""
        if not len(values):
            return None
        distinct, place = np.unique(values, return_inverse=True)
        often = np.bincount(place, rows)
        middle = (np.cumsum(often) - often / 2) / often.sum()
        bin_of = np.floor(middle * BINS)
        ends = distinct[np.append(np.diff(bin_of) > 0, True)]
        nothing = np.zeros(0, dtype=np.int64)
        median = weighted_median(values, rows)
        empty = cls(float(distinct[0]), median, ends, nothing, nothing)
        inside = (empty.count(values, each)[1:-1] for each in (rows, texts))
        return cls(empty.low, median, ends, *inside)

    @property
    def high(self) -> float:
        """The largest value."""
        return float(self.ends[-1])

    def count(self, values: Floats, weights: Ints) -> Ints:
        """Weight below `low`, in each bin, and above `high`. Shape: (bins + 2,)."""
        place = np.searchsorted(self.ends, values, side="left") + 1
        place[values < self.low] = 0
        return np.bincount(place, weights, len(self.ends) + 2).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "low": self.low,
            "median": self.median,
            **{name: getattr(self, name).tolist() for name in ("ends", "rows", "texts")},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Spread:
        """What `to_json` described.

        Raises:
            KeyError, TypeError, ValueError: it is no spread.

        """
        found = cls(
            float(values["low"]),
            float(values["median"]),
            np.array(values["ends"], dtype=np.float64),
            np.array(values["rows"], dtype=np.int64),
            np.array(values["texts"], dtype=np.int64),
        )
        ends, bins = found.ends, np.shape(values["ends"])
        if len(bins) != 1 or not bins[0] or found.rows.shape != bins or found.texts.shape != bins:
            raise ValueError("the lists of a spread must be equally long, and not empty")
        if not np.isfinite([found.low, found.median, *ends]).all() or (np.diff(ends) <= 0).any():
            raise ValueError("the ends of a spread must rise")
        if (found.rows < 0).any() or (found.texts < 0).any():
            raise ValueError("the counts of a spread must be 0 or more")
        return found


def weighted_median(values: Floats, rows: Ints) -> float:
    """The smallest value that half of the rows have at most. Shapes: (n,), n > 0.

    >>> weighted_median(np.array([9.0, 1.0, 5.0]), np.array([1, 2, 1]))
    1.0
    """
    order = np.argsort(values)
    ends = np.cumsum(rows[order])
    return float(values[order][np.searchsorted(ends, ends[-1] / 2)])


@dataclass(frozen=True)
class TextProfile:
    """Texts in figures. What counts texts counts each distinct one once.

    Attributes:
        rows: that were counted.
        texts: distinct texts among them.
        labels: rows and texts of each label; a text counts for its most frequent one. None where
            there were no labels.
        lengths: words of a text.
        numbers: all numbers of a text; None where there are none, or they are read as words.
        numbered: rows and texts that hold a number.
        words: rows and texts that hold each of the most frequent words.
        unknown_word_share: what share of the words of the model's test part it does not know: what
            is normal, in [0, 1]; None of a table.
        outside_number_range_share: what share of the rows of the model's test part hold a number
            outside the range of the training part.
        distances: how far the model's test part lies from its training part, by the names of
            `review.drift.Drift.differences`: what it was tested on is normal, too.

    """

    rows: int
    texts: int
    labels: Mapping[str, tuple[int, int]] | None
    lengths: Spread
    numbers: Spread | None
    numbered: tuple[int, int]
    words: Mapping[str, tuple[int, int]]
    unknown_word_share: float | None = None
    outside_number_range_share: float | None = None
    distances: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: TextCounts, labels: Mapping[str, tuple[int, int]] | None) -> TextProfile:
        """Of texts that were counted, one at least."""
        once = np.ones(len(counts), dtype=np.int64)
        lengths = Spread.of(counts.lengths.astype(np.float64), counts.rows, once)
        assert lengths is not None
        numbers = counts.numbers
        most = counts.words.filter(pl.col("word").str.len_chars() <= LONGEST_WORD).head(MOST_WORDS)
        return cls(
            rows=counts.all_rows,
            texts=len(counts),
            labels=labels,
            lengths=lengths,
            numbers=Spread.of(
                numbers["value"].to_numpy(), numbers["rows"].to_numpy(), numbers["texts"].to_numpy()
            ),
            numbered=(int(counts.rows[counts.numbered].sum()), int(counts.numbered.sum())),
            words={w: (rows, texts) for w, rows, texts in
                   most.select("word", "rows", "texts").iter_rows()},
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build this again, as plain JSON values."""
        return {
            **vars(self),
            "labels": None if self.labels is None else {k: list(v) for k, v in self.labels.items()},
            "lengths": self.lengths.to_json(),
            "numbers": None if self.numbers is None else self.numbers.to_json(),
            "numbered": list(self.numbered),
            "words": {word: list(counts) for word, counts in self.words.items()},
            "distances": dict(self.distances),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TextProfile:
        """The profile that `to_json` described.

        Raises:
            KeyError, TypeError, ValueError: it is no profile.

        """

        def pair(counts: Sequence[int]) -> tuple[int, int]:
            rows, texts = map(int, counts)
            if rows < 0 or texts < 0:
                raise ValueError("a profile's counts must be 0 or more")
            return rows, texts

        def share(name: str) -> float | None:
            return None if values[name] is None else float(values[name])

        labels, numbers = values["labels"], values["numbers"]
        return cls(
            rows=int(values["rows"]),
            texts=int(values["texts"]),
            labels=None if labels is None else {k: pair(v) for k, v in dict(labels).items()},
            lengths=Spread.from_json(values["lengths"]),
            numbers=None if numbers is None else Spread.from_json(numbers),
            numbered=pair(values["numbered"]),
            words={str(word): pair(counts) for word, counts in dict(values["words"]).items()},
            unknown_word_share=share("unknown_word_share"),
            outside_number_range_share=share("outside_number_range_share"),
            distances={str(what): float(far) for what, far in dict(values["distances"]).items()},
        )


def label_counts(texts: LabelledTexts, classes: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Rows of each label, and texts of which it is the most frequent one.

    Where a row has several labels, all texts that have it.
    """
    rows = texts.label_rows(len(classes)).tolist()
    own = texts.main_label if texts.sets is None else texts.cells[1]
    main = np.bincount(own, minlength=len(classes)).tolist()
    return {label: (rows[n], main[n]) for n, label in enumerate(classes)}
