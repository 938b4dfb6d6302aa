"""What a model was trained on, in figures: bins, and the way to JSON and back."""

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from textgauge.text.counts import count_column
from textgauge.text.profile import MOST_WORDS, Spread, TextProfile, weighted_median


def test_values_are_counted_in_bins_of_equal_share():
    values = np.arange(100.0)
    spread = Spread.of(values, np.ones(100, np.int64), np.ones(100, np.int64))
    assert spread.low == 0
    assert spread.ends.tolist() == [9, 19, 29, 39, 49, 59, 69, 79, 89, 99]
    assert spread.rows.tolist() == spread.texts.tolist() == [10] * 10
    assert spread.median == 49
    others = np.array([-0.5, 0, 9, 9.5, 99, 99.5])
    assert spread.count(others, np.array([1, 2, 4, 8, 16, 32])).tolist() == [
        1, 6, 8, 0, 0, 0, 0, 0, 0, 0, 16, 32,
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_every_value_is_in_the_bin_that_numpy_puts_it_in(seed):
    random = np.random.default_rng(seed)
    values = random.choice(np.round(random.normal(size=40), 2), 500)
    rows = random.integers(1, 9, 500)
    spread = Spread.of(values, rows, np.ones(500, np.int64))
    edges = np.concatenate(([-np.inf], spread.ends))
    inside = [(values > low) & (values <= high) for low, high in pairwise(edges)]
    assert spread.rows.tolist() == [rows[mask].sum() for mask in inside]
    assert spread.texts.sum() == 500
    assert (np.diff(spread.ends) > 0).all()
    assert len(spread.ends) <= 10
    assert spread.median == np.quantile(np.repeat(values, rows), 0.5, method="inverted_cdf")


def test_one_value_is_one_bin():
    spread = Spread.of(np.array([7.0]), np.array([3]), np.array([1]))
    assert (spread.low, spread.ends.tolist(), spread.rows.tolist()) == (7, [7], [3])
    assert Spread.of(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)) is None


def test_the_median_is_that_of_the_rows():
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1, 1, 5])) == 2


def test_a_profile_comes_back_from_json_as_it_was():
    counts = count_column(pl.Series(["bolt 7", "bolt 8", "nut", "日本語"]), max_tokens=9,
                          magnitudes=True)  # fmt: skip
    profile = TextProfile.of(counts, {"a": (3, 2), "b": (1, 1)})
    assert (profile.rows, profile.texts, profile.numbered) == (4, 4, (2, 2))
    assert profile.words == {"bolt": (2, 2), "nut": (1, 1), "日本語": (1, 1)}
    text = json.dumps(profile.to_json(), allow_nan=False)
    back = TextProfile.from_json(json.loads(text))
    assert back.to_json() == profile.to_json()
    assert back.numbers.ends.tolist() == profile.numbers.ends.tolist()


def test_a_profile_stays_small_whatever_the_texts_hold():
    words = [f"wörter{'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10 % 10]}{chr(0x4E00 + n)}"
             for n in range(5_000)]  # fmt: skip
    texts = pl.Series([*words, "q" * 100_000, *(str(n / 7) for n in range(2_000))])
    profile = TextProfile.of(count_column(texts, max_tokens=None, magnitudes=True), None)
    assert len(profile.words) == MOST_WORDS
    assert len(json.dumps(profile.to_json())) < 200_000


@pytest.mark.parametrize(
    "damage", [{"words": [1]}, {"lengths": {}}, {"numbered": 3}, {"rows": "x"}]
)
def test_what_is_no_profile_is_not_taken_for_one(damage):
    counts = count_column(pl.Series(["bolt 7"]), max_tokens=9, magnitudes=True)
    with pytest.raises((KeyError, TypeError, ValueError)):
        TextProfile.from_json({**TextProfile.of(counts, None).to_json(), **damage})
