"""Whether a probability means what it says: the predicted label's against what came true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 15
"""Of equal width, in which the probability is compared with what came true."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Reliability:
    """Decisions by the probability of the predicted label, in bins that have any.

    The bins are of equal width, open below and closed above.

    Attributes:
        confidence: mean probability in each bin. Shape: (bins,).
        accuracy: share that came true. Shape: (bins,).
        weight: rows (or texts). Shape: (bins,).

    """

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    weight: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al., 2017): the mean distance, in [0, 1]."""
        distances = np.abs(self.confidence - self.accuracy)
        return float((distances * self.weight).sum() / self.weight.sum())


def bin_of(confidence: Floats) -> npt.NDArray[np.int64]:
    """Which bin each probability lies in. Shape: as `confidence`."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def reliability(
    confidence: Floats, right: npt.NDArray[np.bool_], weight: npt.NDArray[np.int64]
) -> Reliability:
    """Compare the probabilities of predicted labels with what came true.

    Args:
        confidence: Shape: (cases,).
        right: whether it came true. Shape: (cases,).
        weight: how often each case counts, at least 1. Shape: (cases,).

    """
    place = bin_of(confidence)
    total = np.bincount(place, weight, BINS)
    used = total > 0
    return Reliability(
        confidence=np.bincount(place, weight * confidence, BINS)[used] / total[used],
        accuracy=np.bincount(place, weight * right, BINS)[used] / total[used],
        weight=total[used].astype(np.int64),
    )
