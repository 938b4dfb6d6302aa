"""What moved a model's decisions overall: the words that matter, and how numbers do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..bundle.predictor import Predictor
from ..data.normal_form import normalise
from ..text.encoder import Encoded
from ..text.numbers import NumberScale
from ..text.vocabulary import NUMBER
from .explanation import Explanation
from .slices import first_numbers

WORDS = 20
"""Words that are told for each label at most."""

NUMBERS = "<number>"
"""What all numbers are taken together as."""

SEEN = 3
"""In how many texts a word must stand to be told."""

CURVE_TEXTS = 300
"""Texts with numbers that a curve is drawn from at most."""

CURVE_VALUES = 100
"""Numbers that a curve is drawn at, at most, unless the model's scale alone has more."""


@dataclass(frozen=True)
class WordShare:
    """What a word adds to one decision.

    Attributes:
        word: as it is read; numbers are taken together as `NUMBERS`.
        share: mean of what it adds where the text has it and is decided so.
        texts: how many these are.
        example: the text in which it adds most.

    """

    word: str
    share: float
    texts: int
    example: str


@dataclass(frozen=True)
class NumberCurve:
    """How the decision follows the number in a text, all else as it is.

    Attributes:
        values: numbers, rising. Shape: (n,).
        probabilities: mean probability of each label. Shape: (n, classes).
        texts: how many texts were read with each number.

    """

    values: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]
    texts: int

    def step(self, label: int) -> tuple[float, float, float]:
        """Where a label's probability changes most: from which number to which, and by how much."""
        rises = np.diff(self.probabilities[:, label])
        at = int(np.abs(rises).argmax())
        return float(self.values[at]), float(self.values[at + 1]), float(rises[at])

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "values": self.values.tolist(),
            "probabilities": self.probabilities.tolist(),
            "texts": self.texts,
        }


def words_overall(explanations: Sequence[Explanation]) -> dict[str, list[WordShare]]:
    """For each label, the words that add most to it, the strongest first.

    A word that stands in a text several times counts with the sum.
    """
    found: dict[str, dict[str, list[tuple[float, str]]]] = defaultdict(lambda: defaultdict(list))
    for each in explanations:
        sums: dict[str, float] = defaultdict(float)
        for word, share in zip(each.words, each.contributions, strict=True):
            sums[NUMBERS if word[0].isdigit() else word] += float(share)
        for word, share in sums.items():
            found[each.label][word].append((share, each.text))
    result = {}
    for label, words in sorted(found.items()):
        told = [
            WordShare(
                word=word,
                share=float(np.mean([share for share, _ in shares])),
                texts=len(shares),
                example=max(shares)[1],
            )
            for word, shares in words.items()
            if len(shares) >= SEEN
        ]
        told.sort(key=lambda each: (-each.share, each.word))
        result[label] = [each for each in told[:WORDS] if each.share > 0]
    return result


def number_curve(predictor: Predictor, texts: pl.Series) -> NumberCurve | None:
    """Read texts with other numbers in the place of theirs; None where that cannot be done.

    The numbers are the edges of the model's scale (quantiles of the training texts' numbers), and
    between them the whole numbers, if these are few and the edges whole, or else some of the texts'
    own. In a text with several numbers, the one that is exchanged is the first.

    Args:
        predictor: the model.
        texts: raw texts.

    """
    scale = predictor.encoder.numbers
    if scale is None:
        return None
    normal = normalise(texts.drop_nulls()).unique(maintain_order=True)
    if not len(normal):
        return None
    every = predictor.encoder.encode_normalised(normal)
    has_number = np.add.reduceat(every.ids == NUMBER, every.starts) > 0
    normal = normal.filter(pl.Series(has_number)).head(CURVE_TEXTS)
    if not len(normal):
        return None
    encoded = predictor.encoder.encode_normalised(normal)
    numbers = encoded.ids == NUMBER
    # Of the numbers up to each place, those of the texts before do not count.
    so_far = np.cumsum(numbers)
    earlier = so_far[encoded.starts] - numbers[encoded.starts]
    first = numbers & (so_far - np.repeat(earlier, encoded.lengths) == 1)
    values = _curve_values(scale, first_numbers(normal, scale.notation))
    means = []
    for position in scale.positions(values):
        positions = np.where(first, position, encoded.positions)
        changed = Encoded(encoded.ids, positions, encoded.lengths)
        means.append(predictor.probabilities_of(changed).mean(0, dtype=np.float64))
    return NumberCurve(values, np.stack(means), len(normal))


def _curve_values(scale: NumberScale, own: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The edges, and between them the whole numbers or evenly chosen of the texts' own; rising."""
    edges = scale.edges
    if (edges == np.round(edges)).all() and edges[-1] - edges[0] < CURVE_VALUES:
        return np.arange(edges[0], edges[-1] + 1)  # As years are: each could be asked for.
    between = np.setdiff1d(own[~np.isnan(own) & ~scale.outside(own)], edges)
    room = max(CURVE_VALUES - len(edges), 0)
    if len(between) > room:
        between = between[np.linspace(0, len(between) - 1, room).astype(np.int64)]
    return np.union1d(edges, between)
