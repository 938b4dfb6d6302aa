"""What a person reads after a training: aligned tables, the verdict, and the run's link last."""

import doctest
import re
from dataclasses import replace
from pathlib import Path

import pytest

from textgauge.data.checks import CheckReport
from textgauge.data.profile import Profile, Quantiles
from textgauge.result import TrainResult
from textgauge.review.contenders import Contender, Review
from textgauge.review.intervals import Interval, Intervals
from textgauge.review.metrics import Evaluation, LabelMetrics, Metrics
from textgauge.review.slices import Slice
from textgauge.review.verdict import Comparison
from textgauge.terminal import review
from textgauge.terminal.review import (
    certainty_text,
    corpus_text,
    evaluation_text,
    labels_text,
    review_text,
    slices_text,
    table,
)
from textgauge.tracking.protocol import RunRecord

NAMES = {"0": "compliant", "1": "non-compliant"}
URL = "http://127.0.0.1:5000/#/experiments/1/runs/abc"


def metrics_of(accuracy, classes=2, **changes):
    labels = tuple(
        LabelMetrics(str(index), 0.5, 0.25, 0.125 + index / 1000, 1000 + index)
        for index in range(classes)
    )
    values = {"loss": 0.25, "accuracy": accuracy, "macro_f1": 0.75}
    rest = {"brier": 0.125, "ece": 0.0625, "labels": labels, "confusion": ()}
    return Metrics(**{**values, **rest, **changes})


EVALUATION = Evaluation(rows=metrics_of(0.9), texts=metrics_of(0.8, loss=0.5, macro_f1=0.625))


@pytest.fixture
def result(trained):
    weak = Evaluation(rows=metrics_of(0.5), texts=metrics_of(0.4))
    fair = Evaluation(rows=metrics_of(0.7), texts=metrics_of(0.6))
    quantiles = Quantiles(1, 1, 1, 1)
    profile = Profile(600, 400, 0, 0, 200, 0, 0, 2, (), quantiles, quantiles, 1.0)
    return TrainResult(
        run=RunRecord("abc", "1", "notes", "sqlite:///mlflow.db", URL, None),
        bundle=Path("/models/one"),
        corpus=trained.corpus,
        check=CheckReport("notes.csv", (), profile),
        review=Review(
            model=Contender("LSTM, epoch 2", trained.probabilities, EVALUATION),
            baselines=(
                Contender("majority class", trained.probabilities, weak),
                Contender("TF-IDF", trained.probabilities, fair),
            ),
            comparison=Comparison(gained=30, lost=10, p_value=0.002),
            verdict="The deep model is worth it.",
        ),
        history=trained.fitted.trained.history,
        best_epoch=trained.fitted.trained.best,
        proved=1e-7,
        seconds={"whole": 12.34},
    )


# ---- tables


def test_the_first_column_stands_left_and_the_others_right():
    assert table(["name", "n"], [["a", "1,000"], ["longer", "2"]]).splitlines() == [
        "name         n",
        "──────   ─────",
        "a        1,000",
        "longer       2",
    ]


def test_no_line_ends_in_spaces():
    shown = table(["a", "b", "c"], [["1", "", ""], ["", "2", ""]])
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_a_table_without_rows_is_its_header():
    assert table(["one", "two"], []).splitlines() == ["one   two", "───   ───"]


def test_rows_of_another_width_are_an_error():
    with pytest.raises((ValueError, IndexError)):
        table(["a", "b"], [["1", "2", "3"]])


def test_the_worked_examples_hold():
    assert doctest.testmod(review) == (0, 1)


# ---- the review


def test_the_review_ends_with_the_runs_link(result):
    lines = review_text(result, NAMES).splitlines()
    assert lines[-1] == URL
    assert lines[-2] == "Finished in 12.3 s. Run Details:"


def test_the_blocks_stand_in_the_order_of_the_run(result):
    blocks = review_text(result, NAMES).split("\n\n")
    assert [block.split()[0] for block in blocks] == [
        "part", "split:", "on", "calibration", "label", "The", "Saved", "Finished",
    ]  # fmt: skip
    assert blocks[5] == "The deep model is worth it."
    assert blocks[6] == "Saved model, proved in a fresh process: /models/one"


def test_the_model_stands_above_the_baselines_and_the_best_of_them_first(result):
    block = review_text(result, NAMES).split("\n\n")[2]
    assert [line.split("  ")[0] for line in block.splitlines()[2:]] == [
        "LSTM, epoch 2", "TF-IDF", "majority class",
    ]  # fmt: skip
    header, _, model, *_ = block.splitlines()
    assert re.split("   +", header) == [
        "on the test part", "accuracy", "macro F1", "loss", "accuracy, each text once",
    ]  # fmt: skip
    assert model.split() == ["LSTM,", "epoch", "2", "0.9000", "0.7500", "0.2500", "0.8000"]


def test_the_intervals_are_told_where_they_are_known():
    near, far = Interval(0.95, 0.9714), Interval(0.5, 0.75)
    known = Intervals(near, far, far, far, (far,), (far,), (far,))
    labels = (LabelMetrics("a", 1, 1, 1, 9, roc_auc=0.75, average_precision=0.5),)
    assert certainty_text("LSTM", metrics_of(0.9, intervals=known, labels=labels)).splitlines() == [
        "With 95 % confidence the accuracy of LSTM is 95.0% to 97.1%, its macro F1 50.0% to 75.0%.",
        "ROC area 0.7500, average precision 0.5000, calibration error 0.0625, Brier score 0.1250",
    ]
    assert certainty_text("LSTM", metrics_of(0.9)).splitlines() == [
        "calibration error 0.0625, Brier score 0.1250"
    ]


def test_the_split_is_shown_with_what_a_random_one_would_have_shared(trained):
    corpus = replace(trained.corpus, test_texts_in_train=1234, random_split_share=0.987)
    lines = corpus_text(corpus).splitlines()
    for line, name in zip(lines[2:5], ("train", "val", "test"), strict=True):
        part = getattr(corpus, name)
        assert line.split() == [name, f"{part.rows:,}", f"{len(part):,}"]
    assert lines[5:] == [
        "",
        f"split: {corpus.split_method}",
        "test texts that also stand in train: 1,234 (a random split of the rows would share 98.7%)",
    ]


# ---- the labels


def test_labels_are_shown_with_their_names_where_they_have_one():
    lines = labels_text(metrics_of(0.9), {"1": "non-compliant"}).splitlines()
    assert lines[0].split() == ["label", "precision", "recall", "F1", "rows"]
    assert lines[2].split() == ["0", "0.5000", "0.2500", "0.1250", "1,000"]
    assert lines[3].split() == ["1", "non-compliant", "0.5000", "0.2500", "0.1260", "1,001"]


def test_a_label_of_two_lines_is_quoted_so_that_the_table_stays_whole():
    labels = (LabelMetrics("two\nlines", 1, 1, 1, 9), LabelMetrics("é ü", 1, 1, 1, 9))
    lines = labels_text(metrics_of(0.9, labels=labels), {"two\nlines": "odd"}).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("'two\\nlines' odd   ")
    assert lines[3].startswith("é ü   ")


def test_of_many_labels_the_30_worst_are_shown_and_that_is_said():
    labels = [LabelMetrics(str(n), 1, 1, (n * 37 % 100) / 100, 1) for n in range(100)]
    lines = labels_text(metrics_of(0.9, labels=tuple(labels)), {}).splitlines()
    assert lines[-1] == "(the 30 labels with the lowest F1 of 100)"
    assert [line.split()[3] for line in lines[2:-1]] == [f"{n / 100:.4f}" for n in range(30)]


def test_30_labels_are_all_shown_in_their_own_order():
    lines = labels_text(metrics_of(0.9, classes=30), {}).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [str(n) for n in range(30)]


def test_an_evaluation_is_shown_over_rows_and_over_texts():
    figures, _, labels = evaluation_text(EVALUATION, NAMES).split("\n\n")
    assert figures.splitlines() == [
        "over             accuracy   macro F1     loss",
        "──────────────   ────────   ────────   ──────",
        "rows               0.9000     0.7500   0.2500",
        "each text once     0.8000     0.6250   0.5000",
    ]
    assert labels == labels_text(EVALUATION.rows, NAMES)


def test_slices_tell_which_differ_from_the_whole():
    def one(value, accuracy, low, high):
        return Slice(value, 1200, 30, accuracy, Interval(low, high), 0.5, 0.1)

    slices = [one("two\nlines", 0.5, 0.4, 0.6), one("x", 0.8, 0.7, 0.95), one("y", 1, 0.95, 1)]
    shown = slices_text("plant", slices, metrics_of(0.9)).splitlines()
    assert re.split("   +", shown[0]) == [
        "plant", "rows", "texts", "accuracy", "with 95 % confidence", "macro F1", "than all",
    ]  # fmt: skip
    assert [re.split("   +", line) for line in shown[2:]] == [
        ["'two\\nlines'", "1,200", "30", "0.5000", "40.0% to 60.0%", "0.5000", "lower"],
        ["x", "1,200", "30", "0.8000", "70.0% to 95.0%", "0.5000"],
        ["y", "1,200", "30", "1.0000", "95.0% to 100.0%", "0.5000", "higher"],
    ]
