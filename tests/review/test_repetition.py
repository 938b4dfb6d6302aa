"""A result against a recorded one: what counts as a difference."""

import doctest
import math

import numpy as np
import polars as pl

from textgauge.review import repetition as module
from textgauge.review.repetition import TOLERANCE, Difference, compare_decisions, compare_figures


def test_docstrings():
    assert doctest.testmod(module).failed == 0


def test_figures_are_compared_by_name_and_new_kinds_left_out():
    then = {"rows": {"loss": 0.5, "labels": [{"label": "a", "f1": 1.0}], "old": 1}}
    now = {"rows": {"loss": 0.6, "labels": [{"label": "a", "f1": 1.0}], "new": 2}}
    found = compare_figures(then, now)
    assert found.number == 2
    assert found.differing == (Difference("rows loss", 0.5, 0.6),)
    assert found.to_json()["largest_difference"] == abs(0.5 - 0.6)


def test_the_tolerance_divides_same_from_different():
    nearly = compare_figures({"loss": 0.5}, {"loss": 0.5 + TOLERANCE / 2})
    assert (nearly.differing, nearly.identical) == ((), False)
    assert compare_figures({"loss": 0.5}, {"loss": 0.5 + TOLERANCE * 2}).differing
    assert compare_figures({"loss": 0.5}, {"loss": 0.5}).identical


def test_what_is_no_number_is_the_same_or_not():
    assert compare_figures({"roc": None}, {"roc": None}).identical
    found = compare_figures({"roc": None}, {"roc": 0.5})
    assert found.differing == (Difference("roc", None, 0.5),)
    assert found.largest == math.inf
    assert found.to_json()["largest_difference"] is None


def test_an_epoch_more_or_less_is_a_difference():
    then = {"best_epoch": 1, "epoch": {"1": {"lr": 0.1}, "2": {"lr": 0.1}}}
    now = {"best_epoch": 1, "epoch": {"1": {"lr": 0.1}}}
    for one, other in ((then, now), (now, then)):
        found = compare_figures(one, other)
        assert [each.name for each in found.differing] == ["epoch 2 lr"]
        assert not found.identical


def test_figures_of_the_whole_come_first():
    found = compare_figures({"rows": {"a": {"b": 1}, "z": 1}}, {"rows": {"a": {"b": 2}, "z": 2}})
    assert [each.name for each in found.differing] == ["rows z", "rows a b"]


def test_decisions_differ_where_labels_do_and_probabilities_moved():
    before = np.array([[0.9, 0.1], [0.6, 0.4], [0.50001, 0.49999]], dtype=np.float32)
    now = np.array([[0.2, 0.8], [0.7, 0.3], [0.49999, 0.50001]], dtype=np.float32)
    found = compare_decisions(before, now, pl.Series(["x", "y", "z"]), ["a", "b"])
    assert (found.texts, found.otherwise) == (3, 1)  # The third moved by no more than chance.
    assert abs(found.largest - 0.7) < 1e-6
    assert found.examples == (Difference("x", "a", "b"),)


def test_of_many_decisions_those_that_moved_most_are_shown():
    now = np.stack([np.linspace(0.1, 0.4, 20), 1 - np.linspace(0.1, 0.4, 20)], 1)
    before = np.tile([0.9, 0.1], (20, 1))
    found = compare_decisions(before, now, pl.Series([str(n) for n in range(20)]), ["a", "b"])
    assert found.otherwise == 20
    assert [each.name for each in found.examples] == ["0", "1", "2", "3", "4"]
