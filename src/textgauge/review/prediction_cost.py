"""What predicting costs: a saved model by itself, without torch, on one thread.

    python -m textgauge.review.prediction_cost BUNDLE TEXTS.arrow

The measurement has a process of its own, whose libraries have one thread from their import on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import polars as pl

from ..errors import BundleError

TEXTS = 2_000
"""Distinct texts that are predicted at a time, at most."""

REPEATS, PATIENCE = 5, 3.0
"""Measurements, and seconds after which fewer are enough, though two at least."""

ONE_THREAD = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Variables that keep libraries to one thread, if they are set before the import."""


def texts_to_predict(*parts: pl.Series) -> pl.Series:
    """The texts to measure with: the first of the parts, as far as there are any."""
    return pl.concat(parts).head(TEXTS)


def milliseconds(predict: Callable[[], object], texts: int) -> float:
    """Milliseconds a thousand texts: the median of some predictions, after one to warm up.

    Of the processor's time, which on one thread is the time that passes where nothing else is at
    work: what is, costs the one that is measured nothing.

    Args:
        predict: predicts all of the texts.
        texts: how many those are.

    """
    predict()
    found: list[float] = []
    begin = time.perf_counter()
    while len(found) < 2 or (len(found) < REPEATS and time.perf_counter() - begin < PATIENCE):
        start = time.process_time()
        predict()
        found.append(time.process_time() - start)
    return median(found) * 1e6 / texts


def measure(bundle: Path, texts: Path) -> float:
    """Milliseconds that a saved model takes for a thousand texts, in a fresh process.

    Args:
        bundle: the model's folder.
        texts: an Arrow file with a column `text`, all distinct.

    Raises:
        BundleError: the process failed.

    """
    done = subprocess.run(
        # -P: a file of the user's that is called like a module must not be imported.
        [sys.executable, "-P", "-m", __name__, str(bundle), str(texts)],
        env={**os.environ, **ONE_THREAD},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise BundleError(f"what {bundle} takes to predict could not be measured: {last[0]}")
    return float(json.loads(done.stdout))


def main(bundle: str, texts: str) -> None:
    """The process: prints the milliseconds."""
    from ..bundle.predictor import Predictor

    predictor, column = Predictor.load(bundle, cores=1), pl.read_ipc(texts)["text"]
    print(json.dumps(milliseconds(lambda: predictor.predict(column), len(column))))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
