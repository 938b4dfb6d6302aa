"""The simple classifiers that stand beside every deep one, fitted in a process of their own.

scikit-learn takes longer to import than a small model to train, so the baselines run beside the
training: `start` writes the texts to a temporary folder and begins, `Baselines.wait` reads
what came out. They see the training part only; the test texts go in without their labels.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from ..errors import TextgaugeError

MAJORITY = "majority class"
TFIDF_LR = "TF-IDF + logistic regression"

MAX_TEXTS = 100_000
"""Distinct texts that logistic regression is fitted on at most; it takes minutes on more."""


@dataclass(frozen=True)
class Baseline:
    """A simple classifier's answer for the test texts.

    Attributes:
        name: what it is.
        probabilities: Shape: (test texts, classes).
        seconds: to fit and predict, imports not counted.
        fitted_on: distinct training texts it saw.

    """

    name: str
    probabilities: npt.NDArray[np.float32]
    seconds: float
    fitted_on: int


class Baselines:
    """The baselines at work in their own process."""

    def __init__(self, folder: tempfile.TemporaryDirectory[str], process: subprocess.Popen[bytes]):
        self._folder, self._process = folder, process

    def wait(self) -> list[Baseline]:
        """The finished baselines, the simplest first.

        Raises:
            TextgaugeError: the process ended without a result.

        """
        _, errors = self._process.communicate()
        folder = Path(self._folder.name)
        try:
            if self._process.returncode:
                last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
                raise TextgaugeError(f"the baselines could not be fitted: {last[0]}")
            results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            return [
                Baseline(
                    result["name"],
                    np.load(folder / f"{index}.npy", allow_pickle=False),
                    result["seconds"],
                    result["fitted_on"],
                )
                for index, result in enumerate(results)
            ]
        finally:
            self._folder.cleanup()

    def stop(self) -> None:
        """End the process if it still runs, and clean up."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()


def start(train: LabelledTexts, test_texts: pl.Series, classes: int) -> Baselines:
    """Begin to fit the baselines on `train`; they will predict for `test_texts`."""
    folder = tempfile.TemporaryDirectory(prefix="textgauge-baselines-")
    path = Path(folder.name)
    pl.DataFrame({"text": train.texts}).write_ipc(path / "train.arrow")
    pl.DataFrame({"text": test_texts}).write_ipc(path / "test.arrow")
    triples = np.stack([train.text_index, train.label, train.count])
    np.save(path / "triples.npy", triples, allow_pickle=False)
    process = subprocess.Popen(
        # -P: a file of the user's that is called like a module must not be imported.
        [sys.executable, "-P", "-m", __name__, str(path), str(classes)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    return Baselines(folder, process)


def fit_majority(
    label: npt.NDArray[np.int64], count: npt.NDArray[np.int64], texts: int, classes: int
) -> npt.NDArray[np.float32]:
    """The share of each label in train, for every text. Shape: (texts, classes)."""
    shares = np.bincount(label, count, classes) / count.sum()
    return np.tile(shares.astype(np.float32), (texts, 1))


def fit_tfidf_lr(
    train: pl.Series, triples: npt.NDArray[np.int64], test: pl.Series, classes: int
) -> npt.NDArray[np.float32]:
    """TF-IDF over words and word pairs (sublinear), then logistic regression with C = 10.

    Args:
        train: distinct training texts.
        triples: text index, label and count. Shape: (3, triples).
        test: texts to predict.
        classes: number of labels.

    Returns:
        Shape: (test texts, classes); 0 for labels that train does not have. Where no text has a
        word, the shares of the labels.

    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    text_index, label, count = triples
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, lowercase=False, token_pattern=r"(?u)\b\w+\b",
        dtype=np.float32,
    )  # fmt: skip
    try:
        features = vectorizer.fit_transform(train.to_list())
    except ValueError:  # "empty vocabulary": texts of nothing but signs.
        return fit_majority(label, count, len(test), classes)
    regression = LogisticRegression(C=10, max_iter=300)
    regression.fit(features[text_index], label, sample_weight=count)
    found = regression.predict_proba(vectorizer.transform(test.to_list()))
    probabilities = np.zeros((len(test), classes), dtype=np.float32)
    probabilities[:, regression.classes_] = found
    return probabilities


def _sample(
    texts: pl.Series, triples: npt.NDArray[np.int64]
) -> tuple[pl.Series, npt.NDArray[np.int64]]:
    if len(texts) <= MAX_TEXTS:
        return texts, triples
    chosen = np.sort(np.random.default_rng(0).permutation(len(texts))[:MAX_TEXTS])
    place = np.full(len(texts), -1, dtype=np.int64)
    place[chosen] = np.arange(MAX_TEXTS)
    kept = triples[:, place[triples[0]] >= 0]
    return texts[chosen], np.stack([place[kept[0]], kept[1], kept[2]])


def main(folder: str, classes: str) -> None:
    """The process: reads what `start` wrote, and writes what `wait` reads."""
    path, number = Path(folder), int(classes)
    train = pl.read_ipc(path / "train.arrow")["text"]
    test = pl.read_ipc(path / "test.arrow")["text"]
    triples = np.load(path / "triples.npy", allow_pickle=False)
    some, some_triples = _sample(train, triples)
    work: list[tuple[str, int, Callable[[], npt.NDArray[np.float32]]]] = [
        (MAJORITY, len(train), lambda: fit_majority(triples[1], triples[2], len(test), number)),
        (TFIDF_LR, len(some), lambda: fit_tfidf_lr(some, some_triples, test, number)),
    ]
    results = []
    for index, (name, fitted_on, fit) in enumerate(work):
        begin = time.perf_counter()
        np.save(path / f"{index}.npy", fit(), allow_pickle=False)
        seconds = time.perf_counter() - begin
        results.append({"name": name, "seconds": seconds, "fitted_on": fitted_on})
    (path / "results.json").write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    import os
    import warnings

    if hasattr(os, "nice"):
        os.nice(5)  # The training beside it comes first.
    warnings.simplefilter("ignore")  # A baseline that stops early is still a baseline.
    main(*sys.argv[1:])
