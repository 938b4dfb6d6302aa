"""The test's side of a stand-in for a cloud workspace: a process that is started and asked.

A stand-in is an HTTP server in a process of its own (`service.py`), with MLflow's real REST
handlers behind it, on SQLite and a folder. So it can be stopped, killed and started again on
the same port with what it holds. A kind of workspace is a subclass of `StandIn`.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.error import HTTPError, URLError

TESTS = Path(__file__).parents[1]
STARTING_PATIENCE = 120.0
"""Seconds that a stand-in may take to answer: importing MLflow's server alone takes nine."""

CLOUD_SETTINGS = (
    "ARM_", "AZURE_", "AZUREML_", "DATABRICKS_", "IDENTITY_", "IMDS_", "MLFLOW_", "MSI_"
)  # fmt: skip
"""Beginnings of the environment variables that could lead a test to somebody's real cloud."""


@dataclass(frozen=True)
class RecordedRequest:
    """A request as it reached the stand-in.

    `path` is without the query, `size` the body's bytes, `login` the token or user name, empty
    if there was none. `status` is 0 where there was no answer (yet), `fault` a fault's action.
    `time` is when it came, in seconds since 1970.
    """

    method: str
    path: str
    query: str
    status: int
    time: float
    size: int
    login: str
    fault: str


class StandIn:
    """A stand-in on 127.0.0.1. Use it in a `with`, or call `start` and `stop`."""

    module: ClassVar[str]
    """What `python -m` runs to serve it."""

    scheme: ClassVar[str] = "http"

    def __init__(self, folder: Path, *options: str) -> None:
        """Prepare a stand-in that keeps what it holds in `folder`.

        Args:
            folder: where its store, artifacts and log go; created if there is none.
            options: further command-line options for `module`.

        """
        self.folder = folder
        self.port = _free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def tracking_uri(self) -> str:
        """What a user gives to MLflow to log into this workspace."""
        raise NotImplementedError

    @property
    def environment(self) -> dict[str, str]:
        """Variables that a process needs to reach the stand-in, and nothing else."""
        return {
            # Whatever is not on this machine's loopback meets a closed door at once.
            "HTTP_PROXY": "http://127.0.0.1:1",
            "HTTPS_PROXY": "http://127.0.0.1:1",
            "http_proxy": "http://127.0.0.1:1",
            "https_proxy": "http://127.0.0.1:1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def process_environment(self, environment: Mapping[str, str] | None = None) -> dict[str, str]:
        """This process's variables without anybody's cloud settings, and the stand-in's."""
        return _own_environment() | dict(self.environment if environment is None else environment)

    def start(self) -> None:
        """Serve, and come back once it answers. Raises RuntimeError with its log if it fails."""
        if self._process is not None:
            raise RuntimeError(f"The stand-in at {self.url} is running already.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        command = [sys.executable, "-P", "-m", self.module, *self._options]
        command += ["--folder", str(self.folder), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=_own_environment() | {"PYTHONPATH": str(TESTS)},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready()

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def prepare(self) -> None:
        """Make what the server needs in its folder before it is started."""

    def stop(self, *, kill: bool = False) -> None:
        """End the process, by SIGTERM or with `kill` by SIGKILL; what it holds stays."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if kill:
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self, *, kill: bool = False) -> None:
        """Stop and start again, on the same port with what it holds; records are forgotten."""
        self.stop(kill=kill)
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """What the server's process printed."""
        return self.folder / "server.log"

    def add_fault(
        self,
        *,
        action: str,
        method: str = "",
        path: str = "",
        status: int = 503,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        seconds: float = 0.0,
        after: int = 0,
        times: int | None = 1,
    ) -> None:
        """Let requests fail. The oldest fault that matches a request and is due takes it.

        Args:
            action: "status" answers with `status`, `headers` and `body` and does nothing;
                "cut_before" closes the connection and does nothing; "cut_after" does what is
                asked for and closes the connection without an answer; "hang" waits `seconds`
                and then does what is asked for, unless the fault was cleared meanwhile;
                "hang_after" does what is asked for and waits before it answers.
            method: the requests' method; any if empty.
            path: a regular expression that is searched in path and query.
            status: of the answer.
            headers: of the answer.
            body: of the answer.
            seconds: how long to hang.
            after: how many matching requests pass before.
            times: how many matching requests fail; None for all.

        """
        self.control(
            "add_fault",
            action=action,
            method=method,
            path=path,
            status=status,
            headers=dict(headers or {}),
            body=body,
            seconds=seconds,
            after=after,
            times=times,
        )

    def clear_faults(self) -> None:
        """Forget the faults; what hangs is cut."""
        self.control("clear_faults")

    def requests(self, method: str = "", path: str = "") -> list[RecordedRequest]:
        """Give what was asked since the last `reset` in the order of arrival, faults included.

        Args:
            method: give the requests of this method only.
            path: give those only in whose path this regular expression is found.

        """
        found = self.control("requests", method=method, path=path)
        return [RecordedRequest(**request) for request in found]

    def reset(self) -> None:
        """Forget faults, records and what was switched; keep experiments, runs and models."""
        self.control("reset")

    def client(self) -> Any:
        """Give an `MlflowClient` on what the server holds, past the server: the truth.

        Its ids are MLflow's own; `stored_run_id` and `stored_experiment_id` translate.
        """
        if self._client is None:
            with warnings.catch_warnings():
                # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates, and says so at its first store.
                warnings.simplefilter("ignore")
                from mlflow import MlflowClient

                self._client = MlflowClient(self.store_uri, self.store_uri)
                self._client.search_experiments(max_results=1)
        return self._client

    @property
    def store_uri(self) -> str:
        """The server's store, as MLflow's SQLAlchemy store wants it."""
        return store_uri(self.folder)

    def stored_run_id(self, run_id: str) -> str:
        """MLflow's id of a run, from the workspace's."""
        return run_id

    def stored_experiment_id(self, experiment_id: str) -> str:
        """MLflow's id of an experiment, from the workspace's."""
        return experiment_id

    def run(self, run_id: str) -> Any:
        """Give the stored run (an `mlflow.entities.Run`) with the workspace's id `run_id`."""
        return self.client().get_run(self.stored_run_id(run_id))

    def metric_history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """Give a metric's steps and values as stored, in the order of the steps."""
        history = self.client().get_metric_history(self.stored_run_id(run_id), key)
        return sorted((metric.step, metric.value) for metric in history)

    def artifacts(self, run_id: str) -> dict[str, bytes]:
        """Give a run's files as the server holds them, by their path within the run."""
        raise NotImplementedError

    def registered_versions(self, name: str) -> list[Any]:
        """Give the stored versions of a registered model, oldest first."""
        found = self.client().search_model_versions(f"name = '{name}'")
        return sorted(found, key=lambda version: int(version.version))

    def control(self, order: str, **arguments: Any) -> Any:
        """Give the stand-in an order that is no part of the workspace's own protocol.

        Raises ValueError with its words if it does not know the order or its arguments.
        """
        request = urllib.request.Request(
            f"{self.url}/_standin/{order}", json.dumps(arguments).encode(), method="POST"
        )
        try:
            with self._opener().open(request, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from None

    def tls(self) -> ssl.SSLContext | None:
        """How to trust the server; None where it speaks plain HTTP."""
        return None

    def _opener(self) -> urllib.request.OpenerDirector:
        handlers: list[Any] = [urllib.request.ProxyHandler({})]
        context = self.tls()
        if context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + STARTING_PATIENCE
        while time.monotonic() < end:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                self.control("ready")
                return
            except (URLError, ConnectionError):
                time.sleep(0.1)
        self.stop(kill=True)
        raise RuntimeError(
            f"The stand-in {self.module} does not answer at {self.url}. Its log:\n"
            + self.log.read_text(errors="replace")[-4000:]
        )


def store_uri(folder: Path) -> str:
    """Address of the MLflow store of a stand-in that keeps what it holds in `folder`."""
    return f"sqlite:///{folder}/mlflow.db"


def _own_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(CLOUD_SETTINGS)}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
