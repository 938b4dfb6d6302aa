"""The usual lab recipe for short notes: frozen word vectors, one LSTM, one sigmoid unit.

The yardstick that textgauge is timed against: it keeps the lab's settings even where better ones
are known, runs in its own environment (see README.md) and imports nothing of textgauge.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import platform
import random
import re
import string
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

SCRIPT_START = time.perf_counter()
VOCABULARY, DIMENSION, UNITS, DROPOUT, LEARNING_RATE = 10_000, 100, 100, 0.2, 0.001
# Punctuation becomes a space; the apostrophe stays, as in Keras' word tokeniser.
TO_SPACE = str.maketrans(dict.fromkeys(string.punctuation.replace("'", ""), " "))
YEAR = re.compile(r"\b(?:19|20)\d\d\b")
Row = tuple[str, int]


def seconds_since_start() -> float:
    """Age of this process; where /proc can't tell, the time since the script's own first lines."""
    try:
        # Past the ")" that ends the command's name, the start time is the 20th field.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.perf_counter() - SCRIPT_START


def read_rows(path: Path) -> list[Row]:
    """Read `text,label` rows from a CSV file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return [(row["text"], int(row["label"])) for row in csv.DictReader(file)]


def is_eval_year(text: str) -> bool:
    """Whether a note's year is one of those held out: even, or 2012 and later."""
    found = YEAR.search(text)
    if found is None:
        raise SystemExit(f"--whole-years needs a year in each text; none in {text!r}")
    return int(found[0]) % 2 == 0 or int(found[0]) >= 2012


def split_rows(rows: list[Row], args: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """Shuffle, cut to `--rows`, and split at random 90/10 or by whole years."""
    if args.whole_years:
        rows = list(dict(rows).items())  # one row for each distinct text
    random.Random(args.seed).shuffle(rows)
    rows = rows[: args.rows]
    if args.whole_years:
        train = [row for row in rows if not is_eval_year(row[0])]
        held_out = [row for row in rows if is_eval_year(row[0])]
    else:
        train, held_out = rows[len(rows) // 10 :], rows[: len(rows) // 10]
    if not train or not held_out:
        raise SystemExit("too few rows: both the train and the eval side need at least one")
    return train, held_out


def words_of(text: str) -> list[str]:
    """Lower-case words of a text, punctuation dropped."""
    return text.lower().translate(TO_SPACE).split()


def number_words(rows: list[Row]) -> dict[str, int]:
    """Give the most frequent words the numbers from 1 on; 0 is left to padding."""
    counts = Counter(word for text, _ in rows for word in words_of(text))
    return {word: n for n, (word, _) in enumerate(counts.most_common(VOCABULARY - 1), start=1)}


def embedding_matrix(numbers: dict[str, int], file: Path | None, seed: int) -> np.ndarray:
    """Vectors from an npz file (a word it lacks gets zeros), else seeded random normal ones."""
    if file is None:
        # Values of about the size of GloVe's; the padding row is zero, as it is with a file.
        matrix = np.random.default_rng(seed).normal(0.0, 0.5, (VOCABULARY, DIMENSION))
        matrix[0] = 0.0
        return matrix
    with np.load(file) as arrays:
        words, vectors = arrays["words"].tolist(), arrays["vectors"]
    matrix = np.zeros((VOCABULARY, vectors.shape[1]))
    for word, vector in zip(words, vectors, strict=True):
        if word in numbers:
            matrix[numbers[word]] = vector
    return matrix


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate the recipe; return what was measured."""
    train, held_out = split_rows(read_rows(args.data), args)
    numbers = number_words(train)
    matrix = embedding_matrix(numbers, args.vectors, args.seed)

    os.environ["KERAS_BACKEND"] = "tensorflow"  # set before the import; --help stays quick too
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(args.seed)

    def arrays(rows: list[Row], length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        known = [[numbers[w] for w in words_of(text) if w in numbers] for text, _ in rows]
        labels = np.array([label for _, label in rows], dtype=np.float32)
        return keras.utils.pad_sequences(known, maxlen=length), labels

    x_train, y_train = arrays(train)
    x_eval, y_eval = arrays(held_out, x_train.shape[1])

    embedding = keras.layers.Embedding(*matrix.shape, trainable=False)
    lstm = keras.layers.LSTM(UNITS, dropout=DROPOUT, recurrent_dropout=DROPOUT)
    output = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input((x_train.shape[1],)), embedding, lstm, output])
    embedding.set_weights([matrix])
    adam = keras.optimizers.Adam(LEARNING_RATE)
    model.compile(adam, loss="binary_crossentropy", metrics=["accuracy"])

    marks: list[float] = []  # the clock at the begin and the end of each epoch

    def mark(_epoch: int, _logs: object) -> None:
        marks.append(time.perf_counter())

    clock = keras.callbacks.LambdaCallback(on_epoch_begin=mark, on_epoch_end=mark)
    size = args.batch_size
    model.fit(x_train, y_train, size, epochs=args.epochs, verbose=0, callbacks=[clock])
    loss, accuracy = model.evaluate(x_eval, y_eval, size, verbose=0)
    spans = zip(marks[::2], marks[1::2], strict=True)
    versions = {module.__name__: module.__version__ for module in (tf, keras, np)}
    return {
        "seconds": round(seconds_since_start(), 2),
        "seconds_per_epoch": [round(b - a, 2) for a, b in spans],
        "eval_accuracy": round(float(accuracy), 6),
        "eval_loss": round(float(loss), 6),
        "split": "whole-years" if args.whole_years else "random",
        "rows": {"train": len(train), "eval": len(held_out)},
        "sequence_length": x_train.shape[1],
        "batch_size": size,
        "vectors": args.vectors.name if args.vectors else "random",
        "seed": args.seed,
        "versions": {"python": platform.python_version(), **versions},
    }


def main() -> None:
    """Read the command line, run the recipe and print its figures."""
    parser = argparse.ArgumentParser(description="Train and time the lab recipe.")
    parser.add_argument("data", type=Path, help="CSV file with text,label; may be gzipped")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rows", type=int, help="use that many rows only, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vectors", type=Path, help="npz file with arrays words and vectors")
    whole_years = "hold out even years and all from 2012 on; one row for each distinct text"
    parser.add_argument("--whole-years", action="store_true", help=whole_years)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    args = parser.parse_args()
    result = run(args)
    lines = [f"{name}: {value}" for name, value in result.items()]
    print(json.dumps(result) if args.json else "\n".join(lines))


if __name__ == "__main__":
    main()
