"""How a model decides, as text."""

import re

import numpy as np
import polars as pl

from textgauge.bundle.decision import DecisionRule
from textgauge.data.corpus import LabelledTexts
from textgauge.review.deciding import Asked, ChosenRule, choose_rule
from textgauge.review.decision import measure
from textgauge.terminal.decision import decision_text

NAMES = {"0": "compliant", "1": "non-compliant"}

TEXTS = LabelledTexts(
    pl.Series([f"{index:02}" for index in range(10)]),
    np.arange(10),
    np.array([0] * 5 + [1] * 5),
    np.ones(10, dtype=np.int64),
)


def decided(second, **asked):
    second = np.array(second)
    probabilities = np.stack([1 - second, second], axis=1)
    chosen = choose_rule(Asked(**asked), TEXTS, probabilities)
    found = measure(TEXTS, probabilities, ["0", "1"], chosen)
    return decision_text(found, NAMES, "the test part")


SECOND = [0.1, 0.2, 0.3, 0.6, 0.85, 0.4, 0.7, 0.9, 0.95, 0.99]


def test_where_nothing_was_asked_nothing_is_said_of_decisions():
    assert decided(SECOND) == []


def test_costs_are_told_with_the_threshold_and_what_it_changes():
    sentence, kinds, _ = decided(SECOND, costs=(1.0, 10.0))
    assert re.fullmatch(
        r"Deciding '1 non-compliant' only from 87\.5% on \(the cheapest on 10 distinct validation "
        r"texts, with 95 % confidence \d+\.\d% to \d+\.\d%; the costs alone say 90\.9%\) costs 20 "
        r"a 100 rows on the test part; deciding the most probable label 210\.",
        sentence,
    )
    assert [line.split() for line in kinds.splitlines()[2:]] == [
        ["0", "compliant", "1", "2", "1"],
        ["1", "non-compliant", "10", "0", "2"],
    ]


def test_the_rarer_decision_is_the_one_that_is_told():
    sentence = decided([0.02] * 5 + [0.97] * 5, costs=(9.0, 1.0))[0]
    assert sentence.startswith(
        "Deciding '0 compliant' only from 90.0% on (the cheapest on 10 distinct validation texts, "
        "with 95 % confidence 3.0% to 98.0%; the costs alone say 90.0%) costs 0 a 100 rows"
    )


def test_what_goes_to_a_person_is_told_with_what_is_left():
    band, levels = decided(SECOND, review_below=0.75)
    assert band.startswith(
        "What is less certain than 75.0% goes to a person: 40.0% of the rows of the test part. "
        "Of those decided 16.67% are wrong, with 95 % confidence "
    )
    assert band.endswith("; of those sent 50.00% would be.")
    assert levels.splitlines()[0].split("   ")[:2] == ["--review-below", "decided"]


def test_a_rate_is_told_with_the_share_that_it_came_to():
    (band, _) = decided(SECOND, review_rate=0.25)
    assert "20.0% of the rows of the test part (20.0% on validation)." in band


def test_a_rule_of_many_labels_is_told_in_few_lines():
    probabilities = np.full((10, 150), 0.2 / 149)
    probabilities[np.arange(10), np.arange(10)] = 1 - 0.2 * 148 / 149
    classes = [str(index) for index in range(150)]
    rule = DecisionRule((2.0,) * 150, None, (2.0,) * 150)
    sentence, kinds = decision_text(
        measure(TEXTS, probabilities, classes, ChosenRule(rule)), {}, "this table"
    )[:2]
    assert sentence.startswith("Deciding the label of least expected cost (of three labels or more")
    assert len(kinds.splitlines()) == 32
