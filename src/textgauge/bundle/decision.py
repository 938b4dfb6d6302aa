"""The one rule by which probabilities become decisions: a label, or `review` by a person.

Every way of predicting applies it, so the file is carried inside every saved model and imports
numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

REVIEW = "review"
"""The decision that a person has to take."""

_CELLS = 2_000_000
"""Probabilities that are weighed at a time: bounded memory for any number of rows and labels."""


@dataclass(frozen=True)
class Decided:
    """What was decided of some texts.

    Attributes:
        label: index of the label that costs least. Shape: (texts,), int64.
        certainty: of that label, in [1 / classes, 1]; see `DecisionRule`. Shape: (texts,), float64.
        review: whether a person has to decide. Shape: (texts,), bool.

    """

    label: npt.NDArray[np.int64]
    certainty: npt.NDArray[np.float64]
    review: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DecisionRule:
    """The label whose expected cost is least; a person, where that is not certain enough.

    Deciding label c is expected to cost w_c (1 - p_c), w_c being the cost of deciding c where it is
    not so (Elkan, 2001, "The foundations of cost-sensitive learning", with costs that depend on
    the decision alone). Of two labels that is a threshold on the probability of the second,
    w_1 / (w_0 + w_1).

    The certainty of a decision is 1 less its share of the expected costs of all labels, times the
    number of labels less one. Without costs it is the probability of the most probable label; of
    two labels it is that probability as it would be with the threshold moved to one half. A label
    that costs nothing is decided with certainty 1.

    Attributes:
        weights: w, one a label, 0 or more and not all 0; None: all alike, the most probable label.
        review_below: certainty below which a person decides, in (0, 1]; None: never.
        costs: what a wrong decision costs, one a label, for figures in that currency.

    """

    weights: tuple[float, ...] | None = None
    review_below: float | None = None
    costs: tuple[float, ...] | None = None

    def __bool__(self) -> bool:
        """Whether it decides otherwise than by the highest probability, or may do so."""
        return self.weights is not None or self.review_below is not None

    @property
    def threshold(self) -> float | None:
        """Of two labels, the probability that the second must exceed to be decided."""
        if self.weights is None or len(self.weights) != 2:
            return None
        return self.weights[1] / (self.weights[0] + self.weights[1])

    def decide(self, probabilities: npt.NDArray[np.floating[Any]]) -> Decided:
        """Decide texts by their probabilities. Shape: (texts, classes); of equals the first label.

        >>> DecisionRule(weights=(10.0, 1.0)).decide(np.array([[0.8, 0.2]])).label.tolist()
        [1]
        """
        texts, classes = probabilities.shape
        if self.weights is None:
            label = probabilities.argmax(1)
            certainty = probabilities[np.arange(texts), label].astype(np.float64)
        else:
            label, certainty = np.empty(texts, dtype=np.int64), np.empty(texts)
            step = max(_CELLS // classes, 1)
            for begin in range(0, texts, step):
                rows = slice(begin, begin + step)
                label[rows], certainty[rows] = self._weigh(probabilities[rows])
        below = -math.inf if self.review_below is None else self.review_below
        return Decided(label, certainty, certainty < below)

    def indices(self, probabilities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
        """What is decided of each text: a label's index, or one more than the last for review."""
        decided = self.decide(probabilities)
        return np.where(decided.review, probabilities.shape[1], decided.label)

    def _weigh(
        self, probabilities: npt.NDArray[np.floating[Any]]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        found = probabilities.astype(np.float64)
        # Of two labels the other's probability is known to more digits than 1 less one's own.
        others = found[:, ::-1] if found.shape[1] == 2 else 1.0 - found
        expected = others * np.array(self.weights)
        label = expected.argmin(1)
        total = expected.sum(1)
        least = expected[np.arange(len(label)), label]
        share = np.divide(least, total, out=np.zeros_like(total), where=total > 0)
        return label, 1.0 - share * (found.shape[1] - 1)

    def to_json(self) -> dict[str, Any]:
        """As a bundle's settings hold it."""
        return {
            "weights": None if self.weights is None else list(self.weights),
            "review_below": self.review_below,
            "costs": None if self.costs is None else list(self.costs),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None, classes: Sequence[str]) -> DecisionRule:
        """The rule that a bundle's settings hold; None, as in older bundles, is the plain one.

        Raises:
            TypeError, ValueError: that is no rule for these classes.

        """
        if values is None:
            return cls()
        if not isinstance(values, Mapping):
            raise TypeError(f"its decision must be an object, was {values!r}")
        below = values.get("review_below")
        if below is not None and not (is_number(below) and 0 < below <= 1):
            raise ValueError(f"its review_below must be more than 0 and at most 1, was {below!r}")
        if below is not None and REVIEW in classes:
            raise ValueError(f"its review_below needs a model without a label {REVIEW!r}")
        return cls(
            weights=_of_labels("weights", values.get("weights"), len(classes)),
            review_below=None if below is None else float(below),
            costs=_of_labels("costs", values.get("costs"), len(classes)),
        )


def _of_labels(name: str, values: Any, classes: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    sound = (
        isinstance(values, list)
        and len(values) == classes
        and all(is_number(value) and value >= 0 for value in values)
        and any(values)
    )
    if not sound:
        raise ValueError(
            f"the {name} of its decision must be {classes} numbers of 0 or more, not all 0"
        )
    return tuple(float(value) for value in values)


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that a float holds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number that no float holds.
        return False
