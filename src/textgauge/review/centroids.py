"""The nearest centroid: what stands in for logistic regression where there are very many labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SHARPNESS = 20.0
"""What a cosine is multiplied with to give a logit: a text that is like its label's centroid, and
like no other, is told from thousands of labels."""

_AT_ONCE = 20_000_000
"""Texts times labels that are predicted in one go."""


class NearestCentroid:
    """The label whose training texts have the mean that points most nearly in a text's direction.

    Rocchio's classifier (Manning, Raghavan and Schuetze, "Introduction to Information Retrieval",
    2008, section 14.2), with the same weights of words as logistic regression reads. Its work grows
    with the texts and not with texts times labels.
    """

    classes_: npt.NDArray[np.int64]

    def fit(
        self, features: Any, label: npt.NDArray[np.int64], sample_weight: npt.NDArray[np.int64]
    ) -> NearestCentroid:
        """Learn from texts. Shape of `features`: (n, words), sparse; of the others: (n,)."""
        from scipy import sparse
        from sklearn.preprocessing import normalize

        self.classes_, place = np.unique(label, return_inverse=True)
        members = sparse.csr_matrix(
            (sample_weight.astype(np.float32), (place, np.arange(len(label)))),
            shape=(len(self.classes_), len(label)),
        )
        self._centroids = normalize(members @ features).T.tocsr()
        return self

    def predict_proba(self, features: Any) -> npt.NDArray[np.float32]:
        """Shape: (texts, labels that were learned)."""
        count, labels = features.shape[0], len(self.classes_)
        found = np.empty((count, labels), dtype=np.float32)
        at_once = max(1, _AT_ONCE // labels)
        for begin in range(0, count, at_once):
            cosine = (features[begin : begin + at_once] @ self._centroids).toarray()
            powers = np.exp(SHARPNESS * (cosine - cosine.max(1, keepdims=True)))
            found[begin : begin + at_once] = powers / powers.sum(1, keepdims=True)
        return found

    def predict(self, features: Any) -> npt.NDArray[np.int64]:
        """The label of each text. Shape: (texts,)."""
        count, found = features.shape[0], []
        at_once = max(1, _AT_ONCE // len(self.classes_))
        for begin in range(0, count, at_once):
            cosine = (features[begin : begin + at_once] @ self._centroids).toarray()
            found.append(self.classes_[cosine.argmax(1)])
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
