"""An MLflow server over http(s), or a database that MLflow opens itself."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from ..failures import public_uri
from ..ui import run_url
from .server import Limits, open_client


class MlflowServer:
    """See `Server`. Name and password, if any, are read from MLFLOW_TRACKING_* by MLflow."""

    limits = Limits()
    registers_through_here = False
    login_help = (
        "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
    )
    address_help = "Check the address: it has to be that of an MLflow server."
    role_help = "Ask whoever runs it for the right to edit the experiment."

    def __init__(self, uri: str) -> None:
        self._address = uri
        self.uri = public_uri(uri)
        self.title = f"the tracking server {self.uri}"

    def prepare(self, environment: MutableMapping[str, str]) -> None:
        """See `Server.prepare`."""

    def hand_over(self, environment: MutableMapping[str, str]) -> None:
        """See `Server.hand_over`: a child finds the same login."""

    def experiment_name(self, name: str) -> str:
        """See `Server.experiment_name`."""
        return name

    def model_name(self, name: str) -> str:
        """See `Server.model_name`."""
        return name

    def log_in(self) -> None:
        """See `Server.log_in`: MLflow sends name and password with each request."""

    def reach(self) -> None:
        """See `Server.reach`: its client notices soon enough."""

    def connect(self) -> Any:
        """See `Server.connect`."""
        return open_client(self._address, self._address)

    def run_url(self, experiment_id: str, run_id: str) -> str:
        """See `Server.run_url`."""
        return run_url(self.uri, experiment_id, run_id)

    def fill_file(self, artifact_uri: str, path: str, file: Path) -> bool:
        """See `Server.fill_file`: names and bytes come together."""
        return False
