"""Measure what the review adds to a training, in seconds and in memory.

    python benchmarks/review/cost.py --data DIR [--runs 3] [--million]

DIR holds the tables. Each is trained on with and without the review (`unreviewed.py`), in turn, so
that a slow spell of the machine falls on both. With --million also one epoch on 1,000,000 rows that
are all different, for the memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

TRAININGS = {
    "component notes": ("component_notes.csv.gz",),
    "component notes, each row a text, 5 epochs": (
        "component_notes.csv.gz", "--every-row", "--patience", "99", "--epochs", "5",
    ),
    "trec6": ("trec6.parquet", "--split-column", "split"),
    "sst2_sentences": ("sst2_sentences.parquet", "--split-column", "split"),
    "banking77": ("banking77.parquet", "--split-column", "split"),
}  # fmt: skip


def train(arguments: list[str], folder: Path, *, reviewed: bool) -> tuple[float, float]:
    """Wall seconds of a whole command, and the most memory that one of its processes held, in MB.

    The memory is that of this process's largest child so far: ask for the smaller first.
    """
    script = str(Path(__file__).with_name("unreviewed.py"))
    program = [sys.executable, *(("-m", "textgauge") if reviewed else (script,))]
    begun = time.perf_counter()
    done = subprocess.run(
        [*program, "train", *arguments, "--json", "--quiet"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    json.loads(done.stdout)
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def million(folder: Path) -> Path:
    """A table of 1,000,000 different short texts with two labels and some noise."""
    random = np.random.default_rng(0)
    number = np.arange(1_000_000)
    first, second = (random.integers(0, 5_000, len(number)) for _ in range(2))
    wrong = random.random(len(number)) < 0.05
    path = folder / "million.parquet"
    pl.DataFrame({"number": number, "first": first, "second": second}).select(
        text=pl.format("part {} of kind {} by maker {}", "number", "first", "second"),
        label=pl.Series(((first < 2_500) ^ wrong).astype(int)),
    ).write_parquet(path)
    return path


def main() -> None:
    """Parse the arguments, train in turn, print a table."""
    # As users have it: what is imported twice is compiled once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the benchmark tables")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--million", action="store_true", help="only 1,000,000 different texts")
    parser.add_argument("--only", nargs="+", choices=list(TRAININGS), default=list(TRAININGS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.million:
            arguments = [str(million(folder)), "--epochs", "1"]
            for reviewed in (False, True):
                seconds, memory = train(arguments, folder, reviewed=reviewed)
                told = "with" if reviewed else "without"
                print(f"{told} the review: {seconds:.1f} s, {memory:,.0f} MB", flush=True)
            return
        print("| training | without | with | added | share |")
        print("| --- | --- | --- | --- | --- |")
        for title in options.only:
            table, *others = TRAININGS[title]
            arguments = [str(options.data.resolve() / table), *others]
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(options.runs):
                for reviewed in seconds:
                    seconds[reviewed].append(train(arguments, folder, reviewed=reviewed)[0])
            before, after = (statistics.median(seconds[reviewed]) for reviewed in (False, True))
            print(
                f"| {title} | {before:.1f} s | {after:.1f} s | {after - before:.1f} s | "
                f"{after / before - 1:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
