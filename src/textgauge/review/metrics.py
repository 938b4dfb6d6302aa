"""Figures of a classifier on labelled texts, over rows and over distinct texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from .area_intervals import area_intervals
from .calibration import reliability
from .confusion import MANY_LABELS, Confusion
from .intervals import Intervals, intervals
from .ranking import average_precision, roc_auc

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LabelMetrics:
    """Figures of one label against all others, in [0, 1].

    Attributes:
        label: its value.
        precision: of what was called so, how much was right.
        recall: of what is so, how much was found.
        f1: their harmonic mean.
        support: its rows (or texts).
        roc_auc: chance that one of its texts is ranked above another; None where there is no
            other, or none of its own, or where there are more than `MANY_LABELS` labels.
        average_precision: area under precision and recall; None where it does not occur, and
            likewise.

    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    roc_auc: float | None = None
    average_precision: float | None = None


@dataclass(frozen=True)
class Metrics:
    """Figures of all labels.

    Attributes:
        loss: mean cross-entropy in nats.
        accuracy: share of right decisions, in [0, 1].
        macro_f1: mean F1 of the labels that occur or are predicted, in [0, 1].
        brier: mean squared distance of the probabilities from what came true, summed over the
            labels, in [0, 2] (Brier, 1950).
        ece: expected calibration error: how far the probability of the predicted label lies from
            the share that came true, a mean over bins of equal width, in [0, 1] (Guo et al.,
            2017).
        labels: the figures of each label, in the order of the classes.
        confusion: which labels are taken for which.
        intervals: how far the figures could lie off; None where that was not asked.

    """

    loss: float
    accuracy: float
    macro_f1: float
    brier: float
    ece: float
    labels: tuple[LabelMetrics, ...]
    confusion: Confusion
    intervals: Intervals | None = None

    @property
    def called(self) -> tuple[int, ...]:
        """How many rows (or texts) are called each label; of none, it has no precision."""
        return tuple(self.confusion.called.tolist())

    @property
    def roc_auc(self) -> float | None:
        """Mean over the labels that have one."""
        return _mean(label.roc_auc for label in self.labels)

    @property
    def average_precision(self) -> float | None:
        """Mean over the labels that occur."""
        return _mean(label.average_precision for label in self.labels)

    def to_json(self) -> dict[str, Any]:
        """All figures as plain JSON values."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "brier": self.brier,
            "ece": self.ece,
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
            "labels": self._labels_to_json(),
            "confusion": self.confusion.to_json(),
            "intervals": None if self.intervals is None else self.intervals.to_json(),
        }

    def _labels_to_json(self) -> list[dict[str, Any]]:
        if len(self.labels) <= MANY_LABELS:
            return [vars(label) for label in self.labels]
        # What else the confusion tells.
        both = zip(self.labels, self.called, strict=True)
        return [{**vars(label), "called": called} for label, called in both]


@dataclass(frozen=True)
class Evaluation:
    """The same classifier judged twice: a repeated text counts as often as it occurs, or once."""

    rows: Metrics
    texts: Metrics


def evaluate(
    texts: LabelledTexts,
    probabilities: Floats,
    classes: Sequence[str],
    *,
    with_intervals: bool = False,
) -> Evaluation:
    """Judge the probabilities that a classifier gave.

    Over distinct texts a text counts once and its label is its most frequent one; its
    loss and its Brier score are the means over its rows.

    Args:
        texts: the labelled texts.
        probabilities: Shape: (texts, classes), each row adds up to 1.
        classes: the labels.
        with_intervals: whether to tell how far the figures could lie off, too.

    """
    of_triple = probabilities[texts.text_index, texts.label]
    tiny = np.finfo(np.float32).tiny
    losses = -np.log(np.maximum(of_triple, tiny))
    squares = (probabilities.astype(np.float64) ** 2).sum(1)
    distances = squares[texts.text_index] - 2.0 * of_triple + 1.0
    once = texts.count / texts.text_rows[texts.text_index]
    found = Evaluation(
        rows=_judge(
            classes,
            probabilities,
            text=texts.text_index,
            true=texts.label,
            weight=texts.count,
            loss=float(np.average(losses, weights=texts.count)),
            brier=float(np.average(distances, weights=texts.count)),
        ),
        texts=_judge(
            classes,
            probabilities,
            text=np.arange(len(texts)),
            true=texts.main_label,
            weight=np.ones(len(texts), dtype=np.int64),
            loss=float((losses * once).sum() / len(texts)),
            brier=float((distances * once).sum() / len(texts)),
        ),
    )
    if not with_intervals:
        return found
    areas: dict[str, Any] = dict(
        zip(("rows", "texts"), area_intervals(texts, probabilities), strict=True)
    )
    return Evaluation(
        **{
            over: replace(
                getattr(found, over),
                intervals=replace(
                    intervals(texts, probabilities, len(classes), over_rows=over == "rows"),
                    **areas[over],
                ),
            )
            for over in ("rows", "texts")
        }
    )


def _judge(
    classes: Sequence[str],
    probabilities: Floats,
    *,
    text: npt.NDArray[np.int64],
    true: npt.NDArray[np.int64],
    weight: npt.NDArray[np.int64],
    loss: float,
    brier: float,
) -> Metrics:
    """Figures of cases: each says that a text has a label, `weight` times. Shapes: (cases,)."""
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    labels, confusion = by_label(classes, true=true, predicted=predicted[text], weight=weight)
    seen = confusion.called + confusion.support > 0
    right = predicted[text] == true
    return Metrics(
        loss=loss,
        accuracy=float(confusion.right.sum() / confusion.support.sum()),
        macro_f1=float(
            np.mean([label.f1 for label, kept in zip(labels, seen, strict=True) if kept])
        ),
        brier=brier,
        ece=reliability(confidence[text], right, weight).error,
        labels=tuple(
            replace(label, roc_auc=roc, average_precision=precision)
            for label, (roc, precision) in zip(
                labels, _areas(probabilities, text, true, weight), strict=True
            )
        ),
        confusion=confusion,
    )


def by_label(
    classes: Sequence[str],
    *,
    true: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    weight: npt.NDArray[np.int64],
) -> tuple[list[LabelMetrics], Confusion]:
    """Figures of each label, and the confusion, from true and predicted label indices.

    Each pair counts `weight` times. Precision, recall and F1 are 0 where they would be 0/0, as in
    scikit-learn.
    """
    confusion = Confusion.count(true, predicted, weight, len(classes))
    hits, support, flagged = confusion.right, confusion.support, confusion.called
    precision = hits / np.maximum(flagged, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + flagged, 1)
    labels = [
        LabelMetrics(label, float(p), float(r), float(f), int(s))
        for label, p, r, f, s in zip(classes, precision, recall, f1, support, strict=True)
    ]
    return labels, confusion


def _areas(
    probabilities: Floats,
    text: npt.NDArray[np.int64],
    true: npt.NDArray[np.int64],
    weight: npt.NDArray[np.int64],
) -> Iterator[tuple[float | None, float | None]]:
    """How each label's probabilities rank the texts: ROC area and average precision."""
    texts, classes = probabilities.shape
    if classes > MANY_LABELS:
        yield from [(None, None)] * classes
        return
    total = np.bincount(text, weight, texts).astype(np.int64)
    order = np.argsort(true, kind="stable")
    ends = np.searchsorted(true[order], np.arange(classes + 1))
    for label in range(classes):
        mine = order[ends[label] : ends[label + 1]]
        positive = np.zeros(texts, dtype=np.int64)
        positive[text[mine]] = weight[mine]  # A text has each label once.
        scores, negative = probabilities[:, label], total - positive
        yield (
            roc_auc(scores, positive, negative),
            average_precision(scores, positive, negative),
        )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
