"""Measure the work on Spark, on a cluster of this machine.

    python benchmarks/spark/measure.py score     --data DIR [--rows 10000000] [--runs 3]
    python benchmarks/spark/measure.py functions --data DIR [--rows 100000]   [--runs 3]
    python benchmarks/spark/measure.py prepare   --data DIR [--rows 1000000 10000000]
    python benchmarks/spark/measure.py train     --data DIR [--runs 3]

DIR holds component_notes.csv.gz. The notes are repeated with variation, so that 1 % or all of the
texts are different. The cluster is a standalone one, as the tests start it: each worker has one
core, and is kept on a core of its own. Needs the packages of the tests and Java:
pip install -e '.[test]'. Every result goes to --points as well, a line of JSON each, for cost.py.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

TEXTGAUGE = Path(sys.executable).with_name("textgauge")
FILES = 16
"""Parquet files of a table; Spark reads several small ones in one task."""

UDF_RESULT = "predicted_label string, probability double, decision string"


def command(*arguments: object, cwd: Path) -> dict[str, Any]:
    """What a command of textgauge printed."""
    done = subprocess.run(
        [TEXTGAUGE, *map(str, arguments), "--json", "--quiet"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"textgauge {arguments[0]} ended with {done.returncode}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def notes_of(data: Path) -> pl.DataFrame:
    """The different component notes with their labels."""
    return pl.read_csv(data / "component_notes.csv.gz").unique("text", maintain_order=True)


def make_table(notes: pl.DataFrame, rows: int, distinct: float, folder: Path) -> Path:
    """A folder of Parquet files; `distinct` is the share of the rows that are different texts."""
    folder.mkdir()
    kinds = max(int(rows * distinct), 1)
    for n in range(FILES):
        begin, end = rows * n // FILES, rows * (n + 1) // FILES
        ids = pl.DataFrame({"id": pl.int_range(begin, end, eager=True)})
        # A prime factor spreads the kinds over all files.
        kind = (pl.col("id") * 7_919) % kinds
        frame = ids.with_columns(
            text=pl.format("{} part {}", pl.lit(notes["text"]).gather(kind % len(notes)), kind),
            label=pl.lit(notes["label"]).gather(kind % len(notes)).cast(pl.String),
        )
        frame.write_parquet(folder / f"{n:02}.parquet")
    return folder


@contextmanager
def cluster(workers: int, folder: Path, memory: str = "2g") -> Iterator[Any]:
    """A standalone cluster with so many workers of one core, each kept on its own."""
    from engines.spark.cluster import Cluster

    with Cluster(folder, workers, memory=memory, pinned=True) as running:
        yield running


class Results:
    """Prints rows of a table, and keeps every measured value for cost.py."""

    def __init__(self, points: Path | None) -> None:
        self._points = points

    def keep(self, kind: str, **values: object) -> None:
        """Write one measured point down."""
        print(kind, values, file=sys.stderr, flush=True)
        if self._points is not None:
            with self._points.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": kind, **values}) + "\n")

    @staticmethod
    def row(label: str, where: str, seconds: list[float], rows: int) -> float:
        """Print one row of the table; gives the median."""
        median = statistics.median(seconds)
        runs = " ".join(f"{value:.1f}" for value in seconds)
        print(f"| {label} | {where} | {median:.1f} | {rows / median:,.0f} | {runs} |", flush=True)
        return median


# ---- scoring -------------------------------------------------------------------------------------


def score(options: argparse.Namespace, folder: Path, results: Results) -> None:
    """One and two workers, `local[2]`, and one process without Spark."""
    model = _model(options.data, folder)
    notes = notes_of(options.data)
    print("| table | where | seconds (median) | rows a second | all runs |")
    print("| --- | --- | --- | --- | --- |")
    for share in options.distinct:
        table = make_table(notes, options.rows, share, folder / f"notes-{share}")
        label = f"{options.rows:,} rows, {share:.0%} distinct"
        seconds: dict[str, list[float]] = {where: [] for where in options.where}
        for run in range(options.runs):
            for where in options.where:
                found = _score(where, table, model, folder / f"{share}-{run}-{where[0]}")
                results.keep("score", rows=options.rows, distinct=share, where=where, seconds=found)
                seconds[where].append(found)
        medians = {w: results.row(label, w, s, options.rows) for w, s in seconds.items()}
        for one, other in (("1 worker", "2 workers"), ("local[2]", "one process")):
            if one in medians and other in medians:
                ratio = medians[one] / medians[other]
                print(f"| {label} | {one} / {other} | {ratio:.2f} | | |", flush=True)


def _score(where: str, table: Path, model: str, folder: Path) -> float:
    """Seconds of one scoring, without the start of Spark."""
    folder.mkdir()
    out = ("--out", folder / "scored.parquet")
    if where == "one process":
        whole = folder / "whole.parquet"
        pl.scan_parquet(f"{table}/*.parquet").sink_parquet(whole)
        return float(command("score", model, whole, *out, cwd=folder)["seconds"])

    def on_spark(master: str) -> float:
        spark = ("--engine", "spark", "--spark-master", master)
        return float(command("score", model, table, *out, *spark, cwd=folder)["seconds"])

    if where.startswith("local"):
        return on_spark(where)
    with cluster(int(where[0]), folder / "cluster") as running:
        return on_spark(running.master)


def _model(data: Path, folder: Path) -> str:
    """A bundle that was trained on the component notes."""
    table = data / "component_notes.csv.gz"
    store = f"sqlite:///{folder}/m.db"
    return str(command("train", table, "--tracking-uri", store, cwd=folder)["bundle"])


# ---- ways to predict in Spark --------------------------------------------------------------------


def functions(options: argparse.Namespace, folder: Path, results: Results) -> None:
    """Ours, MLflow's function, and a Python function that predicts row by row, on `local[2]`."""
    import mlflow.pyfunc
    from pyspark.sql import functions as F  # noqa: N812

    from textgauge.engines.spark.scoring import score_on_spark
    from textgauge.engines.spark.session import open_session

    model = _model(options.data, folder)
    table = make_table(notes_of(options.data), options.rows, 1.0, folder / "notes")

    def noop(frame: Any) -> None:
        frame.write.format("noop").mode("overwrite").save()

    seconds: dict[str, list[float]] = {}
    with open_session("local[2]") as session:
        rows = session.read.parquet(str(table)).repartition(4).cache()
        rows.count()
        given = mlflow.pyfunc.spark_udf(session, model, env_manager="local", result_type=UDF_RESULT)
        ways: dict[str, Callable[[], Any]] = {
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
                results.keep(
                    "function", rows=options.rows, where=way, seconds=round(seconds[way][-1], 2)
                )
    print("| way | row by row / this | seconds (median) | rows a second | all runs |")
    print("| --- | --- | --- | --- | --- |")
    slowest = statistics.median(seconds["row by row"])
    for way, values in seconds.items():
        results.row(way, f"{slowest / statistics.median(values):.1f}", values, options.rows)


def _by_row(model: str) -> Any:
    """A function that predicts one text at a time, with the model loaded once a process."""

    def predict(text: str) -> str:
        from textgauge.bundle.predictor import Predictor

        loaded = predict.__dict__.get("model")
        if loaded is None:
            loaded = predict.__dict__["model"] = Predictor.load(model, cores=1)
        return str(loaded.predict([text]).labels[0])

    return predict


# ---- the data stage ------------------------------------------------------------------------------


def prepare(options: argparse.Namespace, folder: Path, results: Results) -> None:
    """From files to shards, on two workers of 1 GB."""
    print("| table | stage | seconds | shuffled MB | largest executor MB | driver's Python MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    notes = notes_of(options.data)
    for rows in options.rows:
        for share in options.distinct:
            table = make_table(notes, rows, share, folder / f"notes-{rows}-{share}")
            with cluster(2, folder / f"cluster-{rows}-{share}", "1g") as running:
                done = subprocess.Popen(
                    [sys.executable, __file__, "_prepare", running.master, table, folder],
                    stdout=subprocess.PIPE,
                    text=True,
                )
                most: dict[str, float] = {}
                ended = threading.Event()
                watcher = threading.Thread(
                    target=_watch, args=(running, done.pid, most, ended), daemon=True
                )
                watcher.start()
                assert done.stdout is not None
                said = done.stdout.read()
                ended.set()
                watcher.join()
                if done.wait():
                    sys.exit(f"preparing {table} ended with {done.returncode}")
            for stage in json.loads(said):
                results.keep("prepare", rows=rows, distinct=share, **stage, **most)
                print(
                    f"| {rows:,} rows, {share:.0%} distinct | {stage['stage']} | "
                    f"{stage['seconds']:.1f} | {stage['shuffled'] / 1e6:,.0f} | "
                    f"{most['executor']:,.0f} | {most['driver']:,.0f} |",
                    flush=True,
                )


def _prepare(master: str, table: str, folder: str) -> None:
    """In a process of its own: the stages, with what each took and shuffled."""
    from textgauge.config import Config
    from textgauge.data.split import TRAIN, VAL
    from textgauge.engines.spark.opening import prepared_table
    from textgauge.engines.spark.session import open_session
    from textgauge.training.progress import NoProgress

    stages: list[dict[str, Any]] = []

    class Clock(NoProgress):
        """Notes when a stage begins, and what was shuffled until then."""

        def __init__(self, session: Any) -> None:
            self._session = session

        def stage(self, name: str) -> None:
            now, bytes_ = time.perf_counter(), _shuffled(self._session)
            if stages:
                last = stages[-1]
                last["seconds"] = round(now - last.pop("begun"), 2)
                last["shuffled"], last["records"] = (
                    after - before for after, before in zip(bytes_, last.pop("before"), strict=True)
                )
            stages.append({"stage": name, "begun": now, "before": bytes_})

    with open_session(master) as session:
        clock = Clock(session)
        with prepared_table(table, Config(), clock, folder=folder) as prepared:
            clock.stage("vocabulary and numbers")
            encoder = prepared.learn_encoder()
            clock.stage("writing shards")
            for part in (TRAIN, VAL):
                prepared._write(part, encoder)
            clock.stage("")
    print(json.dumps(stages[:-1]))


def _shuffled(session: Any) -> tuple[int, int]:
    """Bytes and records that all stages so far have written for others."""
    store = session.sparkContext._jsc.sc().statusStore()
    found = store.stageList(None, False, False, session.sparkContext._gateway.new_array(
        session.sparkContext._jvm.double, 0), None)  # fmt: skip
    stages = [found.apply(n) for n in range(found.size())]
    return (
        sum(int(each.shuffleWriteBytes()) for each in stages),
        sum(int(each.shuffleWriteRecords()) for each in stages),
    )


def _watch(running: Any, driver: int, most: dict[str, float], ended: threading.Event) -> None:
    """Sample the proportional memory of the executors with their Python, and of the driver's."""
    most.update(executor=0.0, python=0.0, driver=0.0)
    while not ended.wait(0.5):
        for pid in running.executors():
            family = _family(pid)
            each = [_memory(member) for member in family]
            most["executor"] = round(max(most["executor"], sum(each)), 1)
            most["python"] = round(max(most["python"], sum(each[1:])), 1)
        most["driver"] = round(max(most["driver"], _memory(driver)), 1)


def _memory(pid: int) -> float:
    """Proportional memory of a process in MB; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:"))


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in _family(child))]


# ---- training ------------------------------------------------------------------------------------


def train(options: argparse.Namespace, folder: Path, results: Results) -> None:
    """Steps a second of one and of two workers, by the seconds of epochs with their validation."""
    table = make_table(notes_of(options.data), options.rows, 1.0, folder / "notes")
    print("| batch of all workers | where | steps a second (median) | texts a second | all runs |")
    print("| --- | --- | --- | --- | --- |")
    for batch in options.batch_size:
        rates: dict[str, list[float]] = {"1 worker": [], "2 workers": []}
        for run in range(options.runs):
            for workers, where in enumerate(rates, start=1):
                mine = folder / f"{batch}-{run}-{workers}"
                mine.mkdir()
                with cluster(workers, mine / "cluster") as running:
                    done = command(
                        *("train", table, "--tracking-uri", f"sqlite:///{folder}/m.db"),
                        *("--engine", "spark", "--spark-master", running.master),
                        *("--spark-workers", workers, "--spark-folder", mine / "shared"),
                        *("--epochs", 3, "--patience", 3, "--batch-size", batch),
                        *("--threads", 1),
                        cwd=mine,
                    )
                history = Path(done["bundle"]).parent / "history.json"
                epochs = json.loads(history.read_text(encoding="utf-8"))["epochs"]
                steps = -(-done["unique_texts"]["train"] // batch)
                rate = steps / statistics.median(epoch["seconds"] for epoch in epochs)
                rates[where].append(rate)
                results.keep(
                    "train", rows=options.rows, batch=batch, workers=workers, steps=round(rate, 2)
                )
        medians = {}
        for where, values in rates.items():
            medians[where] = statistics.median(values)
            runs = " ".join(f"{value:.1f}" for value in values)
            rate = medians[where] * batch
            print(f"| {batch} | {where} | {medians[where]:.1f} | {rate:,.0f} | {runs} |")
        ratio = medians["2 workers"] / medians["1 worker"]
        print(f"| {batch} | 2 workers / 1 worker | {ratio:.2f} | | |", flush=True)


def main() -> None:
    """Parse the arguments and measure."""
    # As users have it: what is imported twice is compiled once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if sys.argv[1:2] == ["_prepare"]:
        _prepare(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, work in {
        "score": score, "functions": functions, "prepare": prepare, "train": train
    }.items():  # fmt: skip
        each = commands.add_parser(name)
        each.set_defaults(work=work)
        each.add_argument("--data", type=Path, required=True, help="the benchmark tables' folder")
        each.add_argument("--scratch", type=Path, help="folder for the tables, some GB")
        each.add_argument("--points", type=Path, help="a file to which every result is added")
        if name != "prepare":
            each.add_argument("--runs", type=int, default=3)
        if name in ("score", "prepare"):
            each.add_argument("--distinct", type=float, nargs="+", default=[0.01, 1.0])
        if name == "score":
            places = ["1 worker", "2 workers", "local[2]", "one process"]
            each.add_argument("--where", nargs="+", default=places, choices=places)
    commands.choices["score"].add_argument("--rows", type=int, default=10_000_000)
    commands.choices["functions"].add_argument("--rows", type=int, default=100_000)
    many = [1_000_000, 10_000_000]
    commands.choices["prepare"].add_argument("--rows", type=int, nargs="+", default=many)
    commands.choices["train"].add_argument("--rows", type=int, default=200_000)
    commands.choices["train"].add_argument("--batch-size", type=int, nargs="+", default=[256, 2048])
    options = parser.parse_args()
    options.data = options.data.resolve()
    if options.points is not None:
        options.points = options.points.resolve()
    with tempfile.TemporaryDirectory(prefix="textgauge-bench-", dir=options.scratch) as name:
        options.work(options, Path(name), Results(options.points))


if __name__ == "__main__":
    main()
