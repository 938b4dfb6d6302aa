"""What single test texts show: the worst errors, and the words and numbers that moved decisions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from ..data.split import hash_of
from .explanation import DRAWN, KEPT, STEPS, Explainer, Explanation
from .overall import NumberCurve, WordShare, number_curve, words_overall

ERRORS = 100
"""Errors that are kept: the worst."""

ERRORS_EXPLAINED = 20
"""Of these, how many are explained."""

OVERALL = 1_000
"""Texts from which is told what matters overall, at most."""

WORK_SHARE = 0.05
"""Of the tokens that the training read (backwards counted as two more), so many may be read for
the errors, and as many for what matters overall."""

ERRORS_WORK, OVERALL_WORK = 500_000, 1_300_000
"""Tokens that may be read after any training, however short: some 1 s and 3 s on two cores."""


@dataclass(frozen=True)
class WrongText:
    """A distinct test text that is decided wrongly.

    Attributes:
        text: as it was read (in normal form).
        label: index of its label: its most frequent one.
        predicted: index of the label that was decided.
        probability: of that label, in [0, 1].
        of_label: probability of its own label.
        rows: rows with that text.
        explanation: which words moved the decision; None where that was not worked out.

    """

    text: str
    label: int
    predicted: int
    probability: float
    of_label: float
    rows: int
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Findings:
    """What single test texts show.

    Attributes:
        errors: the worst, by the probability that their own label was given.
        wrong_texts: how many distinct test texts are decided wrongly.
        words: for each label, the words that matter, the strongest first.
        curve: how the decision follows a number; None where texts have none.
        explained: from how many test texts `words` and `curve` were learned.

    """

    errors: tuple[WrongText, ...]
    wrong_texts: int
    words: dict[str, list[WordShare]]
    curve: NumberCurve | None
    explained: int


def find(
    explainer: Explainer,
    test: LabelledTexts,
    probabilities: npt.NDArray[np.float32],
    *,
    trained_texts: int,
    seed: int = 0,
) -> Findings:
    """Look at single test texts.

    How many are explained depends on how long they are and on how long was trained, so that this
    takes a small share of a training's time; never on a clock, so that two runs tell the same.

    Args:
        explainer: of the model.
        test: the test texts.
        probabilities: that the model gave. Shape: (texts, classes).
        trained_texts: that the training read, in all its epochs.
        seed: decides which texts tell what matters overall.

    """
    lengths = explainer.predictor.encoder.encode_normalised(test.texts).lengths
    work = _work_of(lengths)
    share = WORK_SHARE * 3 * trained_texts * float(lengths.mean())
    decided = explainer.predictor.rule.decide(probabilities).label
    errors, wrong = _errors(test, probabilities, decided)
    explained = _affordable(work[errors[:ERRORS_EXPLAINED]], max(ERRORS_WORK, share))
    told = explainer.explain(test.texts.gather(errors[:explained]))

    order = np.argsort(hash_of(test.texts, seed), kind="stable")[:OVERALL]
    drawn = test.texts.gather(np.sort(order[: _affordable(work[order], max(OVERALL_WORK, share))]))
    return Findings(
        errors=tuple(
            replace(each, explanation=explanation)
            for each, explanation in zip(
                _described(test, probabilities, decided, errors),
                [*told, *[None] * (len(errors) - explained)],
                strict=True,
            )
        ),
        wrong_texts=wrong,
        words=words_overall(explainer.explain(drawn)),
        curve=number_curve(explainer.predictor, drawn),
        explained=len(drawn),
    )


def _work_of(lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Tokens that are read to explain texts of such lengths, roughly. Shape: as `lengths`."""
    steps = np.minimum(lengths, STEPS).astype(np.float64)
    return (DRAWN + 2 * KEPT * steps) * lengths


def _affordable(work: npt.NDArray[np.float64], most: float) -> int:
    """How many texts, in this order, can be explained."""
    return int(np.searchsorted(work.cumsum(), most, side="right"))


def _errors(
    test: LabelledTexts,
    probabilities: npt.NDArray[np.float32],
    decided: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], int]:
    """The worst errors' places, and how many there are in all."""
    wrong = np.flatnonzero(decided != test.main_label)
    of_label = probabilities[wrong, test.main_label[wrong]]
    order = np.lexsort((wrong, -test.text_rows[wrong], of_label))
    return wrong[order[:ERRORS]], len(wrong)


def _described(
    test: LabelledTexts,
    probabilities: npt.NDArray[np.float32],
    decided: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
) -> list[WrongText]:
    return [
        WrongText(
            text=text,
            label=int(test.main_label[place]),
            predicted=int(decided[place]),
            probability=float(probabilities[place, decided[place]]),
            of_label=float(probabilities[place, test.main_label[place]]),
            rows=int(test.text_rows[place]),
        )
        for place, text in zip(places, test.texts.gather(places).to_list(), strict=True)
    ]
