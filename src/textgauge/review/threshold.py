"""The threshold between two labels that costs least on the validation texts, and how sure it is.

A threshold t decides the second label where its probability is more than t. Only the probabilities
that occur tell thresholds apart, so all of them are tried: sorted once, the costs of all thresholds
are two running sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from .intervals import SIDES, Interval, draws_of

STEPS = 1_000
"""Steps of equal expected error into which probabilities are put before texts are drawn anew."""

CURVE = 101
"""Thresholds of the curve that is drawn, evenly from 0 to 1."""

_CELLS = 2_000_000
"""Drawn numbers that are held at a time."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """The threshold that costs least on some texts.

    Attributes:
        value: the second label is decided where its probability is more than this; in [0, 1].
        interval: where the cheapest threshold lies with 95 % confidence.
        by_costs: the threshold that follows from the costs alone, for probabilities that are true.
        cost: a row at `value`.
        cost_by_costs: a row at `by_costs`.
        texts: distinct texts that it was found on.
        curve: what thresholds from 0 to 1 cost a row. Shape: (CURVE, 2).

    """

    value: float
    interval: Interval
    by_costs: float
    cost: float
    cost_by_costs: float
    texts: int
    curve: tuple[tuple[float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values; the curve is left to those who draw it."""
        return {
            "value": self.value,
            "interval": self.interval.to_json(),
            "by_costs": self.by_costs,
            "cost": self.cost,
            "cost_by_costs": self.cost_by_costs,
            "texts": self.texts,
        }


def find_threshold(
    texts: LabelledTexts,
    probabilities: npt.NDArray[np.floating[Any]],
    costs: tuple[float, float],
    *,
    seed: int = 0,
) -> Threshold:
    """Find the threshold that costs least.

    All thresholds between two neighbouring probabilities cost the same. Of those that cost least
    the one that follows from the costs is taken; where that costs more, the middle between the two
    neighbours that come nearest to it.

    Args:
        texts: the labelled texts; each counts as often as it occurs.
        probabilities: of the two labels. Shape: (texts, 2).
        costs: of deciding the first label wrongly, and the second; not both 0.
        seed: of the draws that the interval comes from.

    """
    by_costs = costs[1] / (costs[0] + costs[1])
    if not len(texts):
        return Threshold(by_costs, Interval(0.0, 1.0), by_costs, 0.0, 0.0, 0, ())
    rows = np.bincount(texts.text_index * 2 + texts.label, texts.count, 2 * len(texts)).reshape(
        -1, 2
    )
    score = _score(probabilities)
    order = np.argsort(score, kind="stable")
    score, rows = score[order], rows[order]
    # What it costs more to decide the first label than the second.
    rise = costs[0] * rows[:, 1] - costs[1] * rows[:, 0]
    all_second = float(costs[1] * rows[:, 0].sum())
    different, place = np.unique(score, return_inverse=True)
    rises: Floats = np.bincount(place, rise)[None, :].astype(np.float64)
    gaps = _Gaps.between(different, different, by_costs)
    chosen = int(gaps.cheapest(rises)[0])
    value = float(gaps.point[chosen])
    total = float(rows.sum())

    running = np.concatenate(([0.0], np.cumsum(rise)))

    def cost_at(threshold: Floats) -> Floats:
        return (all_second + running[np.searchsorted(score, threshold, side="right")]) / total

    drawn_low, drawn_high = _drawn(score, rise, by_costs, seed)
    grid = np.linspace(0.0, 1.0, CURVE)
    return Threshold(
        value=value,
        interval=Interval(
            float(min(np.quantile(drawn_low, SIDES[0]), value)),
            float(max(np.quantile(drawn_high, SIDES[1]), value)),
        ),
        by_costs=by_costs,
        cost=float(cost_at(np.array([value]))[0]),
        cost_by_costs=float(cost_at(np.array([by_costs]))[0]),
        texts=len(texts),
        curve=tuple(zip(grid.tolist(), cost_at(grid).tolist(), strict=True)),
    )


def _score(probabilities: npt.NDArray[np.floating[Any]]) -> Floats:
    """The second label's probability, exactly as `DecisionRule` weighs it."""
    found = probabilities.astype(np.float64)
    result: Floats = found[:, 1] / found.sum(1)
    return result


@dataclass(frozen=True)
class _Gaps:
    """Ranges of thresholds that decide alike: before, between and behind groups of texts.

    Attributes:
        low: Shape: (groups + 1,).
        high: Shape: (groups + 1,).
        point: the threshold that is taken in each. Shape: (groups + 1,).
        distance: of that from the threshold by costs. Shape: (groups + 1,).

    """

    low: Floats
    high: Floats
    point: Floats
    distance: Floats

    @classmethod
    def between(cls, first: Floats, last: Floats, by_costs: float) -> _Gaps:
        """Gaps between groups with the lowest scores `first` and the highest `last`."""
        low, high = np.concatenate(([0.0], last)), np.concatenate((first, [1.0]))
        inside = (low <= by_costs) & (by_costs < high)
        inside[-1] = low[-1] <= by_costs
        point = np.where(inside, by_costs, low + (high - low) / 2)
        distance = np.abs(point - by_costs)
        if first[0] <= 0.0:
            distance[0] = np.inf  # No threshold lies below a probability of 0.
        return cls(low, high, point, distance)

    def cheapest(self, rises: Floats) -> npt.NDArray[np.int64]:
        """Which gap costs least, the nearest of equals. Shapes: (draws, groups) -> (draws,)."""
        result: npt.NDArray[np.int64] = np.where(self._equal(rises), self.distance, np.inf).argmin(
            1
        )
        return result

    def around_cheapest(self, rises: Floats) -> tuple[Floats, Floats]:
        """Both ends of the thresholds about the cheapest that cost as little. Shapes: (draws,)."""
        chosen = self.cheapest(rises)[:, None]
        equal = self._equal(rises)
        index = np.arange(equal.shape[1])
        first = np.where(~equal & (index < chosen), index, -1).max(1) + 1
        last = np.where(~equal & (index > chosen), index, equal.shape[1]).min(1) - 1
        return self.low[first], self.high[last]

    def _equal(self, rises: Floats) -> npt.NDArray[np.bool_]:
        """Whether a gap costs least. Shapes: (draws, groups) -> (draws, groups + 1)."""
        cost = np.zeros((len(rises), rises.shape[1] + 1))
        np.cumsum(rises, axis=1, out=cost[:, 1:])
        possible = np.where(np.isfinite(self.distance), cost, np.inf)
        # Sums of the same numbers in another order differ in the last digits.
        slack = 1e-12 * np.abs(rises).sum(1, keepdims=True)
        result: npt.NDArray[np.bool_] = possible <= possible.min(1, keepdims=True) + slack
        return result


def _drawn(score: Floats, rise: Floats, by_costs: float, seed: int) -> tuple[Floats, Floats]:
    """Ends of the cheapest thresholds, had other texts been drawn. Shapes: (draws,).

    Texts of neighbouring probabilities are one group, and those of a group that cost alike are
    drawn together, by their number.
    """
    different, place = np.unique(score, return_inverse=True)
    group = np.arange(len(different))
    if len(different) > STEPS:
        errors = np.bincount(place, minlength=len(different)) * (different * (1 - different) + 1e-9)
        before = np.cumsum(errors) - errors
        group = np.unique(
            np.floor(before / before[-1] * (STEPS - 1)), return_inverse=True
        )[1]  # fmt: skip
    group_of = group[place]
    starts = np.flatnonzero(np.diff(group_of, prepend=-1))
    gaps = _Gaps.between(score[starts], np.append(score[starts[1:] - 1], score[-1]), by_costs)

    rises, rise_index = np.unique(rise, return_inverse=True)
    kinds, members = np.unique(group_of * len(rises) + rise_index, return_counts=True)
    kind_starts = np.flatnonzero(np.diff(kinds // len(rises), prepend=-1))
    rise_of_kind = rises[kinds % len(rises)]
    draws = draws_of(len(members))
    random = np.random.default_rng(seed)
    lows, highs = [], []
    step = max(_CELLS // max(len(members), 1), 1)
    for begin in range(0, draws, step):
        drawn = random.multinomial(
            len(score), members / members.sum(), size=min(step, draws - begin)
        )
        low, high = gaps.around_cheapest(np.add.reduceat(drawn * rise_of_kind, kind_starts, axis=1))
        lows.append(low)
        highs.append(high)
    return np.concatenate(lows), np.concatenate(highs)
