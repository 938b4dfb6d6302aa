"""Training with Spark's TorchDistributor is the training of one process."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import torch
from e2e import SMALL_SETTINGS, Done
from waiting import wait_until

import textgauge
from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.engines.local import open_table
from textgauge.engines.spark import opening, training
from textgauge.engines.spark.opening import prepared_table
from textgauge.engines.spark.table import ClusterTable
from textgauge.engines.spark.tables import open_table as open_spark_table
from textgauge.errors import EngineError, SettingsError
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


@pytest.fixture(scope="module")
def on_cluster(
    spark: Any, table: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ClusterTable, Any]:
    """The table, checked and cut on Spark, and what was learned from it."""
    read, folder = open_spark_table(spark, str(table)), tmp_path_factory.mktemp("shared")
    prepared = ClusterTable(spark, read, CONFIG, NoProgress(), folder=folder, workers=1)
    return prepared, prepared.learn_encoder()


@pytest.fixture
def prepared(
    on_cluster: tuple[ClusterTable, Any], tmp_path: Path
) -> Callable[[int], tuple[ClusterTable, Any]]:
    """The same for so many workers, with a folder of its own for the training."""

    def prepare(workers: int) -> tuple[ClusterTable, Any]:
        mine = copy.copy(on_cluster[0])
        mine._folder, mine.workers = tmp_path, workers
        return mine, on_cluster[1]

    return prepare


Prepare = Callable[[int], tuple[ClusterTable, Any]]


def figures(history: tuple[Epoch, ...]) -> list[tuple[float, ...]]:
    return [(e.train_loss, e.train_accuracy, e.val_loss, e.val_accuracy) for e in history]


def test_one_worker_trains_as_one_process_does(prepared: Prepare, alone: Fitted) -> None:
    told: list[Epoch] = []
    states: list[Checkpoint] = []
    fitted = fit(*prepared(1), on_epoch=told.append, on_checkpoint=states.append)
    assert figures(fitted.trained.history) == figures(alone.trained.history)
    assert [epoch.epoch for epoch in told] == [1, 2, 3]
    assert len(states[-1].history) == 3
    ours, other = fitted.model.state_dict(), alone.model.state_dict()
    assert all(torch.equal(ours[name], other[name]) for name in other)


def test_two_workers_train_one_model(prepared: Prepare, alone: Fitted) -> None:
    whole = fit(*prepared(2))
    last, expected = whole.trained.history[-1], alone.trained.history[-1]
    assert last.val_accuracy == pytest.approx(expected.val_accuracy, abs=0.05)
    # Two workers draw apart, so this was not the training of one.
    assert figures(whole.trained.history) != figures(alone.trained.history)


def test_a_workers_error_comes_back_with_its_own_words(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, encoder = prepared(1)
    shards = table._write

    def broken(part: int, encoder: Any) -> Any:
        written = shards(part, encoder)
        for file in Path(written.folder).rglob("*.parquet"):
            file.write_bytes(b"PAR1 no more")
        return written

    monkeypatch.setattr(table, "_write", broken)
    with pytest.raises(EngineError, match=r"training failed on worker 0: .*[Pp]arquet"):
        fit(table, encoder)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"device": "cuda"}, r"Spark gives tasks no GPU: .* or pass --device cpu"),
        ({"model": "bag"}, r"the model 'bag' is trained in one process; pass --engine local"),
        ({"model": "linear", "refit": True}, r"the model 'linear' is trained in one process"),
        ({"refit": True}, r"--refit is not for Spark: leave it out, or .* --engine local"),
    ],
)
def test_what_a_cluster_cannot_train_is_told(
    prepared: Prepare, settings: dict[str, Any], told: str
) -> None:
    table, encoder = prepared(1)
    table.config = replace(table.config, **settings)
    with pytest.raises(EngineError, match=told):
        fit(table, encoder)


class StopError(Exception):
    """What a tracker would say."""


def test_what_the_run_raises_ends_the_workers(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STOP_PATIENCE", 0.0)  # They are ended in the middle.
    table, encoder = prepared(1)
    table.config = Config(epochs=100_000, patience=100_000, hidden_size=16, embedding_size=16)

    def stop(epoch: Epoch) -> None:
        raise StopError

    with pytest.raises(StopError):
        fit(table, encoder, on_epoch=stop)
    tracker = table._spark.sparkContext._jsc.sc().statusTracker()

    def at_work() -> int:
        return sum(each.numRunningTasks() for each in tracker.getExecutorInfos())

    assert wait_until(lambda: not at_work(), patience=30)


def assignment_in(folder: Path) -> training.Assignment:
    return training.Assignment(
        folder=str(folder), model="lstm", sizes={}, train="", val="", plan={}, threads=1,
        gpu=False, identity="x", every=1.0,
    )  # fmt: skip


def given_up(spark: Any, folder: Path, told: str) -> list[str]:
    """What was noted before a training that began again three times was given up."""
    notes: list[str] = []
    with pytest.raises(EngineError, match=told):
        training.run_workers(
            spark, assignment_in(folder), 2, on_epoch=lambda epoch: None, on_note=notes.append
        )
    assert len(notes) == 3
    return notes


def test_workers_that_are_lost_too_often_are_told(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(spark: Any, assignment: Any, workers: int) -> training.Job[int | None]:
        def work() -> int | None:
            raise RuntimeError("Job aborted: ExecutorLostFailure (executor 1 exited)")

        job = training.Job(spark, "a test", work)
        job.start()
        return job

    monkeypatch.setattr(training, "_start_workers", lost)
    notes = given_up(spark, tmp_path, r"workers were lost 4 times .*ExecutorLostFailure")
    assert "training goes on from the start" in notes[0]


@pytest.mark.parametrize(
    ("raised", "of_a_peer"),
    [
        (ConnectionRefusedError(111, "Connection refused: the storage"), False),
        (RuntimeError("can't allocate memory"), False),
        (RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer"), True),
        (torch.distributed.DistNetworkError("the client socket has timed out"), True),
    ],
)
def test_a_workers_own_error_is_told_apart_from_the_loss_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, of_a_peer: bool
) -> None:
    def fail(*_: Any) -> int:
        raise raised

    monkeypatch.setattr(training, "_train", fail)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "10":
        monkeypatch.setenv("RANK", rank)
        assert training.train_on_worker(assignment_in(tmp_path).to_json()) is None
    told = training._error(tmp_path)
    assert told is not None
    assert (told["rank"], told["of_a_peer"]) == (0, of_a_peer)
    assert str(raised) in told["message"]


def test_the_worker_that_failed_by_itself_is_the_one_that_is_told(tmp_path: Path) -> None:
    for rank, of_a_peer in ((0, True), (1, False), (2, True)):
        said = {"rank": rank, "message": f"words of {rank}", "of_a_peer": of_a_peer}
        (tmp_path / f"error-{rank}.json").write_text(json.dumps(said), encoding="utf-8")
    told = training._error(tmp_path)
    assert told is not None
    assert told["message"] == "words of 1"


def test_workers_that_only_lost_each_other_begin_again_and_are_told_in_the_end(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(spark: Any, assignment: Any, workers: int) -> training.Job[int | None]:
        said = {"rank": 0, "message": "the client socket has timed out", "of_a_peer": True}
        (tmp_path / "error-0.json").write_text(json.dumps(said), encoding="utf-8")
        job: training.Job[int | None] = training.Job(spark, "a test", lambda: None)
        job.start()
        return job

    monkeypatch.setattr(training, "_start_workers", apart)
    given_up(spark, tmp_path, r"lost 4 times \(the client socket has timed out\)")


# ---- before it begins


def test_too_few_slots_are_told_at_once(spark: Any, table: Path) -> None:
    with (
        pytest.raises(EngineError, match=r"runs 2 tasks at a time, and 3 are needed"),
        prepared_table(str(table), CONFIG, NoProgress(), workers=3),
    ):
        pass


def test_a_folder_that_the_executors_do_not_see_is_told(
    spark: Any, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written where they look, which is what they see of a disk that is not theirs."""
    monkeypatch.setattr(Path, "touch", lambda self: None)
    with (
        pytest.raises(EngineError, match=r"2 of 2 executor slots do not see the folder") as caught,
        prepared_table(str(table), CONFIG, NoProgress(), folder=tmp_path),
    ):
        pass
    assert f"{tmp_path}. Name one that this machine and all executors share" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(SettingsError, match=r"nothing can be written in .*file: .*--spark-folder"),
        opening._shared_folder(spark, tmp_path / "file"),
    ):
        pass


def test_a_cluster_of_several_machines_needs_a_folder() -> None:
    session = SimpleNamespace(sparkContext=SimpleNamespace(master="spark://10.0.0.1:7077"))
    with (
        pytest.raises(SettingsError, match=r"needs a folder that this machine and all executors"),
        opening._shared_folder(session, None),
    ):
        pass


# ---- a whole run


@pytest.mark.usefixtures("quick_review")
def test_a_spark_dataframe_is_trained_on_as_a_file_is(
    spark: Any, workplace: Path, table: Path, empty_store: Path, command: Callable[..., Done]
) -> None:
    shutil.copy(empty_store, "mlflow.db")
    settings = ("--epochs", "2", "--hidden-size", "16", "--embedding-size", "16")
    here = command("train", table, *settings, "--json").json
    there = textgauge.train(spark.read.parquet(str(table)), **SMALL_SETTINGS).to_json()
    same = ("eval_loss", "eval_accuracy", "rows", "unique_texts", "random_split_share", "epochs")
    assert {name: there[name] for name in same} == {name: here[name] for name in same}
    assert there["run_id"] != here["run_id"]
    assert (Path(there["bundle"]) / "model.onnx").is_file()
    assert not [path for path in workplace.iterdir() if path.name.startswith("textgauge-")]
