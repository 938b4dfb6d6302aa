"""Which store a run goes to."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from textgauge.errors import TrackingError
from textgauge.tracking.open import choose_destination, local_store_uri
from textgauge.tracking.protocol import Destination


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
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert choose_destination().tracking_uri == "http://mlflow.example"
    explicit = choose_destination("sqlite:////data/mine.db")
    assert explicit.tracking_uri == "sqlite:////data/mine.db"


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
        ("azureml://x", "Azure Machine Learning workspaces .* not supported yet"),
        ("databricks", "Databricks workspaces .* not supported yet"),
        ("databricks://profile", "Databricks workspaces .* not supported yet"),
        ("file:///data/mlruns", "no longer tracks into plain folders"),
        ("mlruns", "no longer tracks into plain folders"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_addresses_that_cannot_be_used_are_told(uri: str, words: str) -> None:
    with pytest.raises(TrackingError, match=words):
        choose_destination(uri)


def open_run(run_id: str | None) -> SimpleNamespace:
    run = SimpleNamespace(info=SimpleNamespace(run_id=run_id)) if run_id else None
    return SimpleNamespace(active_run=lambda: run, get_tracking_uri=lambda: "http://theirs")


def test_a_run_that_the_user_opened_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", open_run("ab12"))
    assert choose_destination() == Destination("http://theirs", "textgauge", "ab12", True)


def test_an_explicit_choice_leaves_the_users_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", open_run("ab12"))
    assert choose_destination("http://mine").run_id is None
    assert choose_destination(run_id="cd34").run_id == "cd34"
    assert not choose_destination(run_id="cd34").keep_open


def test_mlflow_without_an_open_run_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    without = choose_destination()
    monkeypatch.setitem(sys.modules, "mlflow", open_run(None))
    assert choose_destination() == without
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())  # half imported elsewhere
    assert choose_destination() == without


def test_choosing_does_not_import_mlflow() -> None:
    choose_destination()
    assert "mlflow" not in sys.modules
