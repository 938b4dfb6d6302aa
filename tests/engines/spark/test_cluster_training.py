"""Training on a real cluster of two workers, of which one dies in the middle."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import polars as pl
import pytest
from e2e import textgauge
from engines.spark.cluster import Cluster, end, start
from waiting import wait_until

from textgauge.data.component_notes import make_component_notes

EPOCHS = 12
SETTINGS = ("--epochs", EPOCHS, "--patience", EPOCHS, "--hidden-size", "24", "--lr", "0.01")

OFTEN = (
    "from textgauge.engines.spark import training; training.EVERY = 0.0; "
    "from textgauge.cli import main; raise SystemExit(main())"
)
"""The command, with a checkpoint after every epoch: this training takes seconds, not hours."""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "notes.parquet"
    notes = make_component_notes(20_000).select("text", pl.col("label").cast(pl.String))
    notes.write_parquet(path)
    return path


def test_a_lost_worker_is_replaced_and_training_goes_on_from_its_checkpoint(
    cluster: Cluster, table: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    process = start(
        cluster,
        *("train", table, *SETTINGS, "--spark-workers", 2, "--spark-folder", shared, "--json"),
        cwd=tmp_path,
        program=(sys.executable, "-c", OFTEN),
    )

    def third_epoch() -> bool:
        return bool(list(shared.glob("*/training/epoch-000003.json")))

    try:
        assert wait_until(third_epoch, patience=400), "no third epoch"
        os.kill(cluster.executors()[0], signal.SIGKILL)
    finally:
        done = end(process)
    assert done.status == 0, done.err
    assert "Traceback" not in done.err
    lost = re.findall(r"a training worker was lost \((.*)\); training goes on (.*)", done.err)
    assert [after for _, after in lost] == ["from its newest checkpoint"]
    # Every epoch was told once: none was done again for the tracking, none is missing.
    assert re.findall(r"^ +(\d+) +\d\.\d+ ", done.err, re.MULTILINE) == [
        str(number) for number in range(1, EPOCHS + 1)
    ]
    assert list(shared.iterdir()) == []

    here = textgauge("train", table, *SETTINGS, "--json", "--quiet", cwd=tmp_path).json
    found = done.json
    assert found["epochs"] == EPOCHS
    for name in ("rows", "unique_texts", "random_split_share"):
        assert found[name] == here[name], name
    assert found["eval_accuracy"] == pytest.approx(here["eval_accuracy"], abs=0.005)
