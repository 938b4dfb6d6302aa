"""Figures and thresholds of sets of labels, beside scikit-learn's and worked by hand."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from textgauge.bundle.label_sets import SetRule
from textgauge.data.corpus import gather_sets
from textgauge.data.label_sets import LabelSets
from textgauge.review.deciding import Asked
from textgauge.review.set_metrics import evaluate_sets, right_rows
from textgauge.review.set_review import compare_sets
from textgauge.review.set_rule import DEFAULT, FEWEST, choose_set_rule, find_thresholds

CLASSES = ("a", "b", "c", "never")


def made(rows=600, texts=400, seed=0):
    """Labelled texts, some with several sets, and probabilities that are somewhat right."""
    random = np.random.default_rng(seed)
    labels = random.uniform(size=(rows, 4)) < [0.5, 0.2, 0.05, 0.0]
    sets = ["|".join(np.array(CLASSES)[row]) for row in labels]
    frame = pl.DataFrame({"text": [f"t{n:03}" for n in random.integers(0, texts, rows)],
                          "label": sets})  # fmt: skip
    found = gather_sets(frame, LabelSets.of(CLASSES, sets, "|"))
    truth = np.zeros((len(found), 4))
    text, label, count = found.cells
    truth[text, label] = count / found.text_rows[text]
    noise = random.uniform(size=truth.shape)
    return found, (0.6 * truth + 0.4 * noise).clip(0.001, 0.999).astype(np.float32)


def by_row(texts, values):
    """A row each, as scikit-learn wants them."""
    at = np.repeat(np.arange(len(texts.label)), texts.count)
    return texts.sets.matrix(texts.label[at]), values[texts.text_index[at]]


def test_figures_over_rows_are_scikit_learns():
    texts, probabilities = made()
    rule = SetRule((0.5, 0.4, 0.6, 0.9))
    rows = evaluate_sets(texts, probabilities, rule, CLASSES).rows
    true, p = by_row(texts, probabilities)
    given = rule.members(p)
    occurs = [0, 1, 2]
    assert rows.accuracy == pytest.approx(sk.accuracy_score(true, given))
    assert rows.micro_f1 == pytest.approx(sk.f1_score(true, given, average="micro"))
    assert rows.macro_f1 == pytest.approx(
        sk.f1_score(true[:, occurs], given[:, occurs], average="macro")
        if not given[:, 3].any()
        else sk.f1_score(true, given, average="macro", zero_division=0)
    )
    assert rows.hamming_loss == pytest.approx(sk.hamming_loss(true, given))
    assert rows.label_accuracy == pytest.approx(1 - rows.hamming_loss)
    loss = sum(sk.log_loss(true[:, n], p[:, n].astype(float), labels=[0, 1]) for n in range(4))
    assert rows.loss == pytest.approx(loss, rel=1e-4)
    assert rows.brier == pytest.approx(((p - true) ** 2).mean(), rel=1e-4)
    for at, label in enumerate(rows.labels[:3]):
        precision, recall, f1, support = sk.precision_recall_fscore_support(
            true[:, at], given[:, at], average=None, labels=[1], zero_division=0
        )
        assert (label.precision, label.recall, label.f1) == pytest.approx(
            (precision[0], recall[0], f1[0])
        )
        assert (label.support, label.called) == (support[0], given[:, at].sum())
        assert label.roc_auc == pytest.approx(sk.roc_auc_score(true[:, at], p[:, at]))
        assert label.average_precision == pytest.approx(
            sk.average_precision_score(true[:, at], p[:, at])
        )
    assert rows.labels[3].roc_auc is None


def test_over_texts_a_text_counts_once_with_its_most_frequent_set():
    sets = ["a|b", "a|b", "a", "c"]
    frame = pl.DataFrame({"text": ["x", "x", "x", "y"], "label": sets})
    texts = gather_sets(frame, LabelSets.of(CLASSES, sets, "|"))
    probabilities = np.array([[0.9, 0.9, 0.1, 0.1], [0.9, 0.1, 0.9, 0.1]], dtype=np.float32)
    found = evaluate_sets(texts, probabilities, SetRule((0.5,) * 4), CLASSES)
    assert found.rows.accuracy == pytest.approx(2 / 4)  # x twice; y has a, which is not so
    assert found.texts.accuracy == pytest.approx(1 / 2)
    assert right_rows(texts, probabilities >= 0.5).tolist() == [2, 0]
    # Over rows: a is so in 3 and called in 4, b so in 2 and called in 3, c so in 1 and called in 1.
    assert found.rows.micro_f1 == pytest.approx(2 * (3 + 2 + 1) / (6 + 8))
    assert found.rows.hamming_loss == pytest.approx((1 + 1) / 16)


def test_the_intervals_hold_the_figures_and_are_those_of_whole_texts():
    texts, probabilities = made()
    found = evaluate_sets(texts, probabilities, SetRule((0.5,) * 4), CLASSES, with_intervals=True)
    for name in ("accuracy", "macro_f1", "micro_f1", "hamming_loss", "loss"):
        interval = getattr(found.rows.intervals, name)
        assert interval.low < getattr(found.rows, name) < interval.high, name
    assert len(found.rows.intervals.f1) == 4
    assert 0.05 < found.rows.intervals.accuracy.high - found.rows.intervals.accuracy.low < 0.15


def test_probabilities_that_are_right_are_calibrated():
    random = np.random.default_rng(0)
    p = random.uniform(size=(4_000, 2)).astype(np.float32)
    labels = random.uniform(size=p.shape) < p
    sets = ["|".join(np.array(["a", "b"])[row]) for row in labels]
    frame = pl.DataFrame({"text": [f"{n:05}" for n in range(4_000)], "label": sets})
    texts = gather_sets(frame, LabelSets.of(["a", "b"], sets, "|"))
    rule = SetRule((0.5, 0.5))
    assert evaluate_sets(texts, p, rule, ["a", "b"]).rows.ece < 0.03
    assert evaluate_sets(texts, p**3, rule, ["a", "b"]).rows.ece > 0.2


def test_a_threshold_is_the_best_of_all_that_could_be():
    texts, probabilities = made()
    probabilities = probabilities.round(2)
    found = find_thresholds(texts, probabilities)
    true, p = by_row(texts, probabilities)
    for label in (0, 1):
        tried = [sk.f1_score(true[:, label], p[:, label] >= t) for t in np.unique(p[:, label])]
        assert found[label].found
        assert found[label].f1 == pytest.approx(max(tried))
        assert found[label].f1 >= found[label].default_f1
        assert found[label].f1 == pytest.approx(
            sk.f1_score(true[:, label], p[:, label] >= np.float32(found[label].value))
        )


def test_a_label_with_too_few_texts_keeps_the_default():
    texts, probabilities = made(rows=300, texts=300)
    found = find_thresholds(texts, probabilities)
    assert found[2].texts < FEWEST
    assert (found[2].found, found[2].value) == (False, DEFAULT)
    assert found[3].value == DEFAULT


def test_a_review_rate_leaves_no_more_rows_than_asked():
    texts, probabilities = made()
    chosen = choose_set_rule(Asked(review_rate=0.1), texts, probabilities)
    sent = chosen.rule.decide(probabilities).review
    share = (sent * texts.text_rows).sum() / texts.rows
    assert 0.05 < share <= 0.1
    assert chosen.review_share == pytest.approx(share)


def test_two_classifiers_are_told_apart_by_texts_and_macro_f1():
    texts, probabilities = made()
    good, bad = probabilities >= 0.5, probabilities >= 0.9
    found = compare_sets(texts, good, bad)
    assert found.gained > found.lost
    assert found.interval.low > 0
    assert found.macro_f1 == pytest.approx(
        evaluate_sets(texts, probabilities, SetRule((0.5,) * 4), CLASSES).rows.macro_f1
        - evaluate_sets(texts, probabilities, SetRule((0.9,) * 4), CLASSES).rows.macro_f1
    )
    same = compare_sets(texts, good, good)
    assert (same.gained, same.lost, same.macro_f1) == (0, 0, 0.0)
