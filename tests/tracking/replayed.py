"""A run that is written for a server by a process of its own, and whether the server has all."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    tracker.start(RunPlan("a run", {"lr": 0.001, **how["params"]}, how["tags"]))
    tracker.log_dataset(DatasetDescription("notes.csv", "notes.csv", "ab" * 32, {"text": "String"}, 90))
    for step in range(1, how["epochs"] + 1):
        values = {"train_loss": 1 / step, "val_loss": 2 / step, "lr": 0.001}
        tracker.log_metrics({**values, **{name: float("nan") for name in how["nan"]}}, step)
        if step == 1:
            print(json.dumps({"run_id": tracker.ready(60).run_id}), flush=True)
            tracker.preflight(30)
        time.sleep(how["pause"])
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


class Trainer:
    """A process that writes a run; its store is `folder/mlflow.db`."""

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
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = folder / "mlflow.db"
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
        }
        work = folder / "work"
        work.mkdir(exist_ok=True)
        self.environment = standin.process_environment(environment)
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINER, json.dumps(how), str(work)],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def first_epoch(self) -> str:
        """The run's id in the local store, once its first epoch was handed over."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return str(json.loads(line)["run_id"])

    def finish(self) -> dict[str, Any]:
        """What `end` gave, and the `news`; fails the test with what was printed otherwise."""
        out, errors = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, errors
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found


def sync(folder: Path, standin: StandIn, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `textgauge sync` in the folder of a store."""
    return subprocess.run(
        [sys.executable, "-m", "textgauge", "sync", *options],
        cwd=folder,
        env=standin.process_environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


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
