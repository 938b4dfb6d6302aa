"""What a workspace will never take is told in one sentence, before the training goes on.

`textgauge train` runs in this process (its tracking worker does not), `textgauge check` in one of
its own. The unmodified plugin azureml-mlflow, against a stand-in for its service.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from e2e import SMALL, Done, notes
from standins import azureml_names as names
from standins.azureml import AzureMLStandIn

from textgauge.tracking.journal import Journal
from textgauge.tracking.ui import free_port

pytest_plugins = ["e2e_fixtures"]

EPOCHS = 25
TITLE = f"the Azure ML workspace {names.WORKSPACE}"
HOW_TO_LOG_IN = (
    "On your own machine run: az login. In a job set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
    "AZURE_CLIENT_SECRET of a service principal, or give the machine a managed identity."
)

WITHOUT_PLUGIN = """
import importlib.machinery
found = importlib.machinery.PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] == "azureml" else found(name, path, target)
importlib.machinery.PathFinder.find_spec = find_spec
"""
"""A `sitecustomize` with which nobody finds the plugin, installed or not."""

REFUSALS = {
    "no plugin": (
        "Tracking in Azure ML needs the plugin azureml-mlflow, which is not installed here. Install"
        " it: pip install 'textgauge[azureml]'."
    ),
    "no login": (
        f"There is no login to Azure for {TITLE} (tried the environment, managed identity, az, azd"
        f" and PowerShell). {HOW_TO_LOG_IN}"
    ),
    "a wrong secret": (
        f"There is no login to Azure for {TITLE} (AADSTS7000215: Invalid client secret provided)."
        f" {HOW_TO_LOG_IN}"
    ),
    "forbidden to write": (
        f"This login may not write to {TITLE}. Ask for the role AzureML Data Scientist on the "
        "workspace."
    ),
    "forbidden to read": (
        f"This login may not write to {TITLE}. Ask for the role AzureML Data Scientist on the "
        "workspace."
    ),
    "no such workspace": (
        "Something answers where the Azure ML workspace other-workspace should be, but not that."
        " Check subscription, resource group and name of the workspace."
    ),
    "no such name": (
        f"There is no Azure ML workspace other-workspace in the resource group "
        f"{names.RESOURCE_GROUP} of the subscription {names.SUBSCRIPTION}. Check the three parts "
        "of --azureml."
    ),
}

CHECKED = ("no plugin", "no login", "no such name")
"""What `textgauge check` is tried with, too: one of each kind, as all come to it as one."""


@pytest.fixture
def place(
    azureml: AzureMLStandIn,
    workplace: Path,
    empty_store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., None]:
    """Set this process up for the workspace, as `login` says."""
    (workplace / "mlflow.db").write_bytes(empty_store.read_bytes())
    notes(300).write_csv("notes.csv")

    def set_up(login: str = "managed_identity", **variables: str) -> None:
        for name in os.environ:
            if name.startswith(("ARM_", "AZURE_", "IDENTITY_", "IMDS_", "MSI_")):
                monkeypatch.delenv(name)
        # Whoever asks a person opens this; nobody may.
        variables["BROWSER"] = f"touch {workplace}/browser #%s"
        for name, value in {**azureml.environment_for(login), **variables}.items():
            monkeypatch.setenv(name, value)

    return set_up


@pytest.mark.usefixtures("quick_review")
@pytest.mark.parametrize("why", REFUSALS)
def test_a_refusal_is_one_sentence_before_the_training_goes_on(
    why: str,
    azureml: AzureMLStandIn,
    place: Callable[..., None],
    workplace: Path,
    command: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place("none" if why == "no login" else "service_principal")
    where = ["--tracking-uri", azureml.tracking_uri]
    if why == "no plugin":
        (workplace / "first").mkdir()
        (workplace / "first" / "sitecustomize.py").write_text(WITHOUT_PLUGIN)
        monkeypatch.setenv("PYTHONPATH", str(workplace / "first"), prepend=os.pathsep)
    elif why == "a wrong secret":
        monkeypatch.setenv("AZURE_CLIENT_SECRET", "of somebody else")
    elif why == "forbidden to write":
        azureml.forbid_writing()
    elif why == "forbidden to read":
        azureml.forbid_reading()
    elif why == "no such workspace":
        where[1] = where[1].replace(names.WORKSPACE, "other-workspace")
    elif why == "no such name":
        where = ["--azureml", f"{names.SUBSCRIPTION}/{names.RESOURCE_GROUP}/other-workspace"]

    # On a busy machine the login alone may take longer than a user would wait.
    monkeypatch.setattr("textgauge.run.PREFLIGHT_PATIENCE", 120.0)
    begun = time.monotonic()
    done = command(
        *("train", "notes.csv", *SMALL, "--epochs", EPOCHS, "--patience", EPOCHS), *where
    )
    # Half a minute on a machine with nothing else to do would be a login that waits for somebody.
    assert time.monotonic() - begun < 90
    assert (done.status, done.out) == (1, "")
    assert done.error == REFUSALS[why]
    assert epochs_in_store(workplace / "mlflow.db") < EPOCHS

    if why in CHECKED:
        check = subprocess.run(
            [sys.executable, "-m", "textgauge", "check", "--tracking", *where],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        checked = Done(check.returncode, check.stdout, check.stderr)
        assert (checked.status, checked.out) == (1, "")
        assert checked.error == REFUSALS[why]
        assert "devicelogin" not in checked.err
    assert not (workplace / "browser").exists()
    assert "devicelogin" not in done.err


@pytest.mark.usefixtures("quick_review")
def test_a_refused_run_is_left_out_until_somebody_names_it(
    azureml: AzureMLStandIn, place: Callable[..., None], command: Callable[..., Done]
) -> None:
    """Its training was given up: most likely it was meant for somewhere else."""
    place()
    azureml.forbid_writing()
    where = ("--tracking-uri", azureml.tracking_uri)
    assert command("train", "notes.csv", *SMALL, *where).status == 1
    [(run_id,)] = ask(Path("mlflow.db"), "SELECT run_uuid FROM runs")

    idle = command("sync")
    assert idle.status == 0
    assert idle.out == (
        "No run is waiting to be sent.\n"
        "Not tried, because the server refused the run when it was trained:\n"
        f"  {run_id}: {REFUSALS['forbidden to write']}\n"
        "Once that is mended: textgauge sync RUN, with the run's id.\n"
    )
    [left_out] = command("sync", "--json").json["refused"]
    assert (left_out["run_id"], left_out["problem"]) == (run_id, REFUSALS["forbidden to write"])

    again = command("sync", run_id)
    assert again.status == 1
    assert again.error == (
        "The run is not whole on its server. Nothing is lost: run textgauge sync again."
    )
    azureml.forbid_writing(False)
    mended = command("sync", run_id)
    assert mended.status == 0, mended.err
    assert mended.out.endswith("1 run sent whole.\n")
    server_run_id = Journal(Path("mlflow.db").absolute()).find(run_id).server_run_id
    assert azureml.run(server_run_id).info.status == "FAILED"
    assert command("sync").out == "No run is waiting to be sent.\n"


def test_a_workspace_that_takes_runs_is_told(
    azureml: AzureMLStandIn, place: Callable[..., None]
) -> None:
    place()
    named = f"{names.SUBSCRIPTION}/{names.RESOURCE_GROUP}/{names.WORKSPACE}"
    done = subprocess.run(
        [sys.executable, "-m", "textgauge", "check", "--tracking", "--azureml", named, "--json"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["title"], found["experiment"]) == (TITLE, "textgauge")
    [created] = azureml.requests(path="/runs/create")
    assert created.status == 200
    assert [request.status for request in azureml.requests(path="/runs/delete")] == [200]


@pytest.mark.usefixtures("quick_review")
def test_a_server_that_is_down_is_told_once_and_the_training_ends_well(
    azureml: AzureMLStandIn,
    place: Callable[..., None],
    workplace: Path,
    command: Callable[..., Done],
) -> None:
    place()
    port = free_port("127.0.0.1", 5600)
    nobody = azureml.tracking_uri.replace(f":{azureml.port}/", f":{port}/")
    done = command("train", "notes.csv", *SMALL, "--tracking-uri", nobody)
    assert done.status == 0, done.err
    assert "Traceback" not in done.out + done.err
    assert (done.out + done.err).count("does not answer") <= 2
    last = [line for line in done.out.splitlines() if line.strip()][-3:]
    assert "textgauge sync" in " ".join(last), done.out
    assert statuses(workplace / "mlflow.db") == ["FINISHED"]


def epochs_in_store(store: Path) -> int:
    """How many epochs the store's only run got to."""
    return int(ask(store, "SELECT count(*) FROM metrics WHERE key = 'train_loss'")[0][0])


def statuses(store: Path) -> list[str]:
    return [status for (status,) in ask(store, "SELECT status FROM runs")]


def ask(store: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(question).fetchall()
