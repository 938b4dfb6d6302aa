"""Intervals of areas and calibration error: against scikit-learn, and where nothing differs."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from textgauge.data.corpus import LabelledTexts
from textgauge.review import area_intervals as module
from textgauge.review.area_intervals import area_intervals
from textgauge.review.intervals import Interval
from textgauge.review.metrics import evaluate

AREAS = ("roc_auc", "average_precision")


def labelled(counts):
    counts = np.asarray(counts)
    text_index, label = counts.nonzero()
    texts = pl.Series([f"text {index:05}" for index in range(len(counts))])
    return LabelledTexts(texts, text_index, label, counts[text_index, label])


def a_case(texts=240, classes=3, seed=0, mixed=0.1, digits=2):
    """Texts of some rows each, a share of them with several labels, and scores with draws."""
    random = np.random.default_rng(seed)
    true = random.integers(classes, size=texts)
    counts = np.zeros((texts, classes), dtype=int)
    counts[np.arange(texts), true] = random.integers(1, 9, size=texts)
    some = np.flatnonzero(random.random(texts) < mixed)
    counts[some, random.integers(classes, size=len(some))] += 1
    probabilities = random.dirichlet(np.ones(classes), size=texts)
    probabilities[np.arange(texts), true] += 0.3
    probabilities = (probabilities / probabilities.sum(1, keepdims=True)).round(digits)
    return counts, probabilities


def by_scikit_learn(counts, probabilities, weights):
    """Areas of rows that count `weights`, means over the labels."""
    text, label = counts.nonzero()
    found = []
    for area in (sk.roc_auc_score, sk.average_precision_score):
        values = [
            area(label == k, probabilities[text, k], sample_weight=weights[text, label])
            for k in range(counts.shape[1])
        ]
        found.append(np.mean(values))
    return found


@pytest.mark.parametrize("over", ["rows", "texts"])
def test_areas_lie_where_a_plain_bootstrap_with_scikit_learn_has_them(over):
    counts, probabilities = a_case()
    texts = labelled(counts)
    if over == "texts":
        counts = np.eye(3, dtype=int)[texts.main_label]
    random = np.random.default_rng(1)
    drawn = [
        by_scikit_learn(
            counts, probabilities, counts * random.multinomial(240, [1 / 240] * 240)[:, None]
        )
        for _ in range(300)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    found = area_intervals(texts, probabilities)[over == "texts"]
    for at, name in enumerate(AREAS):
        width = high[at] - low[at]
        assert found[name].low == pytest.approx(low[at], abs=0.25 * width), name
        assert found[name].high == pytest.approx(high[at], abs=0.25 * width), name


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_areas_and_errors_of_a_draw_are_those_of_the_texts_that_are_drawn(classes):
    counts, probabilities = a_case(classes=classes)
    texts = labelled(counts)
    cases = module._Cases.of(texts.text_index, texts.label, texts.count, probabilities)
    random = np.random.default_rng(2)
    drawn = random.multinomial(len(texts), [1 / len(texts)] * len(texts), size=3)
    areas, errors = cases.areas(drawn * 1.0), cases.errors(drawn * 1.0)[0]
    for at, times in enumerate(drawn):
        places = np.repeat(np.arange(len(texts)), times)
        expected = evaluate(labelled(counts[places]), probabilities[places], "x" * classes).rows
        for area, name in enumerate(AREAS):
            labels = [getattr(label, name) for label in expected.labels]
            assert areas[area, at] == pytest.approx(labels)
        assert errors[at] == pytest.approx(expected.ece)


def test_of_many_scores_neighbours_are_taken_together_which_changes_little():
    counts, probabilities = a_case(texts=6_000, digits=9)
    texts = labelled(counts)
    cases = module._Cases.of(texts.text_index, texts.label, texts.count, probabilities)
    assert max(label.code.max() for label in cases.labels) < 2 * module._STEPS
    areas = cases.areas(np.ones((1, len(texts))))[:, 0]
    expected = evaluate(texts, probabilities, "abc").rows.labels
    for area, name in enumerate(AREAS):
        labels = [getattr(label, name) for label in expected]
        assert areas[area] == pytest.approx(labels, abs=0.001)


def test_the_figure_lies_inside_and_comes_with_an_evaluation():
    counts, probabilities = a_case(seed=3)
    both = evaluate(labelled(counts), probabilities, "abc", with_intervals=True)
    for figures in (both.rows, both.texts):
        for name in (*AREAS, "ece"):
            interval = getattr(figures.intervals, name)
            assert interval.low < getattr(figures, name) < interval.high, name
            assert figures.intervals.to_json()[name] == [interval.low, interval.high]
    assert both.rows.intervals.roc_auc != both.texts.intervals.roc_auc


def test_all_ranked_right_in_few_texts_is_not_always_right():
    texts = labelled([[1, 0], [0, 1]] * 50)
    rows, once = area_intervals(texts, np.eye(2)[[0, 1] * 50])
    # Worked: Wilson's interval of 50 of 50 begins at 50 / (50 + 1.96 squared).
    for name in AREAS:
        assert rows[name] == once[name] == Interval(pytest.approx(50 / 53.8415, abs=1e-5), 1.0)


def test_without_another_label_there_is_no_roc_area():
    rows, _ = area_intervals(labelled([[1, 0], [2, 0]]), np.array([[0.9, 0.1]] * 2))
    assert rows["roc_auc"] is None
    assert rows["average_precision"].high == 1
    found = evaluate(labelled([[1, 0]]), np.array([[0.9, 0.1]]), "ab", with_intervals=True).rows
    assert found.intervals.to_json()["roc_auc"] is None


def test_a_label_that_is_in_few_draws_only_counts_where_it_is():
    counts = np.array([[1, 0, 0], [0, 1, 0]] * 20 + [[0, 0, 1]])
    probabilities = np.eye(3)[counts.argmax(1)] * 0.9 + 0.1 / 3
    probabilities[0] = [0.3, 0.4, 0.3]
    rows, _ = area_intervals(labelled(counts), probabilities)
    assert 0.8 < rows["roc_auc"].low < rows["roc_auc"].high <= 1


def test_no_error_leaves_as_much_calibration_error_as_the_texts_allow():
    sure = np.array([[0.99, 0.01], [0.01, 0.99]] * 50)
    rows, _ = area_intervals(labelled([[1, 0], [0, 1]] * 50), sure)
    # The accuracy may be as low as 100 / (100 + 1.96 squared) = 0.963, or as high as promised.
    assert rows["ece"].low == 0
    assert rows["ece"].high == pytest.approx(0.99 - 100 / 103.8415, abs=1e-5)


def test_nothing_right_is_the_largest_calibration_error_or_less():
    rows, _ = area_intervals(labelled([[0, 1], [1, 0]] * 50), np.eye(2)[[0, 1] * 50])
    assert (rows["ece"].low, rows["ece"].high) == (1, 1)


@pytest.mark.parametrize("off", [0.0, 0.12])
def test_90_of_100_intervals_of_the_calibration_error_hold_the_truth(monkeypatch, off):
    monkeypatch.setattr(module, "_WORK", 0)  # The fewest draws.
    random, held = np.random.default_rng(0), 0
    for seed in range(100):
        sure = random.uniform(0.62, 0.98, size=300)
        right = random.random(300) < sure - off
        probabilities = np.stack([sure, 1 - sure], 1)
        texts = labelled(np.stack([right, ~right], 1).astype(int))
        interval = area_intervals(texts, probabilities, seed=seed)[0]["ece"]
        held += interval.low <= off <= interval.high
    assert held >= 90


def test_a_seed_repeats_them():
    counts, probabilities = a_case(texts=50)
    first, again = (area_intervals(labelled(counts), probabilities, seed=5) for _ in range(2))
    assert first == again
    assert first != area_intervals(labelled(counts), probabilities, seed=6)


@pytest.mark.parametrize(
    ("texts", "classes", "draws"), [(480, 2, 1_000), (20_000, 2, 250), (20_000, 150, 100)]
)
def test_many_texts_are_drawn_less_often_and_in_pieces(monkeypatch, texts, classes, draws):
    given = module._drawn
    sizes = []

    def few(random, draws, number):
        sizes.append(draws)
        pieces = [len(piece) for piece in given(random, min(draws, 120), number)]
        assert sum(pieces) == min(draws, 120)
        assert max(pieces) * number <= module._AT_A_TIME
        return given(random, 2, number)

    monkeypatch.setattr(module, "_drawn", few)
    counts, probabilities = a_case(texts, classes, digits=9)
    area_intervals(labelled(counts), probabilities)
    assert sizes == [draws]
