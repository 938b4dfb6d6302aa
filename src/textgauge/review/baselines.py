"""The simple classifiers that stand beside every deep one, fitted in a process of their own.

They run beside the training (see `beside`): `start` begins, `Baselines.wait` reads what came out.
They learn from what the model learns from: the training part, and where it learns from the
validation part in the end, from that; the test texts go in without their labels.

The process then predicts every text by models that did not see it, and waits: once a trained
model has been judged, `Baselines.doubt_labels` hands over its probabilities and the other labels,
and `Baselines.doubts` reads which labels are in doubt; the same for the next model.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from .beside import Beside
from .centroids import NearestCentroid
from .confusion import MANY_LABELS
from .doubts import doubts_in
from .label_issues import distinct

MAJORITY = "majority class"
SHARES = "share of each label"
TFIDF_LR = "TF-IDF + logistic regression"

TFIDF_CENTROID = "TF-IDF + nearest centroid"

MAX_TEXTS = 100_000
"""Distinct texts that logistic regression is fitted on at most; it takes minutes on more."""

MOST_CELLS = 10_000_000
"""Texts times labels that logistic regression is fitted on at most where a text has any number of
labels: there it is one fit a label."""

MOST_WORK = 4_000_000
"""Distinct training texts times labels, of which a text has one, that logistic regression is fitted
on at most; of more, and of more than `MANY_LABELS` labels, it takes many minutes and gigabytes."""


@dataclass(frozen=True)
class Baseline:
    """A simple classifier's answer for the test texts.

    Attributes:
        name: what it is.
        probabilities: Shape: (test texts, classes).
        seconds: to fit and predict, imports not counted.
        fitted_on: distinct training texts it saw.
        on_val: where a text has any number of labels: the answer for the validation texts, which
            its thresholds are found on. Shape: (validation texts, classes).

    """

    name: str
    probabilities: npt.NDArray[np.float32]
    seconds: float
    fitted_on: int
    on_val: npt.NDArray[np.float32] | None = None


class Baselines(Beside):
    """The baselines at work in their own process."""

    _fitted: list[Baseline] | None = None

    def wait(self) -> list[Baseline]:
        """The finished baselines, the simplest first.

        Raises:
            TextgaugeError: the process ended without a result.

        """
        if self._fitted is None:
            self.hear("the baselines could not be fitted")
            results = json.loads((self.path / "results.json").read_text(encoding="utf-8"))
            self._fitted = [
                Baseline(
                    result["name"],
                    np.load(self.path / f"{index}.npy", allow_pickle=False),
                    result["seconds"],
                    result["fitted_on"],
                    np.load(self.path / f"val_{index}.npy", allow_pickle=False)
                    if (self.path / f"val_{index}.npy").exists()
                    else None,
                )
                for index, result in enumerate(results)
            ]
        return self._fitted

    def doubt_labels(
        self, others: Sequence[LabelledTexts], probabilities: Sequence[npt.NDArray[np.float32]]
    ) -> None:
        """Begin to find the labels in doubt, of train too; to be called after `wait`.

        May be called for one model after the other, each time with `doubts` behind.

        Args:
            others: validation and test, whose texts were given to `start`.
            probabilities: of the trained model for these. Shape of each: (its texts, classes).

        """
        for index, (part, found) in enumerate(zip(others, probabilities, strict=True)):
            once, first = distinct(part)
            triples = np.stack([once.text_index, once.label, once.count])
            np.save(self.path / f"triples_{index}.npy", triples, allow_pickle=False)
            if found.shape[1] <= MANY_LABELS:
                np.save(self.path / f"model_{index}.npy", found[first], allow_pickle=False)
        self.go_on()

    def doubts(self) -> pl.DataFrame:
        """What `label_issues.find_doubts` found, over the distinct texts of train and the others.

        Raises:
            TextgaugeError: the process ended without a result.

        """
        self.hear("the labels could not be examined")
        return pl.read_ipc((self.path / "doubts.arrow").read_bytes())


def start(
    train: LabelledTexts,
    test_texts: pl.Series,
    classes: int,
    *,
    val: LabelledTexts | None = None,
    refit: bool = False,
) -> Baselines:
    """Begin to fit the baselines on `train`; they will predict for `test_texts`.

    The texts of `val` are looked at for labels in doubt; where a text has any number of labels,
    none is doubted, and the baselines predict for them instead. Its labels they learn with `refit`
    alone, and for `test_texts` alone.
    """
    has_sets = train.sets is not None
    val_texts = pl.Series([], dtype=pl.String) if val is None else val.texts
    known = train.joined(val) if refit and val is not None else train
    return Baselines(
        __name__,
        {"known": known.texts, "val": val_texts, "test": test_texts},
        np.stack(known.cells),
        rows=known.text_rows if has_sets else None,
        arguments=(str(classes), str(len(train)), *(["sets"] if has_sets else [])),
    )


def fit_majority(
    label: npt.NDArray[np.int64], count: npt.NDArray[np.int64], texts: int, classes: int
) -> npt.NDArray[np.float32]:
    """The share of each label in train, for every text. Shape: (texts, classes)."""
    shares = np.bincount(label, count, classes) / count.sum()
    return np.tile(shares.astype(np.float32), (texts, 1))


def too_many_for_lr(texts: int, classes: int) -> bool:
    """Whether logistic regression on so many texts would take too long, for its labels.

    >>> too_many_for_lr(6_000, 77), too_many_for_lr(100_000, 20), too_many_for_lr(20_000, 5_000)
    (False, False, True)
    """
    return classes > MANY_LABELS or (classes > 100 and texts * classes > MOST_WORK)


def fit_tfidf_lr(
    train: pl.Series,
    triples: npt.NDArray[np.int64],
    test: pl.Series,
    classes: int,
    *,
    centroids: bool = False,
) -> npt.NDArray[np.float32]:
    """TF-IDF over words and word pairs (sublinear), then logistic regression with C = 10.

    Args:
        train: distinct training texts.
        triples: text index, label and count. Shape: (3, triples).
        test: texts to predict.
        classes: number of labels.
        centroids: the nearest centroid instead of logistic regression.

    Returns:
        Shape: (test texts, classes); 0 for labels that train does not have. Where no text has a
        word, the shares of the labels.

    """
    from sklearn.linear_model import LogisticRegression

    text_index, label, count = triples
    tfidf = vectorizer()
    try:
        features = tfidf.fit_transform(train.to_list())
    except ValueError:  # "empty vocabulary": texts of nothing but signs.
        return fit_majority(label, count, len(test), classes)
    regression = NearestCentroid() if centroids else LogisticRegression(C=10, max_iter=300)
    regression.fit(features[text_index], label, sample_weight=count)
    found = regression.predict_proba(tfidf.transform(test.to_list()))
    probabilities = np.zeros((len(test), classes), dtype=np.float32)
    probabilities[:, regression.classes_] = found
    return probabilities


def fit_shares(
    triples: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], texts: int, classes: int
) -> npt.NDArray[np.float32]:
    """The share of the rows that have each label in train, for every text.

    Shape: (texts, classes).
    """
    shares = np.bincount(triples[1], triples[2], classes) / rows.sum()
    return np.tile(shares.astype(np.float32), (texts, 1))


def fit_sets_tfidf_lr(
    train: pl.Series,
    triples: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    others: Sequence[pl.Series],
    classes: int,
) -> list[npt.NDArray[np.float32]]:
    """As `fit_tfidf_lr`, one label against the rest, each by itself.

    Args:
        train: distinct training texts.
        triples: text index, label and rows of the text with it. Shape: (3, cells).
        rows: of each text. Shape: (texts,).
        others: texts to predict.
        classes: number of labels.

    Returns:
        For each of `others`, of shape (texts, classes); the label's share where all texts of train
        agree on it, and where no text has a word.

    """
    from sklearn.linear_model import LogisticRegression

    found = [fit_shares(triples, rows, len(each), classes) for each in others]
    words = vectorizer()
    try:
        features = words.fit_transform(train.to_list())
    except ValueError:  # "empty vocabulary": texts of nothing but signs.
        return found
    asked = [words.transform(each.to_list()) for each in others]
    for label in range(classes):
        mine = triples[:, triples[1] == label]
        positive = np.zeros(len(train), dtype=np.int64)
        positive[mine[0]] = mine[2]
        negative = rows - positive
        yes, no = np.flatnonzero(positive), np.flatnonzero(negative)
        if not len(yes) or not len(no):
            continue
        # A text whose rows disagree is learned from twice.
        regression = LogisticRegression(C=10, max_iter=300)
        regression.fit(
            features[np.concatenate([yes, no])],
            np.repeat([1, 0], [len(yes), len(no)]),
            sample_weight=np.concatenate([positive[yes], negative[no]]),
        )
        for column, each in zip(found, asked, strict=True):
            if each.shape[0]:
                column[:, label] = regression.predict_proba(each)[:, 1]
    return found


def vectorizer(**more: Any) -> Any:
    """TF-IDF over words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, lowercase=False, token_pattern=r"(?u)\b\w+\b",
        dtype=np.float32, **more,
    )  # fmt: skip


def _drawn(texts: int, most: int) -> npt.NDArray[np.int64]:
    """Which of so many texts are taken, rising; `most` of them at most."""
    if texts <= most:
        return np.arange(texts)
    return np.sort(np.random.default_rng(0).permutation(texts)[:most])


def sample(
    texts: pl.Series, triples: npt.NDArray[np.int64], most: int | None = None
) -> tuple[pl.Series, npt.NDArray[np.int64]]:
    """The texts that simple classifiers are fitted on, `most` at most, and their triples."""
    most = MAX_TEXTS if most is None else most
    if len(texts) <= most:
        return texts, triples
    chosen = _drawn(len(texts), most)
    place = np.full(len(texts), -1, dtype=np.int64)
    place[chosen] = np.arange(most)
    kept = triples[:, place[triples[0]] >= 0]
    return texts[chosen], np.stack([place[kept[0]], kept[1], kept[2]])


def _fit_sets(path: Path, classes: int, train: int) -> None:
    """Fit and predict where a text has any number of labels; writes what `wait` reads.

    The first `train` of the known texts are those of the training part.
    """
    known, val, test = (pl.read_ipc(path / f"{n}.arrow")["text"] for n in ("known", "val", "test"))
    triples, rows = (np.load(path / f"{n}.npy", allow_pickle=False) for n in ("triples", "rows"))
    most = min(MAX_TEXTS, max(MOST_CELLS // classes, 1_000))

    def shares(texts: int, others: Sequence[pl.Series]) -> list[npt.NDArray[np.float32]]:
        mine = triples[:, triples[0] < texts]
        return [fit_shares(mine, rows[:texts], len(each), classes) for each in others]

    def words(texts: int, others: Sequence[pl.Series]) -> list[npt.NDArray[np.float32]]:
        some, some_triples = sample(known[:texts], triples[:, triples[0] < texts], most)
        some_rows = rows[:texts][_drawn(texts, most)]
        return fit_sets_tfidf_lr(some, some_triples, some_rows, others, classes)

    results = []
    for index, (name, limit, fit) in enumerate(
        [(SHARES, len(known), shares), (TFIDF_LR, most, words)]
    ):
        begin = time.perf_counter()
        if train == len(known):
            on_val, on_test = fit(train, (val, test))
        else:  # Thresholds are found by what says of texts that it has not seen.
            (on_val,), (on_test,) = fit(train, (val,)), fit(len(known), (test,))
        seconds = time.perf_counter() - begin
        np.save(path / f"val_{index}.npy", on_val, allow_pickle=False)
        np.save(path / f"{index}.npy", on_test, allow_pickle=False)
        fitted_on = min(len(known), limit)
        results.append({"name": name, "seconds": seconds, "fitted_on": fitted_on})
    (path / "results.json").write_text(json.dumps(results), encoding="utf-8")


def main(
    tell: Callable[[str], object], folder: str, classes: str, train: str, kind: str = "labels"
) -> None:
    """The process: reads what `start` wrote, and writes what `wait` and `doubts` read."""
    if kind == "sets":
        _fit_sets(Path(folder), int(classes), int(train))
        tell("baselines")
        return
    path, number = Path(folder), int(classes)
    known, val, test = (pl.read_ipc(path / f"{n}.arrow")["text"] for n in ("known", "val", "test"))
    triples = np.load(path / "triples.npy", allow_pickle=False)
    some, some_triples = sample(known, triples)
    many = too_many_for_lr(len(some), number)
    work: list[tuple[str, int, Callable[[], npt.NDArray[np.float32]]]] = [
        (MAJORITY, len(known), lambda: fit_majority(triples[1], triples[2], len(test), number)),
        (
            TFIDF_CENTROID if many else TFIDF_LR,
            len(some),
            lambda: fit_tfidf_lr(some, some_triples, test, number, centroids=many),
        ),
    ]
    results = []
    for index, (name, fitted_on, fit) in enumerate(work):
        begin = time.perf_counter()
        np.save(path / f"{index}.npy", fit(), allow_pickle=False)
        seconds = time.perf_counter() - begin
        results.append({"name": name, "seconds": seconds, "fitted_on": fitted_on})
    (path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    tell("baselines")
    of_train = LabelledTexts(known[: int(train)], *triples[:, triples[0] < int(train)])
    for doubts in doubts_in(path, of_train, (val, test), number, vectorizer):
        doubts.write_ipc(path / "doubts.arrow")
        tell("doubts")


if __name__ == "__main__":
    import os
    import warnings

    if hasattr(os, "nice"):
        os.nice(5)  # The training beside it comes first.
    warnings.simplefilter("ignore")  # A baseline that stops early is still a baseline.
    lines = sys.stdout
    sys.stdout = sys.stderr  # What a library prints is no line for the one who waits.
    main(lambda line: print(line, file=lines, flush=True), *sys.argv[1:])
