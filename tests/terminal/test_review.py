"""What a person reads after a training: aligned tables, the verdict, and the run's link last."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from textgauge.data.checks import CheckReport
from textgauge.data.profile import Profile, Quantiles
from textgauge.result import TrainResult
from textgauge.review.confusion import Confusion
from textgauge.review.contenders import Contender, Review
from textgauge.review.deciding import ChosenRule
from textgauge.review.decision import measure
from textgauge.review.intervals import Interval, Intervals
from textgauge.review.label_issues import LabelIssues
from textgauge.review.metrics import Evaluation, LabelMetrics, Metrics
from textgauge.review.rule_summary import Agreement, RuleSummary
from textgauge.review.rules import Condition, Leaf, Split
from textgauge.review.slices import Slice, SliceGroup
from textgauge.review.verdict import Comparison
from textgauge.terminal.review import (
    certainty_text,
    corpus_text,
    evaluation_text,
    label_issues_text,
    labels_text,
    lower_text,
    review_text,
    rules_text,
    slices_text,
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
    labels = changes.get("labels", labels)
    confusion = Confusion.of(np.eye(len(labels), dtype=int).tolist())
    rest = {"brier": 0.125, "ece": 0.0625, "labels": labels, "confusion": confusion}
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
            decision=measure(
                trained.corpus.test, trained.probabilities, trained.corpus.classes, ChosenRule()
            ),
            decided=EVALUATION.rows,
        ),
        label_issues=LabelIssues(
            frame=pl.DataFrame(),
            pairs={"suspect": 0, "contradictory": 0},
            rows=0,
            label_rows={},
            texts=400,
            all_texts=400,
        ),
        history=trained.fitted.trained.history,
        best_epoch=trained.fitted.trained.best,
        proved=1e-7,
        seconds={"whole": 12.34},
    )


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


def test_labels_in_doubt_are_told_with_their_file_where_there_are_any(result):
    assert label_issues_text(result) == []
    pairs = {"suspect": 1, "contradictory": 1200}
    issues = replace(result.label_issues, pairs=pairs, rows=1500)
    found = replace(result, label_issues=issues)
    told = (
        "Labels in doubt: 1,500 rows; 1,200 texts with a label that most rows of that text "
        "contradict, 1 text whose label the models doubt:\n"
    )
    assert label_issues_text(found) == [f"{told}label_issues.csv, among the run's files"]
    assert f"\n\n{told}" in review_text(found, NAMES)
    here = replace(found, run=replace(result.run, artifact_folder=Path("/runs/abc")))
    assert label_issues_text(here) == [f"{told}/runs/abc/label_issues.csv"]
    suspects = replace(issues, pairs={"suspect": 2, "contradictory": 0}, all_texts=900)
    sampled = replace(found, label_issues=suspects)
    assert label_issues_text(sampled)[0].startswith(
        "Labels in doubt: 1,500 rows (of a sample of 400 texts); 2 texts whose label"
    )


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


def test_what_there_is_nothing_to_take_a_share_of_is_a_dash():
    support = {"lacking": 0, "never called": 2, "all wrong": 3, "neither": 0}
    labels = tuple(LabelMetrics(name, 0.0, 0.0, 0.0, rows) for name, rows in support.items())
    confusion = Confusion.of([(0, 0, 0, 0), (0, 0, 2, 0), (3, 0, 0, 0), (0, 0, 0, 0)])
    lines = labels_text(metrics_of(0.0, labels=labels, confusion=confusion), {}).splitlines()[2:]
    none = "\N{EN DASH}"
    assert [line.split()[-4:] for line in lines] == [
        ["0.0000", none, "0.0000", "0"],
        [none, "0.0000", "0.0000", "2"],
        ["0.0000", "0.0000", "0.0000", "3"],
        [none, none, none, "0"],
    ]


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


def one_slice(value, accuracy, low, high, than_all=""):
    return Slice(value, 1200, 30, accuracy, Interval(low, high), 0.5, 0.1, than_all)


def test_slices_tell_which_differ_from_the_whole():
    slices = [
        one_slice("two\nlines", 0.5, 0.4, 0.6, "lower"),
        one_slice("x", 0.8, 0.7, 0.95),
        one_slice("y", 1, 0.95, 1, "higher"),
    ]
    shown = slices_text("plant", slices).splitlines()
    assert re.split("   +", shown[0]) == [
        "plant", "rows", "texts", "accuracy", "with 95 % confidence", "macro F1", "than all",
    ]  # fmt: skip
    assert [re.split("   +", line) for line in shown[2:]] == [
        ["'two\\nlines'", "1,200", "30", "0.5000", "40.0% to 60.0%", "0.5000", "lower"],
        ["x", "1,200", "30", "0.8000", "70.0% to 95.0%", "0.5000"],
        ["y", "1,200", "30", "1.0000", "95.0% to 100.0%", "0.5000", "higher"],
    ]


# ---- rules that imitate the model


def rules_with(rule, rows=0.98):
    return RuleSummary(rule, Agreement(rows, Interval(0.96, 0.99), 0.97, 0.5, 400))


CHAIN = Split(Condition("iron"), Leaf("1", 0.25, 1.0), Leaf("0", 0.75, 0.98))


def test_rules_that_may_stand_for_the_model_are_told_a_sentence_a_label(result):
    expected = [
        "LSTM decides like these rules on 98.0% of the test rows (96.0% to 99.0%):",
        '  1 non-compliant: "iron"',
        "  0 compliant: all else",
    ]
    assert rules_text("LSTM", rules_with(CHAIN), NAMES).splitlines() == expected
    told = review_text(replace(result, rules=rules_with(CHAIN)), NAMES)
    assert "LSTM, epoch 2 decides like these rules on 98.0%" in told
    assert "decides like" not in review_text(result, NAMES)


def test_rules_that_are_no_chain_are_told_as_nested_lines():
    fork = Split(Condition(below=10.0), CHAIN, CHAIN)
    assert rules_text("LSTM", rules_with(fork), NAMES).splitlines()[1:4] == [
        "  if number < 10:",
        '    if "iron":',
        "      1 non-compliant  (25.0% of the rows, 100.0% pure)",
    ]


def test_a_word_of_a_rule_that_a_terminal_would_obey_is_quoted():
    rule = Split(Condition("\x1b[2J"), CHAIN, CHAIN)
    shown = rules_text("LSTM", rules_with(rule), NAMES)
    assert shown.replace("\n", "").isprintable()


def test_rules_that_are_too_simple_are_not_told():
    assert rules_text("LSTM", rules_with(CHAIN, rows=0.62), NAMES) == (
        "A short rule imitates LSTM on only 62.0% of the test rows (always its most frequent "
        "label: 50.0%): too simple to stand for it."
    )


def test_a_review_tells_the_slice_that_is_the_lowest_beyond_chance(result):
    groups = (
        SliceGroup("length", (one_slice("1 word", 0.4, 0.1, 0.9), one_slice("2 words", 0.9, 0, 1))),
        SliceGroup("plant", (one_slice("x", 0.6, 0.5, 0.7, "lower"),)),
        SliceGroup("first number", (one_slice("7", 0.5, 0.4, 0.6, "lower"),)),
    )
    told = lower_text(groups, metrics_of(0.9))
    assert told == [
        "Where it fails: first number 7, accuracy 50.0% (40.0% to 60.0%) in 1,200 rows of 30 "
        "texts, over all rows 90.0%.",
        "Where it fails: plant x, accuracy 60.0% (50.0% to 70.0%) in 1,200 rows of 30 texts, "
        "over all rows 90.0%.",
    ]
    shown = review_text(replace(result, review=replace(result.review, slices=groups)), NAMES)
    assert f"\n\n{told[0]}\n\n" in shown
    assert told[1] not in shown
    assert "Where it fails" not in review_text(result, NAMES)
