"""What single test texts show: the worst errors, and the words and numbers that moved decisions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ..bundle.decision import Decided, DecisionRule
from ..data.corpus import LabelledTexts
from ..data.split import hash_of
from ..text.reader import TextReader
from .effort import LEVELS, affordable, level_for_all, level_of_each
from .explanation import Explainer, Explanation
from .overall import CURVE_VALUES, NumberCurve, WordShare, number_curve, words_overall

ERRORS = 100
"""Errors that are kept: the worst."""

ERRORS_EXPLAINED = 20
"""Of these, how many are explained."""

OVERALL = 1_000
"""Texts from which is told what matters overall, at most."""

ENOUGH = 100
"""Texts that are explained less finely for that, if all cannot be explained as finely as others."""

FEWEST = 30
"""From fewer texts nothing is told overall: one odd text would decide what is said of all."""

WORK_SHARE = 0.05
"""Of the tokens that the training read (backwards counted as two more), so many may be read for
the errors, and as many for what matters overall."""

ERRORS_WORK, OVERALL_WORK = 500_000, 1_300_000
"""Tokens that may be read after any training, however short: some 1 s and 3 s on two cores."""


@dataclass(frozen=True)
class WrongText:
    """A distinct test text that is decided wrongly, or would be, had not a person to decide.

    Attributes:
        text: as it was read (in normal form).
        label: index of its label: its most frequent one.
        predicted: index of the label that was decided.
        probability: of that label, in [0, 1].
        of_label: probability of its own label.
        rows: rows with that text.
        explanation: which words moved the decision; None where that was not worked out.
        review: whether it goes to a person, so that `predicted` is not decided.

    """

    text: str
    label: int
    predicted: int
    probability: float
    of_label: float
    rows: int
    explanation: Explanation | None = None
    review: bool = False


@dataclass(frozen=True)
class Findings:
    """What single test texts show.

    Attributes:
        errors: the worst, by the probability that their own label was given; those that go to a
            person come last.
        wrong_texts: how many distinct test texts are decided wrongly.
        words: for each label, the words that matter, the strongest first; none where fewer than
            `FEWEST` texts were explained.
        curve: how the decision follows a number; None where texts have none, or as with `words`.
        explained: from how many test texts `words` and `curve` were learned.
        sent_texts: how many more would be decided wrongly, but go to a person.
        together: whether neighbouring words may share what they add, for the length of some texts.
        numbers: the lowest and the highest number of the training texts, as far as the model tells
            numbers apart; None where it reads none.

    """

    errors: tuple[WrongText, ...]
    wrong_texts: int
    words: dict[str, list[WordShare]]
    curve: NumberCurve | None
    explained: int
    sent_texts: int = 0
    together: bool = False
    numbers: tuple[float, float] | None = None


def find(
    explainer: Explainer,
    test: LabelledTexts,
    probabilities: npt.NDArray[np.float32],
    *,
    trained_texts: int,
    seed: int = 0,
    effort: int = 1,
) -> Findings:
    """Look at single test texts.

    How many are explained, and how finely, depends on how long they are and on how long was
    trained, so that this takes a small share of a training's time; never on a clock, so that two
    runs tell the same.

    Args:
        explainer: of the model.
        test: the test texts.
        probabilities: that the model gave. Shape: (texts, classes).
        trained_texts: that the training read, in all its epochs.
        seed: decides which texts tell what matters overall.
        effort: what reading a token costs, in tokens of a small network.

    """
    predictor = explainer.predictor
    lengths = predictor.encoder.encode_normalised(test.texts).lengths
    for_errors, overall = work_after(trained_texts, lengths, effort)
    assert isinstance(predictor.rule, DecisionRule)
    decided = predictor.rule.decide(probabilities)
    errors, wrong, sent = _errors(test, probabilities, decided)
    told, together = _explained(
        explainer, test.texts, lengths, errors[:ERRORS_EXPLAINED], for_errors
    )
    order = np.argsort(hash_of(test.texts, seed), kind="stable")[:OVERALL]
    words, curve, explained, long = _overall(
        explainer, test.texts.gather(order), lengths[order], overall
    )
    return Findings(
        errors=tuple(
            replace(each, explanation=told.get(int(place)))
            for each, place in zip(
                _described(test, probabilities, decided, errors), errors, strict=True
            )
        ),
        wrong_texts=wrong,
        words=words,
        curve=curve,
        explained=explained,
        sent_texts=sent,
        together=together or long,
        numbers=number_range(predictor.encoder),
    )


def work_after(
    trained_texts: int, lengths: npt.NDArray[np.int32], effort: int
) -> tuple[float, float]:
    """Tokens that may be read for the errors, and for what matters overall.

    They take a small share of the training's time, or little in themselves.

    Args:
        trained_texts: that the training read, in all its epochs.
        lengths: tokens of each test text, which are as long as those. Shape: (texts,).
        effort: what reading a token costs, in tokens of a small network.

    """
    share = WORK_SHARE * 3 * trained_texts * float(lengths.mean())
    return max(ERRORS_WORK, share) / effort, max(OVERALL_WORK, share) / effort


def number_range(encoder: TextReader) -> tuple[float, float] | None:
    """The lowest and the highest number that a model tells apart; None where it reads none."""
    scale = encoder.numbers
    return None if scale is None else (float(scale.edges[0]), float(scale.edges[-1]))


def _explained(
    explainer: Explainer,
    texts: pl.Series,
    lengths: npt.NDArray[np.int32],
    places: npt.NDArray[np.int64],
    most: float,
) -> tuple[dict[int, Explanation], bool]:
    """Explanations by place of as many texts as `most` tokens allow; whether words go together."""
    levels = level_of_each(lengths[places], most)
    work = np.zeros(len(places))
    for number, level in enumerate(LEVELS):
        mine = levels == number
        work[mine] = level.work(lengths[places[mine]])
    can = affordable(work, most)
    places, levels = places[:can], levels[:can]
    found: dict[int, Explanation] = {}
    together = False
    for number, level in enumerate(LEVELS):
        mine = places[levels == number]
        together |= bool((lengths[mine] > level.steps).any())
        told = explainer.explain(texts.gather(mine), level)
        found |= dict(zip(mine.tolist(), told, strict=True))
    return found, together


def _overall(
    explainer: Explainer, texts: pl.Series, lengths: npt.NDArray[np.int32], most: float
) -> tuple[dict[str, list[WordShare]], NumberCurve | None, int, bool]:
    """What matters: words, the curve of a number; of how many texts; whether words go together."""
    level = level_for_all(lengths, most, min(ENOUGH, len(texts)))
    can = affordable(level.work(lengths), most)
    if can < FEWEST:
        return {}, None, 0, False
    drawn = texts.head(can)
    followed = affordable(lengths[:can].astype(np.float64) * CURVE_VALUES, most / 2)
    return (
        words_overall(explainer.explain(drawn, level)),
        number_curve(explainer.predictor, drawn.head(followed)),
        can,
        bool((lengths[:can] > level.steps).any()),
    )


def _errors(
    test: LabelledTexts, probabilities: npt.NDArray[np.float32], decided: Decided
) -> tuple[npt.NDArray[np.int64], int, int]:
    """The worst errors' places, how many there are, and how many more go to a person."""
    wrong = np.flatnonzero(decided.label != test.main_label)
    of_label, sent = probabilities[wrong, test.main_label[wrong]], decided.review[wrong]
    order = np.lexsort((wrong, -test.text_rows[wrong], of_label, sent))
    return wrong[order[:ERRORS]], int((~sent).sum()), int(sent.sum())


def _described(
    test: LabelledTexts,
    probabilities: npt.NDArray[np.float32],
    decided: Decided,
    places: npt.NDArray[np.int64],
) -> list[WrongText]:
    return [
        WrongText(
            text=text,
            label=int(test.main_label[place]),
            predicted=int(decided.label[place]),
            probability=float(probabilities[place, decided.label[place]]),
            of_label=float(probabilities[place, test.main_label[place]]),
            rows=int(test.text_rows[place]),
            review=bool(decided.review[place]),
        )
        for place, text in zip(places, test.texts.gather(places).to_list(), strict=True)
    ]
