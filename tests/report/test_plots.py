"""What the plots show, and what is said of them."""

import json

import numpy as np
import polars as pl
import pytest
from made_up import HISTORY, ROWS, facts_of
from sklearn.metrics import precision_recall_curve

from textgauge.data.corpus import gather_texts
from textgauge.report.plots import (
    band_plot,
    learning_plots,
    number_plot,
    ranking_plot,
    reliability_plot,
)
from textgauge.review.decision import Band
from textgauge.review.intervals import Interval
from textgauge.review.metrics import evaluate
from textgauge.review.overall import NumberCurve


def judged(labels, probabilities):
    frame = pl.DataFrame({"text": [f"t{n:05}" for n in range(len(labels))], "label": labels})
    texts = gather_texts(frame, ["a", "b", "c"][: probabilities.shape[1]])
    return texts, evaluate(texts, probabilities, ["a", "b", "c"][: probabilities.shape[1]]).rows


def test_the_kept_epoch_is_said_and_marked():
    accuracy, loss = learning_plots(HISTORY)
    assert accuracy.says == "In the kept epoch, 3 of 3, the validation accuracy is 70%."
    assert loss.rows[0] == ["1", "0.9", "0.8"]
    assert 'class="marked"' in loss.svg


def test_one_curve_is_enough_for_two_labels():
    random = np.random.default_rng(1)
    labels = ["ab"[int(n)] for n in random.integers(2, size=150)]
    second = random.random(150)
    texts, metrics = judged(labels, np.stack([1 - second, second], 1))
    found = ranking_plot(texts, np.stack([1 - second, second], 1), metrics, ["A", "B"])
    assert len(found.names) == 1
    assert found.names[0].startswith("B (area 0.")
    precision, recall, _ = precision_recall_curve(np.array(labels) == "b", second)
    ours = {(float(x.strip("%")), float(y.strip("%"))) for x, y in found.rows}
    theirs = {
        (round(r * 100, 1), round(p * 100, 1)) for p, r in zip(precision, recall, strict=True)
    }
    assert len(ours) > 20
    assert ours <= theirs


def test_of_several_labels_the_worst_ranked_come_first_and_rare_ones_not_at_all():
    labels = ["a"] * 30 + ["b"] * 30 + ["c"] * 2
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1, 1], 62)
    probabilities[:30] = [0.9, 0.05, 0.05]  # "a" is ranked perfectly
    texts, metrics = judged(labels, probabilities)
    found = ranking_plot(texts, probabilities, metrics, ["A", "B", "C"])
    assert [name[0] for name in found.names] == ["B", "A"]


def test_without_enough_rows_there_is_no_curve():
    texts, metrics = judged(["a", "b"], np.full((2, 2), 0.5))
    assert ranking_plot(texts, np.full((2, 2), 0.5), metrics, ["A", "B"]) is None


def test_reliability_says_which_way_it_is_off():
    texts, _ = judged(["a"] * 6 + ["b"] * 4, np.tile([0.9, 0.1], (10, 1)))
    found = reliability_plot(texts, np.tile([0.9, 0.1], (10, 1)))
    assert found.says.startswith("On average it promises 30.0% more than comes true, and is 30.0%")
    assert found.rows == [["90%", "60%"]]


def test_the_number_curve_says_its_step():
    values = np.arange(1970.0, 2020.0)
    rising = np.where(values < 1995, 0.25, 0.75)
    curve = NumberCurve(values, np.stack([rising, 1 - rising], 1), 50)
    found = number_plot(curve, ["compliant", "non-compliant"])
    assert found.says == (
        "The largest step: from 1994 to 1995 the probability of non-compliant falls by 0.50."
    )
    assert found.names == ["non-compliant"]


def test_numbers_far_apart_are_drawn_by_rank():
    values = np.concatenate([np.arange(1.0, 40.0), [5e9]])
    shares = np.linspace(0, 1, 40)
    found = number_plot(NumberCurve(values, np.stack([shares, 1 - shares], 1), 9), ["a", "b"])
    assert '">5 bn<' in found.svg or "5 bn" in json.dumps(found.rows)
    places = found.svg.split('data-points="')[1].split('"')[0].split()
    steps = np.diff([float(place.split(",")[0]) for place in places])
    assert steps == pytest.approx(steps[0], abs=0.3)


def test_a_plot_of_many_rows_stays_small():
    facts = facts_of([(f"{text} {n}", label) for n in range(20) for text, label in ROWS])
    model = facts.review.model
    found = ranking_plot(facts.corpus.test, model.probabilities, model.evaluation.rows, ["a", "b"])
    assert len(found.svg) < 20_000


def band(below, coverage, error):
    return Band(below, coverage, error, Interval(0.0, 1.0), 0.5, None)


def test_a_band_is_told_that_leaves_the_model_half_of_the_rows():
    curve = (band(0.5, 0.9, 0.3), band(0.6, 0.6, 0.2), band(0.7, 0.001, 0.0))
    found = band_plot(curve, 0.4)
    assert found.says == (
        "Deciding all by itself it is wrong on 40.00% of the rows; leaving what is less certain "
        "than 0.6 to a person, which is 40.0% of them, on 20.00% of the others."
    )


def test_of_a_weak_model_no_single_row_is_told():
    found = band_plot((band(0.6, 0.4, 0.4), band(0.7, 0.001, 0.0)), 0.45)
    assert found.says.endswith("to leave anything to a person is to leave more than 50% of them.")
