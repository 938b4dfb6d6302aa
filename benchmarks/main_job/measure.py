"""Measure the main job: speed beside the lab recipe, unseen years, memory, where the time goes.

    python benchmarks/main_job/measure.py speed  --data DIR --lab-python LAB/bin/python
    python benchmarks/main_job/measure.py years  --data DIR
    python benchmarks/main_job/measure.py memory --data DIR
    python benchmarks/main_job/measure.py stages --data DIR
    python benchmarks/main_job/measure.py steps  --data DIR
    python benchmarks/main_job/measure.py start

DIR holds component_notes.csv.gz. `textgauge` is the one beside the Python that runs this file; the
lab recipe runs in an environment of its own (benchmarks/lab_recipe). Commands that are compared run
in turn, so that a slow spell of the machine falls on both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

TEXTGAUGE = Path(sys.executable).with_name("textgauge")
LAB = Path(__file__).resolve().parent.parent / "lab_recipe" / "train.py"


@dataclass(frozen=True)
class Measured:
    """One finished process. Memory in MB: of the largest process, and of all together (sampled)."""

    seconds: float
    largest: float
    together: float
    output: dict[str, Any]


def run(command: list[str | Path], folder: Path, *, sample: bool = False) -> Measured:
    """Run a command that prints one JSON object, and measure it from outside.

    `sample` looks at the memory of all its processes ten times a second, which costs some time.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    most = [0.0]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, most, done))
    if sample:
        watcher.start()
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
    reader.start()
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    done.set()
    if sample:
        watcher.join()
    reader.join()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{errors[0]}")
    return Measured(seconds, usage.ru_maxrss / 1000, most[0], json.loads(output))


def _watch(pid: int, most: list[float], done: threading.Event) -> None:
    """Sample the proportional memory of a process and its descendants (Linux)."""
    while not done.wait(0.1):
        total = 0.0
        for each in _family(pid):
            try:
                for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) / 1000
            except OSError:
                continue
        most[0] = max(most[0], total)


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(grandchild for child in children for grandchild in _family(int(child)))]


def train(table: Path, folder: Path, *options: str, sample: bool = False) -> Measured:
    """Measure `textgauge train TABLE`."""
    command: list[str | Path] = [TEXTGAUGE, "train", table, "--json", "--quiet", *options]
    return run(command, folder, sample=sample)


def median(values: list[float]) -> float:
    """Give the middle one of the values."""
    return statistics.median(values)


def speed(data: Path, folder: Path, lab_python: str, runs: int) -> None:
    """Compare whole processes: ours, ours on every row, and the lab recipe.

    After minutes of other work a machine has dropped the files of our libraries from memory, so
    ours runs twice in a row: "cold" reads them from the disk again, "warm" finds them in memory.
    """
    table = data / "component_notes.csv.gz"
    train(table, folder)  # The store is made.
    cold: list[Measured] = []
    warm: list[Measured] = []
    every: list[Measured] = []
    lab: list[Measured] = []
    for _ in range(runs):
        lab.append(run([lab_python, LAB, table, "--json"], folder))
        cold.append(train(table, folder))
        warm.append(train(table, folder))
        every.append(
            train(
                table, folder, "--every-row", "--epochs", "5", "--patience", "5",
                "--val-fraction", "0.05", "--test-fraction", "0.05",
            )
        )  # fmt: skip
    base = median([m.seconds for m in lab])
    print(
        "| command | to the link | to the exit | lab / to the link | eval accuracy | largest MB |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for name, measured in (
        ("textgauge train, warm", warm),
        ("textgauge train, cold", cold),
        ("textgauge train --every-row, 90,000 rows, 5 epochs", every),
        ("lab recipe (Keras)", lab),
    ):
        exit_seconds = median([m.seconds for m in measured])
        # Ours says how long it took until the link was printed; the recipe prints its result last.
        link = median([m.output.get("seconds", m.seconds) for m in measured])
        accuracy = min(m.output["eval_accuracy"] for m in measured)
        print(
            f"| {name} | {link:.1f} | {exit_seconds:.1f} | {base / link:.1f} | {accuracy:.4f} | "
            f"{max(m.largest for m in measured):.0f} |"
        )


def years(data: Path, folder: Path) -> None:
    """Hold whole years out: even ones and all from 2012 on, one row a distinct text."""
    notes = pl.read_csv(data / "component_notes.csv.gz", infer_schema=False).unique()
    year = pl.col("text").str.extract(r"(\d{4})").cast(pl.Int32)
    held_out = (year % 2 == 0) | (year >= 2012)
    table = folder / "years.csv"
    notes.with_columns(
        split=pl.when(held_out).then(pl.lit("test")).otherwise(pl.lit("train"))
    ).write_csv(table)
    print("| seed | numbers | accuracy | macro F1 | TF-IDF + LR accuracy | epochs | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for options in ([], ["--no-numbers"]):
        for seed in range(5):
            found = train(
                table, folder, "--split-column", "split", "--seed", str(seed), *options
            ).output
            print(
                f"| {seed} | {'as words' if options else 'as magnitudes'} | "
                f"{found['eval_accuracy']:.4f} | {found['eval_macro_f1']:.4f} | "
                f"{found['baseline']['eval_accuracy']:.4f} | {found['epochs']} | "
                f"{found['stages']['training']:.1f} |"
            )


def memory(data: Path, folder: Path) -> None:
    """Measure peak memory on the component notes, and on a million rows, repeated and distinct."""
    notes = pl.read_csv(data / "component_notes.csv.gz", infer_schema=False)
    repeated = folder / "repeated.csv"
    pl.concat([notes] * 10).write_csv(repeated)
    distinct = folder / "distinct.csv"
    pl.concat([notes] * 10).with_row_index("n").select(
        text=pl.col("text") + " serial " + pl.col("n").cast(pl.String), label="label"
    ).write_csv(distinct)
    print("| table | rows | distinct texts | seconds | largest process MB | all together MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, table, options in (
        ("component notes", data / "component_notes.csv.gz", []),
        ("component notes, ten times", repeated, []),
        ("the same, every text different (1 epoch)", distinct, ["--epochs", "1"]),
    ):
        measured = train(table, folder, *options, sample=True)
        rows, texts = (sum(measured.output[key].values()) for key in ("rows", "unique_texts"))
        print(
            f"| {name} | {rows:,} | {texts:,} | {measured.seconds:.1f} | "
            f"{measured.largest:.0f} | {measured.together:.0f} |"
        )


def stages(data: Path, folder: Path, runs: int) -> None:
    """Say where the time of `textgauge train` goes, and what each import costs by itself."""
    table = data / "component_notes.csv.gz"
    train(table, folder)
    measured = [train(table, folder) for _ in range(runs)]
    print("| stage | seconds (median) |\n| --- | --- |")
    for name in measured[0].output["stages"]:
        print(f"| {name} | {median([m.output['stages'][name] for m in measured]):.2f} |")
    print(f"| process, measured from outside | {median([m.seconds for m in measured]):.2f} |")
    print("\n| import, by itself | seconds (median) |\n| --- | --- |")
    for module in (
        "textgauge", "polars", "torch", "sklearn.linear_model", "mlflow.tracking", "onnx",
        "onnxruntime", "matplotlib.figure",
    ):  # fmt: skip
        took = []
        for _ in range(runs):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
            took.append(time.perf_counter() - begin)
        print(f"| {module} | {median(took):.2f} |")


FIRST_OPTIMIZER = """
import json, sys, time, torch
from textgauge.training.adam import Adam
weight = torch.nn.Parameter(torch.zeros(2))
begin = time.perf_counter()
torch.optim.Adam([weight]) if sys.argv[1] == "torch.optim.Adam" else Adam({"weight": weight}, 0.001)
print(json.dumps({"seconds": time.perf_counter() - begin}))
"""


def steps(data: Path, folder: Path, runs: int) -> None:
    """Say what a step of the training loop is made of, and what making the first Adam costs."""
    from training_steps import measure_steps  # loads torch, which no other measurement needs

    step = measure_steps(data / "component_notes.csv.gz")
    print(f"| a step on {step.texts} texts | |\n| --- | --- |")
    print(f"| milliseconds (median) | {1000 * step.seconds:.1f} |")
    print(f"| tensor operations | {step.operations:,.0f} |")
    print(f"| operations that these call in turn | {step.inner_operations:,.0f} |")
    print(f"| microseconds an operation | {1e6 * step.seconds / step.operations:.1f} |")
    print(f"| matrix products | {step.products:.0f} |")
    print(f"| milliseconds of the matrix products alone | {1000 * step.product_seconds:.1f} |")
    kinds = ("torch.optim.Adam", "textgauge.training.adam.Adam")
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind in kinds:
            made = run([sys.executable, "-c", FIRST_OPTIMIZER, kind], folder)
            took[kind].append(made.output["seconds"])
    print("\n| making the first one in a fresh process | seconds (median) |\n| --- | --- |")
    for kind in kinds:
        print(f"| {kind} | {median(took[kind]):.4f} |")


def start(folder: Path, runs: int) -> None:
    """Measure how long the command line takes to start, as whole processes."""
    commands: dict[str, list[str | Path]] = {
        "textgauge --help": [TEXTGAUGE, "--help"],
        "import textgauge": [sys.executable, "-c", "import textgauge"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            took[name].append(time.perf_counter() - begin)
    print("| process | seconds (median) |\n| --- | --- |")
    for name, seconds in took.items():
        print(f"| {name} | {median(seconds):.3f} |")


def main() -> None:
    """Parse the arguments and measure in a fresh folder."""
    # As users have it: what is imported twice is compiled once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "years", "memory", "stages", "steps", "start"])
    parser.add_argument("--data", type=Path, help="folder of the benchmark tables")
    parser.add_argument("--lab-python", help="Python of the lab recipe's environment")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.data is None and options.what != "start":
        parser.error(f"{options.what} needs --data")
    data = options.data.resolve() if options.data else Path()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.what == "speed":
            if not options.lab_python:
                parser.error("speed needs --lab-python")
            speed(data, folder, str(Path(options.lab_python).absolute()), options.runs)
        elif options.what == "years":
            years(data, folder)
        elif options.what == "memory":
            memory(data, folder)
        elif options.what == "stages":
            stages(data, folder, options.runs)
        elif options.what == "steps":
            steps(data, folder, options.runs)
        else:
            start(folder, options.runs)


if __name__ == "__main__":
    main()
