"""A run that is written for a server by a process of its own, and whether the server has all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from standins.plugin_process import PluginProcess
from standins.server import StandIn

from textgauge.tracking.journal import Entry, Journal
from textgauge.tracking.mlflow_run import complete_files, local_folder
from textgauge.tracking.sqlite_store import sqlite_uri

TRAINER = """
import json, shutil, sys, time
from pathlib import Path
from textgauge.tracking.open import open_tracker
from textgauge.tracking.protocol import DatasetDescription, Registration, RunPlan

how = json.loads(sys.argv[1])
folder = Path(sys.argv[2])
registration = Registration(how["register"], how["alias"]) if how["register"] else None
with open_tracker(how["uri"], how["experiment"], run_id=how["resume"], registration=registration) as tracker:
    tags = {"textgauge.version": "0.1", **how["tags"]}
    tracker.start(RunPlan("a run", {"lr": 0.001, **how["params"]}, tags))
    tracker.log_dataset(DatasetDescription("notes.csv", "notes.csv", "ab" * 32, {"text": "String"}, 90))
    for step in range(1, how["epochs"] + 1):
        values = {"train_loss": 1 / step, "val_loss": 2 / step, "lr": 0.001}
        tracker.log_metrics({**values, **{name: float("nan") for name in how["nan"]}}, step)
        if step == 1:
            there = {"run_id": tracker.ready(60).run_id, "worker": tracker._process.pid}
            print(json.dumps(there), flush=True)
            tracker.preflight(how["patience"])
        if step <= how["hold"]:
            print("held", flush=True)
            sys.stdin.readline()
        time.sleep(how["pause"])
        if (problem := tracker.failure()) is not None:
            raise problem
    tracker.log_metrics({"eval_loss": 0.25, "eval_accuracy": 0.75})
    for name, size in how["files"].items():
        path = folder / Path(name).name
        path.write_bytes(bytes(i % 251 for i in range(size)))
        tracker.log_artifact(path, str(Path(name).parent) if "/" in name else "")
    if how["bundle"]:
        shutil.copytree(how["bundle"], folder / "model")
        tracker.log_model(folder / "model", example=["M6 x 20 bolt"])
    record = tracker.end("FINISHED")
    print(json.dumps({**vars(record), "artifact_folder": str(record.artifact_folder), "news": tracker.news()}))
"""  # noqa: E501
"""Logs a run as a training would, with nothing to train: `sys.argv` holds how, and a folder."""


@dataclass(frozen=True)
class WrittenRun:
    """A run in a local store: the store's file, its id there, and its folder."""

    store: Path
    run_id: str
    folder: Path


class Trainer:
    """A process that writes a run; its store is `folder/mlflow.db`.

    After each of the first `hold` epochs it stands still until `go_on`. In the first it waits
    `patience` seconds at most for the server's word.
    """

    def __init__(
        self,
        folder: Path,
        standin: StandIn,
        *,
        environment: Mapping[str, str] | None = None,
        uri: str | None = None,
        experiment: str | None = "notes",
        epochs: int = 3,
        pause: float = 0.0,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Mapping[str, int] | None = None,
        nan: tuple[str, ...] = (),
        bundle: Path | None = None,
        register: str | None = None,
        alias: str | None = "challenger",
        resume: str | None = None,
        hold: int = 0,
        patience: float = 60,
        empty_store: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = folder / "mlflow.db"
        if empty_store is not None and not self.store.exists():
            shutil.copy(empty_store, self.store)
        how = {
            "uri": standin.tracking_uri if uri is None else uri,
            "experiment": experiment,
            "epochs": epochs,
            "pause": pause,
            "params": dict(params or {}),
            "tags": dict(tags or {}),
            "files": {"training_results.png": 5000, "figures/history.json": 300}
            if files is None
            else dict(files),
            "nan": list(nan),
            "bundle": str(bundle) if bundle else None,
            "register": register,
            "alias": alias,
            "resume": resume,
            "hold": hold,
            "patience": patience,
        }
        work = folder / "work"
        work.mkdir(exist_ok=True)
        self.environment = standin.process_environment(environment)
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINER, json.dumps(how), str(work)],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._worker = 0

    def first_epoch(self) -> str:
        """The run's id in the local store, once its first epoch was handed over."""
        found = json.loads(self._line())
        self._worker = found["worker"]
        return str(found["run_id"])

    def wait_until_held(self) -> None:
        """Return once it stands still again."""
        assert self._line() == "held\n"

    def go_on(self) -> None:
        """Let go of a training that was held."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def finish(self) -> dict[str, Any]:
        """What `end` gave, and the `news`; fails the test with what was printed otherwise."""
        out, errors = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, errors
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def fail(self) -> str:
        """What a training that has to fail wrote to standard error."""
        errors = self.process.communicate(timeout=180)[1]
        assert self.process.returncode == 1, errors
        return errors

    def kill(self, *, worker: bool = False) -> None:
        """Kill the training by SIGKILL, and with `worker` its worker in the same moment."""
        if worker:
            # Stopped first, so that it sees nothing of the training's death.
            os.kill(self._worker, signal.SIGSTOP)
        self.process.kill()
        if worker:
            os.kill(self._worker, signal.SIGKILL)
        self.process.communicate()

    def clear_away(self) -> None:
        """End it, if a test failed in the middle of it."""
        if self.process.poll() is None:
            self.process.kill()
        with self.process:
            pass

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return line


def start_sync(folder: Path, standin: StandIn, *options: str) -> subprocess.Popen[str]:
    """Start `textgauge sync` in the folder of a store."""
    return subprocess.Popen(
        [sys.executable, "-m", "textgauge", "sync", *options],
        cwd=folder,
        env=standin.process_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def sync(folder: Path, standin: StandIn, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `textgauge sync` in the folder of a store."""
    with start_sync(folder, standin, *options) as process:
        out, errors = process.communicate(timeout=180)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


class Synchroniser:
    """A process that does what `textgauge sync` does, over and over: importing takes longest."""

    def __init__(self, standin: StandIn) -> None:
        # A request that fails is sent again at once, as it is later in the process of a user.
        quick = {"MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0"}
        self._process = PluginProcess(standin.process_environment() | quick)
        self._process.run(_SYNC)

    def sync(
        self, store: Path, *runs: str, to: str | None = None
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """What came of each run, and the notes."""
        done, notes = self._process.run(
            "answer = sync_now(store, runs, to)", store=str(store), runs=runs, to=to
        )
        return done, notes

    def start(self, store: Path) -> int:
        """Begin in a process of its own, which may be killed; gives its id."""
        return int(self._process.run("answer = start(store)", store=str(store)))

    def wait(self, process: int) -> None:
        """Wait for the end of what `start` began."""
        self._process.run("os.waitpid(process, 0)", process=process)

    def __enter__(self) -> Self:
        self._process.__enter__()
        return self

    def __exit__(self, *what: object) -> None:
        self._process.__exit__(*what)


_SYNC = """
import os
import textgauge.tracking.sync as module
from textgauge.tracking.mlflow_import import import_client, take_in_plugins
from textgauge.tracking.sync import sync
# What each child would import for itself.
import_client()
import mlflow.store.tracking.sqlalchemy_store
take_in_plugins()
# Nothing else is changed than how long is waited before the same is tried again.
module._WAITS = (0.0,) * len(module._WAITS)
try:
    from azure.storage.blob._shared.policies import StorageRetryPolicy
    StorageRetryPolicy.sleep = lambda self, settings, transport: None  # 15 s otherwise
except ImportError:
    pass
def sync_now(store, runs, to):
    notes = []
    done = sync(runs, to=to, store=store, on_note=notes.append)
    return [each.to_json() for each in done], notes
def start(store):
    child = os.fork()
    if child == 0:
        try:
            sync(store=store)
        finally:
            os._exit(0)
    return child
"""


def entry_of(store: Path, run_id: str) -> Entry:
    """The journal's entry of a run."""
    entry = Journal(store).find(run_id)
    assert entry is not None
    return entry


def assert_server_holds_all(store: Path, run_id: str, standin: StandIn) -> None:
    """The server holds exactly what the local store holds of the run, once."""
    entry = entry_of(store, run_id)
    assert entry.state == "done", entry
    assert entry.server_run_id is not None
    with warnings.catch_warnings():
        # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates, and says so at its first store.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        client = MlflowClient(sqlite_uri(store))
        here = client.get_run(run_id)
    there = standin.run(entry.server_run_id)
    assert there.info.status == here.info.status
    assert there.info.run_name == here.info.run_name
    assert there.info.end_time == here.info.end_time
    assert there.data.params == here.data.params
    assert there.data.tags == here.data.tags
    assert there.data.metrics.keys() == here.data.metrics.keys()
    for key in here.data.metrics:
        mine = sorted((m.step, repr(m.value)) for m in client.get_metric_history(run_id, key))
        theirs = standin.metric_history(entry.server_run_id, key)
        assert [(step, repr(value)) for step, value in theirs] == mine, key
    folder = local_folder(here.info.artifact_uri)
    assert folder is not None
    files = {path: (folder / path).read_bytes() for path in complete_files(folder)}
    assert standin.artifacts(entry.server_run_id) == files
    # Once: no other run there is a copy of this one.
    experiment = standin.run(entry.server_run_id).info.experiment_id
    copies = standin.client().search_runs(
        [experiment], f"tags.`textgauge.run_id` = '{run_id}'", max_results=5
    )
    assert len(copies) == 1
