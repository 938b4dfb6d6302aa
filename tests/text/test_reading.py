"""How much of texts a model could read: a worked example, by text and by row."""

import numpy as np
import polars as pl

from textgauge.text.encoder import Encoded, TextEncoder
from textgauge.text.reading import Reading, RowsRead

ENCODER = TextEncoder.learn(
    pl.Series(["steel part 10", "steel bolt 20"]),
    read_numbers=True,
    number_bins=8,
    min_texts=1,
    max_words=100,
    max_tokens=5,
)


def test_unknown_words_and_numbers_out_of_range_are_counted_by_text():
    texts = ["steel nut 10", "iron nut 9.9", "bolt 20 21", "", "steel 15 bolt part bolt nut nut"]
    found = ENCODER.encode(pl.Series(texts)).reading()
    assert found.tokens.tolist() == [3, 3, 3, 0, 5]  # what lies beyond max_tokens is not read
    assert found.unknown.tolist() == [1, 2, 0, 0, 0]
    assert found.outside.tolist() == [False, True, True, False, False]
    rows = np.array([10, 1, 1, 5, 2])
    assert found.summed(rows) == RowsRead(rows=19, tokens=46, unknown=12, outside=2)
    assert found.summed(rows > 1) == RowsRead(rows=3, tokens=8, unknown=1, outside=0)


def test_texts_that_repeat_are_summed_as_if_each_stood_alone():
    random = np.random.default_rng(0)
    place = random.integers(0, 4, 50).astype(np.uint32)
    distinct = Reading(
        np.array([3, 1, 0, 9], np.int32),
        np.array([1, 0, 0, 4], np.int32),
        np.array([1, 0, 0, 1]) > 0,
        place,
    )  # fmt: skip
    every = distinct.each()
    assert every.tokens.tolist() == distinct.tokens[place].tolist()
    assert every.each() is every
    for rows in (np.ones(50, bool), random.random(50) < 0.5, random.integers(0, 9, 50)):
        assert distinct.summed(rows) == every.summed(rows)


def test_numbers_that_are_words_have_no_range():
    plain = TextEncoder(ENCODER.vocabulary, None, 5)
    found = plain.encode(pl.Series(["steel 99"])).reading()
    assert (found.unknown.tolist(), found.outside.tolist()) == ([1], [False])


def test_nothing_is_read_of_no_texts():
    assert ENCODER.encode(pl.Series([], dtype=pl.String)).reading().summed(np.zeros(0, int)) == (
        RowsRead()
    )
    made = Encoded(np.array([1, 5], np.int32), np.zeros(2, np.float32), np.array([2], np.int32))
    assert made.reading().summed(np.ones(1, int)) == RowsRead(1, 2, 1, 0)


def test_sums_add_up():
    both = RowsRead(3, 10, 1, 2).plus(RowsRead(1, 10, 4, 0))
    assert both == RowsRead(4, 20, 5, 2)
    assert (both.unknown_share, both.outside_share) == (0.25, 0.5)
