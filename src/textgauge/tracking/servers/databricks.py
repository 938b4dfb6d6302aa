"""Databricks, through the client that is part of MLflow; models go to Unity Catalog."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from ..failures import is_passing
from .server import Limits, RefusedError, forget_clients, open_client

_PATIENCE = {
    # MLflow's own is 500 s: within it a server that is down looks like one that thinks.
    "MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT": "5",
    "TEXTGAUGE_DATABRICKS_RETRY_TIMEOUT": "3",
    "TEXTGAUGE_DATABRICKS_TIMEOUT": "30",
}
_SETTINGS = {
    "retry_timeout_seconds": "TEXTGAUGE_DATABRICKS_RETRY_TIMEOUT",
    "http_timeout_seconds": "TEXTGAUGE_DATABRICKS_TIMEOUT",
}
"""Settings of Databricks' SDK that it has no variables for, and ours."""

_PROFILE = "DATABRICKS_CONFIG_PROFILE"
_REACH_PATIENCE = 10
"""Seconds for a host to answer at all."""

_HOW_TO_LOG_IN = (
    "Set DATABRICKS_HOST and DATABRICKS_TOKEN, or run: databricks configure (for a profile of its "
    "own add --profile NAME and track to databricks://NAME)."
)


class Databricks:
    """See `Server`."""

    limits = Limits()
    registers_through_here = True
    login_help = _HOW_TO_LOG_IN
    address_help = "Check DATABRICKS_HOST."
    role_help = (
        "Ask for CAN EDIT on the experiment; to register a model also for USE CATALOG, USE SCHEMA "
        "and CREATE MODEL in Unity Catalog, and for the model's ownership to set its alias (or "
        "pass --no-alias)."
    )

    def __init__(self, profile: str = "") -> None:
        """Name a login: a profile of ~/.databrickscfg, or the environment's."""
        self._profile = profile
        self.uri = f"databricks://{profile}" if profile else "databricks"
        self.title = f"Databricks (profile {profile})" if profile else "Databricks"
        self._host = ""
        self._users_profile: str | None = None

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """`databricks` or `databricks://PROFILE`."""
        return cls(uri.partition("://")[2])

    def prepare(self, environment: MutableMapping[str, str]) -> None:
        """See `Server.prepare`."""
        for name, value in _PATIENCE.items():
            environment.setdefault(name, value)
        self._users_profile = environment.get(_PROFILE)

    def hand_over(self, environment: MutableMapping[str, str]) -> None:
        """See `Server.hand_over`: a notebook's login is known to the notebook's process only."""
        own = ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID", "DATABRICKS_CONFIG_PROFILE")
        in_notebook = "DATABRICKS_RUNTIME_VERSION" in environment
        if not in_notebook or self._profile or any(name in environment for name in own):
            return
        # Without the package or a login the child says so, in a sentence.
        with contextlib.suppress(ImportError, ValueError):
            from databricks.sdk.config import Config

            config = Config()
            token = config.authenticate().get("Authorization", "").removeprefix("Bearer ")
            if config.host and token:
                environment["DATABRICKS_HOST"] = config.host
                environment["DATABRICKS_TOKEN"] = token

    def experiment_name(self, name: str) -> str:
        """See `Server.experiment_name`: an absolute path, `/Shared/NAME` unless it is one."""
        return name if name.startswith("/") else f"/Shared/{name}"

    def model_name(self, name: str) -> str:
        """See `Server.model_name`: Unity Catalog's three levels."""
        if os.environ.get("MLFLOW_REGISTRY_URI", "").partition("://")[0] == "databricks":
            return name  # The workspace's own registry, by choice.
        if re.fullmatch(r"[^.\s/]+\.[^.\s/]+\.[^.\s/]+", name):
            return name
        raise RefusedError(
            f"Unity Catalog calls a model CATALOG.SCHEMA.NAME, not {name!r}. "
            f"Pass, for example, --register main.default.{re.sub(r'[^A-Za-z0-9_]+', '_', name)}."
        )

    def log_in(self) -> None:
        """See `Server.log_in`."""
        if find_spec("databricks") is None or find_spec("databricks.sdk") is None:
            raise RefusedError(
                "Tracking on Databricks needs the package databricks-sdk, which is not installed "
                "here. Install it: pip install 'textgauge[databricks]'."
            )
        from databricks.sdk.config import Config

        for setting in Config.attributes():
            # MLflow makes clients in many places: each would ask a host that is down for 300 s.
            setting.env = _SETTINGS.get(setting.name, setting.env)
        try:
            config = Config(profile=self._profile) if self._profile else Config()
            config.authenticate()
        except ValueError as error:  # what it raises for a login that is missing or not complete
            if is_passing(error):
                raise  # There was nobody to ask for a token.
            raise RefusedError(
                f"There is no login to {self.title}{_reason(error)}. {_HOW_TO_LOG_IN}"
            ) from error
        self._host = str(config.host).rstrip("/")
        self.title = f"Databricks at {self._host}"

    def reach(self) -> None:
        """See `Server.reach`: MLflow's client would try a host that is down for five minutes."""
        import requests

        requests.get(f"{self._host}/.well-known/databricks-config", timeout=_REACH_PATIENCE)

    def connect(self) -> Any:
        """See `Server.connect`."""
        # The client that moves a run's files is made without the profile of the address.
        profile = self._profile or self._users_profile
        if profile:
            os.environ[_PROFILE] = profile
        else:
            os.environ.pop(_PROFILE, None)
        forget_clients()
        registry = os.environ.get("MLFLOW_REGISTRY_URI") or (
            f"databricks-uc://{self._profile}" if self._profile else "databricks-uc"
        )
        return open_client(self.uri, registry)

    def run_url(self, experiment_id: str, run_id: str) -> str:
        """See `Server.run_url`."""
        return f"{self._host}/ml/experiments/{experiment_id}/runs/{run_id}"

    def fill_file(self, artifact_uri: str, path: str, file: Path) -> bool:
        """See `Server.fill_file`: names and bytes come together."""
        return False


def _reason(error: ValueError) -> str:
    """What the client says is wrong with the login, in brackets; nothing if there is none."""
    reason = " ".join(str(error).partition("Config:")[0].split()).rstrip(". ")
    return "" if "cannot configure default credentials" in reason else f" ({reason})"
