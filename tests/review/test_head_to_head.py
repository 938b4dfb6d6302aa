"""Two models on the same texts, also where their labels differ."""

import doctest

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from textgauge.data.corpus import gather_texts
from textgauge.review import head_to_head as module
from textgauge.review.head_to_head import all_classes, head_to_head, spread


@pytest.fixture
def texts():
    """Five texts, one of them twice."""
    rows = {"text": list("abcdea"), "label": ["x", "y", "x", "y", "y", "x"]}
    return gather_texts(pl.DataFrame(rows), ("x", "y"))


def sure_of(labels):
    """Probabilities of a model that gives these labels: 0 or 1 of two."""
    return np.array([[0.75, 0.25] if each == 0 else [0.25, 0.75] for each in labels], np.float32)


def test_figures_are_of_the_rows_and_the_comparison_of_the_texts(texts):
    order = texts.texts.to_list()
    true = [0 if each in "ac" else 1 for each in order]
    new = sure_of(true)
    old = sure_of([1 - t if text in "ab" else t for t, text in zip(true, order, strict=True)])
    found = head_to_head(texts, new, old, ("x", "y"))
    assert (found.rows, found.texts) == (6, 5)
    assert (found.new.accuracy, found.new.macro_f1) == (1.0, 1.0)
    assert found.old.accuracy == 3 / 6  # The text a stands in two rows.
    given = [1 if t == "a" else 0 if t == "b" else true[order.index(t)] for t in "abcdea"]
    expected = f1_score([0, 1, 0, 1, 1, 0], given, average="macro")
    assert found.old.macro_f1 == pytest.approx(expected)
    assert (found.comparison.gained, found.comparison.lost) == (2, 0)
    assert found.comparison.p_value == 0.5
    assert found.to_json()["only_new_right"] == 2


def test_a_label_that_a_model_does_not_know_it_never_gives(texts):
    every = all_classes(("y",), ("x", "y"))
    assert every == ("y", "x")
    wide = spread(np.ones((5, 1), dtype=np.float32), ("y",), every)
    assert wide.argmax(1).tolist() == [0] * 5
    assert wide.dtype == np.float32


def test_the_examples_are_right():
    assert doctest.testmod(module).failed == 0
