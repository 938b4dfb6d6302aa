"""The walk on Databricks and in Azure ML: the notebook's cells as they are, tracked to each."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from needed import need_package
from standins.azureml import AzureMLStandIn
from standins.databricks import DatabricksStandIn
from standins.server import StandIn

from textgauge import platforms

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"


def cells() -> list[str]:
    """The code of the walk, cell by cell."""
    need_package("nbformat", "test")
    spec = importlib.util.spec_from_file_location("make_notebooks", NOTEBOOKS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    notebook = make.read_source(NOTEBOOKS / "deep_learning_with_text.py")
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def walk(workspace: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run all cells in `folder`, logged in to the workspace; gives the names they have made."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    space: dict[str, Any] = {}
    for number, source in enumerate(cells()):
        exec(compile(source, f"cell {number}", "exec"), space)
    return space


def review(workspace: StandIn, space: dict[str, Any], printed: str) -> None:
    """What the last text of the walk tells to look at is on the run's page."""
    record = space["result"].run
    assert record.missing is None
    link = printed.splitlines()[-1].removeprefix("Run Details: ")
    assert link == record.run_url
    assert record.run_id in link
    run = workspace.run(record.run_id)
    assert run.info.status == "FINISHED"
    assert {"lr", "eval_loss", "eval_accuracy"} <= run.data.metrics.keys()
    assert run.data.metrics["eval_accuracy"] > 0.98
    files = workspace.artifacts(record.run_id)
    assert {"training_results.png", "history.json", "report.html"} <= files.keys()
    assert any(name.startswith("model/") for name in files)


def test_on_databricks(
    databricks: DatabricksStandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = SimpleNamespace(
        conf={"spark.databricks.clusterUsageTags.clusterName": "lab cluster"},
        catalog=SimpleNamespace(currentCatalog=lambda: "main", currentDatabase=lambda: "default"),
    )
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.0")
    monkeypatch.setattr(platforms, "_spark_session", lambda: session)
    monkeypatch.setattr(platforms, "_DATABRICKS_DISK", tmp_path / "disk")
    space = walk(databricks, tmp_path, monkeypatch)
    printed = capsys.readouterr().out
    assert "runs on: Databricks, lab cluster\nSpark session: yes\n" in printed
    review(databricks, space, printed)
    assert Path.cwd() == tmp_path / "disk"
    assert space["registered"].registered
    assert databricks.registered_versions("main.default.component_notes")


def test_in_azure_ml(
    azureml: AzureMLStandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CI_NAME", "my-instance")
    monkeypatch.setattr(platforms, "_AZURE_ML_DISK", tmp_path / "disk")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", azureml.tracking_uri)
    space = walk(azureml, tmp_path, monkeypatch)
    printed = capsys.readouterr().out
    assert "runs on: Azure Machine Learning, my-instance\n" in printed
    review(azureml, space, printed)
    assert space["registered"].registered
    assert azureml.registered_versions("component_notes")
