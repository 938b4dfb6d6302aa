"""What every kind of tracking server has to say of itself."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...errors import TrackingError
from ..failures import explain_server
from ..mlflow_import import import_client

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # MLflow's own link leads nowhere on Azure ML.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_PATIENCE = {
    # MLflow's own are 7 retries and 120 s: a server that is down would be noticed after minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}
_ONCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    # Databricks' SDK waits a second before it asks again, unless this time is over.
    "MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT": "1",
}

_TALKATIVE = ("azure", "azureml", "databricks")
"""Loggers of clients that warn of each attempt; what comes of it is told in a sentence of ours."""


class RefusedError(TrackingError):
    """The server will not take the run however often it is asked: somebody has to mend something.

    No package, no login, no such workspace, no right to write; never a server that is down.
    """


@dataclass(frozen=True)
class Limits:
    """How much a server takes; the defaults are MLflow's own. None: no limit.

    Attributes:
        metric_rows: values of metrics in one request.
        fields: parameters, or tags, in one request.
        metric_names: different metrics of one run.
        params: parameters of one run.
        tags: tags of one run.
        tag_key: characters of a tag's name.
        tag_value: characters of a tag's value.
        param_value: characters of a parameter's value.
        model_files: files of one model version.
    """

    metric_rows: int = 1000
    fields: int = 100
    metric_names: int | None = None
    params: int | None = None
    tags: int | None = None
    tag_key: int = 250
    tag_value: int = 8000
    param_value: int = 6000
    model_files: int | None = None


class Server(Protocol):
    """A tracking server. Only `log_in` and `connect` talk to it, and import what they need."""

    @property
    def uri(self) -> str:
        """The tracking URI, without secrets; what the journal remembers."""

    @property
    def title(self) -> str:
        """What it is called in messages: "the Azure ML workspace notes"."""

    @property
    def limits(self) -> Limits:
        """How much it takes."""

    @property
    def registers_through_here(self) -> bool:
        """Whether a model that is registered passes through this machine."""

    @property
    def login_help(self) -> str:
        """What to do when it refuses a login, in one sentence."""

    @property
    def role_help(self) -> str:
        """What to do when a login may not write, in one sentence."""

    @property
    def address_help(self) -> str:
        """What to look at when nothing of that name is there, in one sentence."""

    def prepare(self, environment: MutableMapping[str, str]) -> None:
        """Set the variables that its client reads, before the client is imported."""

    def hand_over(self, environment: MutableMapping[str, str]) -> None:
        """Put this process's login into the variables of a child that could not find it itself."""

    def experiment_name(self, name: str) -> str:
        """What the experiment `name` is called there."""

    def model_name(self, name: str) -> str:
        """What the registered model `name` is called there.

        Raises RefusedError if it cannot be called so.
        """

    def log_in(self) -> None:
        """Check that the client is installed, and get a token if it takes one; ask nobody.

        Raises RefusedError with one sentence that says what to do, or what the network raises.
        """

    def reach(self) -> None:
        """Raise what the network raises if the server does not answer at all; after `log_in`.

        For clients that would not notice for minutes.
        """

    def connect(self) -> Any:
        """An `MlflowClient` for it and for its registry, after `log_in`.

        A second call logs in anew, as a token that was refused needs.
        """

    def run_url(self, experiment_id: str, run_id: str) -> str:
        """The address of a run's page, for a browser. After `log_in`."""

    def fill_file(self, artifact_uri: str, path: str, file: Path) -> bool:
        """Put the bytes of `file` where a run's artifact `path` has a name and no bytes.

        `artifact_uri` is the run's. False if there is no way to. After `connect`; raises what the
        network raises.
        """


def open_client(tracking_uri: str, registry_uri: str) -> Any:
    """An `MlflowClient`, its addresses being MLflow's global ones too.

    Artifact clients look there: the plugin's for its login, MLflow's own for the server.
    """
    client_class = import_client()
    from mlflow import set_registry_uri, set_tracking_uri

    set_tracking_uri(tracking_uri)
    set_registry_uri(registry_uri)
    return client_class(tracking_uri, registry_uri=registry_uri)


def prepare(server: Server) -> None:
    """Set the variables that MLflow and the server's client read, before they are imported.

    What the user has set stays; what an Azure ML job was given for another place goes. For a
    process that does nothing else with MLflow.
    """
    from ..inherited import foreign_variables  # here: it imports this package

    for name in foreign_variables(server.uri):
        del os.environ[name]
    os.environ.update(_QUIET)
    for talkative in _TALKATIVE:
        logging.getLogger(talkative).setLevel(logging.CRITICAL)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    server.prepare(os.environ)


@contextmanager
def asking_once() -> Iterator[None]:
    """Keep MLflow from repeating a request whose answer was lost: it may have been carried out."""
    before = {name: os.environ.get(name) for name in _ONCE}
    os.environ.update(_ONCE)
    forget_clients()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        forget_clients()


def forget_clients() -> None:
    """Have MLflow make its clients for Databricks anew, by the variables and the login of now."""
    module = sys.modules.get("mlflow.utils.rest_utils")
    if module is not None:
        module.get_workspace_client.cache_clear()


@contextmanager
def using(server: Server) -> Iterator[None]:
    """`prepare`, and put everything back afterwards: for a process that is the user's own."""
    before = dict(os.environ)
    uris = _global_uris()
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    prepare(server)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if "mlflow" in sys.modules:
            from mlflow import set_registry_uri, set_tracking_uri

            set_tracking_uri(uris[0])
            set_registry_uri(uris[1])
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _global_uris() -> tuple[Any, Any]:
    """MLflow's global tracking and registry address as far as they were set, else None."""
    if "mlflow" not in sys.modules:
        return None, None
    from mlflow import get_registry_uri, get_tracking_uri, is_tracking_uri_set

    tracking_uri = get_tracking_uri() if is_tracking_uri_set() else None
    registry_uri = get_registry_uri()
    return tracking_uri, None if registry_uri == get_tracking_uri() else registry_uri


def explain(error: BaseException, server: Server) -> str:
    """One sentence or two on why the server failed and what to do about it."""
    return explain_server(
        error,
        server.title,
        login_help=server.login_help,
        role_help=server.role_help,
        address_help=server.address_help,
    )
