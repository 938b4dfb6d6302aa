"""The rule of decision: worked examples, the costs it promises to keep low, and how it is kept."""

import doctest
import json

import numpy as np
import pytest

from textgauge.bundle import decision
from textgauge.bundle.decision import DecisionRule

RANDOM = np.random.default_rng(0)


def drawn(texts, classes, sharp=2.0):
    powers = np.exp(RANDOM.normal(0, sharp, (texts, classes)))
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32)


def test_the_worked_example_holds():
    assert doctest.testmod(decision) == (0, 1)


# ---- which label


@pytest.mark.parametrize("classes", [2, 3, 150])
def test_without_weights_it_is_the_most_probable_label_and_its_probability(classes):
    probabilities = drawn(500, classes)
    found = DecisionRule().decide(probabilities)
    assert np.array_equal(found.label, probabilities.argmax(1))
    assert np.array_equal(found.certainty, probabilities.max(1).astype(np.float64))
    assert not found.review.any()


@pytest.mark.parametrize("classes", [2, 3, 150])
def test_equal_weights_are_none(classes):
    probabilities = drawn(500, classes)
    found = DecisionRule(weights=(3.0,) * classes).decide(probabilities)
    assert np.array_equal(found.label, probabilities.argmax(1))
    np.testing.assert_allclose(found.certainty, probabilities.max(1), atol=1e-6)


def test_of_equals_the_first_label_is_decided_as_the_most_probable_is():
    equal = np.full((1, 2), 0.5, dtype=np.float32)
    assert DecisionRule().decide(equal).label.tolist() == [0]
    assert DecisionRule(weights=(1.0, 1.0)).decide(equal).label.tolist() == [0]


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_no_other_label_is_expected_to_cost_less(classes):
    costs, probabilities = RANDOM.uniform(0.1, 10, classes), drawn(300, classes)
    found = DecisionRule(weights=tuple(costs)).decide(probabilities)
    for row, label in zip(probabilities.astype(float), found.label, strict=True):
        expected = [
            costs[c] * sum(row[d] for d in range(classes) if d != c) for c in range(classes)
        ]
        assert expected[label] == pytest.approx(min(expected))


@pytest.mark.parametrize("threshold", [0.01, 0.5, 0.909])
def test_two_weights_are_a_threshold(threshold):
    rule = DecisionRule(weights=(1 - threshold, threshold))
    assert rule.threshold == pytest.approx(threshold)
    probabilities = drawn(1000, 2)
    assert np.array_equal(rule.decide(probabilities).label, probabilities[:, 1] > threshold)


def test_three_weights_are_no_threshold():
    assert DecisionRule().threshold is None
    assert DecisionRule(weights=(1.0, 1.0, 2.0)).threshold is None


# ---- how certain


def test_the_certainty_of_two_labels_is_a_half_at_the_threshold_and_rises_to_one():
    rule = DecisionRule(weights=(0.25, 0.75))
    second = np.array([0.0, 0.5, 0.75, 0.875, 1.0])
    found = rule.decide(np.stack([1 - second, second], axis=1))
    assert found.label.tolist() == [0, 0, 0, 1, 1]
    # By hand: 1 - 0.75 x 0.125 / (0.75 x 0.125 + 0.25 x 0.875) = 0.7.
    np.testing.assert_allclose(found.certainty, [1, 0.75, 0.5, 0.7, 1])


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_the_certainty_lies_between_chance_and_one_and_is_highest_for_what_is_decided(classes):
    weights, probabilities = RANDOM.uniform(0, 5, classes), drawn(400, classes)
    found = DecisionRule(weights=tuple(weights)).decide(probabilities)
    assert (found.certainty >= 1 / classes - 1e-9).all()
    assert (found.certainty <= 1).all()
    expected = weights * (1 - probabilities.astype(float))
    certainties = 1 - expected / expected.sum(1, keepdims=True) * (classes - 1)
    np.testing.assert_allclose(found.certainty, certainties.max(1), atol=1e-6)


@pytest.mark.parametrize("weights", [(0.0, 1.0), (0.0, 1.0, 1.0)])
def test_a_label_that_costs_nothing_is_decided_for_certain(weights):
    probabilities = drawn(50, len(weights))
    probabilities[0] = np.eye(len(weights))[1]  # No other label is possible.
    found = DecisionRule(weights=weights, review_below=1.0).decide(probabilities)
    assert (found.label == 0).all()
    assert (found.certainty == 1).all()
    assert not found.review.any()


def test_what_is_less_certain_goes_to_a_person():
    second = np.array([0.1, 0.4, 0.75, 0.8], dtype=np.float64)
    found = DecisionRule(review_below=0.75).decide(np.stack([1 - second, second], axis=1))
    assert found.review.tolist() == [False, True, False, False]


def test_texts_are_weighed_in_bounded_pieces_with_the_same_outcome(monkeypatch):
    rule, probabilities = DecisionRule(weights=(1.0, 5.0, 2.0)), drawn(100, 3)
    whole = rule.decide(probabilities)
    monkeypatch.setattr(decision, "_CELLS", 21)
    pieces = rule.decide(probabilities)
    assert np.array_equal(whole.label, pieces.label)
    assert np.array_equal(whole.certainty, pieces.certainty)


@pytest.mark.parametrize("rule", [DecisionRule(), DecisionRule(weights=(1.0, 2.0))])
def test_no_texts_are_no_decisions(rule):
    found = rule.decide(np.empty((0, 2), dtype=np.float32))
    assert (len(found.label), len(found.certainty), len(found.review)) == (0, 0, 0)


# ---- kept


@pytest.mark.parametrize(
    "rule",
    [
        DecisionRule(),
        DecisionRule(weights=(0.25, 0.75), review_below=0.9, costs=(1.0, 10.0)),
        DecisionRule(review_below=1.0),
    ],
)
def test_a_rule_comes_back_from_json(rule):
    assert DecisionRule.from_json(json.loads(json.dumps(rule.to_json())), ["a", "b"]) == rule


def test_no_rule_is_the_most_probable_label():
    assert DecisionRule.from_json(None, ["a", "b"]) == DecisionRule()
    assert not DecisionRule()


@pytest.mark.parametrize(
    "damage",
    [
        {"weights": [1.0]},
        {"weights": [0.0, 0.0]},
        {"weights": [1.0, -1.0]},
        {"weights": [1.0, float("inf")]},
        {"weights": [True, 1.0]},
        {"weights": "12"},
        {"costs": [1.0, 2.0, 3.0]},
        {"review_below": 0},
        {"review_below": 1.5},
        {"review_below": "0.5"},
    ],
)
def test_what_is_no_rule_is_refused(damage):
    with pytest.raises(ValueError, match=next(iter(damage))):
        DecisionRule.from_json(damage, ["a", "b"])


def test_a_list_is_no_rule():
    with pytest.raises(TypeError, match="object"):
        DecisionRule.from_json([1.0, 2.0], ["a", "b"])


def test_a_band_and_a_label_of_its_name_do_not_go_together():
    with pytest.raises(ValueError, match="'review'"):
        DecisionRule.from_json({"review_below": 0.5}, ["a", "review"])
    DecisionRule.from_json({"weights": [1.0, 2.0]}, ["a", "review"])
