"""How sets of labels are decided, by hand-worked values and beside the rule of one label."""

import numpy as np
import pytest

from textgauge.bundle.decision import DecisionRule
from textgauge.bundle.label_sets import SetPrediction, SetRule, distinct_sets, to_set_probabilities

CLASSES = ("a", "b", "c")


def predicted(probabilities, **rule):
    rule = SetRule(**{"thresholds": (0.5, 0.2, 0.9), **rule})
    return SetPrediction(CLASSES, np.array(probabilities, dtype=np.float32), rule)


def test_each_label_is_decided_by_its_own_threshold_and_written_in_the_order_of_the_classes():
    found = predicted([[0.6, 0.3, 0.95], [0.4, 0.19, 0.89], [0.5, 0.2, 0.9]])
    assert found.labels == [("a", "b", "c"), (), ("a", "b", "c")]
    assert found.frame()["predicted_label"].to_list() == ["a|b|c", "", "a|b|c"]
    assert predicted([[0.6, 0.3, 0.1]], separator=" + ").decision == ["a + b"]


def test_the_probability_is_that_of_the_least_probable_decision():
    found = predicted([[0.6, 0.3, 0.05], [0.1, 0.15, 0.8]])
    assert found.probability.tolist() == pytest.approx([0.3, 0.2])


def test_the_certainty_is_that_of_two_labels_with_the_same_threshold():
    random = np.random.default_rng(0)
    p = random.uniform(0, 1, 50)
    for t in (0.1, 0.5, 0.8):
        one = DecisionRule(weights=(1 - t, t)).decide(np.stack([1 - p, p], axis=1))
        found = SetRule((t,)).decide(p[:, None])
        np.testing.assert_allclose(found.certainty, one.certainty, rtol=1e-9)
        assert (found.members[:, 0] == (one.label == 1)).all()


def test_the_least_certain_label_sends_a_text_to_a_person():
    found = predicted([[0.99, 0.01, 0.01], [0.55, 0.01, 0.01]], review_below=0.7)
    assert found.decided.certainty[1] == pytest.approx(0.55)
    assert found.decision == ["a", "review"]
    assert found.frame()["predicted_label"].to_list() == ["a", "a"]
    assert found.rule.indices(found.probabilities).tolist() == found.decision_index.tolist()


def test_sigmoids_are_right_at_the_ends():
    logits = np.array([[-800.0, 0.0, 800.0]], dtype=np.float32)
    assert to_set_probabilities(logits).tolist() == [[0.0, 0.5, 1.0]]


def test_different_sets_are_found_whatever_their_number_of_labels():
    random = np.random.default_rng(0)
    members = random.uniform(size=(200, 19)) < 0.1
    sets, place = distinct_sets(members)
    assert (sets[place] == members).all()
    assert len(sets) == len({row.tobytes() for row in members})
    assert [len(each) for each in distinct_sets(members[:0])] == [0, 0]


def test_a_rule_comes_back_from_json():
    rule = SetRule((0.1, 0.5, 0.9), ";", 0.75)
    assert SetRule.from_json(rule.to_json(), CLASSES) == rule


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"thresholds": [0.5, 0.5]}, "must be 3 numbers between 0 and 1"),
        ({"thresholds": [0.5, 0.5, 1]}, "must be 3 numbers between 0 and 1"),
        ({"thresholds": [0.5, 0.5, True]}, "must be 3 numbers between 0 and 1"),
        ({"separator": ""}, "its separator must be a text"),
        ({"separator": "b"}, "stands in a label"),
        ({"review_below": 2}, "its review_below must be"),
    ],
)
def test_rules_that_cannot_be_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        SetRule.from_json({**SetRule((0.5,) * 3).to_json(), **changed}, CLASSES)
