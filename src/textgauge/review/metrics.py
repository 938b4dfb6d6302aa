"""Figures of a classifier on labelled texts, over rows and over distinct texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LabelMetrics:
    """Figures of one label. `support` counts its rows (or texts), the others lie in [0, 1]."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """Figures of all labels.

    Attributes:
        loss: mean cross-entropy in nats.
        accuracy: share of right decisions, in [0, 1].
        macro_f1: mean F1 of the labels that occur or are predicted, in [0, 1].
        labels: the figures of each label, in the order of the classes.
        confusion: rows are true labels, columns predicted ones. Shape: (classes, classes).

    """

    loss: float
    accuracy: float
    macro_f1: float
    labels: tuple[LabelMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """All figures as plain JSON values."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "labels": [vars(label) for label in self.labels],
            "confusion": [list(row) for row in self.confusion],
        }


@dataclass(frozen=True)
class Evaluation:
    """The same classifier judged twice: a repeated text counts as often as it occurs, or once."""

    rows: Metrics
    texts: Metrics


def evaluate(texts: LabelledTexts, probabilities: Floats, classes: Sequence[str]) -> Evaluation:
    """Judge the probabilities that a classifier gave.

    Over distinct texts a text counts once and its label is its most frequent one; its
    loss is the mean over its rows.

    Args:
        texts: the labelled texts.
        probabilities: Shape: (texts, classes), each row adds up to 1.
        classes: the labels.

    """
    predicted = probabilities.argmax(1)
    tiny = np.finfo(np.float32).tiny
    losses = -np.log(np.maximum(probabilities[texts.text_index, texts.label], tiny))
    rows = figures(
        classes,
        true=texts.label,
        predicted=predicted[texts.text_index],
        weight=texts.count,
        loss=float(np.average(losses, weights=texts.count)),
    )
    of_text = np.bincount(texts.text_index, losses * texts.count, len(texts)) / texts.text_rows
    once = figures(
        classes,
        true=texts.main_label,
        predicted=predicted,
        weight=np.ones(len(texts), dtype=np.int64),
        loss=float(of_text.mean()),
    )
    return Evaluation(rows=rows, texts=once)


def figures(
    classes: Sequence[str],
    *,
    true: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    weight: npt.NDArray[np.int64],
    loss: float,
) -> Metrics:
    """Figures from true and predicted label indices, each pair counted `weight` times.

    Precision, recall and F1 are 0 where they would be 0/0, as in scikit-learn.
    """
    count = len(classes)
    cells = np.bincount(true * count + predicted, weight, count * count)
    confusion = cells.astype(np.int64).reshape(count, count)
    hits, support, flagged = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    precision = hits / np.maximum(flagged, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + flagged, 1)
    seen = (support + flagged) > 0
    return Metrics(
        loss=loss,
        accuracy=float(hits.sum() / confusion.sum()),
        macro_f1=float(f1[seen].mean()),
        labels=tuple(
            LabelMetrics(label, float(p), float(r), float(f), int(s))
            for label, p, r, f, s in zip(classes, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
    )
