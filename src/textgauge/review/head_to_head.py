"""Two models on the same labelled texts: a new one, and the one that is in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.label_sets import SetRule
from ..data.corpus import LabelledTexts
from .metrics import evaluate
from .set_metrics import evaluate_sets
from .set_review import compare_sets
from .verdict import Comparison, compare

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Figures:
    """Of one of the models, over rows, of the most probable label.

    Attributes:
        accuracy: in [0, 1].
        macro_f1: in [0, 1].

    """

    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class HeadToHead:
    """Two models on the same texts.

    Attributes:
        rows: judged.
        texts: distinct ones among them.
        new: figures of the new model.
        old: figures of the other.
        comparison: texts that only one of them gets right, and the p-value of McNemar's test.

    """

    rows: int
    texts: int
    new: Figures
    old: Figures
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "rows": self.rows,
            "texts": self.texts,
            "new": vars(self.new).copy(),
            "old": vars(self.old).copy(),
            "only_new_right": self.comparison.gained,
            "only_old_right": self.comparison.lost,
            "mcnemar_p_value": self.comparison.p_value,
        }


def all_classes(new: Sequence[str], old: Sequence[str]) -> tuple[str, ...]:
    """The labels of both, the new model's first.

    >>> all_classes(["a", "b"], ["b", "c"])
    ('a', 'b', 'c')
    """
    return tuple(dict.fromkeys((*new, *old)))


def spread(probabilities: Floats, classes: Sequence[str], every: Sequence[str]) -> Floats:
    """Probabilities over more labels: 0 for those that the model does not know.

    Shape: (texts, classes) -> (texts, every).

    >>> spread(np.array([[0.25, 0.75]]), ["a", "c"], ["a", "b", "c"]).tolist()
    [[0.25, 0.0, 0.75]]
    """
    wide = np.zeros((len(probabilities), len(every)), dtype=probabilities.dtype)
    wide[:, [every.index(label) for label in classes]] = probabilities
    return wide


def spread_rule(rule: SetRule, classes: Sequence[str], every: Sequence[str]) -> SetRule:
    """A rule over more labels; those that the model does not know have a probability of 0."""
    own = dict(zip(classes, rule.thresholds, strict=True))
    return SetRule(tuple(own.get(label, 0.5) for label in every), rule.separator, rule.review_below)


def head_to_head_in_sets(
    texts: LabelledTexts,
    new: tuple[Floats, SetRule],
    old: tuple[Floats, SetRule],
    classes: Sequence[str],
) -> HeadToHead:
    """As `head_to_head`, of models that give a text any number of labels, each by its own rule."""
    ours, theirs = (
        Figures(rows.accuracy, rows.macro_f1)
        for rows in (evaluate_sets(texts, each, rule, classes).rows for each, rule in (new, old))
    )
    found = compare_sets(texts, *(rule.members(each) for each, rule in (new, old)))
    comparison = Comparison(found.gained, found.lost, found.p_value)
    return HeadToHead(texts.rows, len(texts), ours, theirs, comparison)


def head_to_head(
    texts: LabelledTexts, new: Floats, old: Floats, classes: Sequence[str]
) -> HeadToHead:
    """Judge both by their probabilities for `texts`. Shapes: (texts, classes)."""
    ours, theirs = (
        Figures(rows.accuracy, rows.macro_f1)
        for rows in (evaluate(texts, each, classes).rows for each in (new, old))
    )
    return HeadToHead(texts.rows, len(texts), ours, theirs, compare(texts, new, old))
