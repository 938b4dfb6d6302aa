"""A result held against one that was recorded: figures by their names, and decisions.

What kinds of figures there are plays no role: those are compared that both have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..bundle.label_sets import SetPrediction

TOLERANCE = 1e-6
"""Figures that differ by no more are the same."""

DECISIVE = 1e-4
"""What a probability must have moved for another decision to count: the proof's tolerance, since
the recorded decisions are the saved model's."""

EXAMPLES = 5
"""Texts that are shown of those which are decided otherwise."""


@dataclass(frozen=True)
class Difference:
    """Something that was recorded, and what it is now; None: it is not there."""

    name: str
    recorded: Any
    now: Any

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return vars(self).copy()


@dataclass(frozen=True)
class Compared:
    """Figures held against the recorded ones.

    Attributes:
        number: how many have both.
        largest: the largest difference; infinite where one is a number and the other is not.
        differing: those that differ by more than `TOLERANCE`.

    """

    number: int
    largest: float
    differing: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Whether all agree to the last bit."""
        return self.largest == 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "compared": self.number,
            "largest_difference": self.largest if math.isfinite(self.largest) else None,
            "differing": [each.to_json() for each in self.differing],
        }


@dataclass(frozen=True)
class Decisions:
    """What the saved and the new model make of the test texts.

    Attributes:
        texts: how many there are.
        otherwise: how many are decided otherwise.
        largest: the largest difference of a probability.
        examples: texts that are decided otherwise, with both decisions; those first whose
            probability moved most.

    """

    texts: int
    otherwise: int
    largest: float
    examples: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**vars(self), "examples": [each.to_json() for each in self.examples]}


def compare_figures(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Compared:
    """Hold nested figures against others; those that only one has are left out.

    An epoch that only one has is a difference: that training took longer.
    """
    then, here = flat(recorded), flat(now)
    both = [name for name in then if name in here]
    distances = {name: _distance(then[name], here[name]) for name in both}
    for name in (*then, *here):
        if name.startswith("epoch ") and name not in distances:
            distances[name] = math.inf
    differing = [name for name, distance in distances.items() if distance > TOLERANCE]
    differing.sort(key=lambda name: name.count(" "))  # The figures of the whole come first.
    return Compared(
        len(both),
        max(distances.values(), default=0.0),
        tuple(Difference(name, then.get(name), here.get(name)) for name in differing),
    )


def _distance(one: Any, other: Any) -> float:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return abs(one - other) if numbers else 0.0 if one == other else math.inf


def flat(values: Any, name: str = "") -> dict[str, Any]:
    """Nested figures by name: "rows accuracy", "rows labels iron f1", "epoch 3 val_loss".

    >>> flat({"rows": {"loss": 0.5, "labels": [{"label": "a", "f1": 1.0}]}, "low": [1, 2]})
    {'rows loss': 0.5, 'rows labels a f1': 1.0, 'low 1': 1, 'low 2': 2}
    """
    found: dict[str, Any] = {}
    if isinstance(values, Mapping):
        for key, value in values.items():
            found |= flat(value, f"{name} {key}".strip())
    elif isinstance(values, list | tuple):
        for place, value in enumerate(values, start=1):
            if isinstance(value, Mapping) and "label" in value:
                rest = {key: each for key, each in value.items() if key != "label"}
                found |= flat(rest, f"{name} {value['label']}")
            else:
                found |= flat(value, f"{name} {place}")
    else:
        found[name] = values
    return found


def compare_decisions(
    before: npt.NDArray[np.float32],
    now: npt.NDArray[np.float32],
    texts: pl.Series,
    classes: Sequence[str],
) -> Decisions:
    """Hold the probabilities of two models against each other. Shapes: (texts, classes)."""
    then_index, now_index = before.argmax(1), now.argmax(1)
    return _compared(
        np.abs(before - now).max(1),
        then_index != now_index,
        texts,
        lambda at: (classes[then_index[at]], classes[now_index[at]]),
    )


def compare_set_decisions(before: SetPrediction, now: SetPrediction, texts: pl.Series) -> Decisions:
    """As `compare_decisions`, of models that give a text any number of labels."""
    then, here = before.decided.members, now.decided.members
    return _compared(
        np.abs(before.probabilities - now.probabilities).max(1),
        (then != here).any(1),
        texts,
        lambda at: (before.names[before.label_index[at]], now.names[now.label_index[at]]),
    )


def _compared(
    moved: npt.NDArray[np.float32],
    differ: npt.NDArray[np.bool_],
    texts: pl.Series,
    both: Callable[[int], tuple[str, str]],
) -> Decisions:
    others = np.flatnonzero(differ & (moved > DECISIVE))
    shown = others[np.argsort(-moved[others], kind="stable")][:EXAMPLES]
    return Decisions(
        texts=len(texts),
        otherwise=len(others),
        largest=float(moved.max()),
        examples=tuple(Difference(texts[int(at)], *both(int(at))) for at in shown),
    )
