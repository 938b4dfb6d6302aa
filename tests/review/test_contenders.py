"""The model beside the baselines: who is judged how, and which baseline is the best."""

import numpy as np
import polars as pl
import pytest

from textgauge.data.corpus import LabelledTexts
from textgauge.review.baselines import MAJORITY, TFIDF_LR, Baseline
from textgauge.review.contenders import judge
from textgauge.review.metrics import evaluate
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
