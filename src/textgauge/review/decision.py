"""What decisions cost, and what a person who takes the uncertain ones saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.decision import DecisionRule
from ..data.corpus import LabelledTexts
from .deciding import ChosenRule
from .intervals import Interval, intervals, share_intervals
from .metrics import Metrics, by_label

LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Values of `review_below` that are told, as far as they differ in what they do."""


@dataclass(frozen=True)
class Band:
    """What comes of sending all decisions below a certainty to a person. Shares of the rows.

    Attributes:
        review_below: the certainty.
        coverage: share that is decided without a person, in [0, 1].
        error: share of wrong decisions among those; None where there are none.
        interval: of that, 95 %.
        sent_error: share that would have been decided wrongly among those that are sent; None
            where none is.
        cost: of the decisions that are taken, a row of all rows; None without costs.

    """

    review_below: float
    coverage: float
    error: float | None
    interval: Interval
    sent_error: float | None
    cost: float | None

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {**vars(self), "interval": self.interval.to_json()}


@dataclass(frozen=True)
class FalseDecisions:
    """Rows for which a label is decided that they do not have.

    Attributes:
        label: which one.
        cost: of each; None without costs.
        rows: by the rule.
        most_probable: had the most probable label been decided.

    """

    label: str
    cost: float | None
    rows: int
    most_probable: int


@dataclass(frozen=True)
class DecisionFigures:
    """A rule of decision, measured on labelled texts that it was not chosen on.

    Attributes:
        chosen: what decides, and how it was found.
        cost: of all decisions of the rule, a row, none being sent to a person; None without costs.
        most_probable_cost: had the most probable label been decided.
        errors: wrong decisions by what is decided, in the order of the classes.
        error: share of wrong decisions over the rows, none being sent to a person.
        interval: of that, 95 %.
        band: what the rule's own `review_below` does; None without.
        curve: what others would do, rising; each lowers the coverage.

    """

    chosen: ChosenRule
    cost: float | None
    most_probable_cost: float | None
    errors: tuple[FalseDecisions, ...]
    error: float
    interval: Interval
    band: Band | None
    curve: tuple[Band, ...]

    @property
    def rule(self) -> DecisionRule:
        """What decides."""
        return self.chosen.rule

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            **self.chosen.to_json(),
            "cost": self.cost,
            "most_probable_cost": self.most_probable_cost,
            "errors": [vars(each) for each in self.errors],
            "error": self.error,
            "interval": self.interval.to_json(),
            "band": None if self.band is None else self.band.to_json(),
            "curve": [each.to_json() for each in self.curve],
        }


def measure(
    texts: LabelledTexts,
    probabilities: npt.NDArray[np.floating[Any]],
    classes: Sequence[str],
    chosen: ChosenRule,
) -> DecisionFigures:
    """Measure a rule.

    Args:
        texts: labelled texts, not those that the rule was chosen on.
        probabilities: of these. Shape: (texts, classes).
        classes: the labels.
        chosen: the rule.

    """
    rule = chosen.rule
    decided = rule.decide(probabilities)
    rows, total = texts.text_rows, int(texts.rows)
    false = _false_rows(texts, decided.label, len(classes))
    plain = _false_rows(texts, probabilities.argmax(1), len(classes))
    wrong = np.bincount(
        texts.text_index,
        texts.count * (decided.label[texts.text_index] != texts.label),
        len(texts),
    ).astype(np.int64)
    price = None if rule.costs is None else np.array(rule.costs)[decided.label] * wrong
    every, own_band, curve = bands(wrong, rows, decided.certainty, rule.review_below, price)
    return DecisionFigures(
        chosen=chosen,
        cost=None if rule.costs is None else float(false @ np.array(rule.costs)) / total,
        most_probable_cost=None
        if rule.costs is None
        else float(plain @ np.array(rule.costs)) / total,
        errors=tuple(
            FalseDecisions(
                label,
                None if rule.costs is None else rule.costs[place],
                int(false[place]),
                int(plain[place]),
            )
            for place, label in enumerate(classes)
        ),
        error=int(wrong.sum()) / total,
        interval=every,
        band=own_band,
        curve=curve,
    )


def bands(
    wrong: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    certainty: npt.NDArray[np.float64],
    review_below: float | None,
    price: npt.NDArray[np.number[Any]] | None = None,
) -> tuple[Interval, Band | None, tuple[Band, ...]]:
    """What comes of leaving the uncertain decisions to a person. Shapes: (texts,).

    Args:
        wrong: rows of each text that are decided wrongly.
        rows: of each text.
        certainty: of each decision.
        review_below: of the rule; None: it leaves none.
        price: what the wrong rows of each text cost; None without costs.

    Returns:
        The interval of the share of wrong rows, none being left to a person; the rule's own band;
        and others that could be chosen, rising.

    """
    total = int(rows.sum())
    own = () if review_below is None else (review_below,)
    levels = np.unique([*LEVELS, *own])
    place = np.searchsorted(levels, certainty, side="right")
    # The first set is all texts; a draw serves all levels.
    every, *intervals = share_intervals(wrong, rows, place, len(levels) + 1)

    def band(below: float) -> Band:
        kept = certainty >= below
        here, sent = int(rows[kept].sum()), int(rows[~kept].sum())
        return Band(
            review_below=below,
            coverage=here / total,
            error=int(wrong[kept].sum()) / here if here else None,
            interval=intervals[int(np.searchsorted(levels, below))],
            sent_error=int(wrong[~kept].sum()) / sent if sent else None,
            cost=None if price is None else float(price[kept].sum()) / total,
        )

    curve, covered = [], total
    for level in LEVELS:
        here = int(rows[certainty >= level].sum())
        if 0 < here < covered:
            curve.append(band(level))
            covered = here
    return every, None if review_below is None else band(review_below), tuple(curve)


def as_decided(
    rule: DecisionRule,
    texts: LabelledTexts,
    probabilities: npt.NDArray[np.float32],
    classes: Sequence[str],
    probable: Metrics,
) -> tuple[npt.NDArray[np.int64], Metrics]:
    """The labels that a rule decides, and figures over the rows of these, not of the most probable.

    What is of the probabilities alone (loss, Brier score, calibration, areas) stays as it is.

    Args:
        rule: of the model. Where no costs weigh its labels, they are the most probable ones.
        texts: labelled texts.
        probabilities: Shape: (texts, classes).
        classes: the labels.
        probable: the figures over the rows of the most probable labels.

    Returns:
        The index of each text's label, of shape (texts,), and the figures.

    """
    decided = rule.decide(probabilities).label
    if rule.weights is None:
        return decided, probable
    labels, confusion = by_label(
        classes, true=texts.label, predicted=decided[texts.text_index], weight=texts.count
    )
    seen = confusion.called + confusion.support > 0
    around = None
    if probable.intervals is not None:
        # As if each decision had been certain; the intervals of loss and Brier score do not count.
        certain = np.zeros((len(texts), len(classes)), dtype=np.float32)
        certain[np.arange(len(texts)), decided] = 1.0
        around = replace(
            intervals(texts, certain, len(classes)),
            loss=probable.intervals.loss,
            brier=probable.intervals.brier,
        )
    figures = replace(
        probable,
        accuracy=float(confusion.right.sum() / confusion.support.sum()),
        macro_f1=float(
            np.mean([label.f1 for label, kept in zip(labels, seen, strict=True) if kept])
        ),
        labels=tuple(
            replace(label, roc_auc=was.roc_auc, average_precision=was.average_precision)
            for label, was in zip(labels, probable.labels, strict=True)
        ),
        confusion=confusion,
        intervals=around,
    )
    return decided, figures


def _false_rows(
    texts: LabelledTexts, decided: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """Rows for which each label is decided that they do not have. Shape: (classes,)."""
    label = decided[texts.text_index]
    wrong = texts.count * (label != texts.label)
    return np.bincount(label, wrong, classes).astype(np.int64)
