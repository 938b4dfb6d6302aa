"""Worth it, a tie, or not worth it: decided by McNemar's test on the distinct texts."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from textgauge.data.corpus import LabelledTexts
from textgauge.review.metrics import evaluate
from textgauge.review.verdict import compare, mcnemar, verdict

WORTH_IT = "The deep model (LSTM) is worth it: it gets "
NOT_WORTH_IT = "The deep model (LSTM) is not worth it: it gets "
TIE = "which is no more than chance: prefer TF-IDF, it is simpler."


def sentence(gained, lost, both_right=0, both_wrong=0, rows=1, name="LSTM"):
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
    return said_of(texts, np.eye(2)[model], np.eye(2)[baseline], name)


def said_of(texts, model, baseline, name="LSTM"):
    """The verdict on two with these probabilities."""
    figures = [evaluate(texts, each, ["a", "b"]).rows for each in (model, baseline)]
    found = compare(texts, model, baseline)
    return verdict(len(texts), found, (name, figures[0]), ("TF-IDF", figures[1]))


@pytest.mark.parametrize(
    ("gained", "lost", "kind"),
    [
        # Worked: of 10 coins, 9 or 10 fall alike in 2 * (10 + 1) / 1024 = 2.1 % of the cases.
        (9, 1, WORTH_IT),
        (8, 2, TIE),  # 2 * (45 + 10 + 1) / 1024 = 10.9 %
        (1, 9, NOT_WORTH_IT),
        (2, 8, TIE),
        # Worked: five coins fall alike in 2 / 32 = 6.3 %, six in 2 / 64 = 3.1 %.
        (5, 0, TIE),
        (6, 0, WORTH_IT),
        (0, 5, TIE),
        (0, 6, NOT_WORTH_IT),
        (0, 0, TIE),
        (60, 40, TIE),
        (61, 39, WORTH_IT),
        (39, 61, NOT_WORTH_IT),
    ],
)
def test_it_is_decided_by_what_chance_does_in_one_of_20_cases(gained, lost, kind):
    said = sentence(gained, lost, both_right=3, both_wrong=2)
    assert [kind in said for kind in (WORTH_IT, TIE, NOT_WORTH_IT)].count(True) == 1
    assert kind in said


def test_texts_that_both_get_right_or_wrong_change_nothing_but_the_figures():
    assert WORTH_IT in sentence(6, 0)
    assert WORTH_IT in sentence(6, 0, both_right=5000, both_wrong=3000)


def test_rows_change_nothing_for_a_text_is_counted_once():
    assert TIE in sentence(4, 0, rows=100)


def test_worth_it_in_full():
    assert sentence(1200, 300, both_right=500) == (
        "The deep model (LSTM) is worth it: it gets 85.0% of the test rows right, TF-IDF 40.0%; "
        "on 2,000 distinct texts it gets 1,200 right that the other gets wrong, and 300 the other "
        "way round."
    )


def test_a_tie_in_full():
    assert sentence(2, 1, both_right=7) == (
        "The deep model (LSTM) gets 90.0% of the test rows right, TF-IDF 80.0%; on 10 distinct "
        "texts it gets 2 right that the other gets wrong, and 1 the other way round, which is no "
        "more than chance: prefer TF-IDF, it is simpler."
    )


def test_not_worth_it_in_full():
    assert sentence(0, 10, both_right=10) == (
        "The deep model (LSTM) is not worth it: it gets 50.0% of the test rows right, TF-IDF "
        "100.0%; on 20 distinct texts it gets 0 right that the other gets wrong, and 10 the other "
        "way round. Prefer TF-IDF, or give the deep model more texts or word vectors (--vectors)."
    )


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 0), (1, 0), (3, 3), (8, 2), (61, 39), (5_000, 5_200), (40, 90_000)]
)
def test_the_test_is_the_exact_binomial_one(gained, lost):
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-6)


def test_a_soft_labelled_text_is_right_where_its_most_frequent_label_is_predicted():
    texts = LabelledTexts(
        pl.Series([f"text {index}" for index in range(6)]),
        np.repeat(np.arange(6), 2),
        np.tile([0, 1], 6),
        np.tile([1, 3], 6),
    )
    right, wrong = np.tile([0.1, 0.9], (6, 1)), np.tile([0.9, 0.1], (6, 1))
    said = said_of(texts, right, wrong)
    assert "75.0% of the test rows right, TF-IDF 25.0%; on 6 distinct texts it gets 6 right" in said
    assert "and 0 the other way round" in said


def test_a_linear_model_is_not_called_deep():
    said = sentence(0, 10, both_right=10, name="LINEAR")
    assert said.startswith("The linear model is not worth it: it gets 50.0%")
    assert said.endswith("Prefer TF-IDF, or try another --model.")
