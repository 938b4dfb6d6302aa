"""What was there before: an active run, or the variables of a job."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from textgauge.tracking.inherited import (
    RUN_TAG,
    active_run,
    foreign_variables,
    injected_run,
    may_write_into,
    same_place,
)
from textgauge.tracking.local import _environment_for
from textgauge.tracking.protocol import Destination, ServerAddress

SCOPE = (
    "/subscriptions/1234/resourceGroups/Lab/providers/Microsoft.MachineLearningServices/workspaces/"
)
MINE = f"azureml://westeurope.api.azureml.ms/mlflow/v1.0{SCOPE}notes"
FORMS_OF_MINE = [
    MINE,
    MINE.replace("v1.0", "v2.0"),
    MINE.replace("westeurope.api.azureml.ms", "westeurope.experiments.azureml.net"),
    f"azureml://{SCOPE}notes",
    MINE.lower(),
    MINE.replace("Lab", "LAB"),
    f"{MINE}/",
]
OTHERS = MINE.replace("/workspaces/notes", "/workspaces/bolts")
JOB = {
    "AZUREML_RUN_ID": "ab12",
    "MLFLOW_RUN_ID": "ab12",
    "MLFLOW_TRACKING_URI": MINE.replace("v1.0", "v2.0"),
    "MLFLOW_TRACKING_TOKEN": "secret",
    "MLFLOW_EXPERIMENT_NAME": "the-jobs",
    "MLFLOW_EXPERIMENT_ID": "7",
}
"""What a job of Azure ML finds in its environment."""

ELSEWHERE = [OTHERS, "http://mlflow.example", "databricks", "sqlite:////data/mlflow.db"]


# ---- which address names the same place ----------------------------------------------------------


@pytest.mark.parametrize("form", FORMS_OF_MINE)
def test_a_workspace_is_the_same_whatever_its_host_and_case(form: str) -> None:
    assert same_place(form, MINE)
    assert same_place(MINE, form)
    assert not same_place(form, OTHERS)


def test_places_are_told_apart() -> None:
    places = [
        MINE,
        *ELSEWHERE,
        "https://mlflow.example",
        "databricks://lab",
        "sqlite:////data/o.db",
    ]
    for one in places:
        assert [other for other in places if same_place(one, other)] == [one]


def test_no_address_is_no_place() -> None:
    assert not same_place("", "")
    assert not same_place("", "http://mlflow.example")


def test_a_store_is_the_same_by_any_path_to_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert same_place("sqlite:///mlflow.db", f"sqlite:///{tmp_path}/mlflow.db")


def test_a_variable_that_names_no_workspace_is_another_place() -> None:
    assert not same_place("azureml://x", MINE)
    assert not same_place(MINE, "azureml://x")


# ---- a run that was opened for us ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "uri", "run_id"),
    [
        ({"MLFLOW_RUN_ID": "ab12", "MLFLOW_TRACKING_URI": "http://x/"}, "http://x", "ab12"),
        ({"MLFLOW_RUN_ID": "ab12", "MLFLOW_TRACKING_URI": "http://x"}, "http://y", None),
        ({"MLFLOW_RUN_ID": "ab12"}, "http://x", None),
        ({"MLFLOW_TRACKING_URI": "http://x"}, "http://x", None),
        ({"MLFLOW_RUN_ID": "", "MLFLOW_TRACKING_URI": "http://x"}, "http://x", None),
        (JOB, MINE, "ab12"),
        (JOB, f"azureml://{SCOPE}notes", "ab12"),
        (JOB, OTHERS, None),
    ],
)
def test_a_run_id_counts_only_together_with_its_place(
    variables: dict[str, str], uri: str, run_id: str | None
) -> None:
    assert injected_run(uri, variables) == run_id


# ---- what must not leave an Azure ML job ---------------------------------------------------------


@pytest.mark.parametrize("form", FORMS_OF_MINE)
def test_a_jobs_variables_are_meant_for_its_own_workspace(form: str) -> None:
    assert foreign_variables(form, JOB) == ()


@pytest.mark.parametrize("uri", ELSEWHERE)
def test_a_jobs_variables_are_meant_for_no_other_place(uri: str) -> None:
    found = foreign_variables(uri, JOB)
    assert set(found) == {
        *("MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID"),
        *("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"),
    }
    without = {name: value for name, value in JOB.items() if name != "MLFLOW_RUN_ID"}
    assert set(foreign_variables(uri, without)) == set(found) - {"MLFLOW_RUN_ID"}


@pytest.mark.parametrize("uri", [MINE, *ELSEWHERE])
def test_variables_outside_a_job_are_the_persons_own(uri: str) -> None:
    own = {name: value for name, value in JOB.items() if name != "AZUREML_RUN_ID"}
    assert foreign_variables(uri, own) == ()


@pytest.mark.parametrize("uri", ["http://mlflow.example", OTHERS])
def test_the_process_that_writes_elsewhere_never_sees_the_jobs_token(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    store = "sqlite:////data/mlflow.db"
    for destination in (
        Destination(store, "n", server=ServerAddress(uri)),
        Destination(store, "n"),
    ):
        environment = _environment_for(destination)
        assert "secret" not in environment.values()
        assert "MLFLOW_RUN_ID" not in environment
        assert environment["PATH"]
    at_home = _environment_for(Destination(store, "n", server=ServerAddress(MINE)))
    assert at_home["MLFLOW_TRACKING_TOKEN"] == "secret"
    assert at_home["MLFLOW_RUN_ID"] == "ab12"


# ---- a run that the user opened ------------------------------------------------------------------


def test_an_active_run_is_found_without_importing_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    assert active_run() is None
    assert "mlflow" not in sys.modules
    run = SimpleNamespace(info=SimpleNamespace(run_id="ab12"))
    theirs = SimpleNamespace(active_run=lambda: run, get_tracking_uri=lambda: "http://x")
    monkeypatch.setitem(sys.modules, "mlflow", theirs)
    assert active_run() == ("ab12", "http://x")
    theirs.active_run = lambda: None
    assert active_run() is None
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())  # half imported elsewhere
    assert active_run() is None


@pytest.mark.parametrize(
    ("status", "stage", "writer", "own", "may"),
    [
        ("RUNNING", "active", None, None, True),
        ("RUNNING", "active", None, "cd34", True),
        ("FINISHED", "active", None, None, False),
        ("FAILED", "active", None, None, False),
        ("KILLED", "active", None, None, False),
        ("SCHEDULED", "active", None, None, False),
        ("RUNNING", "deleted", None, None, False),
        ("RUNNING", "active", "ab12", None, False),
        ("RUNNING", "active", "ab12", "cd34", False),
        ("RUNNING", "active", "cd34", "cd34", True),
        ("FINISHED", "active", "cd34", "cd34", True),
    ],
)
def test_a_run_may_be_written_into_if_it_is_open_and_no_other_trainings(
    status: str, stage: str, writer: str | None, own: str | None, may: bool
) -> None:
    tags = {} if writer is None else {RUN_TAG: writer}
    run = SimpleNamespace(
        info=SimpleNamespace(status=status, lifecycle_stage=stage),
        data=SimpleNamespace(tags=tags),
    )
    assert may_write_into(run, own) is may
