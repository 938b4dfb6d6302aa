"""Stores, runs, a stand-in predictor and a browser for the tests of `textgauge.tracking`."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
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

import textgauge
from textgauge.tracking.local import LocalTracker
from textgauge.tracking.protocol import Destination, RunPlan
from textgauge.tracking.sqlite_store import sqlite_uri
from textgauge.tracking.ui import free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests apart from whatever tracking the person who runs them has set up."""
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "TEXTGAUGE_", "DATABRICKS_", "AZUREML_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> LoggedRun:
    """A store with one whole run, in a folder whose name needs care. Not to be changed."""
    folder = tmp_path_factory.mktemp("Läufe von 2024")
    picture = folder / "training_results.png"
    picture.write_bytes(png(width=64, height=32))
    history = folder / "history.json"
    history.write_text(json.dumps(EPOCHS))
    model = folder / "bundle"
    shutil.copytree(bundle, model)
    store = folder / "mlflow.db"
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
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; where there is none a skip, or with CI=true a failure."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    missing = (
        f"no browser: none of {', '.join(BROWSERS)} is on the PATH (apt-get install chromium)"
        if program is None
        else "Playwright is not installed (pip install playwright)"
        if importlib.util.find_spec("playwright") is None
        else None
    )
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing}; with CI=true the browser tests must run")
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    switches = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync"
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=switches.split())
        yield chromium
        chromium.close()
