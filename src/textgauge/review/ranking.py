"""How well probabilities rank texts: areas under the ROC and the precision-recall curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]


def roc_auc(scores: Floats, positive: Counts, negative: Counts) -> float | None:
    """The chance that a positive is scored above a negative, draws counted half.

    Args:
        scores: Shape: (n,).
        positive: positives with that score. Shape: (n,).
        negative: negatives with that score. Shape: (n,).

    Returns:
        In [0, 1]; None where there are no positives or no negatives.

    >>> roc_auc(np.array([0.9, 0.4]), np.array([1, 0]), np.array([0, 2]))
    1.0
    """
    hits, misses = _falling(scores, positive, negative)
    if not hits[-1] or not misses[-1]:
        return None
    steps = np.diff(misses, prepend=0)
    between = hits - np.diff(hits, prepend=0) / 2
    return float((steps * between).sum() / hits[-1] / misses[-1])


def average_precision(scores: Floats, positive: Counts, negative: Counts) -> float | None:
    """Mean precision over the recalls that are reached: the area under precision and recall.

    The sum over thresholds of (rise of the recall) * precision, without interpolation.

    Args:
        scores: Shape: (n,).
        positive: positives with that score. Shape: (n,).
        negative: negatives with that score. Shape: (n,).

    Returns:
        In [0, 1]; None where there are no positives.

    >>> average_precision(np.array([0.9, 0.4, 0.1]), np.array([1, 0, 1]), np.array([0, 1, 0]))
    0.8333333333333333
    """
    hits, misses = _falling(scores, positive, negative)
    if not hits[-1]:
        return None
    precision = hits / np.maximum(hits + misses, 1)
    return float((np.diff(hits, prepend=0) * precision).sum() / hits[-1])


def precision_and_recall(
    scores: Floats, positive: Counts, negative: Counts, most: int = 200
) -> tuple[Floats, Floats, Floats]:
    """What is reached by calling positive what is scored at or above each threshold.

    Args:
        scores: Shape: (n,).
        positive: positives with that score; at least one in all. Shape: (n,).
        negative: negatives with that score. Shape: (n,).
        most: thresholds that are told at most: those at steps of equal recall.

    Returns:
        Recall, rising; precision; threshold, falling. Shapes: (thresholds,).

    >>> scores, positive, negative = np.array([0.9, 0.4]), np.array([1, 1]), np.array([0, 2])
    >>> [values.tolist() for values in precision_and_recall(scores, positive, negative)]
    [[0.5, 1.0], [1.0, 0.5], [0.9, 0.4]]
    """
    hits, misses = _falling(scores, positive, negative)
    recall, precision = hits / hits[-1], hits / np.maximum(hits + misses, 1)
    thresholds = np.unique(scores)[::-1]
    if len(recall) > most:
        told = np.searchsorted(recall, np.linspace(0, 1, most))
        told = np.unique(np.minimum(told, len(recall) - 1))
        recall, precision, thresholds = recall[told], precision[told], thresholds[told]
    return recall, precision, thresholds


def _falling(scores: Floats, positive: Counts, negative: Counts) -> tuple[Counts, Counts]:
    """Positives and negatives at or above each different score, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.append(falling[1:] != falling[:-1], True)  # of those with the same score
    return positive[order].cumsum()[last], negative[order].cumsum()[last]
