"""Runs that somebody else opened: written into where they are meant for us, never ended."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain_server import PlainServer
from replayed import Trainer, entry_of
from standins.azureml import AzureMLStandIn
from standins.azureml_identity import IDENTITY_HEADER
from standins.azureml_names import dashed_run_id

from textgauge.tracking.sqlite_store import sqlite_uri

StartTrainer = Callable[..., Trainer]

NOTEBOOK = """
import json, sys
import mlflow
from textgauge.tracking.open import open_tracker
from textgauge.tracking.protocol import RunPlan

mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("mine")
ids = []
with mlflow.start_run() as run:
    for _ in range(2):
        with open_tracker() as tracker:
            tracker.start(RunPlan("a training"))
            tracker.log_metrics({"eval_loss": 0.5})
            ids.append(tracker.end("FINISHED").run_id)
    assert mlflow.active_run().info.run_id == run.info.run_id
    assert mlflow.get_tracking_uri() == sys.argv[1]
    print(json.dumps([run.info.run_id, *ids, mlflow.get_run(run.info.run_id).info.status]))
"""


def in_a_notebook(uri: str, folder: Path, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NOTEBOOK, uri],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    # MLflow prints a line of its own when its run ends.
    found: list[str] = json.loads(next(x for x in done.stdout.splitlines() if x[:1] == "["))
    return found


def test_a_run_that_is_open_is_written_into_once(
    store: Path, tmp_path: Path, mlflow_server: PlainServer, read_run: Callable[[Path, str], Any]
) -> None:
    environment = mlflow_server.process_environment()
    own, first, second, status = in_a_notebook(sqlite_uri(store), tmp_path, environment)
    assert (first, status) == (own, "RUNNING")
    assert second != own
    child = read_run(store, second)
    assert child.data.tags["mlflow.parentRunId"] == own
    assert child.info.status == "FINISHED"


def test_so_it_is_on_a_server(mlflow_server: PlainServer, tmp_path: Path) -> None:
    environment = mlflow_server.process_environment()
    own, first, second, status = in_a_notebook(mlflow_server.url, tmp_path, environment)
    assert (first, status) == (own, "RUNNING")
    child = mlflow_server.run(second)
    assert child.data.tags["mlflow.parentRunId"] == own
    assert mlflow_server.metric_history(own, "eval_loss") == [(0, 0.5)]


@pytest.mark.parametrize("left_over", ["finished", "of nobody", "of another store"])
def test_a_run_that_is_not_meant_for_us_is_left_alone(
    left_over: str, mlflow_server: PlainServer, trainer: StartTrainer
) -> None:
    client = mlflow_server.client()
    experiment = client.create_experiment(f"theirs {left_over}")
    theirs = client.create_run(experiment).info.run_id
    if left_over == "finished":
        client.set_terminated(theirs)
    named = {
        "MLFLOW_RUN_ID": "ab" * 16 if left_over == "of nobody" else theirs,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"
        if left_over == "of another store"
        else mlflow_server.url,
    }
    before = client.get_run(theirs).to_dictionary()
    training = trainer(mlflow_server, environment=mlflow_server.environment | named)
    run_id = training.first_epoch()
    record = training.finish()
    assert record["missing"] is None
    assert record["run_id"] not in named.values()
    assert entry_of(training.store, run_id).keep_open is False
    assert client.get_run(theirs).to_dictionary() == before


def test_a_run_that_was_opened_for_us_is_written_into(
    mlflow_server: PlainServer, trainer: StartTrainer
) -> None:
    client = mlflow_server.client()
    theirs = client.create_run(client.create_experiment("a job")).info.run_id
    named = {"MLFLOW_RUN_ID": theirs, "MLFLOW_TRACKING_URI": mlflow_server.url}
    training = trainer(mlflow_server, environment=mlflow_server.environment | named)
    training.first_epoch()
    assert training.finish()["run_id"] == theirs
    assert client.get_run(theirs).info.status == "RUNNING"
    assert client.get_run(theirs).data.metrics["eval_loss"] == 0.25


@pytest.mark.parametrize("kind", ["mlflow_server", "databricks"])
def test_a_jobs_token_goes_nowhere_else(
    kind: str, request: pytest.FixtureRequest, trainer: StartTrainer
) -> None:
    job = {
        "AZUREML_RUN_ID": "job-1",
        "MLFLOW_RUN_ID": "job-1",
        "MLFLOW_EXPERIMENT_NAME": "the-jobs-own",
        "MLFLOW_TRACKING_TOKEN": "the-token-of-the-job",
        "MLFLOW_TRACKING_URI": "azureml://h/mlflow/v1.0/subscriptions/s/resourceGroups/g"
        "/providers/Microsoft.MachineLearningServices/workspaces/w",
    }
    elsewhere = request.getfixturevalue(kind)
    training = trainer(elsewhere, environment=elsewhere.environment | job, experiment=None)
    training.first_epoch()
    record = training.finish()
    assert record["missing"] is None
    assert record["run_id"] != "job-1"
    assert record["experiment"].rpartition("/")[2] == "textgauge"
    asked = elsewhere.requests()
    assert asked
    assert not [each for each in asked if "token-of-the-job" in each.login]


def test_a_job_of_the_workspace_writes_into_its_own_run(
    azureml: AzureMLStandIn, trainer: StartTrainer
) -> None:
    """With the token that the job was given, and no other login at hand."""
    client = azureml.client()
    stored = client.create_run(client.create_experiment("job")).info.run_id
    job = {
        "AZUREML_RUN_ID": dashed_run_id(stored),
        "MLFLOW_RUN_ID": dashed_run_id(stored),
        "MLFLOW_EXPERIMENT_NAME": "job",
        "MLFLOW_TRACKING_TOKEN": token_of(azureml),
        "MLFLOW_TRACKING_URI": azureml.tracking_uri,
    }
    nobody = azureml.environment_for("none")
    training = trainer(azureml, uri=None, environment=nobody | job, experiment=None)
    training.first_epoch()
    record = training.finish()
    assert (record["missing"], record["run_id"]) == (None, dashed_run_id(stored))
    run = client.get_run(stored)
    assert (run.info.status, run.data.metrics["eval_loss"]) == ("RUNNING", 0.25)
    assert "figures/history.json" in azureml.artifacts(dashed_run_id(stored))


def token_of(workspace: AzureMLStandIn) -> str:
    """A token that the workspace takes."""
    request = urllib.request.Request(
        f"{workspace.url}/identity/token?resource={workspace.url}",
        headers={"X-IDENTITY-HEADER": IDENTITY_HEADER},
    )
    with urllib.request.urlopen(request, context=workspace.tls()) as answer:
        return str(json.load(answer)["access_token"])
