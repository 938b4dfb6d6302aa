"""Probabilities of texts from models that did not see them."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from textgauge.review import folds
from textgauge.review.baselines import vectorizer
from textgauge.review.folds import Linear, out_of_sample


def texts_and_labels(texts=60, classes=3, seed=0):
    """Texts of three words, of which one tells the label."""
    random = np.random.default_rng(seed)
    label = np.arange(texts) % classes
    a, b = random.integers(9, size=(2, texts))
    words = [f"w{label[at]} a{a[at]} b{b[at]} n{at}" for at in range(texts)]
    order = np.argsort(words)
    return pl.Series(words)[order], label[order]


def predicted(texts, triples, learned, classes):
    out = np.full((len(texts), classes), np.nan, dtype=np.float32)
    fitted = out_of_sample(texts, triples, learned, out, vectorizer)
    assert not np.isnan(out).any()
    np.testing.assert_allclose(out.sum(1), 1, rtol=1e-5)
    return out, fitted


def once(label):
    return np.stack([np.arange(len(label)), label, np.ones_like(label)])


@pytest.mark.parametrize("classes", [2, 4])
def test_the_classifier_is_logistic_regression_of_one_label_against_the_others(classes):
    texts, label = texts_and_labels(80, classes)
    features = vectorizer().fit_transform(texts.to_list()).astype(np.float64)
    count = 1 + np.arange(80) % 3
    model = Linear(classes)
    model.fit(features, label, count)
    rows = np.repeat(np.arange(80), count)  # The same in other words: every row its own.
    regression = LogisticRegression(C=10, max_iter=1000)
    if classes > 2:
        regression = OneVsRestClassifier(regression)
    expected = regression.fit(features[rows], label[rows]).predict_proba(features)
    np.testing.assert_allclose(model.predict(features), expected, atol=0.03)
    assert expected.max() > 0.9


def test_a_label_that_was_not_learned_has_no_probability():
    texts, label = texts_and_labels(40, 2)
    features = vectorizer().fit_transform(texts.to_list()).astype(np.float64)
    model = Linear(5)
    model.fit(features, 2 * label + 1, np.ones(40))
    found = model.predict(features)
    assert (found[:, [0, 2, 4]] == 0).all()
    assert (found.argmax(1) == 2 * label + 1).all()


def test_no_text_is_predicted_by_a_model_that_saw_it():
    # Each text has a word of its own. Who saw it knows its label; who did not, does not.
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 200)
    texts = pl.Series([f"word{at:03}" for at in range(200)])
    found, fitted = predicted(texts, once(label), 200, 2)
    assert fitted == 200
    assert (found.argmax(1) == label).mean() < 0.6


def test_texts_like_others_are_predicted_well_and_so_are_those_that_are_not_learned():
    texts, label = texts_and_labels()
    more, more_label = texts_and_labels(30, seed=1)
    found, _ = predicted(pl.concat([texts, more]), once(label), 60, 3)
    assert (found[:60].argmax(1) == label).all()
    assert (found[60:].argmax(1) == more_label).all()


def test_it_repeats():
    texts, label = texts_and_labels()
    first, _ = predicted(texts, once(label), 60, 3)
    again, _ = predicted(texts, once(label), 60, 3)
    assert (first == again).all()


def test_of_many_texts_a_sample_is_learned_and_all_are_predicted(monkeypatch):
    texts, label = texts_and_labels(300)
    monkeypatch.setattr(folds, "MAX_TEXTS", 100)
    monkeypatch.setattr(folds, "_AT_ONCE", 70)
    found, fitted = predicted(texts, once(label), 300, 3)
    assert fitted == 100
    assert (found.argmax(1) == label).mean() > 0.95


def test_of_much_work_less_is_done(monkeypatch):
    texts, label = texts_and_labels(300)
    monkeypatch.setattr(folds, "MAX_WORK", 300 * 7 * 3)  # Half of what two folds would take.
    found, fitted = predicted(texts, once(label), 300, 3)
    assert fitted == pytest.approx(150, abs=2)
    assert (found.argmax(1) == label).mean() > 0.95


@pytest.mark.parametrize("texts", [["!", "?", "."], ["only"]])
def test_where_nothing_can_be_learned_the_shares_of_the_labels_are_given(texts):
    index = np.zeros(2, dtype=np.int64)
    triples = np.array([index, [0, 1], [3, 1]])
    found, fitted = predicted(pl.Series(texts), triples, 1, 2)
    assert fitted == 0
    assert found.tolist() == [[0.75, 0.25]] * len(texts)


def test_two_texts_are_enough():
    found, _ = predicted(pl.Series(["a b", "c d"]), once(np.array([0, 1])), 2, 2)
    # Each one's model knows the other's label only.
    assert found.tolist() == [[0, 1], [1, 0]]
