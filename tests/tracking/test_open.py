"""Which store a run goes to."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from textgauge.errors import TrackingError
from textgauge.tracking.journal import Entry, Journal
from textgauge.tracking.open import (
    check_address,
    choose_destination,
    interrupted_run,
    local_store_of_environment,
    local_store_uri,
)
from textgauge.tracking.protocol import Destination, Registration, ServerAddress

AZURE = (
    "azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/S/resourceGroups/G/providers/"
    "Microsoft.MachineLearningServices/workspaces/W"
)
JOB = {
    "AZUREML_RUN_ID": "ab12",
    "MLFLOW_RUN_ID": "ab12",
    "MLFLOW_TRACKING_URI": AZURE,
    "MLFLOW_TRACKING_TOKEN": "secret",
    "MLFLOW_EXPERIMENT_NAME": "the-jobs",
    "MLFLOW_EXPERIMENT_ID": "7",
}
"""What a job of Azure ML finds in its environment."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)


def test_without_any_choice_the_store_is_beside_the_work(tmp_path: Path) -> None:
    assert choose_destination() == Destination(f"sqlite:///{tmp_path}/mlflow.db", "textgauge")


def test_choices_rank_option_then_environment_then_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAUGE_STORE", "/data/journal.db")
    assert choose_destination().tracking_uri == "sqlite:////data/journal.db"
    assert choose_destination(store="/data/other.db").tracking_uri == "sqlite:////data/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////data/given.db")
    assert choose_destination().tracking_uri == "sqlite:////data/given.db"
    explicit = choose_destination("sqlite:////data/mine.db")
    assert explicit.tracking_uri == "sqlite:////data/mine.db"


@pytest.mark.parametrize("uri", ["http://mlflow.example", "databricks", "databricks://lab", AZURE])
def test_a_run_for_a_server_goes_through_the_local_store(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"sqlite:///{tmp_path}/mlflow.db"
    expected = Destination(here, "textgauge", server=ServerAddress(uri))
    assert choose_destination(uri) == expected
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert choose_destination() == expected
    monkeypatch.setenv("TEXTGAUGE_STORE", "/data/journal.db")
    assert choose_destination() == replace(expected, tracking_uri="sqlite:////data/journal.db")


def test_databricks_unity_catalog_names_where_models_go_not_runs() -> None:
    assert check_address("databricks-uc") == "databricks"
    assert check_address("databricks-uc://lab") == "databricks://lab"


def test_the_workspace_of_an_address_in_any_form_is_one() -> None:
    assert check_address(AZURE.replace("v1.0", "v2.0").replace("resourceG", "resourceg")) == AZURE


def test_a_name_that_the_registry_never_takes_is_told_before_the_training() -> None:
    with pytest.raises(TrackingError, match=r"CATALOG\.SCHEMA\.NAME"):
        choose_destination("databricks", registration=Registration("bolts"))
    taken = choose_destination("databricks", registration=Registration("main.lab.bolts", "best"))
    assert taken.registration == Registration("main.lab.bolts", "best")
    with pytest.raises(TrackingError, match="takes no model called 'ä ö'"):
        choose_destination(AZURE, registration=Registration("ä ö"))


def test_the_experiment_ranks_option_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from outside")
    assert choose_destination().experiment == "from outside"
    assert choose_destination(experiment="mine").experiment == "mine"


@pytest.mark.parametrize("store", ["sqlite:///sub/runs.db", "sub/runs.db"])
def test_the_store_is_a_path_or_an_address(store: str, tmp_path: Path) -> None:
    assert local_store_uri(store) == f"sqlite:///{tmp_path}/sub/runs.db"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("azureml://x", "azureml://x names no Azure ML workspace"),
        ("file:///data/mlruns", "no longer tracks into plain folders"),
        ("mlruns", "no longer tracks into plain folders"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_addresses_that_cannot_be_used_are_told(uri: str, words: str) -> None:
    with pytest.raises(TrackingError, match=words):
        choose_destination(uri)


def open_run(run_id: str | None, uri: str = "http://theirs") -> SimpleNamespace:
    run = SimpleNamespace(info=SimpleNamespace(run_id=run_id)) if run_id else None
    return SimpleNamespace(active_run=lambda: run, get_tracking_uri=lambda: uri)


def test_a_run_that_the_user_opened_in_a_store_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "sqlite:////data/theirs.db"
    monkeypatch.setitem(sys.modules, "mlflow", open_run("ab12", uri))
    assert choose_destination() == Destination(uri, "textgauge", "ab12", keep_open=True)


def test_a_run_that_the_user_opened_on_a_server_is_joined_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", open_run("ab12"))
    here = f"sqlite:///{tmp_path}/mlflow.db"
    server = ServerAddress("http://theirs", "ab12")
    assert choose_destination() == Destination(here, "textgauge", server=server)


@pytest.mark.parametrize("uri", ["http://given.example", "sqlite:////data/given.db"])
def test_a_run_that_was_opened_for_the_process_is_joined(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "ab12")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    found = choose_destination()
    assert (found.server.run_id if found.server else found.run_id) == "ab12"
    assert found.keep_open == (found.server is None)
    elsewhere = choose_destination("http://mine")
    assert (elsewhere.run_id, elsewhere.server) == (None, ServerAddress("http://mine"))


def test_a_run_that_is_gone_on_with_is_none_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "ab12")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://given.example")
    found = choose_destination(run_id="cd34")
    assert (found.run_id, found.server) == ("cd34", ServerAddress("http://given.example"))


def test_an_explicit_choice_leaves_the_users_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", open_run("ab12"))
    assert choose_destination("http://mine").server == ServerAddress("http://mine")
    assert choose_destination(run_id="cd34").run_id == "cd34"
    assert not choose_destination(run_id="cd34").keep_open


def test_an_experiment_of_an_azure_ml_job_is_none_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    assert choose_destination().experiment == "the-jobs"
    assert choose_destination("http://mine").experiment == "textgauge"
    assert choose_destination("http://mine", "mine").experiment == "mine"


@pytest.mark.parametrize("run_id", ["ab12", "cd34"])
def test_an_interrupted_run_is_known_by_both_its_ids(
    run_id: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTGAUGE_STORE", str(store))
    Journal(store).write(Entry("ab12", "http://one", "notes", server_run_id="cd34"))
    assert interrupted_run(run_id) == ("ab12", "http://one")
    assert interrupted_run(run_id, "http://other") == ("ab12", "http://other")
    assert interrupted_run(run_id, f"sqlite:///{store}") == ("ab12", f"sqlite:///{store}")


def test_an_interrupted_run_without_a_journal_is_what_it_is_called(tmp_path: Path) -> None:
    assert interrupted_run("ab12") == ("ab12", None)
    assert interrupted_run("ab12", "http://one") == ("ab12", "http://one")
    assert list(tmp_path.iterdir()) == []


def test_what_a_person_looks_at_is_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"sqlite:///{tmp_path}/mlflow.db"
    assert local_store_of_environment() == here
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert local_store_of_environment() == here
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////data/given.db")
    assert local_store_of_environment() == "sqlite:////data/given.db"


def test_mlflow_without_an_open_run_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    without = choose_destination()
    monkeypatch.setitem(sys.modules, "mlflow", open_run(None))
    assert choose_destination() == without
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())  # half imported elsewhere
    assert choose_destination() == without


def test_choosing_does_not_import_mlflow() -> None:
    choose_destination()
    assert "mlflow" not in sys.modules
