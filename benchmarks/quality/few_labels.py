"""Learning from few labels: macro F1 by labels a class, of textgauge's models and what others use.

    python benchmarks/quality/few_labels.py run DATA OUT.jsonl [--sets trec6] [--entrants encoder]
    python benchmarks/quality/few_labels.py table OUT.jsonl

DATA holds Parquet files with the columns text, label and split. So many rows of each label are
drawn from train, several times; all learn from the same rows, textgauge's models keeping a fifth of
them for validation, and are judged on the same held-out fifth of train. What OUT has already is not
measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from ladder import figures, parts, read
from peers import PEERS, Fit, Rows

SETS = "trec6,banking77,sst2_sentences"
RUNGS: dict[str, dict[str, Any]] = {
    **{model: {"model": model} for model in ("encoder", "bag", "lstm", "linear")},
    "encoder, fine-tuned": {"model": "encoder", "fine_tune": True},
    "encoder, fine-tuned, labels alone": {
        "model": "encoder",
        "fine_tune": True,
        "contrast": False,
    },
}


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("run")
    measuring.add_argument("data", type=Path)
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--sets", default=SETS)
    measuring.add_argument("--entrants", default=f"{';'.join(RUNGS)};TF-IDF + SVM;MiniLM + LR")
    measuring.add_argument("--labels", default="8,16,32,64", help="rows of each label")
    measuring.add_argument("--draws", type=int, default=3)
    telling = commands.add_parser("table")
    telling.add_argument("out", type=Path)
    options = parser.parse_args()
    if options.command == "run":
        measure(options)
    else:
        tell(options.out)


def measure(options: argparse.Namespace) -> None:
    """Append a line for each table, number of labels, draw and entrant."""
    keys = ("set", "labels", "draw", "entrant")
    done = {tuple(each[key] for key in keys) for each in read(options.out)}
    for name in options.sets.split(","):
        known, judged = parts(options.data / f"{name}.parquet", test=False)
        for labels in map(int, options.labels.split(",")):
            for draw in range(options.draws):
                rows = drawn(known, labels, draw)
                for entrant in options.entrants.split(";"):
                    if (name, labels, draw, entrant) in done:
                        continue
                    began = time.perf_counter()
                    predict = (PEERS.get(entrant) or rung(RUNGS[entrant]))(rows, draw)
                    seconds = time.perf_counter() - began
                    found = dict(zip(keys, (name, labels, draw, entrant), strict=True))
                    found |= {"rows": len(rows.texts), "seconds": round(seconds, 3)}
                    found |= figures(judged, *predict(judged.texts))
                    print(json.dumps(found), flush=True)
                    with options.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(found) + "\n")


def drawn(rows: Rows, labels: int, draw: int) -> Rows:
    """So many rows of each label, or all where there are fewer."""
    order = np.random.default_rng(draw).permutation(len(rows.texts))
    taken: dict[str, int] = defaultdict(int)
    chosen = []
    for at in order:
        if taken[rows.labels[at]] < labels:
            taken[rows.labels[at]] += 1
            chosen.append(int(at))
    return Rows([rows.texts[at] for at in chosen], [rows.labels[at] for at in chosen])


def rung(settings: dict[str, Any]) -> Fit:
    """A model of textgauge, through its scikit-learn interface."""

    def fit(rows: Rows, seed: int) -> object:
        from textgauge import TextClassifier

        classifier = TextClassifier(**settings, random_state=seed)
        classifier.fit(rows.texts, rows.labels)

        def predict(texts: list[str]) -> tuple[list[str], np.ndarray]:
            probabilities = classifier.predict_proba(texts)
            best = probabilities.argmax(1)
            return [str(classifier.classes_[at]) for at in best], probabilities.max(1)

        return predict

    return fit


def tell(path: Path) -> None:
    """Print a row a table and number of labels, a column an entrant: means over the draws."""
    found: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for each in read(path):
        found[each["set"], each["labels"], each["entrant"]].append(each["macro_f1"])
    entrants = list(dict.fromkeys(entrant for _, _, entrant in found))
    print("| table | labels a class | " + " | ".join(entrants) + " |")
    print("| --- | ---: |" + " ---: |" * len(entrants))
    for name, labels in dict.fromkeys((name, labels) for name, labels, _ in found):
        means = [float(np.mean(found.get((name, labels, each), [np.nan]))) for each in entrants]
        cells = ["" if np.isnan(mean) else f"{mean:.3f}" for mean in means]
        best = np.nanmax(means)
        cells = [f"**{c}**" if m == best else c for c, m in zip(cells, means, strict=True)]
        print(f"| {name} | {labels} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
