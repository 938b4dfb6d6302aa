"""The model beside the baselines: who is judged how, and which baseline is the best."""

import numpy as np
import polars as pl
import pytest

from textgauge.bundle.decision import DecisionRule
from textgauge.data.corpus import LabelledTexts
from textgauge.review.baselines import MAJORITY, TFIDF_LR, Baseline
from textgauge.review.contenders import judge
from textgauge.review.deciding import ChosenRule
from textgauge.review.metrics import evaluate
from textgauge.review.slices import by_texts
from textgauge.review.verdict import compare, verdict

LABELS = np.array([0, 1] * 6)
TEST = LabelledTexts(
    pl.Series([f"text {index:02}" for index in range(12)]),
    np.arange(12),
    LABELS,
    np.ones(12, dtype=np.int64),
)
CLASSES = ["a", "b"]


def right_on(count):
    """Probabilities that are right on the first `count` texts. Shape: (12, 2)."""
    predicted = np.where(np.arange(12) < count, LABELS, 1 - LABELS)
    return np.eye(2, dtype=np.float32)[predicted]


def judged(model, **baselines):
    return judge(
        "LSTM",
        right_on(model),
        [Baseline(name, right_on(count), 0.1, 12) for name, count in baselines.items()],
        TEST,
        CLASSES,
    )


def test_everyone_is_judged_on_the_same_texts():
    review = judged(10, simple=4, better=8)
    for contender, count in zip((review.model, *review.baselines), (10, 4, 8), strict=True):
        expected = evaluate(TEST, right_on(count), CLASSES, with_intervals=count == 10)
        assert contender.evaluation == expected
        assert np.array_equal(contender.probabilities, right_on(count))
    assert review.model.name == "LSTM"


@pytest.mark.parametrize(("first", "second"), [(4, 8), (8, 4)])
def test_the_best_baseline_stands_last_in_whatever_order_they_came(first, second):
    review = judged(10, first=first, second=second)
    best = "first" if first > second else "second"
    assert review.baselines[-1].name == review.best_baseline.name == best


@pytest.mark.parametrize("names", [(MAJORITY, TFIDF_LR), (TFIDF_LR, MAJORITY)])
def test_logistic_regression_wins_a_draw(names):
    assert judged(10, **dict.fromkeys(names, 6)).best_baseline.name == TFIDF_LR


def test_the_best_is_the_best_by_macro_f1_not_by_accuracy():
    test = LabelledTexts(TEST.texts, np.arange(12), np.array([0] * 10 + [1] * 2), TEST.count)
    always = np.eye(2, dtype=np.float32)[np.zeros(12, dtype=int)]
    both = np.eye(2, dtype=np.float32)[np.array([1] * 3 + [0] * 7 + [1] * 2)]
    baselines = [Baseline("always", always, 0.1, 12), Baseline("both", both, 0.1, 12)]
    review = judge("LSTM", both, baselines, test, CLASSES)
    worse, best = review.baselines
    assert (worse.name, best.name) == ("always", "both")
    assert worse.evaluation.rows.accuracy > best.evaluation.rows.accuracy


def test_the_verdict_compares_the_model_with_the_best_baseline():
    review = judged(12, simple=0, better=6)
    model, best = review.model, review.best_baseline
    assert review.comparison == compare(TEST, model.probabilities, best.probabilities)
    assert review.verdict == verdict(
        len(TEST),
        review.comparison,
        (model.name, model.evaluation.rows),
        (best.name, best.evaluation.rows),
    )
    assert "better" in review.verdict
    assert "it gets 6 right that the other gets wrong, and 0 the" in review.verdict


def test_what_costs_decide_has_figures_of_its_own_and_the_metrics_stay():
    random = np.random.default_rng(3)
    second = random.random(12).astype(np.float32)
    probabilities = np.stack([1 - second, second], 1)
    chosen = ChosenRule(DecisionRule(weights=(0.8, 0.2), costs=(4.0, 1.0)))
    simple = [Baseline("simple", right_on(6), 0.1, 12)]
    review = judge("LSTM", probabilities, simple, TEST, CLASSES, chosen)
    plain = judge("LSTM", probabilities, simple, TEST, CLASSES)
    assert review.model.evaluation == plain.model.evaluation
    assert plain.decided is plain.model.evaluation.rows

    decided = (second > 0.2).astype(int)
    assert (decided != probabilities.argmax(1)).any()
    expected = evaluate(TEST, np.eye(2)[decided], CLASSES, with_intervals=True).rows
    found = review.decided
    assert found.confusion == expected.confusion
    assert (found.accuracy, found.macro_f1) == (expected.accuracy, expected.macro_f1)
    for name in ("accuracy", "macro_f1", "precision", "recall", "f1"):
        assert getattr(found.intervals, name) == getattr(expected.intervals, name), name
    for label, other, was in zip(found.labels, expected.labels, plain.decided.labels, strict=True):
        assert (label.precision, label.recall, label.f1) == (
            other.precision, other.recall, other.f1,
        )  # fmt: skip
        assert (label.roc_auc, label.average_precision) == (was.roc_auc, was.average_precision)
    for name in ("loss", "brier", "ece"):
        assert getattr(found, name) == getattr(plain.decided, name), name
    assert found.intervals.loss == plain.decided.intervals.loss


def test_slices_are_of_what_is_decided():
    half = np.full((12, 2), 0.5, dtype=np.float32)
    chosen = ChosenRule(DecisionRule(weights=(0.8, 0.2), costs=(4.0, 1.0)))
    simple = [Baseline("simple", right_on(6), 0.1, 12)]
    counts = pl.DataFrame(
        {"key": TEST.texts, "label": LABELS, "slice": [f"{n % 2}" for n in range(12)], "rows": 1}
    )
    review = judge("LSTM", half, simple, TEST, CLASSES, chosen, ("half", counts))
    accuracy = {each.value: each.accuracy for each in review.slices[-1].slices}
    assert accuracy == {"0": 0.0, "1": 1.0}  # By the probabilities it would be the other way round.
    by_decided = by_texts(TEST, half, CLASSES, np.ones(12, dtype=np.int64))
    assert review.slices[:-1] == by_decided
    assert by_decided != by_texts(TEST, half, CLASSES)
