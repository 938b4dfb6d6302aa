"""The rows of each value judged by themselves: worked examples and odd columns."""

import numpy as np
import polars as pl
import pytest

from textgauge.data.corpus import gather_texts
from textgauge.review.metrics import evaluate
from textgauge.review.slices import (
    MOST,
    NO_NUMBER,
    NONE,
    OTHERS,
    by_counts,
    by_slice,
    by_texts,
    first_numbers,
)
from textgauge.text.notation import Notation

CLASSES = ["a", "b"]


def judged(rows, most=MOST):
    """Slices of (text, label, slice) rows; a text is called what its first letter says."""
    frame = pl.DataFrame(rows, schema=["text", "label", "slice"], orient="row", schema_overrides={
        "text": pl.String, "label": pl.String, "slice": pl.String,
    })  # fmt: skip
    texts = gather_texts(frame, CLASSES)
    called = texts.texts.str.starts_with("b").to_numpy().astype(int)
    probabilities = np.eye(2)[called] * 0.8 + 0.1
    return by_slice(frame, texts, probabilities, CLASSES, most), frame, texts, probabilities


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
        assert each.macro_f1 == figures.macro_f1
        assert each.loss == pytest.approx(figures.loss, abs=1e-6)
        expected = figures.intervals.accuracy
        assert (each.interval.low, each.interval.high) == pytest.approx(
            (expected.low, expected.high), abs=0.03
        )
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


def test_of_many_words_the_rare_ones_are_taken_together():
    rows = [(f"a{n}", "a", word) for word, often in zip("pqrstu", (9, 8, 3, 2, 1, 1), strict=True)
            for n in range(often)]  # fmt: skip
    found, *_ = judged(rows, 3)
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


def test_a_number_that_stands_everywhere_but_for_a_few_makes_no_empty_range():
    rows = [(f"a{n}", "a", "7") for n in range(90)] + [(f"b{n}", "b", str(n)) for n in range(5)]
    found, *_ = judged(rows, 3)
    assert sum(each.rows for each in found) == 95
    assert all(each.rows for each in found)


def test_words_among_many_numbers_make_them_words():
    rows = [(f"a{n}", "a", str(n)) for n in range(9)] + [("b", "b", "unknown")]
    found, *_ = judged(rows, 3)
    assert OTHERS in {each.value for each in found}
    assert len(found) == 3


# ---- by the texts themselves


def judged_texts(rows):
    """Groups of (text, label) rows; a text is called what its first letter says."""
    frame = pl.DataFrame(rows, schema=["text", "label"], orient="row")
    texts = gather_texts(frame, CLASSES)
    called = texts.texts.str.starts_with("b").to_numpy().astype(int)
    return by_texts(texts, np.eye(2)[called] * 0.8 + 0.1, CLASSES)


def test_the_first_number_is_read_as_the_table_writes_it():
    texts = pl.Series(["spalt 0,35 von 2", "-1.200", "kein"])
    found = first_numbers(texts, Notation(decimal_comma=True)).tolist()
    assert found[:2] == [0.35, -1200.0]
    assert np.isnan(found[2])


def test_texts_are_cut_by_length_and_by_their_first_number():
    length, number = judged_texts([("a", "a"), ("a 7 of 900", "a"), ("b 1,950.5 x", "a")] * 2)
    assert (length.what, number.what) == ("length", "first number")
    assert {each.value: (each.rows, each.accuracy) for each in length.slices} == {
        "1 word": (2, 1.0), "3 words": (2, 0.0), "4 words": (2, 1.0),
    }  # fmt: skip
    assert {each.value: (each.rows, each.texts) for each in number.slices} == {
        NO_NUMBER: (2, 1), "7": (2, 1), "1950.5": (2, 1),
    }  # fmt: skip


def test_ranges_hold_equal_shares_of_the_rows_and_are_named_by_what_is_in_them():
    rows = [(f"a {year}", "a") for year in range(1900, 2000)]
    _, number = judged_texts(rows)
    assert {each.value: each.rows for each in number.slices} == {
        "1900 to 1919": 20, "1920 to 1939": 20, "1940 to 1959": 20, "1960 to 1979": 20,
        "1980 to 1999": 20,
    }  # fmt: skip
    _, number = judged_texts([*rows, *[("a 1905 again", "a")] * 900])
    assert sum(each.rows for each in number.slices) == 1000
    assert max(each.rows for each in number.slices) == 901  # 1905 alone, with its one other row


def test_every_row_stands_in_one_slice_of_each_group():
    random = np.random.default_rng(1)
    rows = [
        (f"{'ab'[int(random.integers(2))]} {'x ' * int(random.integers(30))}{n % 50 or ''}",
         "ab"[n % 2]) for n in range(2000)
    ]  # fmt: skip
    for group in judged_texts(rows):
        assert sum(each.rows for each in group.slices) == 2000
        assert len(group.slices) <= 6
        texts = pl.Series([" ".join(text.split()) for text, _ in rows])
        right = np.array([text[0] == label for text, label in rows])
        values = (
            texts.str.split(" ").list.len().to_numpy()
            if group.what == "length"
            else texts.str.extract(r"(\d+)").cast(pl.Float64).to_numpy()
        )
        for each in group.slices:  # by hand: which rows the name means
            numbers = [float(word) for word in each.value.split() if word.isdigit()]
            mine = (
                np.isnan(values)
                if each.value == NO_NUMBER
                else (values >= numbers[0]) & (values <= numbers[-1])
            )
            assert each.rows == mine.sum()
            assert each.accuracy == pytest.approx(right[mine].mean())


@pytest.mark.parametrize(
    "rows",
    [
        [("none", "a"), ("bare", "b")],
        [("a 9" + "9" * 400, "a"), ("b 1", "b")],  # a number that no float holds
        [("<b>&amp;</b>", "b"), ("日本語 テスト", "a"), ("ا٣", "a"), ("a " * 5000, "a")],
    ],
)
def test_odd_texts_are_judged_too(rows):
    for group in judged_texts(rows):
        assert sum(each.rows for each in group.slices) == len(rows)


def test_a_slice_is_lower_than_all_only_beyond_chance():
    rows = [(f"a{n} {'x' if n % 2 else 'x y'}", "a" if n % 2 or n % 4 else "b") for n in range(400)]
    length, _ = judged_texts(rows)
    assert [(each.value, each.than_all) for each in length.slices] == [
        ("3 words", "lower"), ("2 words", "higher"),
    ]  # fmt: skip
    assert length.worst is length.slices[0]
    few, _ = judged_texts([*[(f"a{n} x", "a") for n in range(50)], ("a y z", "b")])
    # One wrong text of one is not beyond what 1 wrong of 51 does by chance.
    assert [each.than_all for each in few.slices] == ["", ""]
    assert few.worst is None


def test_slices_of_chance_are_hardly_ever_called_lower():
    random = np.random.default_rng(5)
    called = 0
    for _ in range(60):
        wrong = random.random(600) < 0.1
        rows = [(f"a{n} {'x ' * (n % 20)}", "b" if bad else "a") for n, bad in enumerate(wrong)]
        called += sum(group.worst is not None for group in judged_texts(rows))
    assert called <= 8  # 120 groups, each of which may err in one of 20 cases, half of them lower


def test_counted_rows_are_judged_as_the_rows_are():
    found, frame, texts, probabilities = judged(
        [("a1", "a", "x"), ("a1", "a", "x"), ("b1", "a", "x"), ("b1", "b", None), ("b2", "b", "y")]
    )
    counts = frame.select(
        key="text", label=pl.col("label").replace_strict({"a": 0, "b": 1}), slice="slice"
    ).group_by("key", "label", "slice").len("rows")  # fmt: skip
    assert list(by_counts(counts, texts, probabilities, CLASSES, 20)) == found
