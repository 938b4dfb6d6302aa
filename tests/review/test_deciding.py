"""From what was asked to a rule: labels by value and name, shares of the rows, what is refused."""

import numpy as np
import polars as pl
import pytest

from textgauge.bundle.decision import DecisionRule
from textgauge.config import Config
from textgauge.data.corpus import LabelledTexts
from textgauge.errors import SettingsError
from textgauge.review.deciding import Asked, ChosenRule, asked_of, choose_rule

NAMES = {"0": "compliant", "1": "non-compliant"}


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


# ---- what was asked


@pytest.mark.parametrize(
    ("cost", "costs"),
    [
        ({"false-compliant": 10, "false-non-compliant": 2}, (10.0, 2.0)),
        ({"false-1": 10, "false-compliant": 3}, (3.0, 10.0)),
        ({"false-1": 0.5}, (1.0, 0.5)),
        ({}, None),
    ],
)
def test_labels_are_named_by_value_or_name_and_the_others_cost_one(cost, costs):
    assert asked_of(Config(cost=cost, label_names=NAMES), ["0", "1"]).costs == costs


def test_a_value_goes_before_another_labels_name():
    config = Config(cost={"false-1": 7}, label_names={"0": "1", "1": "0"})
    assert asked_of(config, ["0", "1"]).costs == (1.0, 7.0)


def test_a_name_of_two_labels_names_none():
    config = Config(cost={"false-same": 7}, label_names={"0": "same", "1": "same"})
    with pytest.raises(SettingsError, match="no such label"):
        asked_of(config, ["0", "1"])


def test_an_unknown_label_is_told_with_the_nearest():
    config = Config(cost={"false-complaint": 10}, label_names=NAMES)
    with pytest.raises(SettingsError) as error:
        asked_of(config, ["0", "1"])
    assert str(error.value) == (
        "--cost false-complaint: there is no such label. Did you mean 'false-compliant'? The table "
        "has the labels '0', '1'; write false-LABEL=COST, by value or name."
    )


def test_all_problems_are_told_together():
    config = Config(cost={"false-0": 1, "false-compliant": 2, "false-x": 1}, label_names=NAMES)
    with pytest.raises(SettingsError) as error:
        asked_of(config, ["0", "1"])
    assert "names the label '0' twice" in str(error.value)
    assert "false-x: there is no such label" in str(error.value)


def test_costs_that_are_all_zero_decide_nothing():
    with pytest.raises(SettingsError, match="all costs are 0"):
        asked_of(Config(cost={"false-0": 0, "false-1": 0}), ["0", "1"])


@pytest.mark.parametrize("band", [{"review_below": 0.9}, {"review_rate": 0.0}])
def test_a_label_called_review_and_a_band_do_not_go_together(band):
    with pytest.raises(SettingsError, match="rename the label"):
        asked_of(Config(**band), ["ok", "review"])
    asked_of(Config(cost={"false-review": 2}), ["ok", "review"])


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        (Asked(), False),
        (Asked(review_below=0.9), False),
        (Asked(costs=(1.0, 2.0, 3.0)), False),
        (Asked(costs=(1.0, 2.0)), True),
        (Asked(review_rate=0.0), True),
    ],
)
def test_validation_is_predicted_only_where_it_is_needed(asked, needed):
    assert asked.of_validation is needed


# ---- the rule


def test_where_nothing_is_asked_the_most_probable_label_is_decided():
    assert choose_rule(Asked(), texts_of([0, 1]), None) == ChosenRule()


def test_two_labels_get_the_threshold_that_costs_least():
    texts = texts_of([0, 0, 1, 1])
    found = choose_rule(Asked(costs=(1.0, 4.0)), texts, both([0.1, 0.85, 0.6, 0.95]))
    assert found.threshold is not None
    assert found.rule.threshold == pytest.approx(found.threshold.value)
    assert found.threshold.value == pytest.approx(0.9)
    assert found.rule.costs == (1.0, 4.0)


def test_more_labels_are_weighed_by_their_costs():
    found = choose_rule(Asked(costs=(1.0, 4.0, 2.0)), texts_of([0, 1, 2]), None)
    assert found == ChosenRule(DecisionRule((1.0, 4.0, 2.0), None, (1.0, 4.0, 2.0)))


def test_a_rate_is_kept_over_rows():
    second = np.linspace(0.5, 0.99, 50)
    count = np.where(np.arange(50) < 5, 10, 1)  # The five least certain: 50 of 95 rows.
    found = choose_rule(Asked(review_rate=0.25), texts_of([1] * 50, count), both(second))
    decided = found.rule.decide(both(second))
    assert decided.review.sum() == 2
    assert found.review_share == pytest.approx(20 / 95)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05, 0.5, 0.999])
@pytest.mark.parametrize("costs", [None, (1.0, 10.0)])
def test_no_more_than_the_rate_goes_to_a_person_and_nearly_as_much(rate, costs):
    random = np.random.default_rng(1)
    probabilities = both(random.random(1000))
    texts = texts_of(random.integers(0, 2, 1000))
    found = choose_rule(Asked(costs=costs, review_rate=rate), texts, probabilities)
    share = found.rule.decide(probabilities).review.mean()
    assert rate - 0.002 <= share <= rate
    assert found.review_share == pytest.approx(share)


def test_ties_go_together_and_what_share_it_really_is_is_told():
    probabilities = both([0.6] * 30 + [0.9] * 70)
    found = choose_rule(Asked(review_rate=0.2), texts_of([1] * 100), probabilities)
    assert found.review_share == 0.0
    assert not found.rule.decide(probabilities).review.any()
    found = choose_rule(Asked(review_rate=0.3), texts_of([1] * 100), probabilities)
    assert found.review_share == pytest.approx(0.3)
    assert found.rule.review_below == pytest.approx(0.75)


def test_what_is_stored_comes_back_as_the_rule():
    texts = texts_of([0, 0, 1, 1])
    found = choose_rule(
        Asked(costs=(1.0, 4.0), review_rate=0.5), texts, both([0.1, 0.85, 0.6, 0.95])
    )
    assert DecisionRule.from_json(found.to_json(), ["0", "1"]) == found.rule
