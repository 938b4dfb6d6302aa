"""Worth it, a tie, or not worth it: decided by McNemar's test on the distinct texts."""

import re

import numpy as np
import polars as pl
import pytest

from textgauge.data.corpus import LabelledTexts
from textgauge.review.metrics import evaluate
from textgauge.review.verdict import verdict

WORTH_IT = "The deep model (LSTM) is worth it: it gets "
NOT_WORTH_IT = "The deep model (LSTM) is not worth it: it gets "
TIE = "which is no more than chance: prefer TF-IDF, it is simpler."


def sentence(gained, lost, both_right=0, both_wrong=0, rows=1):
    """The verdict where so many texts, of so many rows each, are right with one, both or none."""
    model = np.repeat([1, 0, 1, 0], [gained, lost, both_right, both_wrong])
    baseline = np.repeat([0, 1, 1, 0], [gained, lost, both_right, both_wrong])
    count = len(model)
    texts = LabelledTexts(
        pl.Series([f"text {index:05}" for index in range(count)]),
        np.arange(count),
        np.ones(count, dtype=np.int64),
        np.full(count, rows),
    )
    named = (
        (name, np.eye(2)[predicted], evaluate(texts, np.eye(2)[predicted], ["a", "b"]))
        for name, predicted in (("LSTM", model), ("TF-IDF", baseline))
    )
    return verdict(texts, *named)


@pytest.mark.parametrize(
    ("gained", "lost", "kind"),
    [
        # Worked: chance reaches 2 * sqrt(10) = 6.32 of 10 texts.
        (9, 1, WORTH_IT),  # 8 is more
        (8, 2, TIE),  # 6 is less
        (1, 9, NOT_WORTH_IT),
        (2, 8, TIE),
        # Worked: 2 * sqrt(4) = 4 is not exceeded by 4, and 2 * sqrt(5) = 4.47 is by 5.
        (4, 0, TIE),
        (5, 0, WORTH_IT),
        (0, 4, TIE),
        (0, 5, NOT_WORTH_IT),
        (0, 0, TIE),
        # Worked: 2 * sqrt(100) = 20.
        (60, 40, TIE),
        (61, 39, WORTH_IT),
        (39, 61, NOT_WORTH_IT),
    ],
)
def test_the_threshold_is_twice_the_root_of_the_texts_that_tell_them_apart(gained, lost, kind):
    said = sentence(gained, lost, both_right=3, both_wrong=2)
    assert [kind in said for kind in (WORTH_IT, TIE, NOT_WORTH_IT)].count(True) == 1
    assert kind in said


def test_texts_that_both_get_right_or_wrong_change_nothing_but_the_figures():
    assert WORTH_IT in sentence(5, 0)
    assert WORTH_IT in sentence(5, 0, both_right=5000, both_wrong=3000)


def test_rows_change_nothing_for_a_text_is_counted_once():
    assert TIE in sentence(4, 0, rows=100)


def test_worth_it_in_full():
    assert sentence(1200, 300, both_right=500) == (
        "The deep model (LSTM) is worth it: it gets 85.0% of the test rows right, TF-IDF 40.0%; "
        "on 2,000 distinct texts it gains 1,200 and loses 300."
    )


def test_a_tie_in_full():
    assert sentence(2, 1, both_right=7) == (
        "The deep model (LSTM) gets 90.0% of the test rows right, TF-IDF 80.0%; on 10 distinct "
        "texts it gains 2 and loses 1, which is no more than chance: prefer TF-IDF, it is simpler."
    )


def test_not_worth_it_in_full():
    assert sentence(0, 10, both_right=10) == (
        "The deep model (LSTM) is not worth it: it gets 50.0% of the test rows right, TF-IDF "
        "100.0%; on 20 distinct texts it gains 0 and loses 10. Prefer TF-IDF, or give the deep "
        "model more texts or word vectors (--vectors)."
    )


def test_chance_alone_crosses_the_threshold_in_about_one_of_20_cases():
    random = np.random.default_rng(0)
    gained = random.binomial(100, 0.5, size=20_000)
    crossed = np.abs(gained - (100 - gained)) > 2 * np.sqrt(100)
    assert 0.03 < crossed.mean() < 0.06
    for share in (60, 61):
        found = TIE not in sentence(share, 100 - share)
        assert found is bool(abs(2 * share - 100) > 20)


def test_a_soft_labelled_text_is_right_where_its_most_frequent_label_is_predicted():
    texts = LabelledTexts(
        pl.Series([f"text {index}" for index in range(5)]),
        np.repeat(np.arange(5), 2),
        np.tile([0, 1], 5),
        np.tile([1, 3], 5),
    )
    right, wrong = np.tile([0.1, 0.9], (5, 1)), np.tile([0.9, 0.1], (5, 1))
    said = verdict(
        texts,
        ("LSTM", right, evaluate(texts, right, ["a", "b"])),
        ("TF-IDF", wrong, evaluate(texts, wrong, ["a", "b"])),
    )
    assert re.search(r"75\.0% of the test rows right, TF-IDF 25\.0%; .* gains 5 and loses 0", said)
