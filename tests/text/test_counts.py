"""The texts of a table counted: held against counts made word by word."""

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest

from textgauge.data.normal_form import normalise
from textgauge.text import counts as module
from textgauge.text.counts import count_column, count_texts
from textgauge.text.tokens import tokenize

ROWS = [
    "M8 bolt, 1,250.5 N m", "m8  BOLT, 1,250.5 n m", "bolt bolt bolt", "", "   ", None,
    "2 of 3 bolts of 2", "<b>bold</b> &amp;", "日本語 7", "x" * 300, "9" * 400,
    "m8 bolt, 1,250.5 N m",
]  # fmt: skip


def by_hand(rows, magnitudes):
    """The same counts, without polars but for the tokens."""
    texts = Counter(normalise(pl.Series([row for row in rows if row is not None])).to_list())
    words, numbers, tokens = {}, {}, 0
    for text, often in texts.items():
        found = tokenize(pl.Series([text]))[0].to_list()
        tokens += len(found) * often
        for token in set(found):
            number = magnitudes and token[0].isdigit() and token[0].isascii()
            key = float(token.replace(",", "")) if number else token
            if number and not math.isfinite(key):
                continue
            held = (numbers if number else words).setdefault(key, [0, 0, 0])
            held[0] += often
            held[1] += 1
            held[2] += often * found.count(token)
    return texts, words, numbers, tokens


@pytest.mark.parametrize("chunk", [2, 100])
@pytest.mark.parametrize("magnitudes", [True, False])
def test_words_numbers_and_tokens_are_those_counted_by_hand(monkeypatch, chunk, magnitudes):
    monkeypatch.setattr(module, "CHUNK", chunk)
    found = count_column(pl.Series(ROWS), max_tokens=None, magnitudes=magnitudes)
    texts, words, numbers, tokens = by_hand(ROWS, magnitudes)
    assert dict(zip(found.texts, found.rows, strict=True)) == texts
    assert found.all_rows == len(ROWS) - 1
    assert found.tokens == tokens
    assert {
        word: [rows, distinct, times] for word, rows, distinct, times, _ in found.words.iter_rows()
    } == words
    assert found.words["rows"].is_sorted(descending=True)
    for word, first in found.words.select("word", "first").iter_rows():
        assert word in tokenize(found.texts[first : first + 1])[0].to_list()
    assert {value: [rows, distinct] for value, rows, distinct in found.numbers.iter_rows()} == {
        value: held[:2] for value, held in numbers.items()
    }


def test_each_text_has_its_smallest_and_its_largest_number():
    found = count_column(pl.Series(["b 2 of 9, 3", "a"]), max_tokens=None, magnitudes=True)
    assert found.texts.to_list() == ["a", "b 2 of 9, 3"]
    np.testing.assert_array_equal(found.lowest, [np.nan, 2])
    np.testing.assert_array_equal(found.highest, [np.nan, 9])
    assert found.numbered.tolist() == [False, True]
    assert found.lengths.tolist() == [1, 5]


def test_what_a_model_does_not_read_of_a_long_text_is_not_counted():
    found = count_texts(pl.Series(["a b 3"]), np.array([4]), max_tokens=2, magnitudes=True)
    assert found.words["word"].to_list() == ["a", "b"]
    assert (found.tokens, found.numbered.any()) == (8, False)


def test_no_text_at_all_counts_nothing():
    found = count_column(pl.Series([None], dtype=pl.String), max_tokens=None, magnitudes=True)
    assert (len(found), found.all_rows, found.tokens, len(found.words)) == (0, 0, 0, 0)
