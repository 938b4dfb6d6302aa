"""A threshold for each label, found on the validation texts, and the band that goes to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.label_sets import SetRule
from ..data.corpus import LabelledTexts
from .deciding import Asked, certainty_below
from .set_metrics import SetCases, positives

FEWEST = 20
"""Distinct validation texts with a label, and without it, from which on its threshold is looked
for: the best of fewer is chance."""

DEFAULT = 0.5
"""The threshold of a label of which there are too few, or which no threshold finds."""

LEAST, MOST = 0.01, 0.99
"""Bounds of a threshold: beyond, a label would be given to all texts, or to none."""


@dataclass(frozen=True)
class LabelThreshold:
    """What the threshold of a label comes to on validation.

    Attributes:
        value: the threshold, in (0, 1).
        texts: distinct validation texts with the label.
        f1: with the threshold, over rows.
        default_f1: with `DEFAULT`.
        found: whether it was looked for; else it is `DEFAULT`, for lack of texts.

    """

    value: float
    texts: int
    f1: float
    default_f1: float
    found: bool


@dataclass(frozen=True)
class ChosenSetRule:
    """A rule and how it came about.

    Attributes:
        rule: what decides.
        labels: the thresholds, in the order of the classes.
        review_share: share of the validation rows that go to a person, in [0, 1); None unless a
            rate was asked.

    """

    rule: SetRule
    labels: tuple[LabelThreshold, ...] = ()
    review_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As a bundle's settings hold it, with what the rule itself does not need."""
        return {
            **self.rule.to_json(),
            "validation": [vars(each) for each in self.labels],
            "review_share": self.review_share,
        }


def choose_set_rule(
    asked: Asked, texts: LabelledTexts, probabilities: npt.NDArray[np.floating[Any]]
) -> ChosenSetRule:
    """The thresholds of most F1 on `texts`, and the certainty that leaves as much as was asked.

    F1 and not accuracy: at one half, the rare labels that tables of sets are full of would hardly
    ever be given. Where probabilities are right, the best threshold is half of the F1 that it
    reaches (Lipton, Elkan and Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1
    Measure", ECML 2014), so it lies at one half or below.

    Args:
        asked: what `deciding.asked_of` gave.
        texts: the validation texts.
        probabilities: of these. Shape: (texts, classes).

    """
    assert texts.sets is not None
    labels = find_thresholds(texts, probabilities)
    rule = SetRule(tuple(each.value for each in labels), texts.sets.separator)
    below, share = asked.review_below, None
    if asked.review_rate is not None:
        certainty = rule.decide(probabilities).certainty
        below, share = certainty_below(certainty, texts.text_rows, asked.review_rate)
    return ChosenSetRule(SetRule(rule.thresholds, rule.separator, below), labels, share)


def find_thresholds(
    texts: LabelledTexts, probabilities: npt.NDArray[np.floating[Any]]
) -> tuple[LabelThreshold, ...]:
    """The threshold of each label. Shape: (texts, classes) -> classes."""
    found = []
    for label, positive in positives(SetCases.of_rows(texts), len(texts)):
        scores = probabilities[:, label].astype(np.float64)
        rows = texts.text_rows
        own = int((positive > 0).sum())
        enough = FEWEST <= own <= len(texts) - FEWEST
        value = _best(scores, positive, rows) if enough else DEFAULT
        found.append(
            LabelThreshold(
                value,
                own,
                _f1(scores, positive, rows, value),
                _f1(scores, positive, rows, DEFAULT),
                enough,
            )
        )
    return tuple(found)


def _best(
    scores: npt.NDArray[np.float64], positive: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> float:
    """The threshold of the highest F1, halfway to the next probability that is below it."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.append(falling[1:] != falling[:-1], True)
    hits, called = positive[order].cumsum()[last], rows[order].cumsum()[last]
    levels = falling[last]
    f1 = 2 * hits / (called + positive.sum())
    at = int(f1.argmax())
    below = levels[at + 1] if at + 1 < len(levels) else 0.0
    return float(np.clip((levels[at] + below) / 2, LEAST, MOST))


def _f1(
    scores: npt.NDArray[np.float64],
    positive: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    threshold: float,
) -> float:
    is_called = scores >= threshold
    both = int(rows[is_called].sum() + positive.sum())
    return 2 * int(positive[is_called].sum()) / both if both else 0.0


def plain_rule(classes: Sequence[str], separator: str) -> SetRule:
    """One half for every label."""
    return SetRule((DEFAULT,) * len(classes), separator)
