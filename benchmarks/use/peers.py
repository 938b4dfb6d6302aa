"""What people use for it today: each peer trained on notes, and scoring a Parquet table.

    peers.py train NAME NOTES.csv.gz FOLDER
    peers.py score NAME TABLE.parquet FOLDER ROWS      prints {"seconds": …} as JSON

Imports nothing of textgauge; benchmarks/use/score.py runs it in an environment of its own. Each is
given what makes it fast: large chunks and batches, and no more columns than it needs.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 100_000
LENGTH, WORDS = 16, 10_000  # of the lab's padded texts, and of its vocabulary

Predict = Callable[[pd.Series], tuple[Any, Any]]
"""Texts to labels and probabilities."""


# ---- scikit-learn --------------------------------------------------------------------------------


def train_tfidf(notes: pd.DataFrame, folder: Path) -> None:
    """Words weighed by TF-IDF, and a logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    pipeline.fit(notes["text"], notes["label"])
    (folder / "pipeline.pkl").write_bytes(pickle.dumps(pipeline))


def load_tfidf(folder: Path) -> Predict:
    """As its users keep it: pickled."""
    pipeline = pickle.loads((folder / "pipeline.pkl").read_bytes())

    def predict(texts: pd.Series) -> tuple[Any, Any]:
        probabilities = pipeline.predict_proba(texts)
        best = probabilities.argmax(1)
        return pipeline.classes_[best], probabilities[np.arange(len(best)), best]

    return predict


# ---- fastText ------------------------------------------------------------------------------------


def train_fasttext(notes: pd.DataFrame, folder: Path) -> None:
    """Words and pairs of them."""
    import fasttext

    lines = "__label__" + notes["label"].astype(str) + " " + notes["text"]
    (folder / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    model = fasttext.train_supervised(str(folder / "train.txt"), wordNgrams=2, verbose=0)
    model.save_model(str(folder / "model.bin"))


def load_fasttext(folder: Path) -> Predict:
    """Its own `predict`, on a chunk's list of texts."""
    import fasttext

    fasttext.FastText.eprint = lambda *_: None
    model = fasttext.load_model(str(folder / "model.bin"))

    def predict(texts: pd.Series) -> tuple[Any, Any]:
        labels, probabilities = model.predict(texts.tolist())
        found = [label[0].removeprefix("__label__") for label in labels]
        return found, np.concatenate(probabilities)

    return predict


# ---- the lab's network ---------------------------------------------------------------------------


def train_keras(notes: pd.DataFrame, folder: Path) -> None:
    """The network of benchmarks/lab_recipe; how well it is trained changes no speed."""
    import keras
    import mlflow

    words = sorted({word for text in notes["text"].unique() for word in text.split()})
    number = {word: at for at, word in enumerate(words, 1)}
    (folder / "words.json").write_text(json.dumps(number), encoding="utf-8")
    model = keras.Sequential(
        [
            keras.Input((LENGTH,)),
            keras.layers.Embedding(WORDS, 100, trainable=False),
            keras.layers.LSTM(100, dropout=0.2, recurrent_dropout=0.2),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    sample = notes.sample(5_000, random_state=0)
    model.fit(_padded(sample["text"], number), sample["label"].to_numpy(), verbose=0)
    model.save(folder / "model.keras")
    mlflow.tensorflow.save_model(model, str(folder / "mlflow"))


def _padded(texts: pd.Series, number: dict[str, int]) -> np.ndarray:
    ids = np.zeros((len(texts), LENGTH), np.int32)
    for row, text in enumerate(texts):
        found = [number.get(word, 0) for word in text.lower().split()][:LENGTH]
        ids[row, : len(found)] = found
    return ids


def load_keras(folder: Path) -> Predict:
    """`predict` in batches that are large for it."""
    import keras

    model = keras.models.load_model(folder / "model.keras")
    return _of_network(folder, lambda ids: model.predict(ids, batch_size=4096, verbose=0))


def load_pyfunc(folder: Path) -> Predict:
    """The same through MLflow, which chooses the batches."""
    import mlflow

    model = mlflow.pyfunc.load_model(str(folder / "mlflow"))
    return _of_network(folder, lambda ids: np.asarray(model.predict(ids)))


def _of_network(folder: Path, run: Callable[[np.ndarray], np.ndarray]) -> Predict:
    number = json.loads((folder / "words.json").read_text(encoding="utf-8"))

    def predict(texts: pd.Series) -> tuple[Any, Any]:
        probability = run(_padded(texts, number))[:, 0]
        return (probability > 0.5).astype(int), np.maximum(probability, 1 - probability)

    return predict


TRAIN = {
    "tfidf": train_tfidf,
    "fasttext": train_fasttext,
    "keras": train_keras,
    "pyfunc": train_keras,
}
LOAD = {
    "tfidf": load_tfidf,
    "fasttext": load_fasttext,
    "keras": load_keras,
    "pyfunc": load_pyfunc,
}


def score(predict: Predict, table: Path, out: Path, rows: int) -> float:
    """Seconds for reading, predicting and writing the first `rows` rows in chunks."""
    predict(pd.Series(["steel component manufactured in 1990 in good condition"] * 2))
    begin, done, writer = time.perf_counter(), 0, None
    for chunk in pq.ParquetFile(table).iter_batches(batch_size=CHUNK):
        batch = chunk.slice(0, rows - done)
        texts = batch.column("text").to_pandas()
        labels, probabilities = predict(texts)
        columns = [*batch.columns, pa.array(list(map(str, labels))), pa.array(probabilities)]
        names = [*batch.schema.names, "predicted_label", "probability"]
        scored = pa.Table.from_arrays(columns, names)
        writer = writer or pq.ParquetWriter(out, scored.schema)
        writer.write_table(scored)
        done += len(batch)
        if done >= rows:
            break
    assert writer is not None
    writer.close()
    return time.perf_counter() - begin


def main() -> None:
    """Train or score, as the command line says."""
    what, name, source, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    if what == "train":
        folder.mkdir()
        TRAIN[name](pd.read_csv(source), folder)
        return
    out = folder / "out.parquet"
    seconds = score(LOAD[name](folder), source, out, int(sys.argv[5]))
    out.unlink()
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
