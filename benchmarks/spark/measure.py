"""Measure scoring on a Spark cluster of this machine.

    python benchmarks/spark/measure.py score --data DIR [--rows 10000000] [--runs 3]

DIR holds component_notes.csv.gz. The notes are repeated with variation, so that 1 % or all of the
texts are different, and scored by a model that is trained on them first: by one and by two workers
of one core each (a standalone cluster, as the tests start it), by `local[2]`, and in one process.
A smaller table goes through MLflow's Spark function and through a Python function that predicts
row by row. Needs the packages of the tests and Java: pip install -e '.[test]'.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

TEXTGAUGE = Path(sys.executable).with_name("textgauge")
FILES = 16
"""Parquet files of a table; each is at least one task."""

UDF_RESULT = "predicted_label string, probability double, decision string"


def command(*arguments: object, cwd: Path) -> dict[str, Any]:
    """What a command of textgauge printed, and `whole`: its seconds from start to exit."""
    begun = time.perf_counter()
    done = subprocess.run(
        [TEXTGAUGE, *map(str, arguments), "--json", "--quiet"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"textgauge {arguments[0]} ended with {done.returncode}:\n{done.stderr}")
    return {**json.loads(done.stdout), "whole": seconds}


def make_table(notes: pl.Series, rows: int, distinct: float, folder: Path) -> Path:
    """A folder of Parquet files; `distinct` is the share of the rows that are different texts."""
    folder.mkdir()
    kinds = max(int(rows * distinct), 1)
    for n in range(FILES):
        begin, end = rows * n // FILES, rows * (n + 1) // FILES
        ids = pl.DataFrame({"id": pl.int_range(begin, end, eager=True)})
        # A prime factor spreads the kinds over all files.
        kind = (pl.col("id") * 7_919) % kinds
        frame = ids.with_columns(
            text=pl.format("{} part {}", pl.lit(notes).gather(kind % len(notes)), kind)
        )
        frame.write_parquet(folder / f"{n:02}.parquet")
    return folder


@contextmanager
def cluster(workers: int, folder: Path) -> Iterator[str]:
    """A standalone cluster with so many workers of one core; gives its master's address."""
    from engines.spark.cluster import Cluster

    with Cluster(folder, workers, memory="2g") as running:
        yield running.master


def score(options: argparse.Namespace) -> None:
    """The sub-command `score`."""
    data = options.data.resolve() / "component_notes.csv.gz"
    with tempfile.TemporaryDirectory(prefix="textgauge-bench-", dir=options.scratch) as name:
        folder = Path(name)
        trained = command("train", data, "--tracking-uri", f"sqlite:///{folder}/m.db", cwd=folder)
        model = trained["bundle"]
        notes = pl.read_csv(data)["text"].unique(maintain_order=True)
        print("| table | where | seconds (median) | rows a second | all runs |")
        print("| --- | --- | --- | --- | --- |")
        for share in options.distinct:
            table = make_table(notes, options.rows, share, folder / f"notes-{share}")
            label = f"{options.rows:,} rows, {share:.0%} distinct"
            medians = _scored(label, table, model, folder, options)
            print(f"| {label} | one worker / two workers | {medians[0] / medians[1]:.2f} | | |")
            if len(medians) > 3:
                print(f"| {label} | local[2] / one process | {medians[2] / medians[3]:.2f} | | |")
        small = make_table(notes, options.row_at_a_time, 1.0, folder / "small")
        _functions(f"{options.row_at_a_time:,} rows, 100% distinct", small, model, folder, options)


def _scored(
    label: str, table: Path, model: str, folder: Path, options: argparse.Namespace
) -> list[float]:
    """Medians of: one worker, two workers, local[2], one process (no Spark)."""
    seconds: dict[str, list[float]] = {}
    for run in range(options.runs):
        for workers in (1, 2):
            with cluster(workers, folder / f"cluster-{run}-{workers}-{table.name}") as master:
                found = _on_spark(table, model, folder, master)
            seconds.setdefault(f"{workers} one-core workers", []).append(found)
        seconds.setdefault("local[2]", []).append(_on_spark(table, model, folder, "local[2]"))
        whole = folder / "one.parquet"
        pl.scan_parquet(f"{table}/*.parquet").sink_parquet(whole)
        out = ("--out", folder / "scored-one.parquet")
        seconds.setdefault("one process", []).append(
            command("score", model, whole, *out, cwd=folder)["seconds"]
        )
        print(f"{label}, run {run + 1}: {seconds}", file=sys.stderr, flush=True)
    for where, values in seconds.items():
        median = statistics.median(values)
        runs = " ".join(f"{value:.1f}" for value in values)
        print(f"| {label} | {where} | {median:.1f} | {options.rows / median:,.0f} | {runs} |")
    return [statistics.median(values) for values in seconds.values()]


def _on_spark(table: Path, model: str, folder: Path, master: str) -> float:
    """Seconds of the scoring, without Spark's start."""
    spark = ("--engine", "spark", "--spark-master", master)
    found = command("score", model, table, "--out", folder / "scored.parquet", *spark, cwd=folder)
    return float(found["seconds"])


def _functions(
    label: str, table: Path, model: str, folder: Path, options: argparse.Namespace
) -> None:
    """Ways to predict in Spark: ours, MLflow's, and row by row."""
    import mlflow.pyfunc
    from pyspark.sql import functions as F  # noqa: N812

    from textgauge.engines.spark.scoring import score_on_spark
    from textgauge.engines.spark.session import open_session

    def noop(frame: Any) -> None:
        frame.write.format("noop").mode("overwrite").save()

    seconds: dict[str, list[float]] = {}
    with open_session("local[2]") as session:
        rows = session.read.parquet(str(table)).repartition(4).cache()
        rows.count()
        given = mlflow.pyfunc.spark_udf(session, model, env_manager="local", result_type=UDF_RESULT)
        ways = {
            "mapInArrow (score)": lambda: score_on_spark(
                session, model, rows, folder / "f.parquet"
            ),
            "mlflow.pyfunc.spark_udf": lambda: noop(rows.select("id", given("text"))),
            "row by row": lambda: noop(rows.select("id", F.udf(_by_row(model))("text"))),
        }
        for _ in range(options.runs):
            for way, work in ways.items():
                begun = time.perf_counter()
                work()
                seconds.setdefault(way, []).append(time.perf_counter() - begun)
    slowest = statistics.median(seconds["row by row"])
    for way, values in seconds.items():
        median = statistics.median(values)
        runs = " ".join(f"{value:.1f}" for value in values)
        print(f"| {label} | {way}: {slowest / median:.1f} x | {median:.1f} | "
              f"{options.row_at_a_time / median:,.0f} | {runs} |")  # fmt: skip


def _by_row(model: str) -> Any:
    """A function that predicts one text at a time, with the model loaded once a process."""

    def predict(text: str) -> str:
        from textgauge.bundle.predictor import Predictor

        loaded = predict.__dict__.get("model")
        if loaded is None:
            loaded = predict.__dict__["model"] = Predictor.load(model, cores=1)
        return str(loaded.predict([text]).labels[0])

    return predict


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("score")
    scoring.add_argument("--data", type=Path, required=True, help="folder of the benchmark tables")
    scoring.add_argument("--rows", type=int, default=10_000_000)
    scoring.add_argument("--runs", type=int, default=3)
    scoring.add_argument("--distinct", type=float, nargs="+", default=[0.01, 1.0])
    scoring.add_argument("--row-at-a-time", type=int, default=20_000, help="rows of the last table")
    scoring.add_argument("--scratch", type=Path, help="folder for the tables, some GB")
    score(parser.parse_args())


if __name__ == "__main__":
    main()
