"""What is the same for all servers: the environment that they are used in, and MLflow's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from textgauge.tracking.servers import Server, explain, prepare, server_at, using
from textgauge.tracking.servers.mlflow_server import MlflowServer

SCOPE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
URIS = ["http://mlflow.example", "databricks://lab", f"azureml://host/mlflow/v1.0{SCOPE}"]


@pytest.fixture
def mlflow() -> Iterator[Any]:
    """MLflow with no address set, before and after."""
    import mlflow

    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    os.environ.pop("MLFLOW_REGISTRY_URI", None)
    yield mlflow
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


# ---- the environment -----------------------------------------------------------------------------


@pytest.mark.parametrize("uri", URIS)
def test_using_a_server_puts_the_environment_back(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    monkeypatch.setenv("DO_NOT_TRACK", "false")
    before = dict(os.environ)
    with using(server_at(uri)):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99", "what the user has set stays"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
        assert os.environ["DO_NOT_TRACK"] == "true"
        os.environ["LEFT_BEHIND"] = "by a client"
        os.environ["PATH"] = "/changed"
    assert dict(os.environ) == before


def test_using_a_server_puts_the_environment_back_after_an_error_too() -> None:
    before = dict(os.environ)
    with pytest.raises(KeyError), using(server_at("http://mlflow.example")):
        raise KeyError
    assert dict(os.environ) == before


def test_a_jobs_token_for_another_place_is_away_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    job = {
        "AZUREML_RUN_ID": "ab12",
        "MLFLOW_RUN_ID": "ab12",
        "MLFLOW_TRACKING_TOKEN": "secret",
        "MLFLOW_TRACKING_URI": URIS[2],
    }
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with using(server_at("http://mlflow.example")):
        assert "secret" not in os.environ.values()
        assert "MLFLOW_RUN_ID" not in os.environ
    assert dict(os.environ) == before
    with using(server_at(URIS[2])):
        assert os.environ["MLFLOW_TRACKING_TOKEN"] == "secret"


# ---- MLflow's global addresses -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tracking", "registry"),
    [
        (None, None),
        ("http://mine", None),
        ("http://mine", "http://models"),
        (None, "http://models"),
    ],
)
def test_using_a_server_puts_mlflows_addresses_back(
    tracking: str | None, registry: str | None, mlflow: Any, tmp_path: Path
) -> None:
    if tracking:
        mlflow.set_tracking_uri(tracking)
    if registry:
        mlflow.set_registry_uri(registry)
    before = (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), mlflow.is_tracking_uri_set())
    variables = dict(os.environ)
    with using(server_at("http://mlflow.example")):
        client = server_at("http://mlflow.example").connect()
        assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == "http://mlflow.example"
        assert client.tracking_uri == "http://mlflow.example"
    after = (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), mlflow.is_tracking_uri_set())
    assert after == before
    assert dict(os.environ) == variables
    if tracking and not registry:
        mlflow.set_tracking_uri("http://another")
        assert mlflow.get_registry_uri() == "http://another", "it still follows the other one"


def test_using_a_server_imports_no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    with using(server_at("http://mlflow.example")):
        pass
    assert "mlflow" not in sys.modules


# ---- every kind of server ------------------------------------------------------------------------


@pytest.mark.parametrize("uri", URIS)
def test_every_kind_says_all_that_is_asked_of_it(uri: str) -> None:
    server = server_at(uri)
    for name in (name for name in vars(Server) if not name.startswith("_")):
        assert hasattr(server, name), name
    assert server.uri == uri
    assert server.limits.metric_rows > 0
    assert server.limits.fields > 0
    for help_text in (server.login_help, server.role_help, server.address_help):
        assert help_text.endswith(".")
        told = explain(RuntimeError(f"error code {401}"), server)
        assert server.login_help in told
    assert server.role_help in explain(RuntimeError("error code 403"), server)
    assert server.address_help in explain(RuntimeError("error code 404"), server)
    assert "does not answer" in explain(ConnectionRefusedError(), server)


@pytest.mark.parametrize("uri", URIS)
def test_asking_what_a_server_is_contacts_nobody(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("contacted a server")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    server = server_at(uri)
    prepare(server)
    assert server.experiment_name("notes").endswith("notes")
    assert server.run_url("7", "ab12")


# ---- an MLflow server ----------------------------------------------------------------------------


def test_an_mlflow_server_is_named_without_its_secrets_and_asked_with_them(mlflow: Any) -> None:
    server = MlflowServer("https://ann:secret@mlflow.example/base")
    assert server.uri == "https://mlflow.example/base"
    assert server.title == "the tracking server https://mlflow.example/base"
    assert "secret" not in server.run_url("7", "ab12")
    assert "secret" not in explain(RuntimeError("error code 401"), server)
    assert server.connect().tracking_uri == "https://ann:secret@mlflow.example/base"


def test_an_mlflow_server_takes_names_as_they_are() -> None:
    server = MlflowServer("http://mlflow.example")
    assert server.experiment_name("/a b/ä") == "/a b/ä"
    assert server.model_name("a b ä") == "a b ä"
    assert server.run_url("7", "ab12").startswith("http://mlflow.example/#/experiments/7/runs/ab12")


def test_a_clients_settings_are_those_of_a_server_that_may_be_down() -> None:
    prepare(server_at("http://mlflow.example"))
    assert int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 2
    assert int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 30
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
