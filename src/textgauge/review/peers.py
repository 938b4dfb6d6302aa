"""What people use instead, beside the models of a comparison, in a process of its own.

TF-IDF with a linear classifier on top, from scikit-learn, as `baselines` makes it. The process fits
them beside the trials, with the lowest priority and on one thread: their seconds are those of the
processor. Then it waits; once the machine is quiet, `Peers.measure` asks what predicting costs.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from ..data.normal_form import normalise
from .baselines import TFIDF_CENTROID, TFIDF_LR, sample, too_many_for_lr, vectorizer
from .beside import Beside
from .centroids import NearestCentroid
from .prediction_cost import ONE_THREAD, milliseconds

TFIDF_SVC = "TF-IDF + LinearSVC"

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Peer:
    """A peer's answers, and what it costs.

    Attributes:
        name: what it is.
        val: the label of each validation text. Shape: (texts,).
        test: the label of each test text. Shape: (texts,).
        seconds: of one processor, to fit it, as often as that was done.
        megabytes: of the fitted pipeline, pickled.
        predict_ms: milliseconds for a thousand texts on one thread.
        fitted_on: distinct texts that it learned from in the end.

    """

    name: str
    val: Labels
    test: Labels
    seconds: float
    megabytes: float
    predict_ms: float
    fitted_on: int


class Peers(Beside):
    """The peers at work in their own process."""

    def measure(self) -> list[Peer]:
        """The peers, once they are fitted; waits, and measures what predicting costs.

        Raises:
            TextgaugeError: the process ended without a result.

        """
        failure = "the peers could not be fitted"
        self.hear(failure)
        self.go_on()
        self.hear(failure)
        results = json.loads((self.path / "results.json").read_text(encoding="utf-8"))
        return [
            Peer(
                **result,
                val=np.load(self.path / f"val_{at}.npy", allow_pickle=False),
                test=np.load(self.path / f"test_{at}.npy", allow_pickle=False),
            )
            for at, result in enumerate(results)
        ]


def start(
    train: LabelledTexts,
    val: LabelledTexts,
    test: pl.Series,
    costs: pl.Series,
    *,
    refit: bool = False,
) -> Peers:
    """Begin to fit the peers.

    Args:
        train: what they are fitted on.
        val: texts to predict.
        test: texts to predict.
        costs: distinct texts to measure with.
        refit: they are fitted once more, on `val`, too, before they predict `test`.

    """
    known = train.joined(val) if refit else train
    texts = {"known": known.texts, "val": val.texts, "test": test, "costs": costs}
    triples = np.stack([known.text_index, known.label, known.count])
    return Peers(__name__, texts, triples, arguments=(str(len(train)),), environment=ONE_THREAD)


def classifiers(*, many_labels: bool = False) -> Mapping[str, Callable[[], Any]]:
    """The classifiers behind TF-IDF, by the name of the peer; of many labels what can be fitted."""
    if many_labels:
        return {TFIDF_CENTROID: NearestCentroid}
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    return {
        TFIDF_LR: lambda: LogisticRegression(C=10, max_iter=300),
        TFIDF_SVC: LinearSVC,
    }


class _Fitted:
    """TF-IDF and a classifier; where no text has a word, the most frequent label for all."""

    def __init__(self, make: Callable[[], Any], texts: list[str], triples: Labels) -> None:
        text_index, label, count = triples
        self._most = int(np.bincount(label, count).argmax())
        self._vectorizer = vectorizer()
        try:
            features = self._vectorizer.fit_transform(texts)
        except ValueError:  # "empty vocabulary": texts of nothing but signs.
            self._classifier = None
            return
        self._classifier = make().fit(features[text_index], label, sample_weight=count)

    def predict(self, texts: list[str]) -> Labels:
        """The label of each normalised text."""
        if self._classifier is None or not texts:
            return np.full(len(texts), self._most, dtype=np.int64)
        found: Labels = self._classifier.predict(self._vectorizer.transform(texts))
        return found.astype(np.int64)

    def bytes(self) -> int:
        """Its size, pickled as scikit-learn's users do."""
        return len(pickle.dumps((self._vectorizer, self._classifier)))


def _lesson(known: pl.Series, triples: Labels) -> tuple[list[str], Labels]:
    """As many of the texts as a peer is fitted on, and their labels."""
    texts, triples = sample(known, triples)
    return texts.to_list(), triples


def main(tell: Callable[[str], object], folder: str, train: str) -> None:
    """The process: reads what `start` wrote, and writes what `Peers.measure` reads.

    Of the known texts the first `train` are those of the training part.
    """
    path = Path(folder)
    known, val, test, costs = (
        pl.read_ipc(path / f"{name}.arrow")["text"] for name in ("known", "val", "test", "costs")
    )
    triples = np.load(path / "triples.npy", allow_pickle=False)
    of_train = triples[:, triples[0] < int(train)]
    lessons = [_lesson(known.head(int(train)), of_train)]
    if len(known) > int(train):
        lessons.append(_lesson(known, triples))
    results, fitted = [], []
    first, its_triples = lessons[0]
    many = too_many_for_lr(len(first), len(np.unique(its_triples[1])))
    for at, (name, make) in enumerate(classifiers(many_labels=many).items()):
        seconds = 0.0
        # The last lesson is what it knows in the end; what validation is judged by is the first.
        for number, (texts, triples) in enumerate(lessons):
            begin = time.process_time()
            each = _Fitted(make, texts, triples)
            seconds += time.process_time() - begin
            if number == 0:
                np.save(path / f"val_{at}.npy", each.predict(val.to_list()), allow_pickle=False)
        np.save(path / f"test_{at}.npy", each.predict(test.to_list()), allow_pickle=False)
        megabytes = each.bytes() / 1e6
        results.append(
            {"name": name, "seconds": seconds, "megabytes": megabytes, "fitted_on": len(texts)}
        )
        fitted.append(each)
    tell("fitted")
    if not sys.stdin.buffer.readline():
        return

    def predict(each: _Fitted) -> Callable[[], Labels]:
        return lambda: each.predict(normalise(costs).to_list())

    for result, each in zip(results, fitted, strict=True):
        result["predict_ms"] = milliseconds(predict(each), len(costs))
    (path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    tell("measured")


if __name__ == "__main__":
    import warnings

    if hasattr(os, "nice"):
        os.nice(19)  # The trials beside it come first, and their seconds are to be their own.
    warnings.simplefilter("ignore")  # A peer that stops early is still a peer.
    lines = sys.stdout
    sys.stdout = sys.stderr  # What a library prints is no line for the one who waits.
    main(lambda line: print(line, file=lines, flush=True), *sys.argv[1:])
