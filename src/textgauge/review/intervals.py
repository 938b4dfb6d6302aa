"""How far the figures could lie off, had other texts been drawn: bootstrap intervals.

What is drawn anew are distinct texts, each with all its rows: the rows of one text are right or
wrong together, and taken for separate evidence they would make every interval too short.

Texts that count alike (same label, same prediction, same number of rows, nearly the same loss) are
drawn together, by their number, which is multinomial. So a million texts take as long as the few
thousand kinds of them that there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from .weights import WeightsByLabel

DRAWS = 1_000
"""How often the texts are drawn anew, where they are of few kinds."""

_WORK = 5_000_000
"""Draws times kinds of texts, at most; with 200 draws at least."""

_STEPS = 64
"""Steps of equal share into which losses are rounded before texts are taken together."""

SIDES = (0.025, 0.975)
"""Shares of the draws that lie below and up to the ends of an interval."""

_DEVIATIONS = 1.959964
"""Of the normal distribution that leave 2.5 % on either side."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """Where a figure lies with 95 % confidence."""

    low: float
    high: float

    def to_json(self) -> list[float]:
        """Both ends."""
        return [self.low, self.high]


@dataclass(frozen=True)
class Intervals:
    """Intervals of the figures in `metrics.Metrics`.

    Attributes:
        accuracy: share of right decisions.
        macro_f1: mean F1 of the labels.
        loss: mean cross-entropy in nats.
        brier: Brier score.
        precision: of each label, in the order of the classes.
        recall: of each label.
        f1: of each label.
        ece: expected calibration error; this and the areas from `area_intervals`.
        roc_auc: mean ROC area of the labels; None where none has one.
        average_precision: mean of the labels; None where none has one.

    """

    accuracy: Interval
    macro_f1: Interval
    loss: Interval
    brier: Interval
    precision: tuple[Interval, ...]
    recall: tuple[Interval, ...]
    f1: tuple[Interval, ...]
    ece: Interval | None = None
    roc_auc: Interval | None = None
    average_precision: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """All of them as plain JSON values."""
        return {
            name: [each.to_json() for each in value]
            if isinstance(value, tuple)
            else value and value.to_json()
            for name, value in vars(self).items()
        }


@dataclass(frozen=True)
class _Kinds:
    """Texts that count alike, taken together. K kinds, C classes.

    Attributes:
        texts: how many of each kind there are. Shape: (K,).
        hits: weight that is right, by label.
        support: weight of each label.
        flagged: weight that is called so, by label.
        loss: sum of the losses. Shape: (K,).
        brier: sum of the Brier scores. Shape: (K,).

    """

    texts: npt.NDArray[np.int64]
    hits: WeightsByLabel
    support: WeightsByLabel
    flagged: WeightsByLabel
    loss: Floats
    brier: Floats


def intervals(
    texts: LabelledTexts,
    probabilities: npt.NDArray[np.floating[Any]],
    classes: int,
    *,
    over_rows: bool = True,
    seed: int = 0,
) -> Intervals:
    """95 % intervals of the figures of a classifier.

    Percentiles of the bootstrap (Efron, 1979). Where every draw gives the same share (all right, or
    all wrong), that of Wilson (1927) for as many texts: no error in 300 texts is not no error ever.

    Args:
        texts: the labelled texts.
        probabilities: Shape: (texts, classes), each row adds up to 1.
        classes: number of labels.
        over_rows: whether a text counts as often as it occurs, or once.
        seed: of the draws.

    """
    kinds = _kinds(texts, probabilities, classes, over_rows=over_rows)
    number = len(kinds.texts)
    draws = draws_of(number)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(texts), kinds.texts / kinds.texts.sum(), size=draws).astype(
        float
    )
    each = drawn / kinds.texts  # The sums of a kind are those of all its texts.
    hits, support, flagged = (of.sums(each) for of in (kinds.hits, kinds.support, kinds.flagged))
    total = support.sum(1)
    f1 = _share(2 * hits, support + flagged)
    both = (kinds.support, kinds.flagged)
    either = WeightsByLabel.of(
        np.concatenate([of.kind for of in both]),
        np.concatenate([of.label for of in both]),
        np.concatenate([of.weight for of in both]),
        classes,
    )
    of_label = {
        "precision": (_share(hits, flagged), kinds.flagged),
        "recall": (_share(hits, support), kinds.support),
        "f1": (f1, either),
    }
    known = ~np.isnan(f1)
    macro = np.where(known, f1, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    shares: dict[str, Any] = {
        name: tuple(
            interval_of(of_one, texts_of_it)
            for of_one, texts_of_it in zip(
                np.ascontiguousarray(values.T), base.texts(kinds.texts).tolist(), strict=True
            )
        )
        for name, (values, base) in of_label.items()
    }
    return Intervals(
        accuracy=interval_of(hits.sum(1) / total, len(texts)),
        macro_f1=interval_of(macro, len(texts)),
        loss=interval_of(each @ kinds.loss / total),
        brier=interval_of(each @ kinds.brier / total),
        **shares,
    )


def draws_of(kinds: int) -> int:
    """How often texts of so many kinds are drawn anew."""
    return int(np.clip(_WORK // max(kinds, 1), 200, DRAWS))


def share_interval(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Interval:
    """95 % interval of the share that `part` is of `whole`, rows of each text. Shapes: (texts,)."""
    return share_intervals(part, whole, np.zeros(len(whole), dtype=np.int64), 1)[0]


def share_intervals(
    part: npt.NDArray[np.int64],
    whole: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    places: int,
    *,
    seed: int = 0,
) -> list[Interval]:
    """95 % intervals of the share that `part` is of `whole`, among all texts and among fewer.

    Args:
        part: rows of each text that count. Shape: (texts,).
        whole: rows of each text, 1 or more. Shape: (texts,).
        place: from 0; how many of the sets beside the first a text is in. Shape: (texts,).
        places: how many sets there are, each a part of the one before.
        seed: of the draws.

    Returns:
        The interval of each set, of those texts whose place is at least the set's: [0, 1] where
        there is none.

    """
    if not len(whole):
        return [Interval(0.0, 1.0)] * places
    parts, part_index = np.unique(part, return_inverse=True)
    wholes, whole_index = np.unique(whole, return_inverse=True)
    key = (place * len(wholes) + whole_index) * len(parts) + part_index
    _, first, members = np.unique(key, return_index=True, return_counts=True)
    inside = place[first][:, None] >= np.arange(places)
    drawn = (
        np.random.default_rng(seed)
        .multinomial(len(whole), members / len(whole), size=draws_of(len(members)))
        .astype(np.float64)
    )
    shares = _share(
        drawn @ (part[first][:, None] * inside), drawn @ (whole[first][:, None] * inside)
    )
    texts = members @ inside
    return [interval_of(shares[:, each], int(texts[each])) for each in range(places)]


def accuracy_interval(
    hits: npt.NDArray[np.number[Any]],
    rows: npt.NDArray[np.number[Any]],
    whole: float,
    *,
    looks: int = 1,
    seed: int = 0,
) -> tuple[Interval, Literal["lower", "higher", ""]]:
    """95 % interval of a slice's accuracy, and whether it differs from the whole beyond chance.

    It differs if an interval does not hold the whole's accuracy that is as much wider as it takes
    for all slices together to be called different in one of 20 cases at most (Bonferroni's
    correction). Where a slice is all right or all wrong, its texts tell by themselves: how likely
    so many would be at the whole's accuracy.

    Args:
        hits: rows of each text that are right. Shape: (texts,).
        rows: rows of each text. Shape: (texts,).
        whole: accuracy of all rows.
        looks: how many slices are compared with the whole.
        seed: of the draws.

    """
    kinds, members = np.unique(np.stack([hits, rows]), axis=1, return_counts=True)
    count = int(members.sum())
    draws = int(np.clip(_WORK // len(members), 200, 4 * DRAWS))
    random = np.random.default_rng(seed)
    drawn = random.multinomial(count, members / count, size=draws)
    right, all_rows = drawn @ kinds[0], drawn @ kinds[1]
    shares = right / all_rows
    interval = interval_of(shares, count)
    side = SIDES[0] / looks
    share = float(hits.sum() / rows.sum())
    if share in (0.0, 1.0):
        beyond = (whole if share else 1 - whole) ** count < side
    elif side * draws < 1:  # Too few draws to see so far out: as if they were normal.
        far = NormalDist().inv_cdf(1 - side) * float(shares.std())
        beyond = abs(share - whole) > far
    else:
        low, high = np.quantile(shares, (side, 1 - side))
        beyond = not low <= whole <= high
    return interval, ("lower" if share < whole else "higher") if beyond else ""


def _kinds(
    texts: LabelledTexts,
    probabilities: npt.NDArray[np.floating[Any]],
    classes: int,
    *,
    over_rows: bool,
) -> _Kinds:
    predicted = probabilities.argmax(1)
    of_triple = probabilities[texts.text_index, texts.label].astype(np.float64)
    weight = texts.count / (1 if over_rows else texts.text_rows[texts.text_index])
    count = len(texts)
    loss = np.bincount(
        texts.text_index, -np.log(np.maximum(of_triple, np.finfo(np.float32).tiny)) * weight, count
    )
    squares = (probabilities.astype(np.float64) ** 2).sum(1)[texts.text_index]
    brier = np.bincount(texts.text_index, (squares - 2 * of_triple + 1) * weight, count)
    if over_rows:
        text, label = texts.text_index, texts.label
        rows = texts.text_rows
    else:
        text, label = np.arange(count), texts.main_label
        weight, rows = np.ones(count), np.ones(count, dtype=np.int64)

    # One kind for texts with one label that agree in all that counts; others are their own kind.
    alone = np.bincount(text, minlength=count) == 1
    features = np.stack(
        [
            texts.main_label,
            predicted,
            rows,
            _rounded(loss / rows),
            np.where(alone, -1, np.arange(count)),
        ]
    )
    _, kind, members = np.unique(features, axis=1, return_inverse=True, return_counts=True)
    kind = kind.reshape(-1)
    number = len(members)

    def by_label(labels: npt.NDArray[np.int64], values: Floats) -> WeightsByLabel:
        return WeightsByLabel.of(kind[text], labels, values, classes)

    called = predicted[text]
    return _Kinds(
        texts=members,
        hits=by_label(label, weight * (called == label)),
        support=by_label(label, weight),
        flagged=by_label(called, weight),
        loss=np.bincount(kind, loss, number).astype(np.float64),
        brier=np.bincount(kind, brier, number).astype(np.float64),
    )


def _rounded(values: Floats) -> npt.NDArray[np.int64]:
    """Which of `_STEPS` steps of equal share each value lies in."""
    steps = np.quantile(values, np.linspace(0, 1, _STEPS + 1)[1:-1])
    return np.searchsorted(steps, values)


def _share(part: Floats, whole: Floats) -> Floats:
    """NaN where there is no whole."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def interval_of(values: Floats, texts: int | None = None) -> Interval:
    """Of drawn values; of shares that never differ, by the number of texts behind them."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(0.0, 1.0)
    low, high = (float(side) for side in np.quantile(known, SIDES))
    if texts and high - low < 1e-12:
        return wilson(low, texts)
    return Interval(low, high)


def wilson(share: float, texts: int) -> Interval:
    """The score interval of a share of so many texts (Wilson, 1927)."""
    square = _DEVIATIONS**2 / texts
    middle = (share + square / 2) / (1 + square)
    half = (share * (1 - share) * square + square**2 / 4) ** 0.5 / (1 + square)
    # Rounding must not leave a gap to the end.
    low, high = round(middle - half, 12), round(middle + half, 12)
    return Interval(max(low, 0.0), min(high, 1.0))


def percent(interval: Interval) -> str:
    """As people write it.

    >>> percent(Interval(0.9712, 0.9934))
    '97.1% to 99.3%'
    """
    return f"{interval.low:.1%} to {interval.high:.1%}"
