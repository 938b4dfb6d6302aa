"""The interval of a difference, held against drawing texts one by one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from textgauge.data.corpus import LabelledTexts
from textgauge.review.intervals import Interval
from textgauge.review.paired import f1_difference


def texts_of(labels: np.ndarray, count: np.ndarray) -> LabelledTexts:
    index = np.arange(len(labels))
    return LabelledTexts(pl.Series([f"text {at}" for at in index]), index, labels, count)


@pytest.fixture
def judged() -> tuple[LabelledTexts, np.ndarray, np.ndarray]:
    """300 texts of three labels, and two classifiers that err on 10 and 20 % of them."""
    random = np.random.default_rng(5)
    labels = random.integers(0, 3, 300)
    answers = []
    for share in (0.1, 0.2):
        wrong = random.random(300) < share
        answers.append(np.where(wrong, (labels + random.integers(1, 3, 300)) % 3, labels))
    return texts_of(labels, random.integers(1, 4, 300)), answers[0], answers[1]


def test_it_is_the_paired_bootstrap(
    judged: tuple[LabelledTexts, np.ndarray, np.ndarray],
) -> None:
    texts, first, second = judged
    random = np.random.default_rng(1)
    drawn = []
    for _ in range(1000):
        at = random.integers(0, 300, 300)
        weights, labels = texts.count[at], texts.label[at]
        one, other = (
            f1_score(labels, answer[at], average="macro", sample_weight=weights)
            for answer in (first, second)
        )
        drawn.append(one - other)
    low, high = np.quantile(drawn, (0.025, 0.975))
    found = f1_difference(texts, first, second, 3)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)
    assert found.low > 0, "one is better beyond chance"
    turned = f1_difference(texts, second, first, 3)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=0.01)


def test_equal_answers_differ_by_nothing(
    judged: tuple[LabelledTexts, np.ndarray, np.ndarray],
) -> None:
    texts, first, _ = judged
    assert f1_difference(texts, first, first, 3) == Interval(0.0, 0.0)


def test_one_text_apart_is_no_more_than_chance(
    judged: tuple[LabelledTexts, np.ndarray, np.ndarray],
) -> None:
    texts, first, _ = judged
    other = first.copy()
    other[0] = (texts.label[0] + 1) % 3
    found = f1_difference(texts, texts.label, np.where(texts.label == first, other, other), 3)
    assert found.low > 0  # all right against 10 % wrong
    assert f1_difference(texts, first, other, 3).low <= 0
