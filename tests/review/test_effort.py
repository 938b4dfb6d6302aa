"""How finely texts are explained, by how long they are and what can be afforded."""

import numpy as np
import pytest

from textgauge.review.effort import (
    FINEST,
    LEVELS,
    Effort,
    affordable,
    level_for_all,
    level_of_each,
)


def test_the_work_is_that_of_the_texts_that_are_read():
    effort = Effort(drawn=10, more=0, kept=3, steps=20)
    assert effort.work(np.array([5, 40])).tolist() == [(10 + 6 * 5) * 5, (10 + 6 * 20) * 40]


def test_each_level_takes_less_than_the_one_before():
    lengths = np.array([8, 30, 250, 2_000])
    work = np.stack([level.work(lengths) for level in LEVELS])
    assert (np.diff(work, axis=0) < 0).all()
    assert all(level.drawn >= level.kept <= level.more for level in LEVELS)


def test_the_longest_are_explained_less_finely_first():
    lengths = np.array([10, 250, 10, 250])
    most = float(FINEST.work(lengths).sum())
    assert level_of_each(lengths, most).tolist() == [0, 0, 0, 0]
    assert level_of_each(lengths, most - 1).tolist() == [0, 1, 0, 0]
    assert level_of_each(lengths, most / 2).tolist() == [0, 1, 0, 1]
    last = len(LEVELS) - 1
    assert level_of_each(lengths, 0).tolist() == [last] * 4
    assert level_of_each(lengths[:0], 0).tolist() == []


@pytest.mark.parametrize("length", [10, 100, 250])
def test_twenty_texts_of_up_to_256_words_are_affordable(length):
    lengths = np.full(20, length)
    levels = level_of_each(lengths, 500_000)
    work = [float(LEVELS[level].work(lengths[:1])[0]) for level in levels]
    assert sum(work) <= 500_000
    assert (levels.max() == 0) == (length == 10)


def test_all_get_the_finest_level_that_is_enough_for_so_many():
    lengths = np.full(50, 100)
    assert level_for_all(lengths, 1e9, 50) is FINEST
    second = float(LEVELS[1].work(lengths).sum())
    assert level_for_all(lengths, second, 50) is LEVELS[1]
    assert level_for_all(lengths, second, 10) is FINEST
    assert level_for_all(lengths, 1, 50) is LEVELS[-1]
    assert affordable(LEVELS[1].work(lengths), second / 2) == 25
