"""What single test texts show of a model that gives a text any number of labels.

As `findings`: the worst errors, and the words and numbers that moved decisions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ..bundle.label_sets import DecidedSets, SetRule
from ..data.corpus import LabelledTexts
from ..data.split import hash_of
from .effort import LEVELS, affordable, level_for_all, level_of_each
from .explanation import Explainer, Explanation
from .findings import (
    ENOUGH,
    ERRORS,
    ERRORS_EXPLAINED,
    FEWEST,
    OVERALL,
    number_range,
    work_after,
)
from .overall import CURVE_VALUES, NumberCurve, WordShare, number_curve, words_overall
from .set_metrics import SetCases

LABELS_EXPLAINED = 3
"""Decided labels of a text that are explained for what matters overall, the most certain ones."""


@dataclass(frozen=True)
class WrongSet:
    """A distinct test text whose set is not exactly right.

    Attributes:
        text: as it was read (in normal form).
        own: indices of its labels: those of its most frequent set.
        called: indices of the labels that are decided, or would be, had not a person to decide.
        worst: index of the label that is decided wrongly by most: its probability is furthest from
            the truth.
        probability: of that label, in [0, 1].
        rows: rows with that text.
        explanation: which words moved that label; None where that was not worked out.
        review: whether it goes to a person.

    """

    text: str
    own: tuple[int, ...]
    called: tuple[int, ...]
    worst: int
    probability: float
    rows: int
    explanation: Explanation | None = None
    review: bool = False


@dataclass(frozen=True)
class SetFindings:
    """What single test texts show; see `findings.Findings`.

    Attributes:
        errors: the worst; those that go to a person come last.
        wrong_texts: how many distinct test texts are not exactly right and go to no person.
        words: for each label the words that add most to it.
        curve: how the labels follow the number in a text; None where texts have none.
        explained: from how many texts the last two come.
        sent_texts: how many distinct test texts are not exactly right and go to a person.
        together: whether neighbouring words of long texts were tried together.
        numbers: as in `findings.Findings`.

    """

    errors: tuple[WrongSet, ...]
    wrong_texts: int
    words: dict[str, list[WordShare]]
    curve: NumberCurve | None
    explained: int
    sent_texts: int = 0
    together: bool = False
    numbers: tuple[float, float] | None = None


def find_in_sets(
    explainer: Explainer,
    test: LabelledTexts,
    probabilities: npt.NDArray[np.float32],
    *,
    trained_texts: int,
    seed: int = 0,
    effort: int = 1,
) -> SetFindings:
    """Look at single test texts; the arguments are those of `findings.find`."""
    predictor = explainer.predictor
    rule = predictor.rule
    assert isinstance(rule, SetRule)
    lengths = predictor.encoder.encode_normalised(test.texts).lengths
    for_errors, overall = work_after(trained_texts, lengths, effort)
    decided = rule.decide(probabilities)
    places, wrong, sent = _errors(test, probabilities, decided)
    errors = _described(test, probabilities, decided, places)
    errors, together = _explained(explainer, errors, lengths[places], for_errors)
    order = np.argsort(hash_of(test.texts, seed), kind="stable")[:OVERALL]
    words, curve, explained, long = _overall(
        explainer, test.texts.gather(order), lengths[order], overall
    )
    return SetFindings(
        tuple(errors),
        wrong,
        words,
        curve,
        explained,
        sent,
        together=together or long,
        numbers=number_range(predictor.encoder),
    )


def _errors(
    test: LabelledTexts, probabilities: npt.NDArray[np.float32], decided: DecidedSets
) -> tuple[npt.NDArray[np.int64], int, int]:
    """The worst errors' places, how many there are, and how many more go to a person.

    The worse, the less probable the least probable of a text's own labels and lacks is.
    """
    cases = SetCases.of_texts(test)
    wrong = np.flatnonzero(~cases.exact(decided.members))
    own = cases.sets.matrix(test.main_label[wrong])
    p = probabilities[wrong]
    of_own = np.where(own, p, 1 - p).min(1) if len(wrong) else np.zeros(0)
    review = decided.review[wrong]
    order = np.lexsort((wrong, -test.text_rows[wrong], of_own, review))
    return wrong[order[:ERRORS]], int((~review).sum()), int(review.sum())


def _described(
    test: LabelledTexts,
    probabilities: npt.NDArray[np.float32],
    decided: DecidedSets,
    places: npt.NDArray[np.int64],
) -> list[WrongSet]:
    assert test.sets is not None
    own = test.sets.matrix(test.main_label[places])
    found = []
    for at, (place, text) in enumerate(
        zip(places, test.texts.gather(places).to_list(), strict=True)
    ):
        called, p = decided.members[place], probabilities[place].astype(np.float64)
        distance = np.where(called != own[at], np.abs(p - own[at]), -1.0)
        worst = int(distance.argmax())
        found.append(
            WrongSet(
                text=text,
                own=tuple(map(int, np.flatnonzero(own[at]))),
                called=tuple(map(int, np.flatnonzero(called))),
                worst=worst,
                probability=float(p[worst]),
                rows=int(test.text_rows[place]),
                review=bool(decided.review[place]),
            )
        )
    return found


def _explained(
    explainer: Explainer, errors: list[WrongSet], lengths: npt.NDArray[np.int32], most: float
) -> tuple[list[WrongSet], bool]:
    """The first errors with explanations, as many as `most` tokens allow."""
    some = lengths[:ERRORS_EXPLAINED]
    levels = level_of_each(some, most) if len(some) else np.zeros(0, dtype=np.int64)
    work = np.array([LEVELS[level].work(some[at : at + 1])[0] for at, level in enumerate(levels)])
    can, told, together = affordable(work, most), list(errors), False
    for at in range(can):
        level = LEVELS[levels[at]]
        (found,) = explainer.explain_labels([errors[at].text], level, label=errors[at].worst)
        told[at] = replace(errors[at], explanation=found[0])
        together |= bool(some[at] > level.steps)
    return told, together


def _overall(
    explainer: Explainer, texts: pl.Series, lengths: npt.NDArray[np.int32], most: float
) -> tuple[dict[str, list[WordShare]], NumberCurve | None, int, bool]:
    """What matters: words, the curve of a number; of how many texts; whether words go together."""
    level = level_for_all(lengths, most / 2, min(ENOUGH, len(texts)))
    can = affordable(level.work(lengths), most / 2)
    if can < FEWEST:
        return {}, None, 0, False
    drawn = texts.head(can)
    followed = affordable(lengths[:can].astype(np.float64) * CURVE_VALUES, most / 2)
    told = explainer.explain_labels(drawn, level, most=LABELS_EXPLAINED)
    return (
        # What speaks for a label is told by the texts that are given it.
        words_overall([each for found in told for each in found if each.decided]),
        number_curve(explainer.predictor, drawn.head(followed)),
        can,
        bool((lengths[:can] > level.steps).any()),
    )
