"""The peers of a comparison, as scikit-learn makes them by hand, and what they cost."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from textgauge.data.corpus import LabelledTexts
from textgauge.review import peers
from textgauge.review.baselines import vectorizer
from textgauge.review.peers import Peer, _Fitted
from textgauge.review.prediction_cost import milliseconds, texts_to_predict


@pytest.fixture(scope="module")
def found(trained: Any) -> list[Peer]:
    """The real process."""
    corpus = trained.corpus
    costs = texts_to_predict(corpus.val.texts, corpus.train.texts)
    working = peers.start(corpus.train, corpus.val, corpus.test.texts, costs)
    try:
        return working.measure()
    finally:
        working.stop()


def test_they_are_the_pipelines_that_one_would_write(found: list[Peer], trained: Any) -> None:
    corpus = trained.corpus
    train = corpus.train
    texts = train.texts.to_list()
    for peer, made in zip(
        found, (LogisticRegression(C=10, max_iter=300), LinearSVC()), strict=True
    ):
        pipeline = make_pipeline(vectorizer(), made)
        pipeline.fit(
            [texts[at] for at in train.text_index],
            train.label,
            **{f"{type(made).__name__.lower()}__sample_weight": train.count},
        )
        for part, answers in ((corpus.val, peer.val), (corpus.test, peer.test)):
            expected = pipeline.predict(part.texts.to_list())
            # TF-IDF counts in how many texts a word stands: here some stood twice.
            assert (answers == expected).mean() > 0.97
        assert peer.megabytes == pytest.approx(len(pickle.dumps(pipeline)) / 1e6, rel=0.1)
    assert [peer.name for peer in found] == ["TF-IDF + logistic regression", "TF-IDF + LinearSVC"]


def test_fitted_once_more_they_know_the_validation_texts_which_they_had_not_predicted_with(
    found: list[Peer], trained: Any
) -> None:
    corpus = trained.corpus
    known = corpus.train.joined(corpus.val)
    costs = texts_to_predict(corpus.val.texts, corpus.train.texts)
    working = peers.start(corpus.train, corpus.val, corpus.test.texts, costs, refit=True)
    try:
        again = working.measure()
    finally:
        working.stop()
    for before, after, made in zip(
        found, again, (LogisticRegression(C=10, max_iter=300), LinearSVC()), strict=True
    ):
        assert after.fitted_on == len(known)
        assert np.array_equal(after.val, before.val)
        texts = vectorizer().fit(known.texts.to_list())
        made.fit(
            texts.transform(known.texts.to_list())[known.text_index],
            known.label,
            sample_weight=known.count,
        )
        expected = made.predict(texts.transform(corpus.test.texts.to_list()))
        assert np.array_equal(after.test, expected)
    assert any(not np.array_equal(a.test, b.test) for a, b in zip(found, again, strict=True))


def test_their_costs_are_told(found: list[Peer], trained: Any) -> None:
    for peer in found:
        assert 0 < peer.seconds < 30
        assert 0 < peer.predict_ms < 1000
        assert peer.fitted_on == len(trained.corpus.train)


def test_where_no_text_has_a_word_the_most_frequent_label_is_told() -> None:
    texts = LabelledTexts(
        pl.Series(["!", "?"]), np.array([0, 1]), np.array([0, 2]), np.array([1, 3])
    )
    triples = np.stack([texts.text_index, texts.label, texts.count])
    fitted = _Fitted(LinearSVC, texts.texts.to_list(), triples)
    assert fitted.predict(["a", "!"]).tolist() == [2, 2]
    assert fitted.bytes() > 0


def test_a_cost_is_the_median_for_a_thousand_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.4, 0.5, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1])
    monkeypatch.setattr("time.process_time", lambda: next(times))
    calls: list[int] = []
    # Of 0.4, 0, 0.1, 0.1 and 0.2 seconds for 500 texts the median is 0.1: 200 ms for a thousand.
    assert milliseconds(lambda: calls.append(1), 500) == pytest.approx(200, abs=1)
    assert len(calls) == 6, "one to warm up"
