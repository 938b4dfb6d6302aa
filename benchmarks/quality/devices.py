"""The same trainings on the processor and on a GPU: seconds, and what comes of them.

    python benchmarks/quality/devices.py --data DATA [--sets trec6,newsgroups20]

DATA is a folder with Parquet files that have the columns text, label and split. Needs a torch that
sees a GPU; without one it says so and measures the processor alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from textgauge.config import Config
from textgauge.data.columns import Columns
from textgauge.data.corpus import build_corpus
from textgauge.data.tables import read_table
from textgauge.text.learn import learn_encoder
from textgauge.training.fit import fit
from textgauge.training.loop import predict_logits

MODELS = {
    "lstm": {},
    "lstm, 400 wide, batches of 256": {"hidden_size": 400, "batch_size": 256},
    "cnn": {"model": "cnn"},
    "cnn, 400 filters, batches of 256": {"model": "cnn", "filters": 400, "batch_size": 256},
}


def main() -> None:
    """Train each model on each device, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="trec6,newsgroups20")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if len(devices) == 1:
        print("torch sees no GPU here: the processor alone is measured\n")
    else:
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("| table | model | device | seconds an epoch | val accuracy | test accuracy |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.sets.split(","):
        table = read_table(options.data / f"{name}.parquet", Columns("text", "label"))
        corpus = build_corpus(table.frame, seed=0, fractions=(0.6, 0.2, 0.2))
        for label, settings in MODELS.items():
            for device in devices:
                config = Config(epochs=options.epochs, device=device, **settings)
                encoder = learn_encoder(corpus.train.texts, config)
                begin = time.perf_counter()
                fitted = fit(corpus, encoder, config)
                seconds = (time.perf_counter() - begin) / options.epochs
                right = (
                    predict_logits(fitted.model, fitted.encode(corpus.test)).argmax(1)
                    == corpus.test.main_label
                ).mean()
                best = fitted.trained.best
                print(
                    f"| {name} | {label} | {device} | {seconds:.2f} "
                    f"| {best.val_accuracy:.3f} | {right:.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
