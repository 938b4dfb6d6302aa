"""The simple classifiers that stand beside every deep one, fitted in a process of their own.

scikit-learn takes longer to import than a small model to train, so the baselines run beside the
training: `start` writes the texts to a temporary folder and begins, `Baselines.wait` reads
what came out. They see the training part only; the test texts go in without their labels.

The process then predicts every text by models that did not see it, and waits: once the trained
model has been judged, `Baselines.doubt_labels` hands over its probabilities and the other labels,
and `Baselines.doubts` reads which labels are in doubt.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from ..errors import TextgaugeError
from .folds import out_of_sample
from .label_issues import distinct, find_doubts

MAJORITY = "majority class"
TFIDF_LR = "TF-IDF + logistic regression"

MAX_TEXTS = 100_000
"""Distinct texts that logistic regression is fitted on at most; it takes minutes on more."""

_ERRORS = "errors.txt"


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
        self._hear("the baselines could not be fitted")
        folder = Path(self._folder.name)
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

    def doubt_labels(
        self, others: Sequence[LabelledTexts], probabilities: Sequence[npt.NDArray[np.float32]]
    ) -> None:
        """Begin to find the labels in doubt, of train too; to be called after `wait`.

        Args:
            others: validation and test, whose texts were given to `start`.
            probabilities: of the trained model for these. Shape of each: (its texts, classes).

        """
        folder = Path(self._folder.name)
        for index, (part, found) in enumerate(zip(others, probabilities, strict=True)):
            once, first = distinct(part)
            triples = np.stack([once.text_index, once.label, once.count])
            np.save(folder / f"triples_{index}.npy", triples, allow_pickle=False)
            np.save(folder / f"model_{index}.npy", found[first], allow_pickle=False)
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()
        except OSError:
            pass  # It has ended: `doubts` tells why.

    def doubts(self) -> pl.DataFrame:
        """What `label_issues.find_doubts` found, over the distinct texts of train and the others.

        Raises:
            TextgaugeError: the process ended without a result.

        """
        self._hear("the labels could not be examined")
        return pl.read_ipc((Path(self._folder.name) / "doubts.arrow").read_bytes())

    def _hear(self, failure: str) -> None:
        """Wait until the process says that the next of its results is written."""
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self._process.wait()
            said = (Path(self._folder.name) / _ERRORS).read_text("utf-8", errors="replace")
            last = said.strip().splitlines()[-1:] or ["no message"]
            self.stop()
            raise TextgaugeError(f"{failure}: {last[0]}")

    def stop(self) -> None:
        """End the process if it still runs, and clean up."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._folder.cleanup()


def start(
    train: LabelledTexts,
    test_texts: pl.Series,
    classes: int,
    *,
    val_texts: pl.Series | None = None,
) -> Baselines:
    """Begin to fit the baselines on `train`; they will predict for `test_texts`.

    `val_texts` are looked at for labels in doubt only, and without their labels, too.
    """
    folder = tempfile.TemporaryDirectory(prefix="textgauge-baselines-")
    path = Path(folder.name)
    val = pl.Series([], dtype=pl.String) if val_texts is None else val_texts
    for name, texts in (("train", train.texts), ("val", val), ("test", test_texts)):
        pl.DataFrame({"text": texts}).write_ipc(path / f"{name}.arrow")
    triples = np.stack([train.text_index, train.label, train.count])
    np.save(path / "triples.npy", triples, allow_pickle=False)
    # Into a file: a pipe that nobody reads could fill up.
    with (path / _ERRORS).open("wb") as errors:
        process = subprocess.Popen(
            # -P: a file of the user's that is called like a module must not be imported.
            [sys.executable, "-P", "-m", __name__, str(path), str(classes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
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
    from sklearn.linear_model import LogisticRegression

    text_index, label, count = triples
    vectorizer = _vectorizer()
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


def _vectorizer(**more: Any) -> Any:
    """TF-IDF over words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, lowercase=False, token_pattern=r"(?u)\b\w+\b",
        dtype=np.float32, **more,
    )  # fmt: skip


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


def main(tell: Callable[[str], object], folder: str, classes: str) -> None:
    """The process: reads what `start` wrote, and writes what `wait` and `doubts` read."""
    path, number = Path(folder), int(classes)
    train, val, test = (pl.read_ipc(path / f"{n}.arrow")["text"] for n in ("train", "val", "test"))
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
    tell("baselines")
    if _doubt_labels(path, LabelledTexts(train, *triples), (val, test), number):
        tell("doubts")


def _doubt_labels(
    path: Path, train: LabelledTexts, others: Sequence[pl.Series], classes: int
) -> bool:
    """Find the labels in doubt once the other parts' labels are there; False if none come."""
    train, _ = distinct(train)
    triples = [np.stack([train.text_index, train.label, train.count])]
    parts = [train.texts, *(texts.unique(maintain_order=True) for texts in others)]
    ends = np.cumsum([len(part) for part in parts])
    probabilities = np.lib.format.open_memmap(
        path / "probabilities.npy", mode="w+", dtype=np.float32, shape=(int(ends[-1]), classes)
    )
    out_of_sample(pl.concat(parts), triples[0], len(train), probabilities, _vectorizer)
    import cleanlab.filter  # noqa: F401 - while the training still runs

    if not sys.stdin.buffer.readline():
        return False
    for index, begin in enumerate(ends[:-1]):
        model = np.load(path / f"model_{index}.npy", mmap_mode="r", allow_pickle=False)
        # Neither is as good as both.
        part = probabilities[begin : begin + len(model)]
        part += model
        part /= 2
        found = np.load(path / f"triples_{index}.npy", allow_pickle=False)
        found[0] += begin
        triples.append(found)
    find_doubts(np.concatenate(triples, axis=1), probabilities).write_ipc(path / "doubts.arrow")
    return True


if __name__ == "__main__":
    import os
    import warnings

    if hasattr(os, "nice"):
        os.nice(5)  # The training beside it comes first.
    warnings.simplefilter("ignore")  # A baseline that stops early is still a baseline.
    lines = sys.stdout
    sys.stdout = sys.stderr  # What a library prints is no line for the one who waits.
    main(lambda line: print(line, file=lines, flush=True), *sys.argv[1:])
