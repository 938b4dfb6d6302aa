"""Stores, runs and a stand-in predictor for the tests of `textgauge.tracking`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logged_run import (
    EPOCHS,
    METRICS,
    SETTINGS,
    STAND_IN_PREDICTOR,
    TABLE,
    LoggedRun,
    ServedUi,
    png,
)
from needed import need_package
from once import made_once
from plain_server import PlainServer
from replayed import Synchroniser, Trainer, WrittenRun
from standins.azureml import AzureMLStandIn
from standins.databricks import DatabricksStandIn
from standins.server import StandIn

import textgauge
from textgauge.tracking.journal import Entry, Journal
from textgauge.tracking.local import LocalTracker
from textgauge.tracking.protocol import Destination, RunPlan
from textgauge.tracking.sqlite_store import sqlite_uri
from textgauge.tracking.ui import free_port


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests apart from whatever tracking the person who runs them has set up."""
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "TEXTGAUGE_", "DATABRICKS_", "AZUREML_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def filled_store(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, bundle: Path
) -> LoggedRun:
    """A store with one whole run, in a folder whose name needs care. Not to be changed."""
    folder = tmp_path_factory.mktemp("Läufe von 2024")
    picture = folder / "training_results.png"
    picture.write_bytes(png(width=64, height=32))
    history = folder / "history.json"
    history.write_text(json.dumps(EPOCHS))
    model = folder / "bundle"
    shutil.copytree(bundle, model)
    store = Path(shutil.copy(empty_store, folder / "mlflow.db"))
    with LocalTracker(Destination(sqlite_uri(store), "notes")) as tracker:
        tracker.start(RunPlan("a whole run", SETTINGS, {"textgauge.version": "0.1"}))
        tracker.log_dataset(TABLE)
        for step, figures in enumerate(EPOCHS, start=1):
            tracker.log_metrics(figures, step)
        tracker.log_metrics(METRICS)
        tracker.log_params({"late": True})
        tracker.set_tags({"textgauge.verdict": "worth it"})
        tracker.log_artifact(picture)
        tracker.log_artifact(history, "figures")
        tracker.log_model(model, example=["M6 x 20 bolt"])
        record = tracker.end("FINISHED")
    return LoggedRun(store, record, model)


@pytest.fixture
def store(filled_store: LoggedRun, tmp_path: Path) -> Path:
    """A store of one's own, made in no time by copying one."""
    return Path(shutil.copy(filled_store.store, tmp_path / "mlflow.db"))


@pytest.fixture
def open_store(store: Path) -> Callable[..., LocalTracker]:
    """Open a tracker on `store`."""

    def open_it(lock_patience: float = 0.5) -> LocalTracker:
        return LocalTracker(Destination(sqlite_uri(store), "notes"), lock_patience=lock_patience)

    return open_it


@pytest.fixture(scope="session")
def connect(filled_store: LoggedRun) -> Callable[[Path], Any]:
    """Open a store's file with MLflow."""
    with warnings.catch_warnings():
        # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates, and says so at its first store.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        MlflowClient(sqlite_uri(filled_store.store))
    return lambda store: MlflowClient(sqlite_uri(store))


@pytest.fixture(scope="session")
def read_run(connect: Callable[[Path], Any]) -> Callable[[Path, str], Any]:
    """Read a run from a store's file, with MLflow."""
    return lambda store, run_id: connect(store).get_run(run_id)


@pytest.fixture(scope="session")
def status_after(connect: Callable[[Path], Any]) -> Callable[..., str]:
    """Give a run's status once it has stopped running, or after `patience` seconds."""

    def wait(store: Path, run_id: str, patience: float = 20) -> str:
        client, end = connect(store), time.monotonic() + patience
        while True:
            status = str(client.get_run(run_id).info.status)
            if status != "RUNNING" or time.monotonic() > end:
                return status
            time.sleep(0.1)

    return wait


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package laid out as textgauge, with the real loader and a predictor that needs no model."""
    from textgauge.bundle.carried import CARRIED_FILES

    package = tmp_path_factory.mktemp("source") / "textgauge"
    real = Path(textgauge.__file__).parent
    for name in CARRIED_FILES:
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('"""Stands in."""\n')
    (package / "bundle" / "predictor.py").write_text(STAND_IN_PREDICTOR)
    shutil.copy(real / "bundle" / "pyfunc.py", package / "bundle" / "pyfunc.py")
    return package


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the stand-in predictor reads. Not to be changed."""
    folder = tmp_path_factory.mktemp("bundle") / "model"
    folder.mkdir()
    (folder / "textgauge.json").write_text(json.dumps({"classes": ["ok", "faulty"]}))
    (folder / "vocabulary.json").write_text(json.dumps({"words": ["<pad>", "<unk>", "<num>"]}))
    (folder / "weights.safetensors").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture(scope="session")
def served_ui(filled_store: LoggedRun) -> Iterator[ServedUi]:
    """MLflow's real UI on the store with the whole run, served as the command does it."""
    port = free_port("127.0.0.1", 5100)
    script = f"import sys; from textgauge.tracking.ui import *; serve_ui(sys.argv[1], port={port})"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", script, sqlite_uri(filled_store.store)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        lines = [process.stdout.readline().strip() for _ in range(3)]
        yield ServedUi(lines, port)
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def azureml_workspace(with_store: Callable[[str], Path]) -> Iterator[AzureMLStandIn]:
    """A stand-in for an Azure ML workspace, that all tests share: they use `azureml`."""
    need_package("azureml.mlflow", "azureml")
    with AzureMLStandIn(with_store("azureml")) as workspace:
        yield workspace


@pytest.fixture
def azureml(azureml_workspace: AzureMLStandIn) -> Iterator[AzureMLStandIn]:
    """The workspace with nothing wrong and nothing recorded; runs of other tests are there."""
    yield from _as_at_first(azureml_workspace)


@pytest.fixture(scope="session")
def azureml_sync(azureml_workspace: AzureMLStandIn) -> Iterator[Synchroniser]:
    """A process that has logged in to the workspace, for many a `sync`."""
    with Synchroniser(azureml_workspace) as synchroniser:
        yield synchroniser


@pytest.fixture(scope="session")
def databricks_workspace(with_store: Callable[[str], Path]) -> Iterator[DatabricksStandIn]:
    """A stand-in for a Databricks workspace, that all tests share: they use `databricks`."""
    need_package("databricks.sdk", "databricks")
    with DatabricksStandIn(with_store("databricks")) as workspace:
        yield workspace


@pytest.fixture
def databricks(databricks_workspace: DatabricksStandIn) -> Iterator[DatabricksStandIn]:
    """The workspace with nothing wrong and nothing recorded; runs of other tests are there."""
    yield from _as_at_first(databricks_workspace)


@pytest.fixture(scope="session")
def databricks_sync(databricks_workspace: DatabricksStandIn) -> Iterator[Synchroniser]:
    """A process that logs in with a token, for many a `sync`."""
    with Synchroniser(databricks_workspace) as synchroniser:
        yield synchroniser


@pytest.fixture(scope="session")
def served_mlflow(with_store: Callable[[str], Path]) -> Iterator[PlainServer]:
    """A plain MLflow server, that all tests share: they use `mlflow_server`."""
    with PlainServer(with_store("served")) as server:
        yield server


@pytest.fixture
def mlflow_server(served_mlflow: PlainServer) -> Iterator[PlainServer]:
    """The server with nothing wrong and nothing recorded; runs of other tests are there."""
    yield from _as_at_first(served_mlflow)


def _as_at_first(standin: StandIn) -> Iterator[Any]:
    """A test that stops it need not start it again."""
    standin.reset()
    yield standin
    if standin.is_running:
        standin.clear_faults()
    else:
        standin.start()


@pytest.fixture
def trainer(empty_store: Path, tmp_path: Path) -> Iterator[Callable[..., Trainer]]:
    """Start a `Trainer`, in the folder of the test's own unless another is given."""
    started: list[Trainer] = []

    def start(standin: StandIn, folder: Path = tmp_path, **how: Any) -> Trainer:
        started.append(Trainer(folder, standin, empty_store=empty_store, **how))
        return started[-1]

    yield start
    for each in started:
        each.clear_away()


@pytest.fixture(scope="session")
def written_run(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, bundle: Path
) -> WrittenRun:
    """A store with a whole run that no server has. Not to be changed: copy the store."""

    def write(folder: Path) -> WrittenRun:
        # A local store needs no server: any will do.
        nobody = AzureMLStandIn(folder / "nobody")
        uri = sqlite_uri(folder / "mlflow.db")
        trainer = Trainer(
            folder,
            nobody,
            environment={},
            uri=uri,
            empty_store=empty_store,
            bundle=bundle,
            nan=("f1",),
        )
        run_id = trainer.first_epoch()
        record = trainer.finish()
        return WrittenRun(trainer.store, run_id, Path(record["artifact_folder"]))

    return made_once(tmp_path_factory, "written", write)


@pytest.fixture
def unsent(written_run: WrittenRun, tmp_path: Path) -> Callable[..., WrittenRun]:
    """Give a copy of `written_run` in a store of its own, meant for a server now."""

    def copy(standin: StandIn, name: str = "unsent", **fields: Any) -> WrittenRun:
        folder = tmp_path / name
        folder.mkdir()
        store = Path(shutil.copy(written_run.store, folder))
        # Other tests send the same run: to tell them apart, each has an experiment there.
        experiment = f"notes-{uuid.uuid4().hex}"
        entry = Entry(written_run.run_id, standin.tracking_uri, experiment, **fields)
        Journal(store).write(entry)
        return replace(written_run, store=store)

    return copy
