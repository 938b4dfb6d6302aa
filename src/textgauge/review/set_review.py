"""A model that gives a text any number of labels, beside the baselines, judged on the test texts.

What `contenders` is for one label a text. What is told of one label against another there has no
counterpart here and is left out: the confusion of labels, costs, the rules that imitate the model,
and labels in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..bundle.label_sets import SetRule
from ..config import model_in_words
from ..data.corpus import LabelledTexts
from ..text.notation import PLAIN, Notation
from .baselines import TFIDF_LR, Baseline
from .decision import Band, bands
from .intervals import Interval, interval_of
from .set_metrics import SetCases, SetEvaluation, Summing, drawn, evaluate_sets, right_rows
from .set_rule import ChosenSetRule, find_thresholds, plain_rule
from .slices import MOST_TRAINED, SetJudge, SliceGroup, by_counts, by_texts
from .verdict import mcnemar, what_else

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SetContender:
    """A classifier with its figures on the test texts.

    Attributes:
        name: what it is.
        probabilities: Shape: (test texts, classes).
        rule: decides, by thresholds that were found on validation.
        evaluation: the figures.

    """

    name: str
    probabilities: npt.NDArray[np.float32]
    rule: SetRule
    evaluation: SetEvaluation


@dataclass(frozen=True)
class SetComparison:
    """Two classifiers on the same distinct texts.

    Attributes:
        gained: texts whose set only the first gets exactly right.
        lost: texts whose set only the second gets exactly right.
        p_value: how likely chance alone is to tell them so far apart (`verdict.mcnemar`).
        macro_f1: by how much the first's is higher, over rows.
        interval: of that, 95 %, over distinct texts drawn anew.

    """

    gained: int
    lost: int
    p_value: float
    macro_f1: float
    interval: Interval


@dataclass(frozen=True)
class SetDecision:
    """What the rule comes to on texts that it was not chosen on.

    Attributes:
        chosen: the rule.
        error: share of the rows whose set is not exactly right, none being sent to a person.
        interval: of that, 95 %.
        band: what the rule's own `review_below` does; None without.
        curve: what others would do, rising; each lowers the coverage.

    """

    chosen: ChosenSetRule
    error: float
    interval: Interval
    band: Band | None
    curve: tuple[Band, ...]

    @property
    def rule(self) -> SetRule:
        """What decides."""
        return self.chosen.rule

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            **self.chosen.to_json(),
            "error": self.error,
            "interval": self.interval.to_json(),
            "band": None if self.band is None else self.band.to_json(),
            "curve": [each.to_json() for each in self.curve],
        }


@dataclass(frozen=True)
class SetReview:
    """The model beside the baselines, and what to make of it.

    Attributes:
        model: with intervals of its figures.
        baselines: the best of them last.
        comparison: of the model with the best baseline.
        verdict: whether the model is worth it, in a sentence.
        decision: how the model decides, and what comes of it.
        slices: figures by length, by first number, and by a column if one was named.

    """

    model: SetContender
    baselines: tuple[SetContender, ...]
    comparison: SetComparison
    verdict: str
    decision: SetDecision
    slices: tuple[SliceGroup, ...] = ()

    @property
    def best_baseline(self) -> SetContender:
        """The baseline with the highest macro F1."""
        return self.baselines[-1]


def judge_sets(
    name: str,
    probabilities: npt.NDArray[np.float32],
    baselines: Sequence[Baseline],
    val: LabelledTexts,
    test: LabelledTexts,
    classes: Sequence[str],
    chosen: ChosenSetRule,
    column: tuple[str, pl.DataFrame] | None = None,
    notation: Notation = PLAIN,
) -> SetReview:
    """Judge the model called `name` and the baselines by their probabilities for the test texts.

    Each baseline decides by thresholds of its own, found on `val` as the model's were; the one that
    knows shares only decides from one half on. `column` and `notation` are as in
    `contenders.judge`.
    """

    def contender(each: Baseline) -> SetContender:
        rule = plain_rule(classes, chosen.rule.separator)
        if each.name == TFIDF_LR and each.on_val is not None:
            values = tuple(found.value for found in find_thresholds(val, each.on_val))
            rule = SetRule(values, rule.separator)
        found = evaluate_sets(test, each.probabilities, rule, classes)
        return SetContender(each.name, each.probabilities, rule, found)

    ranked = sorted(
        map(contender, baselines), key=lambda c: (c.evaluation.rows.macro_f1, c.name == TFIDF_LR)
    )
    best, rule = ranked[-1], chosen.rule
    found = evaluate_sets(test, probabilities, rule, classes, with_intervals=True)
    model = SetContender(name, probabilities, rule, found)
    comparison = compare_sets(
        test, rule.members(probabilities), best.rule.members(best.probabilities)
    )
    judge = SetJudge(test, probabilities, rule)
    groups = by_texts(test, probabilities, classes, judge=judge, notation=notation)
    if column is not None:
        what, counts = column
        own = by_counts(counts, test, probabilities, classes, MOST_TRAINED, judge=judge)
        groups = (*groups, SliceGroup(what, own))
    return SetReview(
        model,
        tuple(ranked),
        comparison,
        set_verdict(len(test), comparison, model, best),
        measure_sets(test, probabilities, chosen),
        groups,
    )


def measure_sets(texts: LabelledTexts, probabilities: Floats, chosen: ChosenSetRule) -> SetDecision:
    """Measure a rule on labelled texts, not those that it was chosen on."""
    decided = chosen.rule.decide(probabilities)
    wrong = texts.text_rows - right_rows(texts, decided.members)
    every, band, curve = bands(wrong, texts.text_rows, decided.certainty, chosen.rule.review_below)
    return SetDecision(chosen, int(wrong.sum()) / texts.rows, every, band, curve)


def compare_sets(
    texts: LabelledTexts, model: npt.NDArray[np.bool_], baseline: npt.NDArray[np.bool_]
) -> SetComparison:
    """Compare what two decided of `texts`. Shapes: (texts, classes)."""
    cases = SetCases.of_texts(texts)
    model_right, base_right = cases.exact(model), cases.exact(baseline)
    gained = int((model_right & ~base_right).sum())
    lost = int((base_right & ~model_right).sum())
    ours, theirs = (Summing(SetCases.of_rows(texts), each) for each in (model, baseline))
    apart = [ours.sums(times).macro_f1 - theirs.sums(times).macro_f1 for times in drawn(len(texts))]
    return SetComparison(
        gained,
        lost,
        mcnemar(gained, lost),
        ours.sums().macro_f1 - theirs.sums().macro_f1,
        interval_of(np.array(apart)),
    )


def set_verdict(
    texts: int, found: SetComparison, model: SetContender, baseline: SetContender
) -> str:
    """Say whether the model is worth it beside the best baseline, by macro F1.

    A difference whose interval holds 0 is called a tie.
    """
    one, other = model.evaluation.rows, baseline.evaluation.rows
    figures = (
        f"a macro F1 of {one.macro_f1:.1%}, {baseline.name} {other.macro_f1:.1%}; exactly the "
        f"right labels on {one.accuracy:.1%} of the test rows, the other on {other.accuracy:.1%}"
    )
    apart = (
        f"on {texts:,} distinct texts the macro F1 differs by {100 * found.macro_f1:+.1f} points "
        f"({100 * found.interval.low:+.1f} to {100 * found.interval.high:+.1f})"
    )
    called = model_in_words(model.name)
    if found.interval.low <= 0 <= found.interval.high:
        return (
            f"The {called} gets {figures}; {apart}, which is no more than chance: "
            f"prefer {baseline.name}, it is simpler."
        )
    if found.macro_f1 > 0:
        return f"The {called} is worth it: it gets {figures}; {apart}."
    return (
        f"The {called} is not worth it: it gets {figures}; {apart}. Prefer "
        f"{baseline.name}, or {what_else(model.name)}."
    )
