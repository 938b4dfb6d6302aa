"""Bootstrap intervals: against a plain bootstrap, and where there is nothing to draw."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from textgauge.data.corpus import LabelledTexts
from textgauge.review.intervals import Interval, intervals, share_interval, share_intervals
from textgauge.review.metrics import evaluate

SINGLE = ("accuracy", "macro_f1", "loss", "brier")


def labelled(counts):
    counts = np.asarray(counts)
    text_index, label = counts.nonzero()
    texts = pl.Series([f"text {index:05}" for index in range(len(counts))])
    return LabelledTexts(texts, text_index, label, counts[text_index, label])


def a_case(texts=400, classes=3, seed=0, mixed=0.1):
    """Texts of some rows each, a share of them with several labels, and fair probabilities."""
    random = np.random.default_rng(seed)
    true = random.integers(classes, size=texts)
    counts = np.zeros((texts, classes), dtype=int)
    counts[np.arange(texts), true] = random.integers(1, 9, size=texts)
    some = random.random(texts) < mixed
    counts[some, random.integers(classes, size=some.sum())] += 1
    probabilities = random.dirichlet(np.ones(classes), size=texts)
    probabilities[np.arange(texts), true] += 0.4
    return labelled(counts), probabilities / probabilities.sum(1, keepdims=True)


def figures_of(counts, probabilities, over):
    found = getattr(evaluate(labelled(counts), probabilities, "abc"), over)
    single = [getattr(found, name) for name in SINGLE]
    return single + [label.recall for label in found.labels] + [x.precision for x in found.labels]


@pytest.mark.parametrize("over", ["rows", "texts"])
def test_they_are_those_of_a_plain_bootstrap_of_the_texts(over):
    texts, probabilities = a_case()
    counts = np.zeros((len(texts), 3), dtype=int)
    counts[texts.text_index, texts.label] = texts.count
    random = np.random.default_rng(1)
    drawn = [
        figures_of(counts[places], probabilities[places], over)
        for places in random.integers(len(texts), size=(800, len(texts)))
    ]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    found = intervals(texts, probabilities, 3, over_rows=over == "rows")
    ours = [getattr(found, name) for name in SINGLE] + [*found.recall, *found.precision]
    width = high - low
    # The ends of two bootstraps of 1,000 draws differ by a tenth of the width at most.
    assert np.abs([each.low for each in ours] - low).max() < 0.12 * width.max()
    assert (np.abs([each.low for each in ours] - low) < 0.15 * width).all()
    assert (np.abs([each.high for each in ours] - high) < 0.15 * width).all()


@pytest.mark.parametrize("over", ["rows", "texts"])
def test_the_figure_itself_lies_inside(over):
    texts, probabilities = a_case(seed=3)
    figures = getattr(evaluate(texts, probabilities, "abc"), over)
    found = intervals(texts, probabilities, 3, over_rows=over == "rows")
    for name in SINGLE:
        interval = getattr(found, name)
        assert interval.low < getattr(figures, name) < interval.high, name
    for label, recall in zip(figures.labels, found.recall, strict=True):
        assert recall.low < label.recall < recall.high


def test_many_rows_of_few_texts_are_few_texts():
    right = np.array([[1.0, 0.0]] * 18 + [[0.0, 1.0]] * 2)
    few = labelled([[100, 0]] * 20)
    many = labelled([[1, 0]] * 2_000)
    narrow = intervals(many, np.repeat(right, 100, axis=0), 2).accuracy
    wide = intervals(few, right, 2).accuracy
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_no_error_in_few_texts_is_not_no_error_ever():
    found = intervals(labelled([[1, 0], [0, 1]] * 50), np.eye(2)[[0, 1] * 50], 2)
    # Worked: (1 + z²/200 - sqrt(z⁴/40000)) / (1 + z²/100) with z = 1.96 is 100 / (100 + z²).
    assert found.accuracy == Interval(pytest.approx(100 / 103.8415, abs=1e-5), 1.0)
    assert found.recall[0].low == pytest.approx(50 / 53.8415, abs=1e-5)
    assert found.macro_f1.low < 1


def test_nothing_right_is_not_never_right():
    found = intervals(labelled([[1, 0]] * 10), np.eye(2)[[1] * 10], 2)
    assert found.accuracy.low == 0
    assert 0.2 < found.accuracy.high < 0.4


def test_of_a_label_that_is_not_there_nothing_is_known():
    found = intervals(labelled([[1, 0, 0], [0, 1, 0]] * 9), np.eye(3)[[0, 1] * 9], 3)
    assert found.recall[2] == found.precision[2] == Interval(0.0, 1.0)
    assert found.macro_f1.high == 1


def test_a_seed_repeats_them():
    texts, probabilities = a_case(texts=50)
    first, again = (intervals(texts, probabilities, 3, seed=5) for _ in range(2))
    assert first == again
    assert first != intervals(texts, probabilities, 3, seed=6)


def test_95_of_100_intervals_hold_the_truth():
    held = 0
    random = np.random.default_rng(0)
    for seed in range(200):
        right = random.random(150) < 0.8
        found = intervals(labelled([[1, 0]] * 150), np.eye(2)[1 - right.astype(int)], 2, seed=seed)
        held += found.accuracy.low <= 0.8 <= found.accuracy.high
    assert 180 <= held <= 200


def test_a_single_text_has_them_too():
    found = intervals(labelled([[3, 0]]), np.array([[0.9, 0.1]]), 2)
    assert 0 < found.accuracy.low < found.accuracy.high == 1


def test_the_json_values_are_plain():
    texts, probabilities = a_case(texts=30)
    found = intervals(texts, probabilities, 3)
    values = json.loads(json.dumps(found.to_json()))
    assert values["accuracy"] == [found.accuracy.low, found.accuracy.high]
    assert values["recall"][2] == [found.recall[2].low, found.recall[2].high]


# ---- shares --------------------------------------------------------------------------------------


def drawn_one_by_one(part, whole):
    random = np.random.default_rng(3)
    places = random.integers(0, len(whole), (4_000, len(whole)))
    return np.quantile(part[places].sum(1) / whole[places].sum(1), (0.025, 0.975))


def test_intervals_of_shares_are_those_of_drawing_texts_one_by_one():
    random = np.random.default_rng(0)
    whole, place = random.integers(1, 6, 300), random.integers(0, 3, 300)
    part = np.where(random.random(300) < 0.2, whole, 0)
    found = share_intervals(part, whole, place, 3)
    for each, interval in enumerate(found):
        inside = place >= each
        low, high = drawn_one_by_one(part[inside], whole[inside])
        assert interval.low == pytest.approx(low, abs=0.015)
        assert interval.high == pytest.approx(high, abs=0.015)


def test_a_share_that_never_differs_has_wilsons_interval_of_its_own_texts():
    part, whole = np.zeros(100, dtype=np.int64), np.full(100, 50)
    place = (np.arange(100) < 10).astype(np.int64)
    every, few = share_intervals(part, whole, place, 2)
    for interval, texts in ((every, 100), (few, 10)):
        expected = binomtest(0, texts).proportion_ci(method="wilson")
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_no_texts_tell_nothing_of_a_share():
    none = np.zeros(0, dtype=np.int64)
    assert share_intervals(none, none, none, 2) == [Interval(0.0, 1.0)] * 2
    one = np.ones(5, dtype=np.int64)
    assert share_intervals(one, one, np.zeros(5, dtype=np.int64), 2)[1] == Interval(0.0, 1.0)


@pytest.mark.parametrize("right", [0.0, 0.5, 0.97, 1.0])
def test_the_interval_of_a_share_is_that_of_an_accuracy(right):
    random = np.random.default_rng(0)
    rows = random.integers(1, 9, size=600)
    holds = random.random(600) < right
    cases = labelled(np.stack([np.zeros_like(rows), rows], 1))
    certain = np.stack([~holds, holds], 1).astype(np.float32)
    expected, found = intervals(cases, certain, 2).accuracy, share_interval(rows * holds, rows)
    assert abs(found.low - expected.low) < 0.01
    assert abs(found.high - expected.high) < 0.01
    assert found.low <= np.average(holds, weights=rows) <= found.high + 1e-12
