"""The trained model and the baselines, judged on the same test texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from ..text.notation import PLAIN, Notation
from .baselines import MAJORITY, Baseline
from .deciding import ChosenRule
from .decision import DecisionFigures, as_decided, measure
from .metrics import Evaluation, Metrics, evaluate
from .slices import MOST_TRAINED, SliceGroup, by_counts, by_texts
from .verdict import Comparison, compare, verdict


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
    """The model beside the baselines, and what to make of it.

    Attributes:
        model: with intervals of its figures.
        baselines: the best of them last.
        comparison: of the model with the best baseline.
        verdict: whether the model is worth it, in a sentence.
        decision: how the model decides, and what comes of it.
        decided: the model's figures over the rows, of the labels that it decides; where no costs
            weigh them, these are the most probable ones. What goes to a person counts, too.
        slices: figures of what it decides by length, by first number, and by a column if one was
            named.
    """

    model: Contender
    baselines: tuple[Contender, ...]
    comparison: Comparison
    verdict: str
    decision: DecisionFigures
    decided: Metrics
    slices: tuple[SliceGroup, ...] = ()

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
    chosen: ChosenRule | None = None,
    column: tuple[str, pl.DataFrame] | None = None,
    notation: Notation = PLAIN,
) -> Review:
    """Judge the model called `name` and the baselines by their probabilities for the test texts.

    The model's evaluation and all that is compared are of the most probable label; what `chosen`
    (None: the most probable label) decides is measured beside. `column` is one to look into the
    test part by: its name, and `Corpus.test_slices`. `notation` is how numbers are written.
    """
    # The one that reads the text wins a draw.
    ranked = sorted(
        (
            Contender(each.name, each.probabilities, evaluate(test, each.probabilities, classes))
            for each in baselines
        ),
        key=lambda c: (c.evaluation.rows.macro_f1, c.name != MAJORITY),
    )
    best = ranked[-1]
    model = Contender(
        name, probabilities, evaluate(test, probabilities, classes, with_intervals=True)
    )
    found = compare(test, model.probabilities, best.probabilities)
    sentence = verdict(
        len(test),
        found,
        (model.name, model.evaluation.rows),
        (best.name, best.evaluation.rows),
    )
    decision = measure(test, probabilities, classes, chosen or ChosenRule())
    label, decided = as_decided(decision.rule, test, probabilities, classes, model.evaluation.rows)
    groups = by_texts(test, probabilities, classes, label, notation=notation)
    if column is not None:
        what, counts = column
        of_column = by_counts(counts, test, probabilities, classes, MOST_TRAINED, label)
        groups = (*groups, SliceGroup(what, of_column))
    return Review(model, tuple(ranked), found, sentence, decision, decided, groups)
