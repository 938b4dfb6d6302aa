"""The stand-in for Databricks, asked by MLflow's unmodified Databricks client."""

from __future__ import annotations

import importlib.util
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standins.databricks import CLIENT_ID, TOKEN, USER, DatabricksStandIn
from standins.plugin_process import PluginProcess, RemoteError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("databricks.sdk") is None, reason="databricks-sdk is not installed"
)

CLIENT = """
import mlflow
from mlflow import MlflowClient
mlflow.set_tracking_uri(uri)
client = MlflowClient()
"""

NEW_RUN = """
experiment = client.get_experiment_by_name("/Shared/notes")
experiment_id = experiment and experiment.experiment_id
experiment_id = experiment_id or client.create_experiment("/Shared/notes")
run = client.create_run(experiment_id, run_name="a run")
run_id = run.info.run_id
"""

MODEL = """
from pathlib import Path
from mlflow.models import Model
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, Schema
signature = ModelSignature(Schema([ColSpec("string", "text")]), Schema([ColSpec("string")]))
model = Path(folder, "model")
(model / "data").mkdir(parents=True)
flavors = {"python_function": {"loader_module": "json"}}
Model(signature=signature, flavors=flavors).save(model / "MLmodel")
(model / "data" / "weights.bin").write_bytes(bytes(range(256)))
(model / "data" / "empty").touch()
"""

REGISTER = """
client.log_artifacts(run_id, str(model), "model")
version = client.create_model_version(name, run.info.artifact_uri + "/model", run_id)
"""

LOG = """
client.log_param(run_id, "lr", 0.5)
client.log_batch(run_id, tags=[mlflow.entities.RunTag("kind", "test")])
for step in (1, 2, 3):
    client.log_metric(run_id, "loss", 1 / 2**step, step=step)
client.log_artifact(run_id, f"{folder}/picture ü.png")
client.log_artifacts(run_id, folder, "all")
client.set_terminated(run_id)
found = [(info.path, info.is_dir, info.file_size) for info in client.list_artifacts(run_id)]
inside = [info.path for info in client.list_artifacts(run_id, "all")]
nothing = client.list_artifacts(run_id, "nothing")
copy = client.download_artifacts(run_id, "all", folder)
answer = (run_id, experiment_id, run.info.artifact_uri, found, inside, nothing, copy)
"""

FILES = "/api/2.0/fs/files"


@pytest.fixture(scope="module")
def workspace(with_store: Callable[[str], Path]) -> Iterator[DatabricksStandIn]:
    with DatabricksStandIn(with_store("workspace of Ännchen")) as workspace:
        yield workspace


@pytest.fixture(autouse=True)
def _as_at_first(workspace: DatabricksStandIn) -> None:
    workspace.reset()


@pytest.fixture(scope="module")
def _process(workspace: DatabricksStandIn) -> Iterator[PluginProcess]:
    with PluginProcess(workspace.process_environment()) as python:
        python.run(CLIENT, uri="databricks")
        yield python


@pytest.fixture
def python(_process: PluginProcess) -> PluginProcess:
    """A process that is logged in with a token, and has an open run."""
    _process.run(NEW_RUN)
    return _process


def ask(url: str, token: str | None = None) -> tuple[int, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def paths(workspace: DatabricksStandIn, method: str = "", path: str = "") -> list[str]:
    return [request.path for request in workspace.requests(method, path)]


def test_a_run_is_logged(
    workspace: DatabricksStandIn, python: PluginProcess, tmp_path: Path
) -> None:
    (tmp_path / "picture ü.png").write_bytes(b"picture")
    (tmp_path / "empty.txt").touch()
    answer = python.run(LOG, folder=str(tmp_path))
    run_id, experiment_id, artifact_uri, found, inside, nothing, copy = answer
    stored = workspace.run(run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"lr": "0.5"}
    assert stored.data.tags["kind"] == "test"
    assert workspace.metric_history(run_id, "loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert experiment_id.isdecimal()
    root = f"databricks/mlflow-tracking/{experiment_id}/{run_id}/artifacts"
    assert artifact_uri == f"dbfs:/{root}"
    assert workspace.artifacts(run_id) == {
        "all/empty.txt": b"",
        "all/picture ü.png": b"picture",
        "picture ü.png": b"picture",
    }
    assert found == [["all", True, None], ["picture ü.png", False, 7]]
    assert inside == ["all/empty.txt", "all/picture ü.png"]
    assert nothing == []
    assert (Path(copy) / "picture ü.png").read_bytes() == b"picture"
    base = f"/WorkspaceInternal/Mlflow/Artifacts/{experiment_id}/Runs/{run_id}/artifacts"
    uploads = workspace.requests("PUT")
    assert {request.path for request in uploads} == {
        f"{FILES}{base}/{name}" for name in workspace.artifacts(run_id)
    }
    assert {request.query for request in uploads} == {"overwrite=true"}
    assert {request.login for request in uploads} == {TOKEN}
    assert paths(workspace, "HEAD")[0] == f"/api/2.0/fs/directories{base}"
    assert len(paths(workspace, "GET", "^/storage/")) == 2
    _, page = ask(f"{workspace.url}/api/2.0/fs/directories{base}?page_size=1", TOKEN)
    assert [entry["name"] for entry in page["contents"]] == ["all"]
    _, page = ask(f"{workspace.url}/api/2.0/fs/directories{base}?page_token=1", TOKEN)
    assert [entry["name"] for entry in page["contents"]] == ["picture ü.png"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("notes", "INVALID_PARAMETER_VALUE: Got an invalid experiment name 'notes'. An experiment"),
        ("/Shared/none/notes", "NOT_FOUND: Parent directory does not exist: /Shared/none"),
    ],
)
def test_an_experiment_is_named_by_a_path(python: PluginProcess, name: str, error: str) -> None:
    assert python.run("answer = client.get_experiment_by_name(name)", name=name) is None
    with pytest.raises(RemoteError, match=error):
        python.run("client.create_experiment(name)", name=name)


def test_a_directory_can_be_made(python: PluginProcess) -> None:
    script = """
from databricks.sdk import WorkspaceClient
workspace = WorkspaceClient()
user = workspace.current_user.me().user_name
workspace.workspace.mkdirs(f"/Users/{user}/deep/er")
answer = user, client.create_experiment(f"/Users/{user}/deep/er/notes")
"""
    user, experiment_id = python.run(script)
    assert user == USER
    assert experiment_id.isdecimal()


def test_there_is_no_default_experiment(python: PluginProcess) -> None:
    with pytest.raises(RemoteError, match="RESOURCE_DOES_NOT_EXIST: Node ID 0 does not exist"):
        python.run("client.create_run('0')")
    assert "Default" not in python.run("answer = [e.name for e in client.search_experiments()]")


def test_who_is_not_logged_in_is_refused(workspace: DatabricksStandIn) -> None:
    url = f"{workspace.url}/api/2.0/mlflow/experiments/search"
    status, content = ask(url)
    assert (status, content["error_code"]) == (401, 401)
    status, content = ask(url, "wrong")
    assert (status, content) == (403, {"error_code": 403, "message": "Invalid access token."})
    assert ask(f"{workspace.url}/api/2.0/unknown", TOKEN) == (
        404,
        {"error_code": "ENDPOINT_NOT_FOUND", "message": "No API found for 'GET /unknown'"},
    )
    assert [request.login for request in workspace.requests()] == ["", "wrong", TOKEN]


def test_expired_tokens_are_refused(workspace: DatabricksStandIn, python: PluginProcess) -> None:
    workspace.expire_tokens()
    with pytest.raises(RemoteError, match="RestException: 403: Invalid access token"):
        python.run("client.log_param(run_id, 'late', 1)")
    workspace.reset()
    python.run("client.log_param(run_id, 'late', 1)")


def test_who_may_only_read_reads(workspace: DatabricksStandIn, python: PluginProcess) -> None:
    workspace.forbid_writing(True)
    with pytest.raises(RemoteError, match=r"PERMISSION_DENIED: User ann@example\.com does"):
        python.run("client.log_param(run_id, 'a', 1)")
    with pytest.raises(RemoteError, match="PERMISSION_DENIED"):
        python.run("client.log_text(run_id, 'text', 'file.txt')")
    read = "answer = client.get_run(run_id).info.status, len(client.search_runs([experiment_id]))"
    assert python.run(read)[0] == "RUNNING"
    workspace.forbid_writing(False)
    python.run("client.log_param(run_id, 'a', 1)")


def test_a_profile_logs_in(workspace: DatabricksStandIn) -> None:
    environment = workspace.process_environment(workspace.profile_environment)
    with PluginProcess(environment) as python:
        python.run(CLIENT + NEW_RUN, uri=workspace.profile_uri)
        # The client looks for the login of artifacts without the profile of the tracking URI.
        with pytest.raises(RemoteError, match="cannot configure default credentials"):
            python.run("client.log_text(run_id, 'text', 'file.txt')")
    environment["DATABRICKS_CONFIG_PROFILE"] = workspace.profile_uri.removeprefix("databricks://")
    with PluginProcess(environment) as python:
        script = "client.log_text(run_id, 'text', 'file.txt'); answer = run_id"
        run_id = python.run(CLIENT + NEW_RUN + script, uri=workspace.profile_uri)
    assert workspace.artifacts(run_id) == {"file.txt": b"text"}


def test_a_service_principal_logs_in(workspace: DatabricksStandIn) -> None:
    workspace.set_token_lifetime(40)
    with PluginProcess(workspace.process_environment(workspace.oauth_environment)) as python:
        script = "client.log_text(run_id, 'text', 'file.txt'); answer = run_id"
        run_id = python.run(CLIENT + NEW_RUN + script, uri="databricks")
        assert workspace.artifacts(run_id) == {"file.txt": b"text"}
        python.run("client.log_param(run_id, 'late', 1)")
        workspace.set_token_lifetime(0)
        with pytest.raises(RemoteError, match="Invalid access token"):
            python.run("client.log_param(run_id, 'too late', 1)")
    assert {grant.login for grant in workspace.requests("POST", "^/oidc/v1/token$")} == {CLIENT_ID}
    logins = [request.login for request in workspace.requests(path="/runs/(create|log-param)")]
    assert len(set(logins) - {"", TOKEN}) == 3


def test_a_wrong_secret_gets_no_token(workspace: DatabricksStandIn) -> None:
    login = workspace.oauth_environment | {"DATABRICKS_CLIENT_SECRET": "wrong"}
    script = "from databricks.sdk import WorkspaceClient; WorkspaceClient().current_user.me()"
    with (
        PluginProcess(workspace.process_environment(login)) as python,
        pytest.raises(RemoteError, match="invalid_client"),
    ):
        python.run(script)


def test_logged_models_are_there_or_not(
    workspace: DatabricksStandIn, python: PluginProcess, tmp_path: Path
) -> None:
    create = "logged = client.create_logged_model(experiment_id, 'm', source_run_id=run_id)\n"
    script = """
client.log_model_artifacts(logged.model_id, str(model))
listed = [file.path for file in client.list_logged_model_artifacts(logged.model_id)]
client.create_registered_model(name)
source = f"models:/{logged.model_id}"
version = client.create_model_version(name, source, model_id=logged.model_id)
answer = logged.artifact_location, listed, version.run_id == run_id
"""
    name = "main.default.logged"
    location, listed, known = python.run(MODEL + create + script, folder=str(tmp_path), name=name)
    place = r"dbfs:/databricks/mlflow-tracking/\d+/logged_models/m-\w+/artifacts"
    assert re.fullmatch(place, location)
    assert listed == ["MLmodel", "data"]
    assert known
    assert "LoggedModels/m-" in paths(workspace, "PUT")[0]
    assert workspace.model_files(name, 1)["data/weights.bin"] == bytes(range(256))
    workspace.serve_logged_models(False)
    with pytest.raises(RemoteError, match="ENDPOINT_NOT_FOUND: No API found for 'POST /mlflow/lo"):
        python.run(create)


@pytest.mark.parametrize("route", ["files_api", "presigned"])
def test_a_model_is_registered(
    workspace: DatabricksStandIn, python: PluginProcess, tmp_path: Path, route: str
) -> None:
    workspace.serve_model_files(route)
    name = f"main.default.{route}"
    script = """
from mlflow.artifacts import download_artifacts
client.create_registered_model(name, tags={"kind": "test"}, description="notes")
source = run.info.artifact_uri + "/model"
version = client.create_model_version(name, source, run_id, tags={"a": "b"})
client.set_model_version_tag(name, version.version, "more", "c")
client.set_registered_model_alias(name, "champion", version.version)
found = client.get_model_version(name, 1)
by_alias = client.get_model_version_by_alias(name, "champion").version
listed = [(v.name, v.version) for v in client.search_model_versions(f"name = '{name}'")]
copies = [download_artifacts(f"models:/{name}{end}", dst_path=f"{folder}/{i}/")
          for i, end in enumerate(["/1", "@champion"])]
registered = client.get_registered_model(name)
answer = (version.status, version.source, found.run_id, found.tags, found.aliases, by_alias, listed,
          copies, registered.tags, registered.description, registered.aliases)
"""
    make = "client.log_artifacts(run_id, str(model), 'model')\nanswer = run_id"
    run_id = python.run(MODEL + make, folder=str(tmp_path))
    workspace.reset()
    workspace.serve_model_files(route)
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    answer = python.run(script, name=name, folder=str(tmp_path))
    status, source, of_run, tags, aliases, by_alias, listed, copies, *registered = answer
    assert (status, of_run, by_alias) == ("READY", run_id, "1")
    assert source.startswith("dbfs:/databricks/mlflow-tracking/")
    assert tags == {"a": "b", "more": "c"}
    assert aliases == ["champion"]
    assert listed == [[name, "1"]]
    assert registered == [{"kind": "test"}, "notes", {"champion": "1"}]
    files = workspace.model_files(name, 1)
    assert files["data/weights.bin"] == bytes(range(256))
    assert set(files) == {"MLmodel", "data/weights.bin", "data/empty"}
    for copy in copies:
        assert {f: (Path(copy) / f).read_bytes() for f in files} == files
    [stored] = workspace.registered_versions(name)
    assert (stored.run_id, stored.source) == (run_id, source)
    directly = paths(workspace, "PUT", f"^{FILES}/Models/main/default/{route}/1/")
    signed = paths(workspace, "PUT", "^/storage/")
    assert (len(directly), len(signed)) == ((3, 0) if route == "files_api" else (0, 3))


@pytest.mark.skipif(importlib.util.find_spec("boto3") is not None, reason="boto3 is installed")
def test_the_storage_of_a_cloud_needs_its_packages(
    workspace: DatabricksStandIn, python: PluginProcess, tmp_path: Path
) -> None:
    workspace.serve_model_files("cloud")
    create = "client.create_registered_model(name)\n"
    with pytest.raises(RemoteError, match=r"pip install mlflow-skinny\[databricks\]"):
        python.run(MODEL + create + REGISTER, folder=str(tmp_path), name="main.default.cloud")
    read = "answer = client.get_model_version('main.default.cloud', 1).status"
    assert python.run(read) == "PENDING_REGISTRATION"
    assert workspace.model_files("main.default.cloud", 1) == {}


def test_a_setting_of_the_client_chooses_the_files_api(
    workspace: DatabricksStandIn, tmp_path: Path
) -> None:
    workspace.serve_model_files("cloud")
    setting = {"MLFLOW_USE_DATABRICKS_SDK_MODEL_ARTIFACTS_REPO_FOR_UC": "true"}
    with PluginProcess(workspace.process_environment() | setting) as python:
        python.run(CLIENT + NEW_RUN, uri="databricks")
        script = "client.create_registered_model(name)\n" + REGISTER + "answer = version.status"
        status = python.run(MODEL + script, folder=str(tmp_path), name="main.default.set")
    assert status == "READY"
    assert len(workspace.model_files("main.default.set", 1)) == 3


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("client.create_registered_model('plain')", "specify all three levels .* legacy Workspace"),
        (
            "client.create_registered_model('main.none.m')",
            "SCHEMA_DOES_NOT_EXIST: Schema 'main.none'",
        ),
        (
            "client.get_registered_model('main.default.none')",
            "Routine or Model 'main.default.none'",
        ),
        ("client.search_model_versions(\"run_id = 'x'\")", "Unsupported filter query : `run_id"),
        (
            "for _ in 'ab': client.create_registered_model('main.default.twice')",
            "RESOURCE_ALREADY_EXISTS: Routine or Model 'main.default.twice' already exists",
        ),
    ],
)
def test_the_catalog_refuses(python: PluginProcess, script: str, error: str) -> None:
    with pytest.raises(RemoteError, match=error):
        python.run(script)


def test_a_model_needs_a_signature(
    workspace: DatabricksStandIn, python: PluginProcess, tmp_path: Path
) -> None:
    script = MODEL.replace("signature=signature, ", "") + REGISTER
    with pytest.raises(RemoteError, match="did not contain any signature metadata"):
        python.run(script, folder=str(tmp_path), name="main.default.unsigned")
    assert not paths(workspace, "POST", "/unity-catalog/")


def test_what_is_busy_is_asked_again(workspace: DatabricksStandIn, python: PluginProcess) -> None:
    workspace.add_fault(action="status", status=503, method="PUT", headers={"Retry-After": "0"})
    workspace.add_fault(action="cut_after", path="/runs/log-parameter$")
    python.run("client.log_text(run_id, 'text', 'file.txt'); client.log_param(run_id, 'a', 1)")
    assert [request.status for request in workspace.requests("PUT")] == [503, 204]
    asked = workspace.requests("POST", "/runs/log-parameter$")
    assert [(request.status, request.fault) for request in asked] == [(0, "cut_after"), (200, "")]


def test_without_the_files_api_signed_urls_are_used(
    workspace: DatabricksStandIn, python: PluginProcess
) -> None:
    workspace.add_fault(action="status", status=400, path="^/api/2.0/fs/", times=None)
    script = """
client.log_text(run_id, "text", "folder/file.txt")
answer = run_id, [f.path for f in client.list_artifacts(run_id, "folder")]
"""
    run_id, found = python.run(script)
    assert found == ["folder/file.txt"]
    assert workspace.artifacts(run_id) == {"folder/file.txt": b"text"}
    assert len(paths(workspace, "PUT", "^/storage/")) == 1


def test_a_big_file_comes_in_parts(
    workspace: DatabricksStandIn, python: PluginProcess, tmp_path: Path
) -> None:
    content = bytes(range(256)) * (52 * 4096)
    (tmp_path / "big").write_bytes(content)
    script = "client.log_artifact(run_id, file); answer = run_id"
    run_id = python.run(script, file=str(tmp_path / "big"))
    assert workspace.artifacts(run_id)["big"] == content
    assert len(paths(workspace, "PUT", "^/storage/")) > 1


def test_what_it_holds_outlives_it(
    workspace: DatabricksStandIn, python: PluginProcess, tmp_path: Path
) -> None:
    name = "main.default.lasting"
    script = MODEL + "client.create_registered_model(name)\n" + REGISTER + "answer = run_id"
    run_id = python.run(script, folder=str(tmp_path), name=name)
    workspace.restart(kill=True)
    read = """
run = client.get_run(run_id)
listed = [file.path for file in client.list_artifacts(run_id, "model")]
answer = client.get_model_version(name, 1).status, listed
"""
    assert python.run(read) == ["READY", ["model/MLmodel", "model/data"]]
    assert set(workspace.artifacts(run_id)) == {
        f"model/{f}" for f in workspace.model_files(name, 1)
    }
