"""How far areas and the calibration error could lie off, had other texts been drawn.

As in `intervals`, distinct texts are drawn anew, each with all its rows. An area depends on the
order of all scores, so that texts cannot be taken together there; instead they are drawn less often
where there are many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from .calibration import BINS, bin_of
from .confusion import MANY_LABELS
from .intervals import DRAWS, SIDES, Floats, Interval, interval_of, wilson

FEWEST = 100
"""Draws of any number of texts."""

_WORK = 10_000_000
"""Draws times texts times classes, at most, but for `FEWEST`."""

_AT_A_TIME = 1_000_000
"""Draws times texts that are held at a time."""

_STEPS = 512
"""Different scores of a label up to which none are taken together."""

Ids = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Ranked:
    """Cases of one label by their scores, from the highest down to that of its last positive.

    All below it come after all positives, so that their sum is enough.

    Attributes:
        case: which cases these are. Shape: (n,).
        code: twice the rank of each score, plus one for a positive. Shape: (n,).
        side: texts on the smaller side: with the label, or without it.

    """

    case: Ids
    code: Ids
    side: int

    def areas(self, weight: Floats, total: Floats) -> Floats:
        """ROC area and average precision of each draw, NaN where a side is empty.

        Shapes: (draws, cases), (draws,) -> (2, draws).
        """
        draws, ranks = len(weight), int(self.code.max(initial=0)) // 2 + 1
        places = np.arange(draws)[:, None] * (2 * ranks) + self.code
        sums = np.bincount(places.ravel(), weight[:, self.case].ravel(), draws * 2 * ranks)
        misses, hits = sums.reshape(draws, ranks, 2).transpose(2, 0, 1)
        found, called = hits.cumsum(1), (hits + misses).cumsum(1)
        positives, below = found[:, -1], total - called[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            pairs = (misses * (found - hits / 2)).sum(1) + below * positives
            roc = pairs / (positives * (total - positives))
            precision = (hits * found / np.maximum(called, 1e-9)).sum(1) / positives
        return np.stack([roc, precision])


@dataclass(frozen=True)
class _Cases:
    """A text has a label, so many times. Shapes: (cases,); `gaps` (texts, bins), `rows` (texts,).

    `gaps` is how far each text's probability lies from what came true, in its bin. Of more than
    `MANY_LABELS` labels none is ranked.
    """

    text: Ids
    weight: Ids
    labels: tuple[_Ranked, ...]
    gaps: Floats
    rows: Floats
    right: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, text: Ids, true: Ids, weight: Ids, probabilities: Probabilities) -> _Cases:
        number, classes = probabilities.shape
        confidence, right = probabilities.max(1), probabilities.argmax(1)[text] == true
        gaps = np.zeros((number, BINS))
        np.add.at(gaps, (text, bin_of(confidence)[text]), weight * (confidence[text] - right))
        return cls(
            text,
            weight,
            tuple(
                _ranked(probabilities[text, label], true == label, text)
                for label in range(classes if classes <= MANY_LABELS else 0)
            ),
            gaps,
            np.bincount(text, weight, number).astype(np.float64),
            right,
        )

    def intervals(
        self, areas: Floats, errors: Floats, probabilities: Probabilities
    ) -> dict[str, Interval | None]:
        """Of what was drawn. Shapes: (2, draws, classes), (2, draws)."""
        roc = precision = None
        if self.labels:
            measured = self.areas(np.ones((1, len(self.rows))))[:, 0]
            side = sum(label.side for label in self.labels) // 2
            roc, precision = (
                interval_of(values, side) if np.isfinite(known).any() else None
                for values, known in zip(_known_means(areas), measured, strict=True)
            )
        error = float(np.abs(self.gaps.sum(0)).sum() / self.rows.sum())
        sure = float(np.average(probabilities.max(1), weights=self.rows))
        ece = _of_error(error, errors[0], errors[1], sure, float(self.right.mean()), len(self.rows))
        return {"roc_auc": roc, "average_precision": precision, "ece": ece}

    def areas(self, drawn: Floats) -> Floats:
        """Of each draw and label. Shapes: (draws, texts) -> (2, draws, classes)."""
        weight = drawn[:, self.text] * self.weight
        total = drawn @ self.rows
        if not self.labels:
            return np.zeros((2, len(drawn), 0))
        return np.stack([label.areas(weight, total) for label in self.labels], axis=-1)

    def errors(self, drawn: Floats) -> Floats:
        """The calibration error of each draw, and what is chance of it: were no bin off by itself.

        Shapes: (draws, texts) -> (2, draws).
        """
        total = (drawn @ self.rows)[:, None]
        gaps = drawn @ self.gaps / total
        own = self.gaps.sum(0) / self.rows.sum()
        errors: Floats = np.abs(np.stack([gaps, gaps - own])).sum(2)
        return errors


def area_intervals(
    texts: LabelledTexts, probabilities: Probabilities, *, seed: int = 0
) -> tuple[dict[str, Interval | None], dict[str, Interval | None]]:
    """95 % intervals of `roc_auc`, `average_precision` (means over the labels) and `ece`.

    Percentiles of the bootstrap (Efron, 1979), from 1,000 draws; 20,000 texts of two labels are
    drawn 250 times, more texts or labels down to 100 times. Of more than 512 different scores of a
    label, neighbours count as equal. Where every draw ranks all texts right, or all wrong, the
    interval is that of Wilson (1927) for the texts on the smaller side of a label.

    A draw adds chance to every bin of the calibration error, so that errors of draws lie above the
    error itself, as that lies above the truth. Its interval ends where those of the draws do, and
    begins as far below the error, or at 0 where chance alone does as much. Where no decision is
    wrong, it reaches as far as the probabilities lie from Wilson's interval of the accuracy.

    Args:
        texts: the labelled texts.
        probabilities: Shape: (texts, classes), each row adds up to 1.
        seed: of the draws.

    Returns:
        By the names of `metrics.Metrics`, over rows and with each text once; None for an area that
        no label has, or where there are more than `MANY_LABELS` labels.

    """
    number, classes = probabilities.shape
    once = np.ones(number, dtype=np.int64)
    both = (
        _Cases.of(texts.text_index, texts.label, texts.count, probabilities),
        _Cases.of(np.arange(number), texts.main_label, once, probabilities),
    )
    draws = int(np.clip(_WORK // (number * classes), FEWEST, DRAWS))
    found = [
        [(cases.areas(drawn), cases.errors(drawn)) for cases in both]
        for drawn in _drawn(np.random.default_rng(seed), draws, number)
    ]
    rows, each_once = (
        cases.intervals(
            np.concatenate([areas for areas, _ in of_cases], axis=1),
            np.concatenate([errors for _, errors in of_cases], axis=1),
            probabilities,
        )
        for cases, of_cases in zip(both, zip(*found, strict=True), strict=True)
    )
    return rows, each_once


def _drawn(random: np.random.Generator, draws: int, number: int) -> Iterator[Floats]:
    """How often each text is drawn, some draws at a time. Shape: (some, number)."""
    at_a_time = max(_AT_A_TIME // number, 1)
    for begin in range(0, draws, at_a_time):
        some = min(at_a_time, draws - begin)
        yield np.stack(
            [
                np.bincount(random.integers(number, size=number), minlength=number)
                for _ in range(some)
            ]
        ).astype(np.float64)


def _ranked(scores: Probabilities, positive: npt.NDArray[np.bool_], text: Ids) -> _Ranked:
    """A label's cases by their scores.

    Of more than `_STEPS` different scores, neighbours get the same rank: as many positives each, or
    as many negatives.
    """
    side = min(int(np.count_nonzero(np.bincount(text[each]))) for each in (positive, ~positive))
    case = np.flatnonzero(scores >= scores[positive].min(initial=np.inf))
    different, rank = np.unique(-scores[case], return_inverse=True)
    rank = rank.reshape(-1)
    if len(different) > _STEPS:
        ends = [
            np.sort(rank[some])[np.linspace(0, some.sum() - 1, _STEPS // 2).astype(np.int64)]
            for some in (positive[case], ~positive[case])
            if some.any()
        ]
        edges = np.unique(np.concatenate([*ends, [len(different) - 1]]))
        rank = np.searchsorted(edges, rank)
    return _Ranked(case, rank * 2 + positive[case], side)


def _known_means(values: Floats) -> Floats:
    """Means over the last axis without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(-1)
    none = np.full_like(total, np.nan)
    means: Floats = np.divide(total, known.sum(-1), out=none, where=known.any(-1))
    return means


def _of_error(
    error: float, drawn: Floats, by_chance: Floats, sure: float, right: float, texts: int
) -> Interval:
    """The calibration error's interval.

    Args:
        error: as measured.
        drawn: of each draw. Shape: (draws,).
        by_chance: what each draw adds to the bins. Shape: (draws,).
        sure: the mean probability of what is decided.
        right: the share that is.
        texts: how many there are.

    """
    high = max(float(np.quantile(drawn, SIDES[1])), error)
    low = max(2 * error - high, 0.0)
    calibrated = error <= float(np.quantile(by_chance, SIDES[1]))
    if right in (0.0, 1.0):
        possible = wilson(right, texts)
        calibrated = possible.low <= sure <= possible.high
        high = max(high, abs(sure - possible.low), abs(sure - possible.high))
    return Interval(0.0 if calibrated else low, min(high, 1.0))
