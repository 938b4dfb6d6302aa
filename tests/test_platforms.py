"""Where this Python runs is found from what the platforms set."""

from __future__ import annotations

import getpass
from pathlib import Path
from types import SimpleNamespace

import pytest

import textgauge
from textgauge import platforms
from textgauge.errors import TrackingError

pytest_plugins = ["e2e_fixtures"]

WORKSPACE = (
    "/subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/W"
)


class Session:
    """A Spark session as far as it tells names."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.conf = settings
        self.catalog = SimpleNamespace(
            currentCatalog=lambda: "lab", currentDatabase=lambda: "default"
        )


@pytest.fixture
def disks(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The disks of the platforms lie here, and no variable of a platform is set."""
    for name in ("CI_NAME", "DATABRICKS_RUNTIME_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platforms, "_DATABRICKS_DISK", workplace / "local_disk0")
    monkeypatch.setattr(platforms, "_AZURE_ML_DISK", workplace / "var")
    monkeypatch.setattr(platforms, "_spark_session", lambda: None)
    return workplace


def on_databricks(patch: pytest.MonkeyPatch) -> Session:
    session = Session({"spark.databricks.clusterUsageTags.clusterName": "lab cluster"})
    patch.setenv("DATABRICKS_RUNTIME_VERSION", "18.0")
    patch.setattr(platforms, "_spark_session", lambda: session)
    return session


def test_a_machine_of_ones_own(disks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = textgauge.platform()
    assert (found.name, found.cluster, found.tracking_uri) == ("this machine", None, None)
    assert (found.folder, found.spark) == (disks, None)
    assert found.model_name("notes") == "notes"
    assert str(found).splitlines() == [
        "runs on: this machine",
        "Spark session: none",
        "tracks to: the local store, mlflow.db",
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example.com")
    found = textgauge.platform()
    assert found.tracking_uri == "https://me:secret@mlflow.example.com"
    assert "secret" not in str(found)


def test_databricks(disks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = on_databricks(monkeypatch)
    found = textgauge.platform()
    assert (found.name, found.cluster, found.tracking_uri) == (
        "Databricks",
        "lab cluster",
        "databricks",
    )
    assert found.spark is session
    assert found.folder.is_dir()
    assert found.folder == disks / "local_disk0"
    assert found.model_name("notes") == "lab.default.notes"
    assert str(found).startswith("runs on: Databricks, lab cluster\nSpark session: yes\n")


def test_databricks_that_tracks_in_azure_ml(disks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_databricks(monkeypatch)
    found = textgauge.platform(azureml="S/G/W")
    assert found.name == "Databricks"
    assert found.tracking_uri == f"azureml://{WORKSPACE}"
    assert found.model_name("notes") == "notes"


def test_a_compute_instance_of_azure_ml(disks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"azureml://westeurope.api.azureml.ms/mlflow/v1.0{WORKSPACE}"
    monkeypatch.setenv("CI_NAME", "my-instance")
    assert textgauge.platform().name == "this machine"  # Others have a variable of that name, too.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    found = textgauge.platform()
    assert (found.name, found.cluster) == ("Azure Machine Learning", "my-instance")
    assert found.tracking_uri == uri
    assert found.folder == disks / "var" / getpass.getuser()


def test_what_names_no_workspace_is_told(disks: Path) -> None:
    with pytest.raises(TrackingError, match="is not SUBSCRIPTION/GROUP/WORKSPACE"):
        textgauge.platform(azureml="W")
