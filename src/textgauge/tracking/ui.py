"""MLflow's web UI on a local store, and the links into it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

from ..errors import MissingPackageError, TrackingError
from .failures import public_uri
from .sqlite_store import artifact_root, sqlite_path, sqlite_uri

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5000
START_PATIENCE = 120.0
"""Seconds until a UI that does not answer counts as failed; 10 s are usual."""

_PORTS_TO_TRY = 50
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A company's proxy, set in the environment, does not know this machine's own ports."""

_ANY_HOST = ("0.0.0.0", "::")


def run_url(tracking_uri: str, experiment_id: str, run_id: str, *, base: str | None = None) -> str:
    """The address of a run's page in MLflow's UI.

    On a server it is the server's own page; for a local store the page that `textgauge ui` serves
    by default, or that of the UI at `base`.

    >>> run_url("sqlite:///mlflow.db", "1", "ab12")
    'http://127.0.0.1:5000/#/experiments/1/runs/ab12?workflowType=machine_learning'
    """
    if base is None:
        served = urlsplit(tracking_uri).scheme in ("http", "https")
        base = public_uri(tracking_uri) if served else f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
    return (
        f"{base.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"
        "?workflowType=machine_learning"
    )


def serve_ui(
    store_uri: str,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    say: Callable[[str], None] = print,
) -> None:
    """Serve MLflow's UI on a local store until Ctrl-C.

    Args:
        store_uri: `sqlite:///PATH` of an existing store.
        host: address to listen on.
        port: port to listen on; the next free one is taken, and named, if it is in use.
        say: receives each line meant for the user; the last one is the link.

    Raises:
        TrackingError: there is no store, or the UI did not come up or ended by itself.
        MissingPackageError: the full `mlflow` package is not installed.

    """
    try:
        with _ended_by_sigterm(), UiServer(store_uri, host, port) as server:
            if server.port != port:
                say(f"Port {port} is in use; taking {server.port}.")
            say(f"Starting MLflow's UI on {public_uri(store_uri)} …")
            server.wait_until_up()
            say("The UI is up; Ctrl-C ends it.")
            say(server.newest_run_url() or f"{server.url}/#/experiments")
            server.wait()
    except KeyboardInterrupt:
        say("The UI has ended.")


class UiServer:
    """MLflow's UI as a child process; a context manager that ends it."""

    def __init__(self, store_uri: str, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT) -> None:
        self._store = _existing_store(store_uri)
        _require_full_mlflow()
        self.host = host
        self.port = free_port(host, port)
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the UI, for a browser on this machine."""
        host = DEFAULT_HOST if self.host in _ANY_HOST else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def __enter__(self) -> Self:
        environment = {
            **os.environ,
            # Its job runner starts eight more processes, for features that a run page has not.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        }
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            _command(self._store, self.host, self.port),
            cwd=self._store.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            # A session of its own: Ctrl-C reaches us first, and we end the whole group.
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def wait_until_up(self, patience: float = START_PATIENCE) -> None:
        """Return as soon as the UI answers.

        Raises TrackingError if it ends instead, or does not answer within `patience` seconds.
        """
        end = time.monotonic() + patience
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                raise TrackingError(
                    f"MLflow's UI did not start on {self.url}: {self._last_words()}"
                )
            if time.monotonic() > end:
                raise TrackingError(
                    f"MLflow's UI did not answer on {self.url} within {patience:.0f} s. Try again "
                    "when this machine is less busy."
                )
            time.sleep(0.1)

    def newest_run_url(self) -> str | None:
        """The page of the run that started last, or None if there is no run."""
        newest = {"order_by": ["attributes.start_time DESC"], "max_results": 1}
        try:
            experiments = self._ask("experiments/search", {"max_results": 1000})
            ids = [each["experiment_id"] for each in experiments.get("experiments", [])]
            runs = self._ask("runs/search", {"experiment_ids": ids, **newest})
        except (OSError, ValueError):
            return None  # The UI says better than we could what is wrong with the store.
        for run in runs.get("runs", []):
            info = run["info"]
            return run_url(self.url, info["experiment_id"], info["run_id"], base=self.url)
        return None

    def wait(self) -> None:
        """Return never, as long as the UI runs. Raises TrackingError when it ends by itself."""
        if self._process is not None:
            self._process.wait()
            raise TrackingError(f"MLflow's UI ended by itself: {self._last_words()}")

    def stop(self) -> None:
        """End the UI and all its processes; does no harm twice."""
        process, self._process = self._process, None
        if process is not None:
            for sign, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, sign)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
                    break
        if self._log is not None:
            self._log.close()
            self._log = None

    def _answers(self) -> bool:
        try:
            with _DIRECT.open(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _ask(self, what: str, question: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/{what}",
            data=json.dumps(question).encode(),
            headers={"Content-Type": "application/json"},
        )
        with _DIRECT.open(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _last_words(self) -> str:
        if self._log is None:
            return "it said nothing."
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing."


def _command(store: Path, host: str, port: int) -> list[str]:
    """What starts the server; run in the store's folder, so that its path needs no encoding."""
    return [
        # -P: a file of the user's that is called like a module must not be imported.
        *(sys.executable, "-P", "-m", "mlflow", "server"),
        *("--backend-store-uri", f"sqlite:///{store.name}"),
        *("--default-artifact-root", str(artifact_root(store))),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]


def free_port(host: str, port: int) -> int:
    """The first port from `port` on that nobody listens on.

    Raises TrackingError if many in a row are taken, or `host` is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + _PORTS_TO_TRY, 65536)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the server does it: a port that is only waiting to be forgotten counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise TrackingError(
                    f"The UI cannot listen on {host} ({error.strerror or error}). Pass another "
                    f"--host, such as {DEFAULT_HOST}."
                ) from error
            return candidate
    raise TrackingError(
        f"No port from {port} to {port + _PORTS_TO_TRY - 1} is free. Pass another --port."
    )


def _existing_store(store_uri: str) -> Path:
    store = sqlite_path(store_uri)
    if store is None:
        uri = public_uri(store_uri)
        if (
            urlsplit(uri).scheme in ("http", "https", "azureml", "databricks")
            or uri == "databricks"
        ):
            raise TrackingError(
                f"{uri} is a server with a UI of its own: open the link that the training printed."
            )
        raise TrackingError(
            f"textgauge ui serves local stores (sqlite:///PATH), not {uri}. "
            "For other databases run: mlflow ui --backend-store-uri URI."
        )
    if not store.is_file() or store.stat().st_size == 0:
        raise TrackingError(
            f"There are no runs yet in {store}: train first (textgauge train TABLE), or name the "
            f"store with --tracking-uri, such as {sqlite_uri(store)}."
        )
    return store


def _require_full_mlflow() -> None:
    try:
        version("mlflow")
    except PackageNotFoundError:
        raise MissingPackageError(
            "MLflow's web UI is in the full mlflow package, which is not installed here. "
            "Install it: pip install 'textgauge[ui]'."
        ) from None


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Treat a request to end as Ctrl-C, so that the UI's processes end too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
