"""MLflow's own REST handlers, called within the process of a stand-in."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from standins.server import store_uri


@dataclass(frozen=True)
class Answer:
    """What MLflow answered: status, headers and body."""

    status: int
    headers: dict[str, str]
    body: bytes


def import_server() -> tuple[Any, Any]:
    """MLflow's application and its handlers, without what it imports if installed: 1.6 s less."""
    for name in ("aiohttp", "azureml", "pandas", "polars", "pyarrow", "pygments", "pyspark"):
        sys.modules[name] = None  # type: ignore[assignment]
    from mlflow.server import app, handlers

    return app, handlers


class MlflowBackend:
    """MLflow's server on the SQLite store and the artifact folder below `folder`."""

    def __init__(self, folder: Path) -> None:
        """Open the store, or make it. Takes some seconds, most of it imports."""
        self.artifact_root = folder / "artifacts"
        self.artifact_root.mkdir(parents=True, exist_ok=True)
        os.environ["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] = "true"
        os.environ["_MLFLOW_SERVER_FILE_STORE"] = store_uri(folder)
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(self.artifact_root)
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        app, handlers = import_server()
        handlers.initialize_backend_stores(
            store_uri(folder), store_uri(folder), str(self.artifact_root)
        )
        self._app = app
        # One writer at a time, as SQLite has it: no request fails because of another one.
        self._lock = threading.Lock()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Give MLflow's answer to a request at `path`, such as /api/2.0/mlflow/runs/get."""
        from werkzeug.test import EnvironBuilder, run_wsgi_app

        builder = EnvironBuilder(
            path,
            method=method,
            query_string=urlencode(query or []),
            data=body,
            content_type="application/json" if body else None,
            headers=headers,
        )
        try:
            environ: dict[str, Any] = builder.get_environ()
        finally:
            builder.close()
        with self._lock:
            chunks, status, found = run_wsgi_app(self._app.wsgi_app, environ, buffered=True)
        return Answer(int(status.split()[0]), dict(found.items()), b"".join(chunks))
