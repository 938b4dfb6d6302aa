"""How finely a text is explained, so that long ones take no longer than a training can afford.

What a text costs is known before: so many texts like it are read, each as long as itself. In long
texts more neighbours are exchanged together, between fewer pairs of texts. No clock decides, so
that two runs tell the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Lengths = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Effort:
    """How many texts are read to explain one.

    Attributes:
        drawn: texts that are drawn to compare one with.
        more: texts that are drawn instead where too few of these are decided otherwise.
        kept: of them at most; each is walked to twice, there and back.
        steps: exchanges between two texts at most; where more words differ, neighbours are
            exchanged together.

    """

    drawn: int
    more: int
    kept: int
    steps: int

    def work(self, lengths: Lengths) -> npt.NDArray[np.float64]:
        """Tokens that are read to explain texts of such lengths, roughly. Shape: as `lengths`."""
        steps = np.minimum(lengths, self.steps).astype(np.float64)
        return (self.drawn + 2 * self.kept * steps) * lengths


LEVELS = (
    Effort(32, 128, 6, 64),
    Effort(24, 96, 4, 32),
    Effort(16, 48, 3, 16),
    Effort(12, 24, 2, 10),
    Effort(8, 16, 2, 6),
)
"""The finest first. In a text of 250 words, 4 to 42 of them stand together."""

FINEST = LEVELS[0]


def affordable(work: npt.NDArray[np.float64], most: float) -> int:
    """How many texts, in this order, can be explained for so many tokens."""
    return int(np.searchsorted(work.cumsum(), most, side="right"))


def level_of_each(lengths: Lengths, most: float) -> npt.NDArray[np.int64]:
    """The levels by which all texts can be explained for `most` tokens, or come nearest to it.

    The text that would take most is explained less finely, again and again. Shape: as `lengths`.
    """
    work = np.stack([level.work(lengths) for level in LEVELS])
    found, each = np.zeros(len(lengths), dtype=np.int64), np.arange(len(lengths))
    while work[found, each].sum() > most and (found < len(LEVELS) - 1).any():
        found[np.where(found < len(LEVELS) - 1, work[found, each], -1.0).argmax()] += 1
    return found


def level_for_all(lengths: Lengths, most: float, wanted: int) -> Effort:
    """The finest level at which so many texts, in this order, can be explained, or the coarsest."""
    return next(
        (level for level in LEVELS if affordable(level.work(lengths), most) >= wanted), LEVELS[-1]
    )
