"""A server is asked before anything depends on it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from textgauge.errors import TrackingError
from textgauge.tracking import preflight as module
from textgauge.tracking.preflight import preflight
from textgauge.tracking.servers import RefusedError
from textgauge.tracking.servers.mlflow_server import MlflowServer

Connect = Callable[[Path], Any]


@pytest.fixture(autouse=True)
def _environment_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


class OnAStore(MlflowServer):
    """A server behind which lies a store; it calls experiments by a name of its own."""

    def __init__(self, client: Any) -> None:
        super().__init__("http://mlflow.example")
        self._client = client

    def experiment_name(self, name: str) -> str:
        return f"/Shared/{name}"

    def connect(self) -> Any:
        return self._client


@pytest.fixture
def server(store: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> OnAStore:
    found = OnAStore(connect(store))
    monkeypatch.setattr(module, "server_at", lambda uri: found)
    return found


def test_a_run_is_written_and_deleted_again(server: OnAStore, store: Path) -> None:
    steps: list[str] = []
    found = preflight("http://mlflow.example", "bolts", on_step=steps.append)
    assert (found.title, found.experiment) == (server.title, "/Shared/bolts")
    assert found.tracking_uri == "http://mlflow.example"
    assert steps == ["logging in", "reaching it", "loading its client", "writing a run"]
    assert steps == list(found.seconds)
    assert min(found.seconds.values()) >= 0
    client = server.connect()
    experiment = client.get_experiment_by_name("/Shared/bolts")
    assert client.search_runs([experiment.experiment_id]) == []
    (gone,) = client.search_runs([experiment.experiment_id], run_view_type=2)  # DELETED_ONLY
    assert (gone.info.run_name, gone.info.status) == ("textgauge check", "FINISHED")
    assert not (store.parent / ".textgauge").exists()


def test_a_service_that_keeps_every_run_is_no_fault(
    server: OnAStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(status: int) -> Callable[[str], None]:
        def delete_run(run_id: str) -> None:
            raise RuntimeError(f"API request failed with error code {status} != 200")

        return delete_run

    monkeypatch.setattr(server.connect(), "delete_run", refuse(405))
    preflight("http://mlflow.example", "bolts")
    monkeypatch.setattr(server.connect(), "delete_run", refuse(403))
    with pytest.raises(TrackingError, match="This login may not write to the tracking server"):
        preflight("http://mlflow.example", "bolts")


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        ("log_in", RefusedError("There is no login."), r"^There is no login\.$"),
        ("connect", ModuleNotFoundError("x", name="boto3"), "needs the package 'boto3'"),
        ("connect", RuntimeError("error code 401"), r"refuses this login\. Set MLFLOW_TRACKING_U"),
        ("connect", RuntimeError("error code 404"), "it has to be that of an MLflow server"),
        ("connect", RuntimeError("error code 403"), "Ask whoever runs it for the right to edit"),
        ("connect", ConnectionRefusedError(), "does not answer"),
    ],
)
def test_the_first_thing_in_the_way_is_told(
    step: str, error: Exception, words: str, server: OnAStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(server, step, fail)
    with pytest.raises(TrackingError, match=words):
        preflight("http://mlflow.example")


def test_a_server_that_is_not_there_is_told_soon() -> None:
    with pytest.raises(TrackingError, match=r"^The tracking server http://127\.0\.0\.1:9 does not"):
        preflight("http://127.0.0.1:9")


def test_a_local_store_is_only_asked_whether_it_can_be_written(tmp_path: Path) -> None:
    steps: list[str] = []
    found = preflight(f"sqlite:///{tmp_path}/mlflow.db", on_step=steps.append)
    assert found.title == f"the local store {tmp_path}/mlflow.db"
    assert (found.experiment, steps) == ("textgauge", ["writing to the store"])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TrackingError, match="There is no folder"):
        preflight(f"sqlite:///{tmp_path}/nowhere/mlflow.db")


class _Recording(BaseHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.extend(str(value) for value in self.headers.values())
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("in_a_job", [True, False])
def test_an_azure_ml_jobs_token_is_sent_to_no_other_server(
    in_a_job: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    if in_a_job:
        monkeypatch.setenv("AZUREML_RUN_ID", "ab12")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "azureml://elsewhere")
    handler = type("Recording", (_Recording,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        with pytest.raises(TrackingError, match="Something answers where"):
            preflight(f"http://127.0.0.1:{listener.server_port}")
        listener.shutdown()
    assert handler.seen
    assert any("secret" in value for value in handler.seen) is not in_a_job
