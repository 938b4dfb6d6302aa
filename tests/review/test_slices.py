"""The rows of each value judged by themselves: worked examples and odd columns."""

import numpy as np
import polars as pl
import pytest

from textgauge.data.corpus import gather_texts
from textgauge.review import slices as module
from textgauge.review.metrics import evaluate
from textgauge.review.slices import NONE, OTHERS, by_slice

CLASSES = ["a", "b"]


def judged(rows):
    """Slices of (text, label, slice) rows; a text is called what its first letter says."""
    frame = pl.DataFrame(rows, schema=["text", "label", "slice"], orient="row", schema_overrides={
        "text": pl.String, "label": pl.String, "slice": pl.String,
    })  # fmt: skip
    texts = gather_texts(frame, CLASSES)
    called = texts.texts.str.starts_with("b").to_numpy().astype(int)
    probabilities = np.eye(2)[called] * 0.8 + 0.1
    return by_slice(frame, texts, probabilities, CLASSES), frame, texts, probabilities


def test_each_value_is_judged_by_its_own_rows():
    found, *_ = judged(
        [("a1", "a", "north"), ("a1", "a", "north"), ("b1", "a", "north"), ("b2", "b", "south")]
    )
    north, south = found
    assert (north.value, north.rows, north.texts) == ("north", 3, 2)
    assert north.accuracy == pytest.approx(2 / 3)
    assert north.loss == pytest.approx(-(2 * np.log(0.9) + np.log(0.1)) / 3)
    assert (south.value, south.rows, south.texts, south.accuracy) == ("south", 1, 1, 1.0)
    assert north.interval.low < north.accuracy < north.interval.high
    assert south.interval.low < 0.5  # one text is little


def test_a_slice_is_judged_as_a_table_of_its_own():
    random = np.random.default_rng(0)
    rows = [
        (f"{'ab'[n % 2]}{n % 37}", "ab"[int(random.integers(2))], str(n % 3)) for n in range(300)
    ]
    found, frame, *_ = judged(rows)
    for each in found:
        mine = frame.filter(pl.col("slice") == each.value)
        texts = gather_texts(mine, CLASSES)
        called = texts.texts.str.starts_with("b").to_numpy().astype(int)
        figures = evaluate(texts, np.eye(2)[called] * 0.8 + 0.1, CLASSES, with_intervals=True).rows
        assert each.accuracy == figures.accuracy
        assert (each.macro_f1, each.interval) == (figures.macro_f1, figures.intervals.accuracy)
    assert sum(each.rows for each in found) == 300


def test_the_lowest_accuracy_comes_first():
    found, *_ = judged([("a1", "a", "x"), ("a2", "b", "y"), ("a3", "a", "z"), ("a4", "b", "z")])
    assert [each.value for each in found] == ["y", "z", "x"]


def test_rows_without_a_value_are_a_slice():
    found, *_ = judged([("a1", "a", None), ("a2", "a", "x")])
    assert {each.value for each in found} == {NONE, "x"}


def test_a_column_of_nothing_is_one_slice():
    found, *_ = judged([("a1", "a", None), ("b2", "b", None)])
    assert [(each.value, each.rows) for each in found] == [(NONE, 2)]


def test_of_many_words_the_rare_ones_are_taken_together(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    rows = [(f"a{n}", "a", word) for word, often in zip("pqrstu", (9, 8, 3, 2, 1, 1), strict=True)
            for n in range(often)]  # fmt: skip
    found, *_ = judged(rows)
    assert {each.value: each.rows for each in found} == {"p": 9, "q": 8, OTHERS: 7}


def test_many_numbers_are_cut_into_ranges_of_equal_share():
    rows = [(f"a{n}", "a", str(1900 + n)) for n in range(100)]
    found, *_ = judged([*rows, ("a", "a", None)])
    assert {each.value: each.rows for each in found} == {
        "1900 to 1924": 25, "1925 to 1949": 25, "1950 to 1974": 25, "1975 to 1999": 25, NONE: 1,
    }  # fmt: skip


def test_few_numbers_stay_as_they_are():
    found, *_ = judged([("a1", "a", "3"), ("a2", "a", "20")])
    assert {each.value for each in found} == {"3", "20"}


def test_a_number_that_stands_everywhere_but_for_a_few_makes_no_empty_range(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    rows = [(f"a{n}", "a", "7") for n in range(90)] + [(f"b{n}", "b", str(n)) for n in range(5)]
    found, *_ = judged(rows)
    assert sum(each.rows for each in found) == 95
    assert all(each.rows for each in found)


def test_words_among_many_numbers_make_them_words(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    rows = [(f"a{n}", "a", str(n)) for n in range(9)] + [("b", "b", "unknown")]
    found, *_ = judged(rows)
    assert OTHERS in {each.value for each in found}
    assert len(found) == 3
