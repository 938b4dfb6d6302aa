"""The trained model and the baselines, judged on the same test texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from .baselines import TFIDF_LR, Baseline
from .metrics import Evaluation, evaluate
from .verdict import verdict


@dataclass(frozen=True)
class Contender:
    """A classifier with its figures on the test texts.

    Attributes:
        name: what it is.
        probabilities: Shape: (test texts, classes).
        evaluation: the figures.
    """

    name: str
    probabilities: npt.NDArray[np.float32]
    evaluation: Evaluation


@dataclass(frozen=True)
class Review:
    """The model beside the baselines, the best of them last, and what to make of it."""

    model: Contender
    baselines: tuple[Contender, ...]
    verdict: str

    @property
    def best_baseline(self) -> Contender:
        """The baseline with the highest macro F1."""
        return self.baselines[-1]


def judge(
    name: str,
    probabilities: npt.NDArray[np.float32],
    baselines: Sequence[Baseline],
    test: LabelledTexts,
    classes: Sequence[str],
) -> Review:
    """Judge the model called `name` and the baselines by their probabilities for the test texts."""

    def contender(name: str, probabilities: npt.NDArray[np.float32]) -> Contender:
        return Contender(name, probabilities, evaluate(test, probabilities, classes))

    model = contender(name, probabilities)
    # Logistic regression wins a draw, for it reads the text.
    ranked = sorted(
        (contender(baseline.name, baseline.probabilities) for baseline in baselines),
        key=lambda c: (c.evaluation.rows.macro_f1, c.name == TFIDF_LR),
    )
    best = ranked[-1]
    sentence = verdict(
        test,
        (model.name, model.probabilities, model.evaluation),
        (best.name, best.probabilities, best.evaluation),
    )
    return Review(model, tuple(ranked), sentence)
