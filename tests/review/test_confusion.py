import numpy as np
import polars as pl

from textgauge.data.corpus import LabelledTexts
from textgauge.review.baselines import fit_tfidf_lr, too_many_for_lr
from textgauge.review.confusion import MANY_LABELS, Confusion
from textgauge.review.metrics import evaluate
from textgauge.review.rule_summary import fit_rules
from textgauge.review.rules import Leaf


def test_a_confusion_holds_the_pairs_that_meet():
    # Two rows of label 0 are called 1, five and one are called 0; label 2 is never met.
    true, called, rows = np.array([0, 0, 0, 1]), np.array([1, 0, 0, 0]), np.array([2, 5, 1, 4])
    found = Confusion.count(true, called, rows, 3)
    assert found.cells == ((0, 0, 6), (0, 1, 2), (1, 0, 4))
    assert list(found) == [[6, 2, 0], [4, 0, 0], [0, 0, 0]]
    assert found == Confusion.of(list(found))
    assert found.right.tolist() == [6, 0, 0]
    assert found.support.tolist() == [8, 4, 0]
    assert found.called.tolist() == [10, 2, 0]
    assert found.wrong(1) == [(1, 0, 4)]
    assert found.wrong(9) == [(1, 0, 4), (0, 1, 2)]


def many_labels(labels):
    """A text a label, its own word the label's number; all but the first label are found."""
    texts = pl.Series([f"word{label}" for label in range(labels)])
    number, once = np.arange(labels), np.ones(labels, dtype=np.int64)
    probabilities = np.full((labels, labels), 0.1 / labels, dtype=np.float32)
    probabilities[number, np.maximum(number, 1)] += 0.9
    return LabelledTexts(texts, number, number, once), probabilities


def test_of_very_many_labels_nothing_is_worked_out_for_each_two_of_them():
    labels = MANY_LABELS + 200
    names = [str(label) for label in range(labels)]
    test, probabilities = many_labels(labels)
    found = evaluate(test, probabilities, names, with_intervals=True).rows
    assert found.accuracy == 1 - 1 / labels
    assert found.confusion.wrong(2) == [(0, 1, 1)]
    assert (found.labels[1].precision, found.labels[1].recall) == (0.5, 1.0)
    assert found.roc_auc is None
    assert found.intervals.roc_auc is None
    assert found.intervals.accuracy.low < found.accuracy < found.intervals.accuracy.high
    values = found.to_json()
    assert values["confusion"] == []
    assert [label["called"] for label in values["labels"][:3]] == [0, 2, 1]


def test_as_many_as_may_be_have_their_areas():
    test, probabilities = many_labels(3)
    assert evaluate(test, probabilities, ["a", "b", "c"]).rows.roc_auc is not None


def test_a_few_answers_do_not_imitate_very_many_labels():
    labels = MANY_LABELS + 1
    test, _ = many_labels(labels)
    decided = np.minimum(test.label, 1)
    rule = fit_rules(test.texts, decided, test.text_rows, [str(n) for n in range(labels)])
    assert rule == Leaf("1", 1.0, 1000 / 1001)


def test_the_nearest_centroid_stands_in_for_logistic_regression():
    assert not too_many_for_lr(10_000, 77)
    assert too_many_for_lr(2_000, MANY_LABELS + 1)
    train = pl.Series(["red pump", "old red pump", "blue valve", "a valve"])
    triples = np.array([[0, 1, 2, 3], [0, 0, 2, 2], [1, 2, 1, 1]])
    found = fit_tfidf_lr(train, triples, pl.Series(["pump", "valve"]), 3, centroids=True)
    assert found.argmax(1).tolist() == [0, 2]
    assert found[:, 1].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-6)
