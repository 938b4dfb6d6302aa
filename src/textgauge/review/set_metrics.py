"""Figures of a classifier that gives a text any number of labels, over rows and distinct texts.

The names are those of `metrics`, so that whoever reads a run's figures finds them, and mean:

- loss: the surprise at a row's set, were its labels independent: the sum of the labels' binary
  cross-entropies, in nats a row;
- accuracy: the share of the rows whose set is exactly right (subset accuracy);
- macro F1: the mean of the labels' F1; micro F1: of all decisions on labels together;
- Hamming loss: the share of all decisions on labels that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.label_sets import SetRule
from ..data.corpus import LabelledTexts
from ..data.label_sets import LabelSets
from .calibration import BINS, Reliability, bin_of
from .intervals import Interval, draws_of, interval_of
from .ranking import average_precision, roc_auc

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

_TINY = 2.0**-24
"""Of probabilities in 32 bits the least distance from 1: none is taken to be more certain."""


@dataclass(frozen=True)
class SetLabelMetrics:
    """Figures of one label, in [0, 1].

    Attributes:
        label: its value.
        precision: of what was called so, how much was right.
        recall: of what is so, how much was found.
        f1: their harmonic mean.
        support: its rows (or texts).
        called: rows (or texts) that are called so; of none, it has no precision.
        threshold: the probability from which on it is called.
        roc_auc: chance that one of its texts is ranked above another; None where there is no
            other, or none of its own.
        average_precision: area under precision and recall; None where it does not occur.

    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    called: int
    threshold: float
    roc_auc: float | None = None
    average_precision: float | None = None


@dataclass(frozen=True)
class SetIntervals:
    """95 % intervals of the figures in `SetMetrics`; see `intervals.Intervals`."""

    accuracy: Interval
    macro_f1: Interval
    micro_f1: Interval
    hamming_loss: Interval
    loss: Interval
    precision: tuple[Interval, ...]
    recall: tuple[Interval, ...]
    f1: tuple[Interval, ...]

    def to_json(self) -> dict[str, Any]:
        """All of them as plain JSON values."""
        return {
            name: [each.to_json() for each in value] if isinstance(value, tuple)
            else value.to_json()
            for name, value in vars(self).items()
        }  # fmt: skip


@dataclass(frozen=True)
class SetMetrics:
    """Figures of all labels; see the module.

    Attributes:
        loss: in nats a row.
        accuracy: share of rows whose set is exactly right, in [0, 1].
        macro_f1: mean F1 of the labels that occur or are called, in [0, 1].
        micro_f1: F1 of all decisions on labels together, in [0, 1].
        hamming_loss: share of wrong decisions on labels, in [0, 1].
        brier: mean squared distance of a label's probability from what came true, in [0, 1].
        ece: expected calibration error of the labels' probabilities: how far they lie from the
            share that came true, a mean over bins of equal width, in [0, 1].
        labels: the figures of each label, in the order of the classes.
        intervals: how far the figures could lie off; None where that was not asked.

    """

    loss: float
    accuracy: float
    macro_f1: float
    micro_f1: float
    hamming_loss: float
    brier: float
    ece: float
    labels: tuple[SetLabelMetrics, ...]
    intervals: SetIntervals | None = None

    @property
    def called(self) -> tuple[int, ...]:
        """How many rows (or texts) are called each label."""
        return tuple(label.called for label in self.labels)

    @property
    def label_accuracy(self) -> float:
        """Share of right decisions on labels."""
        return 1.0 - self.hamming_loss

    @property
    def roc_auc(self) -> float | None:
        """Mean over the labels that have one."""
        return _mean([label.roc_auc for label in self.labels])

    @property
    def average_precision(self) -> float | None:
        """Mean over the labels that occur."""
        return _mean([label.average_precision for label in self.labels])

    def to_json(self) -> dict[str, Any]:
        """All figures as plain JSON values."""
        names = ("loss", "accuracy", "macro_f1", "micro_f1", "hamming_loss", "label_accuracy")
        more = ("brier", "ece", "roc_auc", "average_precision")
        return {
            **{name: getattr(self, name) for name in (*names, *more)},
            "labels": [vars(label) for label in self.labels],
            "intervals": None if self.intervals is None else self.intervals.to_json(),
        }


@dataclass(frozen=True)
class SetEvaluation:
    """The same classifier judged twice: a repeated text counts as often as it occurs, or once."""

    rows: SetMetrics
    texts: SetMetrics


@dataclass(frozen=True)
class SetCases:
    """Texts with a set of labels each, counted. Shapes: (cases,).

    Attributes:
        sets: what the sets are.
        text: the index of the text.
        set: the index of its set.
        weight: how often it counts.

    """

    sets: LabelSets
    text: Ints
    set: Ints
    weight: Ints

    @classmethod
    def of_rows(cls, texts: LabelledTexts) -> SetCases:
        """Every row counts."""
        assert texts.sets is not None
        return cls(texts.sets, texts.text_index, texts.label, texts.count)

    @classmethod
    def of_texts(cls, texts: LabelledTexts) -> SetCases:
        """Every text counts once, its set being its most frequent one."""
        assert texts.sets is not None
        each = np.arange(len(texts))
        return cls(texts.sets, each, texts.main_label, np.ones(len(texts), dtype=np.int64))

    @cached_property
    def cells(self) -> tuple[Ints, Ints]:
        """For each label of each case the case, rising, and the label."""
        return self.sets.members(self.set)

    def exact(self, members: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Whether each case has exactly the labels that are decided. Shape: (cases,).

        Args:
            members: of each text. Shape: (texts, classes).

        """
        case, label = self.cells
        hits = np.bincount(case, members[self.text[case], label], len(self.set))
        size = np.bincount(case, minlength=len(self.set))
        same: npt.NDArray[np.bool_] = (hits == size) & (members.sum(1)[self.text] == size)
        return same


def evaluate_sets(
    texts: LabelledTexts,
    probabilities: Floats,
    rule: SetRule,
    classes: Sequence[str],
    *,
    with_intervals: bool = False,
) -> SetEvaluation:
    """Judge the probabilities that a classifier gave, and what its rule decides by them.

    Args:
        texts: the labelled texts, which have sets.
        probabilities: of each label by itself. Shape: (texts, classes).
        rule: decides.
        classes: the labels.
        with_intervals: whether to tell how far the figures could lie off, too.

    """
    return SetEvaluation(
        **{
            over: _judge(cases, probabilities, rule, classes, with_intervals=with_intervals)
            for over, cases in (
                ("rows", SetCases.of_rows(texts)),
                ("texts", SetCases.of_texts(texts)),
            )
        }
    )


def right_rows(texts: LabelledTexts, members: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Rows of each text whose set is exactly what is decided. Shape: (texts,)."""
    cases = SetCases.of_rows(texts)
    hits = cases.weight * cases.exact(members)
    return np.bincount(cases.text, hits, len(texts)).astype(np.int64)


@dataclass(frozen=True)
class Sums:
    """What the figures of labels are made of: sums over cases. Shapes: (classes,)."""

    hits: npt.NDArray[np.float64]
    support: npt.NDArray[np.float64]
    called: npt.NDArray[np.float64]

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """NaN for labels that neither occur nor are called."""
        return _share(2 * self.hits, self.support + self.called)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the others; 0 where there are none."""
        known = self.f1[~np.isnan(self.f1)]
        return float(known.mean()) if len(known) else 0.0

    @property
    def micro_f1(self) -> float:
        """Of all decisions together; 1 where there is nothing to find and nothing is called."""
        both = float((self.support + self.called).sum())
        return 2 * float(self.hits.sum()) / both if both else 1.0

    @property
    def wrong(self) -> float:
        """Wrong decisions on labels."""
        return float((self.support + self.called - 2 * self.hits).sum())


class Summing:
    """Sums the figures of labels, all cases or drawn ones."""

    def __init__(self, cases: SetCases, members: npt.NDArray[np.bool_]) -> None:
        self._classes = members.shape[1]
        case, self._label = cases.cells
        self._text = cases.text[case]
        self._weight = cases.weight[case].astype(np.float64)
        self._hit = self._weight * members[self._text, self._label]
        self._rows = np.bincount(cases.text, cases.weight, len(members))
        self._called_text, self._called_label = np.nonzero(members)

    def sums(self, times: npt.NDArray[np.float64] | None = None) -> Sums:
        """With each text so many times; None: once. Shape: (texts,)."""
        hit, weight = self._hit, self._weight
        rows = self._rows.astype(np.float64)
        if times is not None:
            often = times[self._text]
            hit, weight, rows = hit * often, weight * often, rows * times
        count = self._classes
        return Sums(
            *(
                np.bincount(label, each, count).astype(np.float64)
                for label, each in (
                    (self._label, hit),
                    (self._label, weight),
                    (self._called_label, rows[self._called_text]),
                )
            )
        )


def drawn(texts: int, seed: int = 0, draws: int | None = None) -> Iterator[npt.NDArray[np.float64]]:
    """How often each distinct text is drawn, draw after draw; see `intervals`. Shape: (texts,)."""
    random = np.random.default_rng(seed)
    for _ in range(draws_of(texts) if draws is None else draws):
        yield np.bincount(random.integers(0, texts, texts), minlength=texts).astype(np.float64)


def _judge(
    cases: SetCases,
    probabilities: Floats,
    rule: SetRule,
    classes: Sequence[str],
    *,
    with_intervals: bool,
) -> SetMetrics:
    members = rule.members(probabilities)
    total = int(cases.weight.sum())
    summing = Summing(cases, members)
    sums = summing.sums()
    losses = set_losses(cases, probabilities)
    right = cases.weight * cases.exact(members)
    calibration = set_reliability(cases, probabilities)
    squares = _squares(cases, probabilities)
    precision = _share(sums.hits, sums.called)
    recall = _share(sums.hits, sums.support)
    found = SetMetrics(
        loss=float((losses * cases.weight).sum()) / total,
        accuracy=float(right.sum()) / total,
        macro_f1=sums.macro_f1,
        micro_f1=sums.micro_f1,
        hamming_loss=sums.wrong / (total * len(classes)),
        brier=squares / (total * len(classes)),
        ece=calibration.error,
        labels=tuple(
            SetLabelMetrics(
                label,
                precision=float(np.nan_to_num(precision[at])),
                recall=float(np.nan_to_num(recall[at])),
                f1=float(np.nan_to_num(sums.f1[at])),
                support=int(sums.support[at]),
                called=int(sums.called[at]),
                threshold=rule.thresholds[at],
                roc_auc=area,
                average_precision=average,
            )
            for at, (label, (area, average)) in enumerate(
                zip(classes, _areas(cases, probabilities), strict=True)
            )
        ),
    )
    if not with_intervals:
        return found
    return replace(found, intervals=_intervals(cases, summing, right, losses, len(probabilities)))


def _intervals(
    cases: SetCases, summing: Summing, right: Ints, losses: npt.NDArray[np.float64], texts: int
) -> SetIntervals:
    """Of distinct texts drawn anew, each with all its rows."""
    text_rows = np.bincount(cases.text, cases.weight, texts)
    text_right = np.bincount(cases.text, right, texts)
    text_loss = np.bincount(cases.text, losses * cases.weight, texts)
    values: dict[str, list[Any]] = {
        name: [] for name in ("accuracy", "macro_f1", "micro_f1", "hamming_loss", "loss",
                              "precision", "recall", "f1")
    }  # fmt: skip
    for times in drawn(texts):
        sums, total = summing.sums(times), float(times @ text_rows)
        values["accuracy"].append(times @ text_right / total)
        values["macro_f1"].append(sums.macro_f1)
        values["micro_f1"].append(sums.micro_f1)
        values["hamming_loss"].append(sums.wrong / (total * len(sums.hits)))
        values["loss"].append(times @ text_loss / total)
        values["precision"].append(_share(sums.hits, sums.called))
        values["recall"].append(_share(sums.hits, sums.support))
        values["f1"].append(sums.f1)
    of_whole = {"accuracy": texts, "macro_f1": texts, "micro_f1": texts, "hamming_loss": texts}
    found: dict[str, Any] = {}
    counts = _texts_of_labels(cases, summing)
    for name, each in values.items():
        array = np.array(each)
        if array.ndim == 1:
            found[name] = interval_of(array, of_whole.get(name))
        else:
            found[name] = tuple(
                interval_of(array[:, at], int(counts[name][at])) for at in range(array.shape[1])
            )
    return SetIntervals(**found)


def _texts_of_labels(cases: SetCases, summing: Summing) -> dict[str, Ints]:
    """Texts behind the figures of each label."""
    case, label = cases.cells
    count = len(cases.sets.labels)
    own = np.unique(cases.text[case] * count + label)
    support = np.bincount(own % count, minlength=count)
    called = np.bincount(summing._called_label, minlength=count)
    return {"precision": called, "recall": support, "f1": np.maximum(support, called)}


# ---- figures of probabilities --------------------------------------------------------------------


def set_losses(cases: SetCases, probabilities: Floats) -> npt.NDArray[np.float64]:
    """The loss of a row of each case. Shape: (cases,)."""
    case, label = cases.cells
    p = np.clip(probabilities[cases.text[case], label].astype(np.float64), _TINY, 1 - _TINY)
    none = np.zeros(len(probabilities))
    step = max(2_000_000 // probabilities.shape[1], 1)
    for begin in range(0, len(probabilities), step):
        some = np.minimum(probabilities[begin : begin + step].astype(np.float64), 1 - _TINY)
        none[begin : begin + step] = -np.log1p(-some).sum(1)
    with_it = np.bincount(case, np.log1p(-p) - np.log(p), len(cases.set))
    return none[cases.text] + with_it


def _squares(cases: SetCases, probabilities: Floats) -> float:
    case, label = cases.cells
    square = np.einsum("tc,tc->t", probabilities, probabilities, dtype=np.float64)
    mine = probabilities[cases.text[case], label].astype(np.float64)
    with_it = np.bincount(case, 1 - 2 * mine, len(cases.set))
    return float(((square[cases.text] + with_it) * cases.weight).sum())


def set_reliability(cases: SetCases, probabilities: Floats) -> Reliability:
    """The probabilities of all labels against what came true, in bins; see `calibration`."""
    rows = np.bincount(cases.text, cases.weight, len(probabilities))
    place = bin_of(probabilities)
    weight = np.repeat(rows, probabilities.shape[1])
    flat = place.ravel()
    total = np.bincount(flat, weight, BINS)
    confidence = np.bincount(flat, weight * probabilities.ravel().astype(np.float64), BINS)
    case, label = cases.cells
    true = np.bincount(place[cases.text[case], label], cases.weight[case], BINS)
    used = total > 0
    return Reliability(
        confidence[used] / total[used], true[used] / total[used], total[used].astype(np.int64)
    )


def _areas(cases: SetCases, probabilities: Floats) -> Iterator[tuple[float | None, float | None]]:
    rows = np.bincount(cases.text, cases.weight, len(probabilities)).astype(np.int64)
    for label, positive in positives(cases, len(probabilities)):
        scores = probabilities[:, label]
        areas: list[float | None] = [area(scores, positive, rows - positive) for area in _BOTH]
        yield areas[0], areas[1]


_BOTH: tuple[Callable[[Floats, Ints, Ints], float | None], ...] = (roc_auc, average_precision)


def positives(cases: SetCases, texts: int) -> Iterator[tuple[int, Ints]]:
    """Each label with the rows of each text that have it. Shape of these: (texts,)."""
    case, label = cases.cells
    order = np.argsort(label, kind="stable")
    ends = np.searchsorted(label[order], np.arange(len(cases.sets.labels) + 1))
    for at in range(len(cases.sets.labels)):
        mine = case[order[ends[at] : ends[at + 1]]]
        yield at, np.bincount(cases.text[mine], cases.weight[mine], texts).astype(np.int64)


def _share(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """NaN where there is no whole."""
    found: npt.NDArray[np.float64] = np.divide(
        part, whole, out=np.full(len(part), np.nan), where=whole > 0
    )
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
