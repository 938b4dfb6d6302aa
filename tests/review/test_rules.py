"""Rules in words: thresholds, sentences, lines, and what a text says to a condition."""

import doctest
import json

import numpy as np
import polars as pl
import pytest

from textgauge.review import rules as module
from textgauge.review.rules import (
    Condition,
    Leaf,
    Split,
    decide,
    from_json,
    is_chain,
    lines,
    round_between,
    sentences,
    to_json,
)
from textgauge.text.notation import Notation

YES, NO = Leaf("1", 0.25, 1.0), Leaf("0", 0.5, 0.9)
BEFORE = Condition(below=1995.0, everywhere=True)
CHAIN = Split(BEFORE, YES, Split(Condition("iron"), YES, Split(Condition("good"), NO, YES)))
FORK = Split(BEFORE, Split(Condition("iron"), YES, NO), Split(Condition("iron"), NO, YES))


def test_docstrings():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("low", "high"), [(0, 5e-324), (1, 1 + 2**-52), (1e299, 1e300), (0, 1e300), (999.99, 1000.01)]
)
def test_a_round_bound_lies_above_one_neighbour_and_not_above_the_other(low, high):
    assert low < round_between(float(low), float(high)) <= high


def test_bounds_are_round_for_any_neighbours():
    random = np.random.default_rng(0)
    for _ in range(2_000):
        low, high = sorted(np.round(10 ** random.uniform(-4, 7, 2), int(random.integers(0, 5))))
        if low < high:
            assert low < round_between(low, high) <= high


def test_a_chain_is_a_sentence_and_all_else():
    assert is_chain(CHAIN)
    assert sentences(CHAIN) == {"1": 'number < 1995, or "iron", or no "good"', "0": "all else"}


def test_other_rules_tell_each_way():
    assert not is_chain(FORK)
    assert sentences(FORK) == {
        "1": 'number < 1995 and "iron"; or number >= 1995 and no "iron"',
        "0": 'number < 1995 and no "iron"; or number >= 1995 and "iron"',
    }


def test_the_narrowest_bounds_are_told_and_a_number_that_is_below_is_there():
    rule = Split(
        Condition(below=10.0),
        Split(Condition(below=5.0), YES, Split(Condition("iron"), NO, Leaf("2", 0.1, 1.0))),
        Leaf("3", 0.1, 1.0),
    )
    told = sentences(rule)
    assert told["1"] == "number < 5"
    assert told["2"] == 'number < 10 and number >= 5 and no "iron"'
    assert told["3"] == "number >= 10 or none"


def test_a_rule_without_a_question():
    assert sentences(YES) == {"1": "always"}
    assert not is_chain(YES)
    assert lines(YES) == ["1  (25.0% of the rows, 100.0% pure)"]


def test_lines_are_nested_and_chains_stay_flat():
    assert lines(CHAIN, {"1": "1 bad"}, "  ") == [
        "  if number < 1995:",
        "    1 bad  (25.0% of the rows, 100.0% pure)",
        '  else if "iron":',
        "    1 bad  (25.0% of the rows, 100.0% pure)",
        '  else if "good":',
        "    0  (50.0% of the rows, 90.0% pure)",
        "  else:",
        "    1 bad  (25.0% of the rows, 100.0% pure)",
    ]


@pytest.mark.parametrize("rule", [CHAIN, FORK, YES, Split(Condition(), YES, NO)])
def test_json_gives_the_same_rule(rule):
    assert from_json(json.loads(json.dumps(to_json(rule)))) == rule


@pytest.mark.parametrize("values", [{}, {"if": {}, "then": {}}, {"if": {"x": 1}, "then": 0}])
def test_other_json_is_refused(values):
    with pytest.raises((KeyError, TypeError)):
        from_json(values)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition("iron"), [True, False, False, False, True]),
        (Condition("not iron"), [False, False, False, False, True]),
        (Condition("part not"), [False, False, False, False, False]),
        (Condition(), [True, True, False, False, False]),
        (Condition(number="first number", below=10.0), [True, False, False, False, False]),
        (Condition(number="lowest number", below=3.0), [True, True, False, False, False]),
        (Condition(number="highest number", below=9.0), [True, False, False, False, False]),
    ],
)
def test_what_texts_say_to_a_condition(condition, holds):
    texts = pl.Series(["iron 2", "1,000 part 2", "part", "", "not iron"])
    rule = Split(condition, Leaf("yes", 1, 1), Leaf("no", 1, 1))
    assert decide(rule, texts) == ["yes" if held else "no" for held in holds]


def test_numbers_are_read_as_the_model_reads_them():
    texts = pl.Series(["spalt 0,25", "spalt 0,35", "1.200,5"])
    german = Notation(decimal_comma=True)
    for below, labels in ((0.3, ["1", "0", "0"]), (1200.0, ["1", "1", "0"])):
        rule = Split(Condition(number="highest number", below=below), YES, NO)
        assert decide(rule, texts, notation=german) == labels


def test_only_what_the_model_reads_counts():
    rule = Split(Condition("iron"), YES, NO)
    assert decide(rule, pl.Series(["steel part iron"]), max_tokens=2) == ["0"]


def test_endless_and_odd_words_are_shown_in_a_line():
    assert len(Condition("x" * 3_000).told(holds=True)) < 70
    assert "\n" not in Condition("a\u2028b").told(holds=True)
