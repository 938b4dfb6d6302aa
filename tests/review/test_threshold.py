"""The cheapest threshold: found as by trying all of them, and an interval that keeps its word."""

import time

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix

from textgauge.bundle.decision import DecisionRule
from textgauge.data.corpus import LabelledTexts
from textgauge.review import threshold as module
from textgauge.review.threshold import CURVE, find_threshold


def labelled(rows):
    """Texts from rows of each label. Shape: (texts, 2)."""
    text, label = np.nonzero(rows)
    names = pl.Series([f"{index:07}" for index in range(len(rows))])
    return LabelledTexts(names, text, label, np.asarray(rows)[text, label])


def both(second):
    second = np.asarray(second, dtype=np.float32)
    return np.stack([1 - second, second], axis=1)


def drawn(texts, seed=0, sharp=1.0, often=5):
    """Texts whose second label has the probability that is told, and some rows each."""
    random = np.random.default_rng(seed)
    true = 1 / (1 + np.exp(-random.normal(0, 2, texts)))
    rows = np.zeros((texts, 2), dtype=np.int64)
    rows[np.arange(texts), (random.random(texts) < true).astype(int)] = random.integers(
        1, often, texts
    )
    told = 1 / (1 + np.exp(-np.log(true / (1 - true)) * sharp))
    return labelled(rows), both(told)


def cost_by_scikit_learn(texts, probabilities, costs, threshold):
    predicted = (probabilities[:, 1] / probabilities.sum(1) > threshold).astype(int)
    matrix = confusion_matrix(
        texts.label, predicted[texts.text_index], labels=[0, 1], sample_weight=texts.count
    )
    return (matrix[1, 0] * costs[0] + matrix[0, 1] * costs[1]) / texts.rows


@pytest.mark.parametrize("costs", [(1.0, 1.0), (10.0, 1.0), (1.0, 10.0), (0.3, 0.07), (0.0, 1.0)])
@pytest.mark.parametrize("sharp", [0.5, 3.0])
def test_no_threshold_costs_less(costs, sharp):
    texts, probabilities = drawn(60, sharp=sharp)
    found = find_threshold(texts, probabilities, costs)
    tried = np.unique(np.concatenate([[0.0, 1.0], probabilities[:, 1].astype(float)]))
    tried = np.concatenate([tried, (tried[1:] + tried[:-1]) / 2])
    brute = min(cost_by_scikit_learn(texts, probabilities, costs, t) for t in tried)
    assert found.cost == pytest.approx(brute)
    assert found.cost == pytest.approx(
        cost_by_scikit_learn(texts, probabilities, costs, found.value)
    )
    assert found.cost <= found.cost_by_costs + 1e-12
    assert found.texts == 60


def test_the_rule_decides_as_the_threshold_was_counted():
    texts, probabilities = drawn(500)
    found = find_threshold(texts, probabilities, (1.0, 4.0))
    rule = DecisionRule(weights=(1 - found.value, found.value))
    label = rule.decide(probabilities).label[texts.text_index]
    wrong = (label != texts.label) * texts.count * np.array([1.0, 4.0])[label]
    assert found.cost == pytest.approx(wrong.sum() / texts.rows)


def test_a_worked_example():
    # Deciding 1 wrongly costs 3: the two 0 at 0.6 are worth more than the 1 at 0.55.
    texts = labelled([[4, 0], [0, 1], [2, 0], [0, 5]])
    found = find_threshold(texts, both([0.1, 0.55, 0.6, 0.8]), (1.0, 3.0))
    assert found.by_costs == 0.75
    assert found.value == 0.75  # Between 0.6 and 0.8 all cost 1 a 12 rows.
    assert found.cost == pytest.approx(1 / 12)
    # With costs alike, 0.1 to 0.55 costs 2 rows, and above 0.6 costs 1.
    assert find_threshold(texts, both([0.1, 0.55, 0.6, 0.8]), (1.0, 1.0)).value == pytest.approx(
        0.7
    )


def test_where_all_is_told_apart_the_costs_alone_decide_and_the_interval_says_what_is_not_known():
    texts = labelled([[1, 0]] * 20 + [[0, 1]] * 20)
    found = find_threshold(texts, both([0.02] * 20 + [0.97] * 20), (1.0, 10.0))
    assert found.value == found.by_costs == pytest.approx(10 / 11)
    assert found.cost == 0
    assert found.interval.low == pytest.approx(0.02)
    assert found.interval.high == pytest.approx(0.97)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("told", [0.0, 0.3, 1.0])
def test_one_label_alone_costs_nothing(label, told):
    rows = np.zeros((5, 2), dtype=np.int64)
    rows[:, label] = 2
    found = find_threshold(labelled(rows), both([told] * 5), (1.0, 2.0))
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    # A probability of 1 is more than any threshold but 1, one of 0 than none.
    unavoidable = label == 1 and told == 0.0
    assert found.cost == (1.0 if unavoidable else 0.0)


def test_without_texts_the_costs_alone_decide():
    empty = LabelledTexts(pl.Series([], dtype=pl.String), *(np.zeros(0, dtype=np.int64),) * 3)
    found = find_threshold(empty, np.empty((0, 2)), (1.0, 3.0))
    assert (found.value, found.texts) == (0.75, 0)
    assert (found.interval.low, found.interval.high) == (0.0, 1.0)


def test_a_repeated_text_counts_as_often_as_it_occurs():
    rows = np.array([[3, 1], [1, 2], [0, 4], [5, 1]])
    probabilities = both([0.2, 0.4, 0.7, 0.6])
    often = find_threshold(labelled(rows), probabilities, (1.0, 2.0))
    single = [
        np.eye(2, dtype=np.int64)[label]
        for row in rows
        for label in (0, 1)
        for _ in range(row[label])
    ]
    spread = np.repeat(probabilities, rows.sum(1), axis=0)
    alone = find_threshold(labelled(single), spread, (1.0, 2.0))
    assert (often.value, often.cost) == pytest.approx((alone.value, alone.cost))


def test_the_curve_holds_the_cost_of_evenly_spaced_thresholds():
    texts, probabilities = drawn(200)
    curve = find_threshold(texts, probabilities, (1.0, 5.0)).curve
    assert len(curve) == CURVE
    for threshold, cost in curve[::10]:
        expected = cost_by_scikit_learn(texts, probabilities, (1.0, 5.0), threshold)
        assert cost == pytest.approx(expected)


def test_the_interval_is_that_of_drawing_texts_one_by_one(monkeypatch):
    texts, probabilities = drawn(120, often=3)
    costs = (1.0, 3.0)
    found = find_threshold(texts, probabilities, costs)
    random = np.random.default_rng(5)
    rows = np.zeros((120, 2), dtype=np.int64)
    rows[texts.text_index, texts.label] = texts.count
    drawn_values = []
    for _ in range(400):
        chosen = np.sort(random.integers(0, 120, 120))
        monkeypatch.setattr(module, "_drawn", lambda *_: (np.zeros(1), np.ones(1)))
        each = find_threshold(labelled(rows[chosen]), probabilities[chosen], costs)
        drawn_values.append(each.value)
    low, high = np.quantile(drawn_values, (0.025, 0.975))
    assert found.interval.low == pytest.approx(low, abs=0.06)
    assert found.interval.high == pytest.approx(high, abs=0.06)


def test_the_interval_is_the_same_every_time_and_holds_the_value():
    texts, probabilities = drawn(400)
    one, other = (find_threshold(texts, probabilities, (1.0, 9.0)) for _ in range(2))
    assert one == other
    assert one.interval.low <= one.value <= one.interval.high


def test_the_true_threshold_lies_in_nearly_all_intervals():
    costs, inside = (1.0, 4.0), 0
    for seed in range(40):
        interval = find_threshold(*drawn(400, seed=seed), costs).interval
        inside += interval.low <= 0.8 <= interval.high
    assert inside >= 36


def test_grouped_probabilities_give_nearly_the_same_interval(monkeypatch):
    texts, probabilities = drawn(3000)
    grouped = find_threshold(texts, probabilities, (1.0, 4.0)).interval
    monkeypatch.setattr(module, "STEPS", 10_000)
    single = find_threshold(texts, probabilities, (1.0, 4.0)).interval
    assert grouped.low == pytest.approx(single.low, abs=0.02)
    assert grouped.high == pytest.approx(single.high, abs=0.02)


def test_many_texts_take_no_longer_than_a_moment():
    texts, probabilities = drawn(100_000, often=20)
    begin = time.perf_counter()
    find_threshold(texts, probabilities, (1.0, 4.0))
    assert time.perf_counter() - begin < 20
