"""What arrives in a Databricks workspace: MLflow's unmodified client, and a stand-in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e import SMALL, Done, notes
from promoted import PROMOTE
from replayed import (
    Synchroniser,
    Trainer,
    WrittenRun,
    assert_server_holds_all,
    entry_of,
    sync,
)
from standins.databricks import CLIENT_ID, TOKEN, DatabricksStandIn
from standins.plugin_process import PluginProcess

from textgauge.tracking.servers import asking_once

pytest_plugins = ["e2e_fixtures"]

StartTrainer = Callable[..., Trainer]
Unsent = Callable[..., WrittenRun]

BUSY = {
    "action": "status",
    "status": 429,
    "headers": {"Retry-After": "1"},
    "body": '{"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Too many requests."}',
}

LOAD = """
import textgauge
answer = [sorted(textgauge.load(address, uri).settings["classes"]) for address in addresses]
"""

TRY_ONCE = """
import time
import textgauge.tracking.sync as module
module._WAITS = (0.0,)
begun = time.monotonic()
answer = module.sync(store=store)[0].problem, time.monotonic() - begun
"""


def textgauge(
    workspace: DatabricksStandIn, folder: Path, *arguments: object, **variables: str
) -> tuple[int, str, str]:
    """Run the command for the workspace; gives its status and what it printed."""
    environment = workspace.process_environment() | {"COLUMNS": "200"} | variables
    done = subprocess.run(
        [sys.executable, "-m", "textgauge", *map(str, arguments)],
        cwd=folder,
        env={name: value for name, value in environment.items() if value},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    return done.returncode, done.stdout, done.stderr


# ---- a run arrives -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "logged_models"), [("token", False), ("profile", True), ("oauth", True)]
)
def test_a_whole_run_arrives(
    login: str,
    logged_models: bool,
    databricks: DatabricksStandIn,
    trainer: StartTrainer,
    bundle: Path,
) -> None:
    databricks.serve_logged_models(logged_models)
    uri, environment, names = {
        "token": ("databricks", databricks.environment, {TOKEN}),
        # Nothing but the address names the profile.
        "profile": (databricks.profile_uri, databricks.profile_environment, {TOKEN}),
        "oauth": ("databricks", databricks.oauth_environment, None),
    }[login]
    # One that is a path stays one.
    experiment = "notes" if login == "token" else "/Users/ann@example.com/component notes"
    training = trainer(
        databricks,
        uri=uri,
        environment=environment,
        experiment=experiment,
        nan=("f1",),
        params={"empty": "", "words": "größer als 3 µm"},
        tags={"textgauge.verdict": "lohnt sich: größer"},
        bundle=bundle,
    )
    run_id = training.first_epoch()
    record = training.finish()
    assert (record["missing"], record["news"]) == (None, [])
    assert_server_holds_all(training.store, run_id, databricks)
    entry = entry_of(training.store, run_id)
    assert (record["run_id"], entry.uri) == (entry.server_run_id, uri)
    assert "model/MLmodel" in databricks.artifacts(record["run_id"])
    stored = databricks.run(record["run_id"])
    assert record["run_url"] == (
        f"{databricks.url}/ml/experiments/{stored.info.experiment_id}/runs/{record['run_id']}"
    )
    stored_in = databricks.client().get_experiment(stored.info.experiment_id)
    assert stored_in.name == record["experiment"]
    assert stored_in.name == ("/Shared/notes" if login == "token" else experiment)
    [dataset] = stored.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("notes.csv", ("ab" * 32)[:36])
    used = {request.login for request in databricks.requests(path="^/api/")}
    assert names is None or used == names
    asked = {request.login for request in databricks.requests(path="^/oidc/v1/token$")}
    assert asked == ({CLIENT_ID} if login == "oauth" else set())
    # What the service may lack is not even asked for.
    assert not databricks.requests(path="/logged-models|/runs/outputs|/api/3.0|/traces")


# ---- models --------------------------------------------------------------------------------------


def test_models_go_to_unity_catalog_and_can_be_loaded(
    databricks: DatabricksStandIn,
    databricks_sync: Synchroniser,
    unsent: Unsent,
    trainer: StartTrainer,
    trained: Any,
) -> None:
    databricks.serve_logged_models(False)
    name = "main.default.bolts"
    first = unsent(databricks, model_name=name, alias="challenger")
    databricks_sync.sync(first.store)
    assert_server_holds_all(first.store, first.run_id, databricks)
    aliases = databricks.client().get_registered_model(name).aliases
    assert aliases == {"challenger": 1}

    training = trainer(
        databricks,
        uri=databricks.profile_uri,
        environment=databricks.profile_environment,
        bundle=trained.folder,
        register=name,
    )
    run_id = training.first_epoch()
    record = training.finish()
    assert_server_holds_all(training.store, run_id, databricks)
    assert entry_of(training.store, run_id).model_version == "2"
    _, new = databricks.registered_versions(name)
    assert (new.run_id, new.status) == (record["run_id"], "READY")
    assert new.tags == {"textgauge.run_id": run_id}
    assert databricks.client().get_registered_model(name).aliases == {"challenger": 2}
    files = databricks.model_files(name, 2)
    assert b"predicted_label" in files["MLmodel"].partition(b"signature:")[2]
    of_run = databricks.artifacts(record["run_id"])
    assert files == {
        path.removeprefix("model/"): content
        for path, content in of_run.items()
        if path.startswith("model/")
    }

    addresses = [f"models:/{name}@challenger", f"models:/{name}/2", f"runs:/{new.run_id}/model"]
    with PluginProcess(databricks.process_environment()) as process:
        found = process.run(LOAD, addresses=addresses, uri="databricks")
        runs = [entry_of(first.store, first.run_id).server_run_id, new.run_id]
        done = process.run(PROMOTE, uri="databricks", name=name, runs=runs)
    assert found == [sorted(trained.settings["classes"])] * 3
    assert done == [[name, "1", False, None], [name, "2", False, "1"], [name, "2", False, None]]
    aliases = databricks.client().get_registered_model(name).aliases
    assert aliases == {"challenger": 2, "champion": 2, "previous": 1}
    _, new = databricks.registered_versions(name)
    assert new.description == "| what | changed |"


@pytest.mark.parametrize("name", ["bolts", "default.bolts", "main.default.bolts.2"])
def test_a_name_that_unity_catalog_has_no_place_for_is_told_first(
    name: str, databricks: DatabricksStandIn, tmp_path: Path
) -> None:
    arguments = ("train", "notes.csv", "--tracking-uri", "databricks", "--register", name)
    status, out, errors = textgauge(databricks, tmp_path, *arguments)
    assert (status, out) == (1, "")
    # There is no such table: nothing was read before.
    assert errors.startswith(
        f"textgauge: error: Unity Catalog calls a model CATALOG.SCHEMA.NAME, not {name!r}"
    )
    assert "--register main.default." in errors
    assert errors.count("\n") == 1
    assert not databricks.requests()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "cut_after", "path": "model-versions/create$"},
        {"action": "status", "status": 403, "method": "PUT", "path": "/files/Models/", "after": 1},
        {"action": "cut_after", "path": "model-versions/finalize$", "times": None},
    ],
)
def test_a_version_that_was_begun_is_not_taken_for_a_whole_one(
    fault: dict[str, Any],
    databricks: DatabricksStandIn,
    databricks_sync: Synchroniser,
    unsent: Unsent,
) -> None:
    name = f"main.default.cut_{fault['path'].strip('/$').replace('/', '_')}"
    run = unsent(databricks, model_name=name, alias="challenger")
    databricks.add_fault(**fault)
    databricks_sync.sync(run.store)
    databricks.clear_faults()
    databricks_sync.sync(run.store)
    assert_server_holds_all(run.store, run.run_id, databricks)
    [version] = databricks.registered_versions(name)
    assert entry_of(run.store, run.run_id).model_version == str(version.version)
    assert databricks.client().get_registered_model(name).aliases == {"challenger": version.version}
    files = databricks.model_files(name, version.version)
    assert files == {
        path.relative_to(run.folder / "model").as_posix(): path.read_bytes()
        for path in (run.folder / "model").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# ---- no way in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"DATABRICKS_TOKEN": "", "DATABRICKS_HOST": ""},
            "There is no login to Databricks. Set DATABRICKS_HOST",
        ),
        (
            {"DATABRICKS_TOKEN": "", "DATABRICKS_CLIENT_ID": "x", "DATABRICKS_CLIENT_SECRET": "y"},
            "There is no login to Databricks (invalid_client: Client authentication failed)",
        ),
        ({"PYTHONPATH": "without_sdk"}, "pip install 'textgauge[databricks]'"),
    ],
)
def test_without_a_login_one_sentence_says_what_to_do(
    variables: dict[str, str], words: str, databricks: DatabricksStandIn, tmp_path: Path
) -> None:
    (tmp_path / "without_sdk").mkdir()
    blocker = "import sys\nsys.modules['databricks.sdk'] = None\n"
    (tmp_path / "without_sdk" / "sitecustomize.py").write_text(blocker)
    variables = {"MLFLOW_TRACKING_URI": "databricks", **variables}
    status, out, errors = textgauge(
        databricks, tmp_path, "check", "--tracking", "--quiet", **variables
    )
    assert (status, out) == (1, "")
    assert errors.startswith("textgauge: error: ")
    assert words in errors
    assert errors.count("\n") == 1, errors
    assert not databricks.requests("POST", "/api/")


@pytest.mark.usefixtures("quick_review")
def test_a_training_without_a_login_ends_after_its_first_epoch(
    databricks: DatabricksStandIn,
    workplace: Path,
    empty_store: Path,
    command: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(empty_store, workplace / "mlflow.db")
    notes().write_csv("notes.csv")
    for name, value in {**databricks.environment, "DATABRICKS_TOKEN": "wrong"}.items():
        monkeypatch.setenv(name, value)
    # On a busy machine the login alone may take longer than a user would wait.
    monkeypatch.setattr("textgauge.run.PREFLIGHT_PATIENCE", 120.0)
    done = command("train", "notes.csv", "--quiet", "--tracking-uri", "databricks", *SMALL)
    assert (done.status, done.out) == (1, "")
    refused = f"Databricks at {databricks.url} refuses this login. Set DATABRICKS_HOST and"
    assert done.error.startswith(refused)
    assert done.err.count("\n") == 1, done.err
    assert not databricks.requests("POST", "/runs/create")


def test_who_may_not_write_is_told(
    databricks: DatabricksStandIn, databricks_sync: Synchroniser, unsent: Unsent
) -> None:
    run = unsent(databricks)
    databricks.forbid_writing(True)
    [[done], _] = databricks_sync.sync(run.store)
    assert done["problem"] == (
        f"This login may not write to Databricks at {databricks.url}. Ask for CAN EDIT on the "
        "experiment; to register a model also for USE CATALOG, USE SCHEMA and CREATE MODEL in "
        "Unity Catalog, and for the model's ownership to set its alias (or pass --no-alias)."
    )
    databricks.forbid_writing(False)
    databricks_sync.sync(run.store)
    assert_server_holds_all(run.store, run.run_id, databricks)


# ---- what goes wrong on the way ------------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [
        [
            {"action": "cut_after", "path": "experiments/create$"},
            {"action": "cut_after", "path": "runs/create$"},
            {"action": "cut_after", "path": "runs/log-batch$"},
        ],
        [
            {"action": "cut_after", "path": "runs/log-inputs$"},
            {"action": "cut_after", "method": "PUT", "after": 1},
            {"action": "cut_after", "path": "runs/update$"},
        ],
        [{"action": "status", "status": 500, "path": "runs/create$", "times": 2}],
        [{"action": "status", "status": 503, "path": "/mlflow/runs/", "times": 3}],
        [{**BUSY, "path": "runs/create$"}, {**BUSY, "path": "runs/log-batch$", "times": 2}],
    ],
    ids=["cut at the start", "cut later", "500", "503", "429"],
)
def test_what_goes_wrong_neither_loses_nor_doubles(
    faults: list[dict[str, Any]],
    databricks: DatabricksStandIn,
    databricks_sync: Synchroniser,
    unsent: Unsent,
) -> None:
    run = unsent(databricks)
    for fault in faults:
        databricks.add_fault(**fault)
    [[done], _] = databricks_sync.sync(run.store)
    assert done["problem"] is None
    failed = [request for request in databricks.requests() if request.fault]
    assert len(failed) == sum(fault.get("times", 1) for fault in faults)
    assert_server_holds_all(run.store, run.run_id, databricks)


def test_a_request_whose_answer_was_lost_is_left_to_us(
    databricks: DatabricksStandIn, databricks_sync: Synchroniser, unsent: Unsent
) -> None:
    # Databricks' SDK would repeat it by itself, and there would be two runs.
    run = unsent(databricks)
    databricks.add_fault(action="cut_after", path="runs/create$")
    databricks_sync.sync(run.store)
    assert [request.fault for request in databricks.requests("POST", "/runs/create$")] == [
        "cut_after"
    ]
    batches = databricks.requests("POST", "/runs/log-batch$")
    assert len(batches) == len({(request.size, request.status) for request in batches})


def test_asking_once_puts_back_what_the_user_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")
    monkeypatch.delenv("MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT", raising=False)
    before = dict(os.environ)
    with asking_once():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert dict(os.environ) == before


def test_a_token_that_expires_in_the_middle(
    databricks: DatabricksStandIn, databricks_sync: Synchroniser, trainer: StartTrainer
) -> None:
    training = trainer(databricks, hold=True)
    run_id = training.first_epoch()
    training.wait_until_held()
    databricks.expire_tokens()
    training.go_on()
    record = training.finish()
    assert record["missing"].startswith(f"Databricks at {databricks.url} refuses this login. Set ")
    assert record["run_id"] == run_id  # What is whole: the run in the local store.
    assert any("refuses this login" in news for news in record["news"])
    databricks.reset()
    databricks_sync.sync(training.store)
    assert_server_holds_all(training.store, run_id, databricks)


def test_a_service_principals_token_is_renewed(
    databricks: DatabricksStandIn, trainer: StartTrainer
) -> None:
    databricks.set_token_lifetime(3)
    training = trainer(
        databricks, environment=databricks.oauth_environment, epochs=4, pause=1.5, files={}
    )
    run_id = training.first_epoch()
    assert training.finish()["missing"] is None
    assert_server_holds_all(training.store, run_id, databricks)


def test_a_workspace_that_goes_down_stops_no_training(
    databricks: DatabricksStandIn, trainer: StartTrainer
) -> None:
    training = trainer(databricks, hold=True)
    run_id = training.first_epoch()
    training.wait_until_held()
    databricks.stop(kill=True)
    training.go_on()
    record = training.finish()
    assert record["run_id"] == run_id
    assert record["missing"]
    assert entry_of(training.store, run_id).state == "open"
    databricks.start()
    done = sync(training.store.parent, databricks)
    assert done.returncode == 0, done.stderr
    assert databricks.url in done.stdout
    assert_server_holds_all(training.store, run_id, databricks)


@pytest.mark.parametrize("login", ["token", "oauth"])
def test_a_workspace_that_is_down_is_told_soon(
    login: str, databricks: DatabricksStandIn, unsent: Unsent
) -> None:
    run = unsent(databricks)
    environment = databricks.environment if login == "token" else databricks.oauth_environment
    environment = databricks.process_environment(environment)
    with PluginProcess(environment | {"DATABRICKS_HOST": "http://127.0.0.1:1"}) as process:
        problem, seconds = process.run(TRY_ONCE, store=str(run.store))
    assert problem.endswith("does not answer. Check the address and the network.")
    # With the patience of Databricks' SDK it takes five minutes.
    assert seconds < 60
    assert entry_of(run.store, run.run_id).state == "open"
