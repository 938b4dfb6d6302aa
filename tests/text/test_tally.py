"""Rows and distinct texts, counted in bounded memory."""

from __future__ import annotations

import numpy as np
import polars as pl

from textgauge.text.reading import RowsRead
from textgauge.text.tally import COUNTED, Tally


def test_few_texts_are_counted_and_a_repeated_task_counts_them_once():
    one = Tally(3, np.array([1, 5, 9], dtype=np.uint64))
    other = Tally(2, np.array([5, 7], dtype=np.uint64))
    both = one.plus(other)
    assert (both.rows, both.texts, both.estimated) == (5, 4, False)
    read = Tally(1, None, RowsRead(1, 8, 2, 1))
    assert one.plus(read).plus(read).read == RowsRead(2, 16, 4, 2)
    assert one.plus(one).texts == 3
    assert Tally().plus(one).texts == one.plus(Tally()).texts == 3


def test_many_texts_are_estimated_within_one_percent_in_bounded_memory():
    random = np.random.default_rng(0)
    total = Tally()
    for _ in range(10):
        hashes = np.unique(random.integers(0, 2**64, 200_000, dtype=np.uint64))
        total = total.plus(Tally(200_000, hashes[:COUNTED]))
    assert total.hashes.nbytes <= 2**19
    assert total.estimated
    assert abs(total.texts / 2_000_000 - 1) < 0.01


def test_hashes_of_texts_are_spread_evenly():
    """The estimate needs it: the mean of uniform hashes is the middle of their range."""
    hashes = pl.Series([f"note {n}" for n in range(50_000)]).hash(seed=0).to_numpy()
    assert len(np.unique(hashes)) == 50_000
    assert abs(hashes.astype(float).mean() / 2.0**63 - 1) < 0.02
