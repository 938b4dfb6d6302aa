"""How logits become probabilities and decisions where a text has any number of labels.

The counterpart of `decision.DecisionRule` and of the softmax in `predictor`, for models that were
trained on sets of labels: each logit is a sigmoid of its own, and each label is decided where its
probability reaches a threshold of its own. Every way of predicting applies `SetRule`, so the file
is carried inside every saved model and imports numpy and polars only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .decision import REVIEW, is_number

if TYPE_CHECKING:
    from ..text.reading import Reading

_CELLS = 2_000_000
"""Probabilities that are weighed at a time: bounded memory for any number of rows and labels."""

Floats = npt.NDArray[np.floating[Any]]


def to_set_probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A sigmoid of each logit by itself. Shape: (n, classes), as the logits.

    >>> to_set_probabilities(np.array([[0.0]], dtype=np.float32)).tolist()
    [[0.5]]
    """
    half = 0.5 * logits.astype(np.float64)
    result: npt.NDArray[np.float32] = (0.5 * (1.0 + np.tanh(half))).astype(np.float32)
    return result


@dataclass(frozen=True)
class DecidedSets:
    """What was decided of some texts.

    Attributes:
        members: whether each label is decided. Shape: (texts, classes), bool.
        certainty: of the least certain label, in [0.5, 1]; see `SetRule`. Shape: (texts,), float64.
        review: whether a person has to decide. Shape: (texts,), bool.

    """

    members: npt.NDArray[np.bool_]
    certainty: npt.NDArray[np.float64]
    review: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SetRule:
    """Each label whose probability reaches its threshold; a person, where one is uncertain.

    The certainty of a label is the probability that it is decided rightly, as it would be with the
    threshold moved to one half: of t for "yes" and p for its probability, "no" costs (1 - t) p and
    "yes" t (1 - p), and the certainty is 1 less the share that the cheaper one has of both. That is
    what `decision.DecisionRule` says of two labels with a threshold. The certainty of a set is that
    of its least certain label.

    Attributes:
        thresholds: one a label, in (0, 1).
        separator: between the labels of a set that is written as one text.
        review_below: certainty below which a person decides, in (0, 1]; None: never.

    """

    thresholds: tuple[float, ...]
    separator: str = "|"
    review_below: float | None = None

    threshold: None = None
    """Of two labels that exclude each other, which these do not."""

    def __bool__(self) -> bool:
        """Whether it decides otherwise than by the highest probability: always."""
        return True

    def members(self, probabilities: Floats) -> npt.NDArray[np.bool_]:
        """Which labels are decided. Shape: (texts, classes).

        >>> SetRule((0.5, 0.2)).members(np.array([[0.4, 0.4]])).tolist()
        [[False, True]]
        """
        return probabilities >= np.array(self.thresholds, dtype=np.float32)

    def decide(self, probabilities: Floats) -> DecidedSets:
        """Decide texts by their probabilities. Shape: (texts, classes)."""
        members = self.members(probabilities)
        texts, classes = probabilities.shape
        certainty = np.empty(texts)
        t = np.array(self.thresholds)
        step = max(_CELLS // classes, 1)
        for begin in range(0, texts, step):
            rows = slice(begin, begin + step)
            p = probabilities[rows].astype(np.float64)
            no, yes = (1 - t) * p, t * (1 - p)
            cheaper = np.where(members[rows], yes, no)
            certainty[rows] = (1 - cheaper / (no + yes)).min(1)
        below = -math.inf if self.review_below is None else self.review_below
        return DecidedSets(members, certainty, certainty < below)

    def indices(self, probabilities: Floats) -> npt.NDArray[np.int64]:
        """What is decided of each text, as `SetPrediction.decision_index` numbers it.

        Shape: (texts, classes) -> (texts,).
        """
        decided = self.decide(probabilities)
        sets, place = distinct_sets(decided.members)
        return np.where(decided.review, len(sets), place)

    def to_json(self) -> dict[str, Any]:
        """As a bundle's settings hold it."""
        return {
            "thresholds": list(self.thresholds),
            "separator": self.separator,
            "review_below": self.review_below,
        }

    @classmethod
    def from_json(cls, values: Any, classes: Sequence[str]) -> SetRule:
        """The rule that a bundle's settings hold.

        Raises:
            KeyError, TypeError, ValueError: that is no rule for these classes.

        """
        if not isinstance(values, Mapping):
            raise TypeError(f"its decision must be an object, was {values!r}")
        thresholds, separator = values["thresholds"], values["separator"]
        if (
            not isinstance(thresholds, list)
            or len(thresholds) != len(classes)
            or not all(is_number(each) and 0 < each < 1 for each in thresholds)
        ):
            raise ValueError(f"its thresholds must be {len(classes)} numbers between 0 and 1")
        if not isinstance(separator, str) or not separator:
            raise ValueError(f"its separator must be a text, was {separator!r}")
        if any(separator in label for label in classes):
            raise ValueError(f"its separator {separator!r} stands in a label")
        below = values.get("review_below")
        if below is not None and not (is_number(below) and 0 < below <= 1):
            raise ValueError(f"its review_below must be more than 0 and at most 1, was {below!r}")
        if below is not None and REVIEW in classes:
            raise ValueError(f"its review_below needs a model without a label {REVIEW!r}")
        return cls(
            tuple(map(float, thresholds)), separator, None if below is None else float(below)
        )


def distinct_sets(
    members: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """The different rows, in an order that depends on them alone, and which of them each row is."""
    packed = np.packbits(members, axis=1)
    if not len(packed):
        return members, np.zeros(0, dtype=np.int64)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).reshape(-1)
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return members[first], place.reshape(-1).astype(np.int64)


@dataclass(frozen=True)
class SetPrediction:
    """Predicted sets of labels for some texts, in their order.

    Attributes:
        classes: the label values.
        probabilities: of each label by itself. Shape: (texts, classes), float32.
        rule: what makes decisions of them.
        reading: how much of each text the model could read; None where it is not known.

    """

    classes: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    rule: SetRule
    reading: Reading | None = None

    def __len__(self) -> int:
        return len(self.probabilities)

    @cached_property
    def decided(self) -> DecidedSets:
        """The labels by the rule, how certain they are, and which texts a person has to decide."""
        return self.rule.decide(self.probabilities)

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """That the least probable of the decisions on a text's labels is right. Shape: (texts,).

        Of a label that is decided, its probability; of another one, 1 less that. With thresholds
        below one half it may be below one half. It is not the probability of the whole set, which
        is lower, and which a model that takes labels one by one does not know.
        """
        found = np.where(self.decided.members, self.probabilities, 1 - self.probabilities).min(1)
        result: npt.NDArray[np.float32] = found.astype(np.float32)
        return result

    @cached_property
    def _distinct(self) -> tuple[tuple[tuple[str, ...], ...], npt.NDArray[np.int64]]:
        rows, place = distinct_sets(self.decided.members)
        return tuple(
            tuple(self.classes[label] for label in np.flatnonzero(row)) for row in rows
        ), place

    @property
    def labels(self) -> list[tuple[str, ...]]:
        """The predicted labels of each text, in the order of the classes; () for none."""
        sets, place = self._distinct
        return [sets[index] for index in place]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The different predicted sets, their labels joined by the separator; "" for none."""
        return tuple(self.rule.separator.join(each) for each in self._distinct[0])

    @property
    def label_index(self) -> npt.NDArray[np.int64]:
        """Which of `names` is predicted. Shape: (texts,)."""
        return self._distinct[1]

    @property
    def decision_index(self) -> npt.NDArray[np.int64]:
        """Which of `names` is decided, or one more than the last for `review`. Shape: (texts,)."""
        return np.where(self.decided.review, len(self.names), self.label_index)

    @property
    def decision(self) -> list[str]:
        """What to do with each text: the labels that are decided, joined, or `review`."""
        return [(*self.names, REVIEW)[index] for index in self.decision_index]

    def frame(self) -> pl.DataFrame:
        """Columns `predicted_label`, `probability` and `decision`, a row a text."""
        names = pl.Series((*self.names, REVIEW), dtype=pl.String)
        return pl.DataFrame(
            {
                "predicted_label": names.gather(self.label_index),
                "probability": self.probability.astype(np.float64),
                "decision": names.gather(self.decision_index),
            }
        )
