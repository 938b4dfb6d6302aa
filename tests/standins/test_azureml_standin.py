"""The stand-in for Azure ML, asked by the unmodified azureml-mlflow plugin."""

from __future__ import annotations

import importlib.util
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standins import azureml_names as names
from standins.azureml import AzureMLStandIn
from standins.plugin_process import PluginProcess, RemoteError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("azureml") is None, reason="azureml-mlflow is not installed"
)

FAST = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0"}

CONNECT = """
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
client = MlflowClient()
def experiment(name):
    found = client.get_experiment_by_name(name)
    return client.create_experiment(name) if found is None else found.experiment_id
def listed(run_id, path=""):
    uri = client.get_run(run_id).info.artifact_uri
    found = (
        mlflow.artifacts.list_artifacts(f"{uri}/{path}") if path else client.list_artifacts(run_id)
    )
    return sorted(entry.path for entry in found)
def read(run_id, path):
    uri = client.get_run(run_id).info.artifact_uri
    with open(mlflow.artifacts.download_artifacts(f"{uri}/{path}"), "rb") as file:
        return file.read()
"""

NEW_RUN = """
run = client.create_run(experiment("notes"), run_name="a run")
answer = run.info.run_id, run.info.artifact_uri
"""


@pytest.fixture(scope="module")
def shared(with_store: Callable[[str], Path]) -> Iterator[AzureMLStandIn]:
    with AzureMLStandIn(with_store("workspace")) as workspace:
        yield workspace


@pytest.fixture
def workspace(shared: AzureMLStandIn) -> Iterator[AzureMLStandIn]:
    yield shared
    shared.reset()


@pytest.fixture(scope="module")
def process(shared: AzureMLStandIn) -> Iterator[PluginProcess]:
    with PluginProcess(shared.process_environment() | FAST) as process:
        process.run(CONNECT, uri=shared.tracking_uri)
        yield process


@pytest.fixture
def run_id(workspace: AzureMLStandIn, process: PluginProcess) -> str:
    return str(process.run(NEW_RUN)[0])


def ask(workspace: AzureMLStandIn, path: str, token: str = "", body: Any = None) -> tuple[int, Any]:
    """Ask without any library: status and JSON."""
    request = urllib.request.Request(
        workspace.url + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}"} if token else {},
    )
    handler = urllib.request.HTTPSHandler(context=workspace.tls())
    try:
        with urllib.request.build_opener(handler).open(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
        return error.code, json.loads(text) if text else None


def test_what_is_logged_is_held_and_read_back(
    workspace: AzureMLStandIn, process: PluginProcess, tmp_path: Path
) -> None:
    (tmp_path / "model" / "data").mkdir(parents=True)
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}\n")
    (tmp_path / "model" / "data" / "weights").write_bytes(bytes(range(256)))
    (tmp_path / "history.json").write_text("[]")
    run_id, artifact_uri = process.run(NEW_RUN)
    assert run_id.count("-") == 4
    found = process.run(
        """
        client.log_metric(run_id, "loss", 0.5, step=1)
        metrics, params = [Metric("loss", 0.25, 1, 2)], [Param("lr", "0.1")]
        client.log_batch(run_id, metrics, params, [RunTag("a", "b")])
        client.log_metric(run_id, "late", 1.0, synchronous=False).wait()
        client.log_artifact(run_id, folder + "/history.json", "figures")
        client.log_artifacts(run_id, folder + "/model", "model")
        client.set_terminated(run_id)
        run = client.get_run(run_id)
        condition = f"attributes.run_id = '{run_id}'"
        answer = {
            "metrics": run.data.metrics,
            "params": run.data.params,
            "tag": run.data.tags["a"],
            "status": run.info.status,
            "listed": listed(run_id),
            "in model": listed(run_id, "model"),
            "read": read(run_id, "model/data/weights").hex(),
            "searched": [
                r.info.run_id for r in client.search_runs([run.info.experiment_id], condition)
            ],
        }
        """,
        run_id=run_id,
        folder=str(tmp_path),
    )
    assert found == {
        "metrics": {"loss": 0.25, "late": 1.0},
        "params": {"lr": "0.1"},
        "tag": "b",
        "status": "FINISHED",
        "listed": ["figures", "model"],
        "in model": ["model/MLmodel", "model/data"],
        "read": bytes(range(256)).hex(),
        "searched": [run_id],
    }
    assert workspace.run(run_id).info.status == "FINISHED"
    assert workspace.metric_history(run_id, "loss") == [(1, 0.5), (2, 0.25)]
    assert workspace.artifacts(run_id) == {
        "figures/history.json": b"[]",
        "model/MLmodel": b"flavors: {}\n",
        "model/data/weights": bytes(range(256)),
    }
    assert f"/runs/{run_id}/artifacts" in artifact_uri
    assert artifact_uri.startswith("azureml://127.0.0.1:")


def test_a_model_is_registered_from_a_run_and_loaded_by_its_name(
    workspace: AzureMLStandIn, process: PluginProcess, run_id: str, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    found = process.run(
        """
client.log_artifacts(run_id, folder, "model")
client.create_registered_model("texts")
source = client.get_run(run_id).info.artifact_uri + "/model"
version = client.create_model_version("texts", source, run_id, tags={"good": "yes"})
client.set_model_version_tag("texts", version.version, "better", "yes")
path = mlflow.artifacts.download_artifacts("models:/texts/1")
versions = client.search_model_versions(f"run_id = '{run_id}'")
answer = [open(path + "/MLmodel").read(), [(v.version, v.run_id, v.tags) for v in versions]]
""",
        run_id=run_id,
        folder=str(tmp_path),
    )
    text, [[number, of_run, tags]] = found
    assert text == "flavors: {}\n"
    assert str(number) == "1"
    assert of_run == run_id
    assert tags == {"good": "yes", "better": "yes"}
    (version,) = workspace.registered_versions("texts")
    assert version.source.endswith(f"/runs/{run_id}/artifacts/model")
    with pytest.raises(RemoteError, match=r"404 != 200\. Response body: ''"):
        process.run("client.set_registered_model_alias('texts', 'champion', '1')")


def test_a_local_folder_is_registered(
    workspace: AzureMLStandIn, process: PluginProcess, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    text = process.run(
        """
client.create_registered_model("local texts")
client.create_model_version("local texts", "file://" + folder)
answer = open(mlflow.artifacts.download_artifacts("models:/local texts/1") + "/MLmodel").read()
""",
        folder=str(tmp_path),
    )
    assert text == "flavors: {}\n"
    (version,) = workspace.registered_versions("local texts")
    assert version.source.startswith("azureml://artifacts/LocalUpload/")


def test_a_path_is_logged_once(
    workspace: AzureMLStandIn, process: PluginProcess, run_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("first")
    log = "client.log_artifact(run_id, file)"
    process.run(log, run_id=run_id, file=str(file))
    file.write_text("second")
    with pytest.raises(RemoteError, match=r"Resource Conflict.*dcid\..*/a\.txt already exists"):
        process.run(log, run_id=run_id, file=str(file))
    workspace.name_artifacts_once(False)
    with pytest.raises(RemoteError, match="BlobAlreadyExists"):
        process.run(log, run_id=run_id, file=str(file))
    assert workspace.artifacts(run_id) == {"a.txt": b"first"}


def test_an_artifact_without_its_bytes_is_listed_and_not_found(
    workspace: AzureMLStandIn, process: PluginProcess, run_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("never arrives")
    workspace.add_fault(action="status", status=403, method="PUT", path="blob.core", times=None)
    with pytest.raises(RemoteError):
        process.run("client.log_artifact(run_id, file)", run_id=run_id, file=str(file))
    workspace.clear_faults()
    assert process.run("answer = listed(run_id)", run_id=run_id) == ["a.txt"]
    with pytest.raises(RemoteError, match="BlobNotFound"):
        process.run("read(run_id, 'a.txt')", run_id=run_id)
    assert workspace.artifacts(run_id) == {}


def test_a_big_file_comes_in_blocks(
    workspace: AzureMLStandIn, process: PluginProcess, run_id: str, tmp_path: Path
) -> None:
    size = 66 * 2**20
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(size)
        file.seek(size - 3)
        file.write(b"end")
    found = process.run(
        """
client.log_artifact(run_id, file)
content = read(run_id, "weights")
answer = [len(content), content[-3:].decode()]
""",
        run_id=run_id,
        file=str(tmp_path / "weights"),
    )
    assert found == [size, "end"]
    assert any("comp=blocklist" in request.query for request in workspace.requests("PUT"))


@pytest.mark.parametrize(
    "script",
    [
        "client.log_batch(run_id, [Metric(f'm{i}', 1, 1, 1) for i in range(51)])",
        "client.log_batch(run_id, [Metric('m', 1, 1, i) for i in range(251)])",
        "for j in range(3): client.log_batch("
        "run_id, params=[Param(f'p{j}.{i}', '1') for i in range(67)])",
        "client.log_batch(run_id, tags=[RunTag(f't{i}', '1') for i in range(51)])",
        "client.set_tag(run_id, 't' * 101, '1')",
        "client.set_tag(run_id, 't', '1' * 1001)",
    ],
)
def test_limits_are_kept(process: PluginProcess, run_id: str, script: str) -> None:
    with pytest.raises(RemoteError, match=r"INVALID_PARAMETER_VALUE.*over the size limit"):
        process.run(script, run_id=run_id)


def test_a_fault_of_no_known_kind_is_refused(workspace: AzureMLStandIn) -> None:
    with pytest.raises(ValueError, match=r"one of status, cut_before, .*, not burn"):
        workspace.add_fault(action="burn")


def test_faults_fail_as_they_are_told_to(
    workspace: AzureMLStandIn, process: PluginProcess, run_id: str
) -> None:
    log = "client.log_metric(run_id, 'loss', 0.5, step=step)"
    once = {"method": "POST", "path": "log-metric"}

    workspace.add_fault(action="status", status=400, body='{"message": "no"}', after=1, **once)
    process.run(log, run_id=run_id, step=1)
    with pytest.raises(RemoteError, match="no"):
        process.run(log, run_id=run_id, step=2)
    process.run(log, run_id=run_id, step=3)
    assert workspace.metric_history(run_id, "loss") == [(1, 0.5), (3, 0.5)]

    workspace.add_fault(action="cut_before", times=None, **once)
    with pytest.raises(RemoteError, match=r"Max retries|Connection"):
        process.run(log, run_id=run_id, step=4)
    workspace.clear_faults()
    assert len(workspace.metric_history(run_id, "loss")) == 2

    workspace.add_fault(action="cut_after", times=None, **once)
    with pytest.raises(RemoteError, match=r"Max retries|Connection"):
        process.run(log, run_id=run_id, step=5)
    workspace.clear_faults()
    assert (5, 0.5) in workspace.metric_history(run_id, "loss")

    workspace.add_fault(action="hang", seconds=0.5, **once)
    start = time.monotonic()
    process.run(log, run_id=run_id, step=6)
    assert time.monotonic() - start >= 0.5
    assert [(r.status, r.fault) for r in workspace.requests(path="log-metric")] == [
        (200, ""),
        (400, "status"),
        (200, ""),
        (0, "cut_before"),
        (0, "cut_before"),
        (0, "cut_after"),
        (0, "cut_after"),
        (200, "hang"),
    ]


def test_what_the_service_lacks_answers_404(
    workspace: AzureMLStandIn, process: PluginProcess, run_id: str, tmp_path: Path
) -> None:
    create = (
        "model = client.create_logged_model("
        "run.info.experiment_id, name='model', source_run_id=run_id)"
    )
    with pytest.raises(RemoteError, match=r"404 != 200\. Response body: ''"):
        process.run(create, run_id=run_id)
    workspace.serve_logged_models(True)
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    process.run(create, run_id=run_id)
    process.run("client.log_model_artifacts(model.model_id, folder)", folder=str(tmp_path))
    script = "answer = [f.path for f in client.list_logged_model_artifacts(model.model_id)]"
    assert process.run(script) == ["MLmodel"]
    workspace.reset()
    with pytest.raises(RemoteError, match="404 != 200"):
        process.run(create, run_id=run_id)


def test_an_experiment_with_a_slash_is_not_found_by_its_name(process: PluginProcess) -> None:
    found = process.run(
        """
made = client.create_experiment("Shared/notes")
answer = [client.get_experiment(made).name, client.get_experiment_by_name("Shared/notes")]
"""
    )
    assert found == ["Shared/notes", None]


def test_a_service_principal_logs_in(workspace: AzureMLStandIn) -> None:
    environment = workspace.process_environment(workspace.environment_for("service_principal"))
    with PluginProcess(environment | FAST) as process:
        process.run(CONNECT, uri=workspace.tracking_uri)
        process.run("experiment('notes')")
        with pytest.raises(RemoteError, match=r"401|invalid|expired"):
            workspace.expire_tokens()
            process.run("experiment('notes')")


def test_without_a_login_nothing_is_reached(workspace: AzureMLStandIn) -> None:
    environment = workspace.process_environment(workspace.environment_for("none"))
    with PluginProcess(environment | FAST) as process:
        process.run(CONNECT, uri=workspace.tracking_uri)
        start = time.monotonic()
        with pytest.raises(RemoteError):
            process.run("experiment('notes')")
        assert time.monotonic() - start < 60
    assert not workspace.requests(path="/mlflow/")


def test_expired_tokens_forbidden_writing_and_wrong_places(
    workspace: AzureMLStandIn, process: PluginProcess
) -> None:
    process.run("client.search_experiments(max_results=1)")
    token = workspace.requests(path="/experiments/search")[-1].login
    arm = f"{names.SCOPE}?api-version=2024-04-01"
    status, found = ask(workspace, arm, token)
    assert status == 200
    assert found["properties"]["mlFlowTrackingUri"] == workspace.tracking_uri
    assert ask(workspace, arm.replace(names.WORKSPACE, "other"), token)[0] == 404
    mlflow = f"/mlflow/v2.0{names.SCOPE}/api/2.0/mlflow"
    other = mlflow.replace(names.WORKSPACE, "other")
    assert ask(workspace, f"{other}/experiments/search?max_results=1", token)[0] == 404

    workspace.forbid_writing()
    assert ask(workspace, f"{mlflow}/experiments/create", token, {"name": "no"})[0] == 403
    assert ask(workspace, f"{mlflow}/experiments/search", token, {"max_results": 1})[0] == 200
    assert ask(workspace, arm, token)[0] == 200
    workspace.forbid_reading()
    assert ask(workspace, arm, token)[0] == 403
    workspace.reset()

    assert ask(workspace, arm)[0] == 401
    assert ask(workspace, arm, token)[0] == 200
    workspace.expire_tokens()
    assert ask(workspace, arm, token)[0] == 401


def test_a_restart_keeps_what_it_holds(
    workspace: AzureMLStandIn, process: PluginProcess, run_id: str
) -> None:
    log = "client.log_metric(run_id, 'loss', value)"
    workspace.stop(kill=True)
    with pytest.raises(RemoteError, match=r"Max retries|Connection"):
        process.run(log, run_id=run_id, value=0.5)
    workspace.start()
    process.run(log, run_id=run_id, value=0.25)
    assert workspace.run(run_id).data.metrics == {"loss": 0.25}
