"""Probabilities of texts from models that did not see them: folds of a linear classifier.

The classifier is that of the baselines with another solver, one label against the others: as good
for this purpose and some twenty times as fast as the softmax (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

FOLDS = 5
"""Each text is predicted by a model of the other four fifths."""

MAX_WORK = 60_000_000
"""Entries of the sparse texts x labels x folds that are fitted on at most; about 10 s of a core.

Beyond it there are two folds, and if need be a sample of the texts.
"""

MAX_WEIGHTS = 50_000_000
"""Words x labels x folds at most: 200 MB. Of more words the most frequent are read."""

MAX_TEXTS = 100_000
"""Texts that the words are taken from, and the models fitted on, at most."""

_AT_ONCE = 20_000
"""Texts that are predicted in one go."""


class Linear:
    """Logistic regression of each label against all others; C = 10, solved in the dual."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._weights = np.zeros((0, classes), dtype=np.float32)
        self._bias = np.zeros(classes, dtype=np.float32)
        self._found = np.zeros(0, dtype=np.int64)

    def fit(
        self, features: Any, label: npt.NDArray[np.int64], count: npt.NDArray[np.int64]
    ) -> None:
        """Learn from texts. Shape of `features`: (triples, words), sparse; others: (triples,)."""
        from sklearn.linear_model import LogisticRegression

        self._found = np.unique(label)
        self._weights = np.zeros((features.shape[1], self._classes), dtype=np.float32)
        if len(self._found) < 2:
            return
        # Of two labels one decides: the other's weights are its negative.
        for each in self._found[-1:] if len(self._found) == 2 else self._found:
            one = LogisticRegression(
                C=10, solver="liblinear", dual=True, tol=0.1, max_iter=20, random_state=0
            ).fit(features, label == each, sample_weight=count)
            self._weights[:, each], self._bias[each] = one.coef_[0], one.intercept_[0]
        if len(self._found) == 2:
            first, last = self._found
            self._weights[:, first], self._bias[first] = -self._weights[:, last], -self._bias[last]

    def predict(self, features: Any) -> npt.NDArray[np.float32]:
        """Shape: (texts, classes); labels that were not learned have 0."""
        scores = features @ self._weights + self._bias
        likely = np.zeros(scores.shape)
        likely[:, self._found] = 1 / (1 + np.exp(-scores[:, self._found].astype(np.float64)))
        total = likely.sum(axis=1, keepdims=True)
        result: npt.NDArray[np.float32] = (likely / total).astype(np.float32)
        return result


def out_of_sample(
    texts: pl.Series,
    triples: npt.NDArray[np.int64],
    learned: int,
    out: npt.NDArray[np.float32],
    vectorizer: Callable[..., Any],
) -> int:
    """Predict each text by models that did not see it.

    Args:
        texts: first the training texts, then those that none is fitted on.
        triples: text index, label and count of the training texts. Shape: (3, triples).
        learned: how many training texts there are.
        out: takes the probabilities; may be a memory map. Shape: (texts, classes).
        vectorizer: makes a TF-IDF vectorizer, with further settings as keywords.

    Returns:
        Texts that the models were fitted on: of very many, or of very many labels, a sample. A text
        that was fitted on is predicted by the model of the other folds, any other one by the mean
        of all.

    """
    classes = out.shape[1]
    words = vectorizer(max_features=max(1, MAX_WEIGHTS // (classes * FOLDS)))
    order = np.random.default_rng(0).permutation(learned)[:MAX_TEXTS]
    try:
        features = words.fit_transform(texts[order].to_list()).astype(np.float64)
    except ValueError:  # "empty vocabulary": texts of nothing but signs.
        order = order[:0]
    if len(order) < 2:
        out[:] = np.bincount(triples[1], triples[2], classes) / triples[2].sum()
        return 0
    folds = min(FOLDS, len(order))
    work = max(1, features.nnz) * classes
    if work * folds > MAX_WORK:
        folds = 2
        order = order[: max(2, int(len(order) * min(1.0, MAX_WORK / (work * folds))))]
    fold = np.full(len(texts), -1)
    fold[order] = np.arange(len(order)) % folds
    place = np.full(len(texts), -1)
    place[order] = np.arange(len(order))
    index, label, count = triples[:, place[triples[0]] >= 0]
    models = []
    for each in range(folds):
        seen = fold[index] != each
        model = Linear(classes)
        model.fit(features[place[index[seen]]], label[seen], count[seen])
        models.append(model)
    for begin in range(0, len(texts), _AT_ONCE):
        some = slice(begin, begin + _AT_ONCE)
        of_words = words.transform(texts[some].to_list())
        every = np.stack([model.predict(of_words) for model in models])
        which = fold[some]
        rows = np.arange(len(which))
        out[some] = np.where((which >= 0)[:, None], every[which, rows], every.mean(axis=0))
    return len(order)
