"""Measure `textgauge score` beside what people use for it today, on the same rows.

    python benchmarks/use/score.py --data DIR --peers PEERS/bin/python [--rows 10000000] [--runs 3]
    python benchmarks/use/score.py --data DIR --peers PEERS/bin/python --models lstm,bag \
        --names tfidf,fasttext --only "all distinct"

DIR holds component_notes.csv.gz. The peers run in an environment of their own
(benchmarks/use/requirements.txt); without --peers only textgauge is measured.

Tables, as Parquet, to Parquet: the component notes over and over (2,400 distinct texts); notes that
are all distinct, to the model too, by a fraction behind the year; and notes with a serial number
each, which a model that never saw it reads alike. All are trained on the component notes. A figure
is rows a second of reading, predicting and writing; starting and loading are left out for
all alike. Peers score the first rows only where all would take hours; their speed does not depend
on how many there are. Whoever is compared runs in turn, so that a slow spell falls on all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

PEERS = Path(__file__).with_name("peers.py")
NAMES = {
    "tfidf": "TF-IDF + logistic regression, pandas chunks",
    "fasttext": "fastText `predict`",
    "keras": "the lab's Keras `predict`",
    "pyfunc": "`mlflow.pyfunc` of that Keras model",
}
ROWS_OF_PEERS = {"tfidf": 1_000_000, "fasttext": 1_000_000, "keras": 100_000, "pyfunc": 100_000}

SCORE = r"""
import json, re, sys
from pathlib import Path
from textgauge.scoring import score_model
told = score_model(*sys.argv[1:4]).to_json()
# Not `ru_maxrss`, which begins with the memory of the process that started this one.
peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({**told, "peak_mb": peak / 1024}))
"""


def main() -> None:
    """Make the tables and the models, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers", type=Path, help="Python of the peers' environment")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the catalogue")
    parser.add_argument("--distinct", type=int, default=1_000_000, help="rows of distinct texts")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", help="one table: catalogue, all distinct, …")
    parser.add_argument("--models", default="lstm", help="of textgauge, with commas between")
    parser.add_argument("--names", default=",".join(NAMES), help="of the peers, likewise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="textgauge-score-") as name:
        folder = Path(name)
        notes = options.data.resolve() / "component_notes.csv.gz"
        models = {kind: folder / f"model-{kind}" for kind in options.models.split(",")}
        for kind, model in models.items():
            how = ["--model", kind, "--out", model, "--quiet"]
            train = [sys.executable, "-m", "textgauge", "train", notes, *how]
            subprocess.run(train, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        tables = make_tables(notes, folder, options.rows, options.distinct)
        peers = options.names.split(",") if options.peers else []
        for peer in peers:
            command = [options.peers, PEERS, "train", peer, notes, folder / peer]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for what, table in tables.items():
            if options.only not in (None, what):
                continue
            measure(what, table, models, peers, options)


def make_tables(notes: Path, folder: Path, rows: int, distinct: int) -> dict[str, Path]:
    """The catalogue, a tenth of it for the memory, and the distinct texts."""
    frame = pl.read_csv(notes).select("text", "label")
    tables = {}
    for what, count in (("catalogue", rows), ("a tenth of it", rows // 10)):
        tables[what] = folder / f"{count}.parquet"
        repeated = pl.concat([frame] * -(-count // len(frame))).head(count)
        repeated.with_row_index("id").write_parquet(tables[what])
    repeated = pl.concat([frame] * -(-distinct // len(frame))).head(distinct).with_row_index("id")
    own = (pl.col("id") * 7919 % 10_000_019).cast(pl.String).str.zfill(8)
    texts = {
        "all distinct": pl.col("text").str.replace(r"(\b\d{4}\b)", pl.format("$1.{}", own)),
        "distinct by a serial number": pl.format("{}, serial {}", "text", own),
    }
    for what, text in texts.items():
        tables[what] = folder / f"{what}.parquet"
        made = repeated.with_columns(text=text)
        assert made["text"].n_unique() == distinct
        made.write_parquet(tables[what])
    return tables


def measure(
    what: str,
    table: Path,
    models: dict[str, Path],
    peers: list[str],
    options: argparse.Namespace,
) -> None:
    """Run everybody in turn and print what came out."""
    speeds: dict[str, list[float]] = {}
    memory = 0.0
    peers = [] if what == "a tenth of it" else peers
    for _ in range(options.runs):
        out = table.with_suffix(".out.parquet")
        for kind, model in models.items():
            told = run([sys.executable, "-c", SCORE, model, table, out])
            out.unlink()
            speeds.setdefault(f"textgauge, {kind}", []).append(told["rows"] / told["seconds"])
            memory = max(memory, told["peak_mb"])
        for peer in peers:
            rows = min(ROWS_OF_PEERS[peer], told["rows"])
            command = [options.peers, PEERS, "score", peer, table, table.with_name(peer), rows]
            told_by_peer = run(command)
            speeds.setdefault(peer, []).append(rows / told_by_peer["seconds"])
    print(f"\n{what}: {told['rows']:,} rows, peak memory of textgauge {memory:,.0f} MB\n")
    print("| | rows a second (median) | runs | the first is faster by |")
    print("| --- | ---: | --- | ---: |")
    ours = statistics.median(next(iter(speeds.values())))
    for name, found in speeds.items():
        median = statistics.median(found)
        runs = ", ".join(f"{each:,.0f}" for each in found)
        print(f"| {NAMES.get(name, name)} | {median:,.0f} | {runs} | {ours / median:,.1f} |")


def run(command: list[Any]) -> dict[str, Any]:
    """The JSON object that a command prints last."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


if __name__ == "__main__":
    main()
