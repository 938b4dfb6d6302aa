"""Figures over rows and over distinct texts: a worked example, and scikit-learn on the rows."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from textgauge.data.corpus import LabelledTexts
from textgauge.review.metrics import by_label, evaluate


def labelled(counts):
    """Texts whose label counts are the rows of `counts`. Shape: (texts, classes)."""
    counts = np.asarray(counts)
    text_index, label = counts.nonzero()
    texts = pl.Series([f"text {index:05}" for index in range(len(counts))])
    return LabelledTexts(texts, text_index, label, counts[text_index, label])


def expanded(texts):
    """Text and label of every row that the texts stand for."""
    return np.repeat(texts.text_index, texts.count), np.repeat(texts.label, texts.count)


def random_case(classes, texts=60, seed=0):
    """Soft-labelled texts with probabilities for them; the last class never occurs."""
    random = np.random.default_rng(seed)
    counts = random.poisson(0.7, size=(texts, classes))
    counts[:, -1] = 0
    counts[counts.sum(1) == 0, 0] = 1
    probabilities = random.dirichlet(np.ones(classes), size=texts)
    return labelled(counts), probabilities


def names(count):
    return [f"class {index}" for index in range(count)]


# A text that occurs 3 times (twice as "a"), one that occurs once, one that occurs 6 times.
WORKED = labelled([[2, 1], [0, 1], [6, 0]])
WORKED_PROBABILITIES = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], dtype=np.float32)


def test_the_worked_example_over_rows():
    # Predicted are a, a (the first of a draw) and b: right are 2 of the 10 rows.
    rows = evaluate(WORKED, WORKED_PROBABILITIES, ["a", "b"]).rows
    assert rows.accuracy == 0.2
    assert list(rows.confusion) == [[2, 6], [2, 0]]
    assert rows.called == (4, 6)
    losses = 2 * np.log(4 / 3) + np.log(4) + np.log(2) + 6 * np.log(4)
    assert rows.loss == pytest.approx(losses / 10, rel=1e-6)
    a, b = rows.labels
    assert (a.label, a.precision, a.recall, a.support) == ("a", 2 / 4, 2 / 8, 8)
    assert a.f1 == pytest.approx(1 / 3)
    assert (b.label, b.precision, b.recall, b.f1, b.support) == ("b", 0, 0, 0, 2)
    assert rows.macro_f1 == pytest.approx(1 / 6)


def test_the_worked_example_over_distinct_texts():
    # The texts are an a (of 3 rows most), a b and an a; a text's loss is its rows' mean.
    texts = evaluate(WORKED, WORKED_PROBABILITIES, ["a", "b"]).texts
    assert texts.accuracy == pytest.approx(1 / 3)
    assert list(texts.confusion) == [[1, 1], [1, 0]]
    losses = (2 * np.log(4 / 3) + np.log(4)) / 3 + np.log(2) + np.log(4)
    assert texts.loss == pytest.approx(losses / 3, rel=1e-6)
    assert [label.support for label in texts.labels] == [2, 1]
    assert texts.macro_f1 == pytest.approx(1 / 4)


@pytest.mark.parametrize("classes", [2, 3, 12])
@pytest.mark.parametrize("seed", [0, 1])
def test_over_rows_the_figures_are_scikit_learns_on_the_expanded_rows(classes, seed):
    texts, probabilities = random_case(classes, seed=seed)
    row_text, true = expanded(texts)
    predicted = probabilities.argmax(1)[row_text]
    found = evaluate(texts, probabilities, names(classes)).rows
    compare(found, true, predicted, classes)
    expected = sk.log_loss(true, probabilities[row_text], labels=range(classes))
    assert found.loss == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("classes", [2, 3, 12])
@pytest.mark.parametrize("seed", [0, 1])
def test_over_texts_the_figures_are_scikit_learns_on_the_most_frequent_labels(classes, seed):
    texts, probabilities = random_case(classes, seed=seed)
    row_text, row_label = expanded(texts)
    true = np.array([np.bincount(row_label[row_text == t]).argmax() for t in range(len(texts))])
    found = evaluate(texts, probabilities, names(classes)).texts
    compare(found, true, probabilities.argmax(1), classes)
    rows_of_text = np.bincount(row_text)
    expected = sk.log_loss(
        row_label,
        probabilities[row_text],
        labels=range(classes),
        sample_weight=1 / rows_of_text[row_text],
    )
    assert found.loss == pytest.approx(expected, rel=1e-9)


def compare(found, true, predicted, classes):
    """Hold figures against scikit-learn's."""
    assert found.accuracy == pytest.approx(sk.accuracy_score(true, predicted))
    assert found.macro_f1 == pytest.approx(sk.f1_score(true, predicted, average="macro"))
    matrix = sk.confusion_matrix(true, predicted, labels=range(classes))
    assert np.array_equal(list(found.confusion), matrix)
    expected = sk.precision_recall_fscore_support(
        true, predicted, labels=range(classes), zero_division=0
    )
    for index, label in enumerate(found.labels):
        assert label.label == f"class {index}"
        assert (label.precision, label.recall, label.f1) == pytest.approx(
            tuple(figure[index] for figure in expected[:3])
        )
        assert label.support == expected[3][index]


def test_texts_without_repetition_give_the_same_figures_twice():
    counts = np.eye(3, dtype=int)[np.random.default_rng(0).integers(3, size=40)]
    probabilities = np.random.default_rng(1).dirichlet(np.ones(3), size=40)
    both = evaluate(labelled(counts), probabilities, names(3))
    assert both.rows.confusion == both.texts.confusion
    assert both.rows.loss == pytest.approx(both.texts.loss)


def test_a_repeated_text_weighs_as_often_as_it_occurs_over_rows_and_once_over_texts():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]])
    both = evaluate(labelled([[99, 0], [0, 1]]), probabilities, ["a", "b"])
    assert (both.rows.accuracy, both.texts.accuracy) == (0.99, 0.5)


def test_a_label_that_neither_occurs_nor_is_predicted_does_not_count_in_the_macro_f1():
    both = evaluate(labelled([[1, 0, 0], [0, 1, 0]]), np.eye(3)[:2], names(3))
    assert both.rows.macro_f1 == 1
    assert [label.f1 for label in both.rows.labels] == [1, 1, 0]


def test_a_probability_of_zero_gives_a_large_but_finite_loss():
    both = evaluate(labelled([[1, 0], [0, 1]]), np.array([[0.0, 1.0], [0.0, 1.0]]), ["a", "b"])
    assert 40 < both.rows.loss < 50
    assert both.rows.loss == both.texts.loss


def test_a_perfect_classifier_has_no_loss():
    rows = evaluate(labelled([[1, 0], [0, 1]]), np.eye(2), ["a", "b"]).rows
    assert (rows.loss, rows.accuracy, rows.macro_f1) == (0, 1, 1)


def test_each_pair_counts_as_often_as_its_weight():
    labels, confusion = by_label(
        ["a", "b"],
        true=np.array([0, 1]),
        predicted=np.array([0, 0]),
        weight=np.array([3, 2]),
    )
    assert list(confusion) == [[3, 0], [2, 0]]
    assert [label.precision for label in labels] == [0.6, 0]


# ---- calibration and ranking ---------------------------------------------------------------------


def test_the_brier_score_worked_out():
    # Three rows of (0.75, 0.25): 2 a's are 2 * 0.25**2 off, one b 2 * 0.75**2; and so on.
    rows = evaluate(WORKED, WORKED_PROBABILITIES, ["a", "b"]).rows
    assert rows.brier == pytest.approx((2 * 0.125 + 1.125 + 0.5 + 6 * 1.125) / 10)
    texts = evaluate(WORKED, WORKED_PROBABILITIES, ["a", "b"]).texts
    assert texts.brier == pytest.approx(((2 * 0.125 + 1.125) / 3 + 0.5 + 1.125) / 3)


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_the_brier_score_is_the_mean_squared_distance(classes):
    texts, probabilities = random_case(classes)
    row_text, true = expanded(texts)
    expected = ((probabilities[row_text] - np.eye(classes)[true]) ** 2).sum(1).mean()
    assert evaluate(texts, probabilities, names(classes)).rows.brier == pytest.approx(expected)


def test_the_calibration_error_worked_out():
    # In one bin: 80 % promised, 3 of 4 right; in another 60 % promised, none of 4 right.
    probabilities = np.array([[0.8, 0.2]] * 4 + [[0.6, 0.4]] * 4)
    found = evaluate(labelled([[1, 0]] * 3 + [[0, 1]] * 5), probabilities, ["a", "b"])
    assert found.rows.ece == pytest.approx((0.05 + 0.6) / 2)


def test_who_is_as_sure_as_right_has_no_calibration_error():
    probabilities = np.array([[0.75, 0.25]] * 4)
    found = evaluate(labelled([[1, 0]] * 3 + [[0, 1]]), probabilities, ["a", "b"])
    assert found.rows.ece == pytest.approx(0, abs=1e-12)


def test_a_sure_and_wrong_classifier_has_the_largest_errors_there_are():
    found = evaluate(labelled([[0, 1], [1, 0]]), np.eye(2), ["a", "b"]).rows
    assert (found.ece, found.brier, found.roc_auc) == (1, 2, 0)


@pytest.mark.parametrize("classes", [2, 3, 12])
@pytest.mark.parametrize("over", ["rows", "texts"])
def test_the_areas_are_scikit_learns(classes, over):
    texts, probabilities = random_case(classes)
    probabilities = probabilities.round(1)  # so that there are draws
    if over == "rows":
        place, true = expanded(texts)
    else:
        place, true = np.arange(len(texts)), texts.main_label
    found = getattr(evaluate(texts, probabilities, names(classes)), over)
    for index, label in enumerate(found.labels):
        is_so, scores = true == index, probabilities[place, index]
        if not is_so.any():
            assert label.roc_auc is label.average_precision is None
            continue
        if is_so.all():
            assert label.roc_auc is None
        else:
            assert label.roc_auc == pytest.approx(sk.roc_auc_score(is_so, scores))
        assert label.average_precision == pytest.approx(sk.average_precision_score(is_so, scores))
    known = [label.roc_auc for label in found.labels if label.roc_auc is not None]
    assert found.roc_auc == (pytest.approx(np.mean(known)) if known else None)


def test_a_single_label_has_nothing_to_be_told_from():
    found = evaluate(labelled([[1, 0], [2, 0]]), np.array([[0.9, 0.1]] * 2), ["a", "b"]).rows
    assert [label.roc_auc for label in found.labels] == [None, None]
    assert found.roc_auc is None
    assert found.average_precision == 1


def test_the_json_values_are_plain():
    rows = evaluate(WORKED, WORKED_PROBABILITIES, ["a", "b"]).rows
    values = json.loads(json.dumps(rows.to_json()))
    assert values["confusion"] == [[2, 6], [2, 0]]
    a = values["labels"][0]
    assert (a["label"], a["precision"], a["recall"], a["support"]) == ("a", 0.5, 0.25, 8)
    assert a["roc_auc"] == rows.labels[0].roc_auc
    for name in ("loss", "accuracy", "macro_f1", "brier", "ece", "roc_auc", "average_precision"):
        assert values[name] == getattr(rows, name)
