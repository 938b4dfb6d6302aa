"""Training with Spark's TorchDistributor is the training of one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from e2e import Done

from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.engines.local import open_table
from textgauge.engines.spark import training
from textgauge.engines.spark.table import ClusterTable
from textgauge.engines.spark.tables import open_table as open_spark_table
from textgauge.errors import EngineError
from textgauge.training.checkpoints import Checkpoint
from textgauge.training.fit import Fitted
from textgauge.training.history import Epoch
from textgauge.training.progress import NoProgress

pytest_plugins = ["e2e_fixtures"]

CONFIG = Config(epochs=3, hidden_size=16, embedding_size=16)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "notes.parquet"
    notes = make_component_notes(3_000).select("text", pl.col("label").cast(pl.String))
    notes.write_parquet(path)
    return path


@pytest.fixture(scope="module")
def alone(table: Path) -> Fitted:
    local = open_table(table, CONFIG, NoProgress())
    return fit(local, local.learn_encoder())


def fit(table: Any, encoder: Any, **how: Any) -> Fitted:
    given: dict[str, Any] = {
        "progress": NoProgress(),
        "on_epoch": lambda epoch: None,
        "on_checkpoint": lambda checkpoint: None,
        "start_from": None,
    }
    found: Fitted = table.fit(encoder, **{**given, **how})
    return found


@pytest.fixture
def prepared(spark: Any, table: Path, tmp_path: Path) -> Callable[[int], ClusterTable]:
    def prepare(workers: int) -> ClusterTable:
        read = open_spark_table(spark, str(table))
        return ClusterTable(spark, read, CONFIG, NoProgress(), folder=tmp_path, workers=workers)

    return prepare


def figures(history: tuple[Epoch, ...]) -> list[tuple[float, ...]]:
    return [(e.train_loss, e.train_accuracy, e.val_loss, e.val_accuracy) for e in history]


def test_one_worker_trains_as_one_process_does(
    prepared: Callable[[int], ClusterTable], alone: Fitted
) -> None:
    table = prepared(1)
    told: list[Epoch] = []
    states: list[Checkpoint] = []
    fitted = fit(table, table.learn_encoder(), on_epoch=told.append, on_checkpoint=states.append)
    assert figures(fitted.trained.history) == figures(alone.trained.history)
    assert [epoch.epoch for epoch in told] == [1, 2, 3]
    assert len(states[-1].history) == 3
    ours, other = fitted.model.state_dict(), alone.model.state_dict()
    assert all(torch.equal(ours[name], other[name]) for name in other)


def test_two_workers_train_one_model_and_go_on_from_a_checkpoint(
    prepared: Callable[[int], ClusterTable], alone: Fitted
) -> None:
    table = prepared(2)
    encoder = table.learn_encoder()
    states: list[Checkpoint] = []
    whole = fit(table, encoder, on_checkpoint=states.append)
    last, expected = whole.trained.history[-1], alone.trained.history[-1]
    assert last.val_accuracy == pytest.approx(expected.val_accuracy, abs=0.05)
    assert figures(whole.trained.history) != figures(alone.trained.history)


def test_a_workers_error_comes_back_with_its_own_words(
    prepared: Callable[[int], ClusterTable], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = prepared(1)
    encoder = table.learn_encoder()
    shards = table._write

    def broken(part: int, encoder: Any) -> Any:
        written = shards(part, encoder)
        for file in Path(written.folder).rglob("*.parquet"):
            file.write_bytes(b"PAR1 no more")
        return written

    monkeypatch.setattr(table, "_write", broken)
    with pytest.raises(EngineError, match=r"training failed on worker 0: .*[Pp]arquet"):
        fit(table, encoder)


class StopError(Exception):
    """What a tracker would say."""


def test_what_the_run_raises_ends_the_workers(
    prepared: Callable[[int], ClusterTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = prepared(1)

    def stop(epoch: Epoch) -> None:
        raise StopError

    with pytest.raises(StopError):
        fit(table, table.learn_encoder(), on_epoch=stop)


def test_workers_that_are_lost_too_often_are_told(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(training._Run):
        def run(self) -> None:
            self._error = RuntimeError("Job aborted: ExecutorLostFailure (executor 1 exited)")

    monkeypatch.setattr(training, "_Run", Lost)
    notes: list[str] = []
    work = training.Assignment(str(tmp_path), "lstm", {}, "", "", {}, 1, "x")
    with pytest.raises(EngineError, match=r"workers were lost 4 times .*ExecutorLostFailure"):
        training.run_workers(spark, work, 2, on_epoch=lambda epoch: None, on_note=notes.append)
    assert len(notes) == 3
    assert "training goes on from the start" in notes[0]


@pytest.mark.spark
def test_train_on_spark_is_a_run_like_any_other(
    workplace: Path, table: Path, command: Callable[..., Done]
) -> None:
    settings = ("--epochs", "3", "--hidden-size", "16", "--embedding-size", "16")
    here = command("train", table, *settings, "--json").json
    there = command(
        "train", table, *settings, "--json", "--engine", "spark", "--spark-master", "local[2]"
    ).json
    same = ("eval_loss", "eval_accuracy", "rows", "unique_texts", "random_split_share", "epochs")
    assert {name: there[name] for name in same} == {name: here[name] for name in same}
    assert there["run_id"] != here["run_id"]
    assert (Path(there["bundle"]) / "model.onnx").is_file()
    assert not [path for path in workplace.iterdir() if path.name.startswith("textgauge-")]
