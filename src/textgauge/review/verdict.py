"""One plain sentence on whether the deep model is worth it."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import model_in_words
from ..data.corpus import LabelledTexts
from .metrics import Metrics

CHANCE = 0.05
"""How often chance alone may do as much for it to be called more than chance."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Comparison:
    """Two classifiers on the same distinct texts.

    Attributes:
        gained: texts that only the first gets right.
        lost: texts that only the second gets right.
        p_value: how likely chance alone is to tell them so far apart (`mcnemar`).

    """

    gained: int
    lost: int
    p_value: float


def compare(texts: LabelledTexts, model: Floats, baseline: Floats) -> Comparison:
    """Compare by the probabilities that two gave for `texts`. Shapes: (texts, classes)."""
    model_right = model.argmax(1) == texts.main_label
    base_right = baseline.argmax(1) == texts.main_label
    gained = int((model_right & ~base_right).sum())
    lost = int((base_right & ~model_right).sum())
    return Comparison(gained, lost, mcnemar(gained, lost))


def verdict(
    texts: int, found: Comparison, model: tuple[str, Metrics], baseline: tuple[str, Metrics]
) -> str:
    """Say whether the model is worth it beside the best baseline.

    Only the distinct texts on which just one of the two is right tell them apart; what chance alone
    does in one of 20 cases or more is called a tie.

    Args:
        texts: how many distinct texts both were tested on.
        found: what told them apart.
        model: name of the model, and its figures over the rows.
        baseline: the same of the baseline.

    """
    (model_name, model_result), (base_name, base_result) = model, baseline
    beside = f"{base_name} {base_result.accuracy:.1%}"
    figures = f"{model_result.accuracy:.1%} of the test rows right, {beside}"
    called = model_in_words(model_name)
    told_apart = (
        f"on {texts:,} distinct texts it gets {found.gained:,} right that the other gets wrong, "
        f"and {found.lost:,} the other way round"
    )
    if found.p_value >= CHANCE:
        return (
            f"The {called} gets {figures}; {told_apart}, which is no more than "
            f"chance: prefer {base_name}, it is simpler."
        )
    if found.gained > found.lost:
        return f"The {called} is worth it: it gets {figures}; {told_apart}."
    return (
        f"The {called} is not worth it: it gets {figures}; {told_apart}. "
        f"Prefer {base_name}, or {what_else(model_name)}."
    )


def what_else(model_name: str) -> str:
    """What may help where a simpler classifier is better."""
    if model_name == "LINEAR":
        return "try another --model"
    return "give the deep model more texts or word vectors (--vectors)"


def mcnemar(gained: int, lost: int) -> float:
    """The exact test of McNemar (1947): how likely chance alone is to tell two so far apart.

    Of two equally good classifiers, on each text that only one of them gets right, each is that one
    as often as the other.

    Args:
        gained: texts that only the first gets right.
        lost: texts that only the second gets right.

    Returns:
        The two-sided p-value, in [0, 1]; 1 where nothing tells them apart.

    >>> mcnemar(8, 2), mcnemar(0, 0)
    (0.109375, 1.0)
    """
    total, fewer = gained + lost, min(gained, lost)
    logs = [
        lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1) - total * log(2)
        for k in range(fewer, max(fewer - 10_000, -1), -1)  # Further off they add nothing.
    ]
    return min(1.0, 2.0 * sum(exp(each) for each in reversed(logs)))
