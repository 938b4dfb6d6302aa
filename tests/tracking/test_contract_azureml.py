"""What arrives in an Azure ML workspace: the unmodified plugin azureml-mlflow, and a stand-in."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from promoted import PROMOTE
from replayed import (
    Synchroniser,
    Trainer,
    WrittenRun,
    assert_server_holds_all,
    entry_of,
    sync,
)
from standins import azureml_names as names
from standins.azureml import AzureMLStandIn
from standins.azureml_identity import OBJECT_IDS
from standins.plugin_process import PluginProcess

from textgauge.tracking.servers.azureml import AzureML

StartTrainer = Callable[..., Trainer]

LONG_KEY = f"textgauge.{'k' * 140}"

LOAD = """
import json, mlflow, textgauge
def said(found):
    return list(found["predicted_label"]), list(found["probability"])
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
import pandas, polars
answer = [said(mlflow.pyfunc.load_model(address).predict(texts)) for address in by_mlflow]
for address in by_us:
    found = textgauge.load(address, uri).predict(texts)
    answer.append(said(found.frame()))
"""


@pytest.mark.parametrize(
    ("login", "logged_models"), [("managed_identity", False), ("service_principal", True)]
)
def test_a_whole_run_arrives(
    login: str,
    logged_models: bool,
    azureml: AzureMLStandIn,
    trainer: StartTrainer,
    bundle: Path,
) -> None:
    azureml.serve_logged_models(logged_models)
    training = trainer(
        azureml,
        environment=azureml.environment_for(login),
        experiment="/Shared/component notes",
        nan=("f1",),
        params={"empty": "", "words": "größer als 3 µm"},
        tags={"textgauge.verdict": "lohnt sich: größer"},
        bundle=bundle,
    )
    run_id = training.first_epoch()
    record = training.finish()
    assert (record["missing"], record["news"]) == (None, [])
    assert_server_holds_all(training.store, run_id, azureml)
    assert record["run_id"] == entry_of(training.store, run_id).server_run_id
    assert "model/MLmodel" in azureml.artifacts(record["run_id"])
    assert record["run_url"] == (
        f"https://ml.azure.com/runs/{record['run_id']}?wsid=/subscriptions/{names.SUBSCRIPTION}"
        f"/resourcegroups/{names.RESOURCE_GROUP}/workspaces/{names.WORKSPACE}&tid={names.TENANT}"
    )
    stored = azureml.run(record["run_id"])
    experiment = azureml.client().get_experiment(stored.info.experiment_id)
    assert experiment.name == record["experiment"] == "component-notes"
    [dataset] = stored.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("notes.csv", ("ab" * 32)[:36])
    [created] = azureml.requests(path="/runs/create")
    assert _who(created.login) == OBJECT_IDS[login]
    # What the service may lack is not even asked for.
    assert not azureml.requests(path="/logged-models|/runs/outputs|/api/3.0|/traces")


def test_metrics_go_in_few_requests(azureml: AzureMLStandIn, trainer: StartTrainer) -> None:
    training = trainer(azureml, epochs=600, pause=0.005, files={})
    run_id = training.first_epoch()
    training.finish()
    assert_server_holds_all(training.store, run_id, azureml)  # 1,802 values
    assert not azureml.requests(path="/runs/log-metric|/runs/log-parameter|/runs/set-tag")
    batches = azureml.requests(path="/runs/log-batch")
    # The stand-in refuses more than 250 values at once, as the service does.
    assert {request.status for request in batches} == {200}
    seconds = batches[-1].time - batches[0].time
    assert 8 <= len(batches) <= 3 + 1802 / 250 + seconds / 0.5
    # While all goes well, nothing is asked that was said before.
    assert len(azureml.requests(path="/runs/search|/metrics/get-history")) == 0


def test_models_are_versions_and_can_be_loaded(
    azureml: AzureMLStandIn,
    azureml_sync: Synchroniser,
    unsent: Callable[..., WrittenRun],
    trainer: StartTrainer,
    trained: Any,
) -> None:
    first = unsent(azureml, model_name="bolts", alias="challenger")
    azureml_sync.sync(first.store)
    assert_server_holds_all(first.store, first.run_id, azureml)
    [version] = azureml.registered_versions("bolts")
    assert version.tags["textgauge.alias"] == "challenger"

    training = trainer(azureml, bundle=trained.folder, register="bolts", alias="challenger")
    run_id = training.first_epoch()
    record = training.finish()
    assert_server_holds_all(training.store, run_id, azureml)
    assert entry_of(training.store, run_id).model_version == "2"
    old, new = azureml.registered_versions("bolts")
    assert "textgauge.alias" not in old.tags
    assert new.tags == {"textgauge.alias": "challenger", "textgauge.run_id": run_id}
    assert names.dashed_run_id(new.run_id) == record["run_id"]
    assert new.source.endswith(f"/runs/{record['run_id']}/artifacts/model")

    by_us = [f"runs:/{record['run_id']}/model", "models:/bolts@challenger", "models:/bolts/2"]
    by_mlflow = ["models:/bolts/2", f"runs:/{record['run_id']}/model"]
    with PluginProcess(azureml.process_environment()) as process:
        said = process.run(
            LOAD,
            uri=azureml.tracking_uri,
            by_us=by_us,
            by_mlflow=by_mlflow,
            texts=trained.corpus.test.texts.head(20).to_list(),
        )
        runs = [entry_of(first.store, first.run_id).server_run_id, record["run_id"]]
        done = process.run(PROMOTE, uri=azureml.tracking_uri, name="bolts", runs=runs)
    assert done == [
        ["bolts", "1", False, None],
        ["bolts", "2", False, "1"],
        ["bolts", "2", False, None],
    ]
    # There are no aliases: a version carries one in a tag.
    old, new = azureml.registered_versions("bolts")
    assert (old.tags["textgauge.alias"], new.tags["textgauge.alias"]) == ("previous", "champion")
    assert new.tags["textgauge.gates"] == "eval_accuracy 0.75 >= 0.5"
    assert new.description == "| what | changed |"
    assert len(said) == 5
    labels, probabilities = said[0]
    assert all(each == said[0] for each in said)
    expected = trained.probabilities[:20].max(axis=1)
    assert probabilities == pytest.approx(expected.tolist(), abs=1e-4)
    assert set(labels) <= {*map(str, trained.corpus.classes)}


def test_what_is_too_much_is_kept_whole_in_a_file(
    azureml: AzureMLStandIn, trainer: StartTrainer
) -> None:
    many = tuple(f"extra_{number:02}" for number in range(60))
    tags = {f"note_{number:02}": f"{number}" for number in range(60)}
    tags |= {"textgauge.long": "ü" * 5000, LONG_KEY: "a long key"}
    training = trainer(
        azureml, epochs=8, pause=0.3, nan=many, tags=tags, params={"long": "x" * 7000}, files={}
    )
    run_id = training.first_epoch()
    record = training.finish()
    assert record["missing"] is None, record["missing"]
    assert entry_of(training.store, run_id).state == "done"
    run, files = azureml.run(record["run_id"]), azureml.artifacts(record["run_id"])

    # What every run has finds room even before it comes: three of those names are never used.
    assert len(run.data.metrics) == 47
    assert run.data.metrics.keys() > {"lr", "eval_loss", "eval_accuracy", "train_loss", "val_loss"}
    metrics = _kept_whole(files, "metrics")
    assert run.data.metrics.keys() | metrics.keys() == {*many, *training_metrics()}
    assert not run.data.metrics.keys() & metrics.keys()
    for history in metrics.values():
        assert [step for step, _, _ in history] == list(range(1, 9))

    assert len(run.data.tags) == 50
    assert run.data.tags["textgauge.long"] == "ü" * 999 + "…"
    assert run.data.tags[LONG_KEY[:99] + "_"] == "a long key"
    assert {"mlflow.runName", "mlflow.source.name", "textgauge.run_id"} <= run.data.tags.keys()
    whole = _kept_whole(files, "tags")
    assert (whole["textgauge.long"], whole[LONG_KEY]) == ("ü" * 5000, "a long key")
    assert {**run.data.tags, **whole}.items() >= tags.items()

    assert run.data.params["long"].startswith("x" * 5000)
    assert len(run.data.params["long"]) <= 6000
    [long_values] = [json.loads(files[path]) for path in files if path.startswith("long_values/")]
    assert long_values == {"long": "x" * 7000}

    for kind in ("tags", "metrics"):
        [path] = [path for path in files if path.startswith(f"beyond_limits/{kind}-")]
        told = [news for news in record["news"] if path in news]
        assert len(told) == 1, record["news"]
        assert "The Azure ML workspace texts-workspace cannot hold these" in told[0]
        assert {"params": "parameters"}.get(kind, kind) in told[0]


def test_a_workspace_is_looked_up_by_its_name(
    azureml: AzureMLStandIn, trainer: StartTrainer, tmp_path: Path
) -> None:
    named = f"{names.SUBSCRIPTION}/{names.RESOURCE_GROUP}/{names.WORKSPACE}"
    training = trainer(azureml, uri=AzureML.from_name(named).uri)
    run_id = training.first_epoch()
    record = training.finish()
    assert_server_holds_all(training.store, run_id, azureml)
    [asked] = azureml.requests("GET", f"^{re.escape(names.SCOPE)}$")
    assert asked.status == 200
    assert f"/workspaces/{names.WORKSPACE}&tid={names.TENANT}" in record["run_url"]
    done = sync(tmp_path, azureml, run_id, "--azureml", named)
    assert done.returncode == 0, done.stderr
    assert len(azureml.requests("POST", "/runs/create")) == 1


def training_metrics() -> set[str]:
    """The metrics that a `Trainer` logs by itself."""
    return {"lr", "train_loss", "val_loss", "eval_loss", "eval_accuracy"}


def _kept_whole(files: dict[str, bytes], kind: str) -> dict[str, Any]:
    """The one file with values of a kind that the workspace had no room for."""
    paths = [path for path in files if path.startswith(f"beyond_limits/{kind}-")]
    assert len(paths) == 1, paths
    found: dict[str, Any] = json.loads(files[paths[0]])
    return found


def _who(token: str) -> str:
    """Whom a token was given to."""
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["oid"])
