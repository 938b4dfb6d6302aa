"""Scoring on a real cluster of two workers, whole commands from outside, also when one dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from e2e import textgauge
from engines.spark.cluster import Cluster, end, start
from waiting import wait_until

from textgauge.scoring import score_table

ROWS = 150_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of so many different texts that two slots need some seconds."""
    path = tmp_path_factory.mktemp("many") / "many.parquet"
    ids = pl.DataFrame({"id": range(ROWS)})
    text = pl.format("steel component {} in good condition, checked by {}", "id", pl.col("id") % 97)
    ids.with_columns(text=text).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def expected(many: Path, predictor: Any, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    out = tmp_path_factory.mktemp("expected") / "scored.parquet"
    score_table(predictor, many, out)
    return pl.read_parquet(out)


def committed(folder: Path) -> list[Path]:
    """Tasks whose part of the result is whole, before all of it is."""
    return list(folder.glob(".scored.parquet-*.partial/_temporary/0/task_*"))


def test_nothing_is_lost_or_doubled_when_a_worker_dies_in_the_middle(
    cluster: Cluster, trained: Any, many: Path, expected: pl.DataFrame, tmp_path: Path
) -> None:
    process = start(
        cluster,
        *("score", trained.folder, many, "--out", "scored.parquet", "--json"),
        cwd=tmp_path,
    )
    try:
        assert wait_until(lambda: committed(tmp_path), patience=150), "no task has ended"
        assert not (tmp_path / "scored.parquet").exists()
        os.kill(cluster.workers[0].pid, signal.SIGKILL)
    finally:
        done = end(process)
        cluster.workers.pop(0)
        cluster.add_worker()
    assert done.status == 0, done.err
    assert (done.json["rows"], done.json["unreadable_rows"]) == (ROWS, 0)
    assert done.json["unique_texts"] == pytest.approx(ROWS, rel=0.01)
    found = pl.read_parquet(f"{tmp_path}/scored.parquet/*.parquet").sort("id")
    assert found.equals(expected)
    assert [path.name for path in tmp_path.iterdir()] == ["scored.parquet"]


def test_an_interruption_leaves_nothing(
    cluster: Cluster, trained: Any, many: Path, tmp_path: Path
) -> None:
    process = start(cluster, "score", trained.folder, many, "--out", "scored.parquet", cwd=tmp_path)
    try:
        assert wait_until(lambda: committed(tmp_path), patience=150), "no task has ended"
        process.send_signal(signal.SIGINT)
    finally:
        done = end(process)
    assert (done.status, done.error) == (130, "interrupted.")
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_gives_no_executor_is_told(
    cluster: Cluster, trained: Any, tmp_path: Path
) -> None:
    (tmp_path / "notes.csv").write_text("text\nsteel\n")
    settings = tmp_path / "conf" / "spark-defaults.conf"
    settings.parent.mkdir()
    settings.write_text("spark.executor.memory 999g\n")
    process = start(
        cluster,
        *("score", trained.folder, "notes.csv", "--out", "scored.csv"),
        cwd=tmp_path,
        SPARK_CONF_DIR=str(settings.parent),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"looking at the executors"):
            break
    begun = time.monotonic()
    done = end(process)
    assert 8 < time.monotonic() - begun < 20  # of it 10 s for the slots
    assert done.status == 1
    assert done.error.startswith(f"no executor of {cluster.master} has registered within 10 s.")
    assert "other applications hold all cores or memory, or its machines cannot reach" in done.error


def test_executors_without_the_wheel_are_told(
    cluster: Cluster, trained: Any, tmp_path: Path
) -> None:
    bare = tmp_path / "bare" / "python"
    bare.parent.mkdir()
    # This Python, without what is installed in its environment.
    real = Path(sys.executable).resolve()
    bare.write_text(f'#!/bin/sh\nexec "{real}" -S "$@"\n')
    bare.chmod(0o755)
    (tmp_path / "notes.csv").write_text("text\nsteel\n")
    done = textgauge(
        *("score", trained.folder, "notes.csv", "--out", "scored.csv", "--quiet"),
        *("--engine", "spark", "--spark-master", cluster.master),
        cwd=tmp_path,
        PYSPARK_PYTHON=str(bare),
    )
    assert done.status == 1
    assert "lacks textgauge. Install the wheel there" in done.error
