"""Measure what tracking costs a training of about a minute, on loopback.

    python benchmarks/tracking/measure.py --data DIR [--runs 3] [--servers store azureml ...]

DIR holds component_notes.csv.gz. The same training runs untracked, into the local store, and from
there to stand-ins for an Azure ML workspace and for Databricks (those of the tests) and to an
MLflow server, in turn, so that a slow spell of the machine falls on all. Servers and training share
the machine's cores. Needs the packages of the tests: pip install -e '.[test]'.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

TRAINING = ("--every-row", "--patience", "99", "--epochs")
"""Each row a training example, no early stopping: every run does the same work."""


def train(
    table: Path, folder: Path, epochs: int, environment: dict[str, str], *, uri: str | None
) -> tuple[float, dict]:
    """Seconds from the start of the process to its end, and what it printed."""
    program: list[str] = (
        [sys.executable, str(Path(__file__).with_name("untracked.py"))]
        if uri is None
        else [sys.executable, "-m", "textgauge"]
    )
    where = [] if uri is None else ["--tracking-uri", uri]
    command = [*program, "train", str(table), "--json", "--quiet", *TRAINING, str(epochs), *where]
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    found = json.loads(done.stdout)
    if found["missing_on_server"]:
        sys.exit(f"the server lacks something: {found['missing_on_server']}")
    return seconds, found


def main() -> None:
    """Parse the arguments, start the servers, measure in turn."""
    # As users have it: what is imported twice is compiled once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the benchmark tables")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5, help="5 take about a minute")
    parser.add_argument(
        "--servers", nargs="+", default=["store", "azureml", "databricks"], help="what to track to"
    )
    options = parser.parse_args()
    table = options.data.resolve() / "component_notes.csv.gz"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        places = {"untracked": (None, dict(os.environ))}
        for name in options.servers:
            places[name] = _place(name, folder, stack)
        # Stores are made, and files come into memory.
        for uri, environment in places.values():
            train(table, folder, 1, environment, uri=uri)
        seconds: dict[str, list[float]] = {name: [] for name in places}
        waited: dict[str, list[float]] = {name: [] for name in places}
        for _ in range(options.runs):
            for name, (uri, environment) in places.items():
                took, found = train(table, folder, options.epochs, environment, uri=uri)
                seconds[name].append(took)
                waited[name].append(found["stages"]["tracking"])
                print(f"{name}: {took:.1f} s", file=sys.stderr, flush=True)
    base = statistics.median(seconds["untracked"])
    print("| tracked to | seconds (median) | added | of it waiting at the end |")
    print("| --- | --- | --- | --- |")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(
            f"| {name} | {median:.1f} | {median / base - 1:+.1%} | "
            f"{statistics.median(waited[name]):.2f} |"
        )


def _place(name: str, folder: Path, stack: ExitStack) -> tuple[str, dict[str, str]]:
    """The address of a server that is started, and the variables that reach it."""
    if name == "store":
        return f"sqlite:///{folder}/mlflow.db", dict(os.environ)
    if name == "azureml":
        from standins.azureml import AzureMLStandIn as StandIn
    elif name == "databricks":
        from standins.databricks import DatabricksStandIn as StandIn
    else:
        return name, dict(os.environ)
    standin = stack.enter_context(StandIn(folder / name))
    return standin.tracking_uri, standin.process_environment()


if __name__ == "__main__":
    main()
