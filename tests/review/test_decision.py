"""Figures of a rule: costs as scikit-learn counts them, coverage and error as counted by hand."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix

from textgauge.bundle.decision import DecisionRule
from textgauge.data.corpus import LabelledTexts
from textgauge.review.deciding import Asked, ChosenRule, choose_rule
from textgauge.review.decision import LEVELS, measure


def texts_of(labels, count=None):
    number = len(labels)
    return LabelledTexts(
        pl.Series([f"{index:05}" for index in range(number)]),
        np.arange(number),
        np.asarray(labels, dtype=np.int64),
        np.ones(number, dtype=np.int64) if count is None else np.asarray(count),
    )


def both(second):
    second = np.asarray(second, dtype=np.float64)
    return np.stack([1 - second, second], axis=1)


def drawn(texts, classes, seed=0):
    random = np.random.default_rng(seed)
    powers = np.exp(random.normal(0, 2, (texts, classes)))
    probabilities = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
    labels = np.array([random.choice(classes, p=row / row.sum()) for row in probabilities])
    return texts_of(labels, random.integers(1, 5, texts)), probabilities


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_costs_are_those_of_scikit_learns_confusion_matrix(classes):
    texts, probabilities = drawn(400, classes)
    costs = tuple(np.random.default_rng(1).uniform(0, 9, classes))
    names = [f"label {index}" for index in range(classes)]
    found = measure(texts, probabilities, names, ChosenRule(DecisionRule(costs, None, costs)))
    expected = np.array(costs) * (1 - probabilities.astype(float))
    for figure, label in (
        (found.cost, expected.argmin(1)),
        (found.most_probable_cost, probabilities.argmax(1)),
    ):
        matrix = confusion_matrix(texts.label, label, sample_weight=texts.count)
        false = matrix.sum(0) - matrix.diagonal()
        assert figure == pytest.approx(false @ costs / texts.rows)
    assert [each.rows for each in found.errors] == [
        int(((expected.argmin(1) == index) & (texts.label != index)) @ texts.count)
        for index in range(classes)
    ]
    assert found.cost < found.most_probable_cost


def test_coverage_and_errors_by_hand():
    texts = texts_of([1, 1, 0, 0, 1], [2, 1, 3, 1, 3])
    rule = DecisionRule(review_below=0.75)
    found = measure(texts, both([0.9, 0.6, 0.7, 0.8, 0.1]), ["a", "b"], ChosenRule(rule))
    # Sent: 0.6 (right, 1 row), 0.7 (wrong, 3 rows). Decided: 2 right, 1 wrong, 3 wrong.
    band = found.band
    assert band.coverage == pytest.approx(6 / 10)
    assert band.error == pytest.approx(4 / 6)
    assert band.sent_error == pytest.approx(3 / 4)
    assert band.interval.low < band.error < band.interval.high
    assert band.cost is None
    assert found.error == pytest.approx(7 / 10)
    assert found.cost is None


def test_the_cost_of_what_is_decided_leaves_out_what_is_sent():
    texts = texts_of([1, 1, 0, 0, 1], [2, 1, 3, 1, 3])
    rule = DecisionRule((1.0, 1.0), 0.75, (5.0, 2.0))
    found = measure(texts, both([0.9, 0.6, 0.7, 0.8, 0.1]), ["a", "b"], ChosenRule(rule))
    assert found.band.cost == pytest.approx((1 * 2 + 3 * 5) / 10)
    assert found.cost == pytest.approx((3 * 2 + 1 * 2 + 3 * 5) / 10)


def test_the_curve_falls_in_coverage_and_is_there_without_being_asked():
    texts, probabilities = drawn(500, 2)
    found = measure(texts, probabilities, ["a", "b"], ChosenRule())
    assert found.band is None
    coverages = [each.coverage for each in found.curve]
    assert coverages == sorted(set(coverages), reverse=True)
    assert {each.review_below for each in found.curve} <= set(LEVELS)
    certainty = probabilities.max(1).astype(float)
    for each in found.curve:
        kept = certainty >= each.review_below
        wrong = (probabilities.argmax(1) != texts.label) * texts.count
        assert each.coverage == pytest.approx(texts.count[kept].sum() / texts.rows)
        assert each.error == pytest.approx(wrong[kept].sum() / texts.count[kept].sum())
    assert found.curve[-1].error < found.error


@pytest.mark.parametrize("right", [True, False])
def test_all_right_and_all_wrong_have_figures(right):
    probabilities = both([0.999] * 10)
    texts = texts_of([1 if right else 0] * 10)
    asked = Asked(costs=(1.0, 10.0), review_rate=0.05)
    found = measure(
        texts, probabilities, ["a", "b"], choose_rule(asked, texts_of([0, 1] * 5), probabilities)
    )
    json.dumps(found.to_json(), allow_nan=False)
    assert found.most_probable_cost == (0 if right else 10)
    assert found.band is not None


def test_a_band_that_sends_everything_has_no_error_to_tell():
    found = measure(
        texts_of([0, 1]), both([0.4, 0.6]), ["a", "b"], ChosenRule(DecisionRule(None, 1.0))
    )
    assert (found.band.coverage, found.band.error) == (0, None)
    assert (found.band.interval.low, found.band.interval.high) == (0, 1)
    json.dumps(found.to_json(), allow_nan=False)


def test_many_labels_and_one_missing_are_measured():
    texts, probabilities = drawn(600, 150)
    classes = [str(index) for index in range(150)]
    found = measure(
        texts, probabilities, classes, choose_rule(Asked(costs=(2.0, *[1.0] * 149)), texts, None)
    )
    assert len(found.errors) == 150
    json.dumps(found.to_json(), allow_nan=False)
