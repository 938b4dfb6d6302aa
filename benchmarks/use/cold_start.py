"""Measure the cold start, from a process's start to its first prediction, and the install's size.

    python benchmarks/use/cold_start.py [--processes 15] [--rows 100000] [--sizes]

Trains on component notes, then predicts one note in fresh processes, in turn: with textgauge, with
`mlflow.pyfunc` from the same folder, and with scikit-learn's TF-IDF and logistic regression, fitted
on the same notes and stored by joblib. Each process is measured whole, Python's own start included;
the files are in the machine's memory after a first round that is not counted. With --sizes the slim
package is installed into an empty environment, and what the whole one needs is added up here.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

NOTE = "steel component manufactured in 1979 in good condition"
ROOT = Path(__file__).parents[2]

CLIENTS = {
    "Python alone": "pass",
    "import numpy, polars, onnxruntime": "import numpy, polars, onnxruntime",
    "textgauge": """
import textgauge
print(textgauge.load(sys.argv[1]).predict([sys.argv[3]]).labels)
""",
    "textgauge, `cores=1`": """
import textgauge
print(textgauge.load(sys.argv[1], cores=1).predict([sys.argv[3]]).labels)
""",
    "`mlflow.pyfunc`, the same folder": """
import mlflow.pyfunc
print(mlflow.pyfunc.load_model(sys.argv[1]).predict([sys.argv[3]]))
""",
    "scikit-learn TF-IDF + LR, joblib": """
import joblib
print(joblib.load(sys.argv[2]).predict([sys.argv[3]]))
""",
}


def make_models(folder: Path, rows: int) -> tuple[Path, Path]:
    """Train both on the same notes; gives the bundle and the pipeline's file."""
    import joblib
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    import textgauge
    from textgauge.data.component_notes import make_component_notes

    notes = make_component_notes(rows)
    result = textgauge.train(notes, tracking_uri=f"sqlite:///{folder}/mlflow.db", quiet=True)
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    joblib.dump(pipeline.fit(notes["text"].to_list(), notes["label"].to_list()), folder / "lr")
    return result.bundle, folder / "lr"


def measure(script: str, *arguments: object) -> float:
    """Seconds that a fresh process takes."""
    command = [sys.executable, "-c", f"import sys\n{script}", *map(str, arguments)]
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def megabytes(folder: Path) -> float:
    """All files, bytecode included, in 1,000,000 bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def slim_size(folder: Path) -> float:
    """Of an environment with the slim package alone, without pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    order = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    subprocess.run([*order, ROOT / "packages" / "predict"], check=True)
    return megabytes(next((folder / "venv").glob("lib/python*/site-packages")))


def whole_size() -> float:
    """Of the files of textgauge's requirements here, and of theirs."""
    waiting, seen, total = ["textgauge"], set(), 0.0
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        found = distribution(name)
        paths = [Path(str(found.locate_file(file))) for file in found.files or ()]
        total += sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
        needed = map(Requirement, found.requires or ())
        waiting += [e.name for e in needed if e.marker is None or e.marker.evaluate({"extra": ""})]
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=15)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--sizes", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bundle, pipeline = make_models(folder, options.rows)
        seconds: dict[str, list[float]] = {name: [] for name in CLIENTS}
        for number in range(options.processes + 1):
            for name, script in CLIENTS.items():
                taken = measure(script, bundle, pipeline, NOTE)
                if number:  # The first round brings the files into memory.
                    seconds[name].append(taken)
        ours = statistics.median(seconds["textgauge"])
        print(
            "| process | median s | fastest | slowest | / textgauge |\n"
            "| --- | --- | --- | --- | --- |"
        )
        for name, taken in seconds.items():
            median = statistics.median(taken)
            figures = (f"{value:.2f}" for value in (median, min(taken), max(taken)))
            print(f"| {name} | {' | '.join(figures)} | {median / ours:.1f} |")
        if options.sizes:
            print(
                f"\ntextgauge-predict: {slim_size(folder):.0f} MB; textgauge: {whole_size():.0f} MB"
            )


if __name__ == "__main__":
    main()
