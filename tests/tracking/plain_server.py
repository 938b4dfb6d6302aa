"""A plain MLflow server for the tests: MLflow's own handlers, with faults and a login.

Started as `python -m tracking.plain_server` from the folder of the tests.
"""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

from standins.backend import import_server
from standins.server import StandIn, store_uri
from standins.service import Service, options, serve
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

USER = "ann"
PASSWORD = "the-password-of-ann"


class PlainServer(StandIn):
    """An MLflow server on 127.0.0.1 that keeps the artifacts itself; at first it asks no login."""

    module = "tracking.plain_server"

    @property
    def tracking_uri(self) -> str:
        return self.url

    @property
    def uri_with_password(self) -> str:
        """The address as people write it who put their login there."""
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    def ask_for_login(self, asked: bool = True) -> None:
        """Refuse with 401 who does not give name and password."""
        self.control("ask_for_login", asked=asked)

    def artifacts(self, run_id: str) -> dict[str, bytes]:
        experiment = self.run(run_id).info.experiment_id
        folder = self.folder / "artifacts" / experiment / run_id / "artifacts"
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class PlainService(Service):
    """The server's side."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        destination = folder / "artifacts"
        destination.mkdir(exist_ok=True)
        os.environ["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] = "true"
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ["_MLFLOW_SERVER_FILE_STORE"] = store_uri(folder)
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "mlflow-artifacts:/"
        os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
        os.environ["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = str(destination)
        app, handlers = import_server()
        handlers.initialize_backend_stores(
            store_uri(folder), store_uri(folder), "mlflow-artifacts:/"
        )
        self._app = app
        # One writer at a time, as SQLite has it: no request fails because of another one.
        self._one_at_a_time = threading.Lock()
        self._asks_for_login = False

    def answer(self, request: Request) -> Response:
        login = request.authorization
        known = login is not None and (login.username, login.password) == (USER, PASSWORD)
        if self._asks_for_login and not known:
            return Response("You are not authenticated.", 401)
        environ = {**request.environ, "wsgi.input": io.BytesIO(request.get_data())}
        with self._one_at_a_time:
            chunks, status, headers = run_wsgi_app(self._app.wsgi_app, environ, buffered=True)
        return Response(b"".join(chunks), status, headers)

    def login(self, request: Request) -> str:
        login = request.authorization
        return "" if login is None else login.username or login.token or ""

    def order(self, name: str, arguments: dict[str, Any]) -> Any:
        if name == "ask_for_login":
            self._asks_for_login = arguments["asked"]
            return None
        return super().order(name, arguments)

    def reset(self) -> None:
        super().reset()
        self._asks_for_login = False


def main() -> None:
    chosen = options(__doc__).parse_args()
    serve(PlainService(chosen.folder), chosen.port)


if __name__ == "__main__":
    main()
