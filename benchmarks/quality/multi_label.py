"""Texts with several labels at once: each model beside TF-IDF + logistic regression, one-vs-rest.

    python benchmarks/quality/multi_label.py DATA_FOLDER            # figures on the val part
    python benchmarks/quality/multi_label.py DATA_FOLDER --test     # on the test part, once

DATA_FOLDER holds goemotions_ekman.parquet: `text`, `label` (joined by "|") and `split` (train, val,
test). Everyone learns from the train part; thresholds are chosen on the val part, for the peer by
scikit-learn's precision_recall_curve; the models also stop by it. So figures on val flatter all of
them alike. Seconds are those of the training alone, on texts that are read already.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from textgauge.bundle.label_sets import to_set_probabilities
from textgauge.config import Config
from textgauge.data.corpus import Corpus, LabelledTexts, build_corpus
from textgauge.data.tables import Columns, read_table
from textgauge.review.deciding import Asked
from textgauge.review.set_rule import choose_set_rule
from textgauge.text.learn import learn_encoder

TABLE = "goemotions_ekman.parquet"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help=f"a folder with {TABLE}")
    parser.add_argument("--test", action="store_true", help="judge on the test part")
    parser.add_argument("--seeds", type=int, default=3, help="of each model (3)")
    parser.add_argument("--models", default="bag,lstm", help="of textgauge (bag,lstm)")
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    table = read_table(options.data / TABLE, Columns(split="split"), separator="|")
    print("| classifier | seed | macro F1 | micro F1 | labels exactly right | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    corpus = build_corpus(table.frame, seed=0, fractions=(0.8, 0.1, 0.1), separator="|")
    judged = corpus.test if options.test else corpus.val
    if options.peer:
        tell("TF-IDF + logistic regression", "-", judged, *peer(corpus, judged))
    for model in options.models.split(","):
        for seed in range(options.seeds):
            config = Config.from_mapping({"model": model, "multi_label": True, "seed": seed})
            tell(f"textgauge {model}", seed, judged, *ours(config, corpus, judged))


def ours(config: Config, corpus: Corpus, judged: LabelledTexts) -> tuple[np.ndarray, float]:
    """Which labels a model of textgauge gives, and seconds."""
    from textgauge.training.fit import fit
    from textgauge.training.loop import predict_logits

    began = time.perf_counter()
    fitted = fit(corpus, learn_encoder(corpus.train.texts, config), config)
    seconds = time.perf_counter() - began
    val, found = (
        to_set_probabilities(predict_logits(fitted.model, fitted.encode(part)))
        for part in (corpus.val, judged)
    )
    return choose_set_rule(Asked(), corpus.val, val).rule.members(found), seconds


def peer(corpus: Corpus, judged: LabelledTexts) -> tuple[np.ndarray, float]:
    """Which labels scikit-learn's usual recipe gives, and seconds."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import precision_recall_curve
    from sklearn.multiclass import OneVsRestClassifier

    began = time.perf_counter()
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    regression = OneVsRestClassifier(LogisticRegression(C=10, max_iter=300))
    texts, labels = rows_of(corpus.train)
    regression.fit(vectorizer.fit_transform(texts), labels)
    seconds = time.perf_counter() - began
    val_texts, val_labels = rows_of(corpus.val)
    on_val = regression.predict_proba(vectorizer.transform(val_texts))
    found = regression.predict_proba(vectorizer.transform(judged.texts.to_list()))
    thresholds = []
    for label in range(labels.shape[1]):
        precision, recall, at = precision_recall_curve(val_labels[:, label], on_val[:, label])
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        thresholds.append(at[f1[:-1].argmax()])
    return found >= np.array(thresholds), seconds


def rows_of(part: LabelledTexts) -> tuple[list[str], np.ndarray]:
    """The rows of a part: texts, and an indicator matrix of their labels."""
    assert part.sets is not None
    at = np.repeat(np.arange(len(part.label)), part.count)
    texts = part.texts.gather(pl.Series(part.text_index[at])).to_list()
    return texts, part.sets.matrix(part.label[at]).astype(int)


def tell(name: str, seed: Any, judged: LabelledTexts, members: np.ndarray, seconds: float) -> None:
    """Print the figures of what was given to distinct texts, over the rows; by scikit-learn."""
    from sklearn.metrics import accuracy_score, f1_score

    assert judged.sets is not None
    at = np.repeat(np.arange(len(judged.label)), judged.count)
    true = judged.sets.matrix(judged.label[at])
    given = members[judged.text_index[at]]
    macro, micro = (f1_score(true, given, average=how) for how in ("macro", "micro"))
    print(
        f"| {name} | {seed} | {macro:.4f} | {micro:.4f} | {accuracy_score(true, given):.4f} | "
        f"{seconds:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
