"""Databricks, through the client that is part of MLflow; models go to Unity Catalog."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import MutableMapping
from importlib.util import find_spec
from typing import Any, Self

from .server import Limits, RefusedError, open_client

_RETRIES_END = "MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT"
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
    role_help = "Ask for CAN EDIT on the experiment (and CREATE MODEL on the schema for models)."

    def __init__(self, profile: str = "") -> None:
        """Name a login: a profile of ~/.databrickscfg, or the environment's."""
        self._profile = profile
        self.uri = f"databricks://{profile}" if profile else "databricks"
        self.title = f"Databricks (profile {profile})" if profile else "Databricks"
        self._host = ""

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """`databricks` or `databricks://PROFILE`."""
        return cls(uri.partition("://")[2])

    def prepare(self, environment: MutableMapping[str, str]) -> None:
        """See `Server.prepare`."""
        # MLflow's own is 500 s: within it a server that is down looks like one that thinks.
        environment.setdefault(_RETRIES_END, "10")

    def hand_over(self, environment: MutableMapping[str, str]) -> None:
        """See `Server.hand_over`: a notebook's login is known to the notebook's process only."""
        own = ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID", "DATABRICKS_CONFIG_PROFILE")
        in_notebook = "DATABRICKS_RUNTIME_VERSION" in environment
        if not in_notebook or self._profile or any(name in environment for name in own):
            return
        from databricks.sdk.config import Config

        # Without a login the child says so, in a sentence.
        with contextlib.suppress(ValueError):
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

        try:
            config = Config(profile=self._profile) if self._profile else Config()
            config.authenticate()
        except ValueError as error:  # what it raises for a login that is missing or not complete
            reason = " ".join(str(error).partition("Config:")[0].split()).rstrip(". ")
            raise RefusedError(
                f"There is no login to {self.title} ({reason}). {_HOW_TO_LOG_IN}"
            ) from error
        self._host = str(config.host).rstrip("/")
        self.title = f"Databricks at {self._host}"

    def connect(self) -> Any:
        """See `Server.connect`."""
        registry = os.environ.get("MLFLOW_REGISTRY_URI") or (
            f"databricks-uc://{self._profile}" if self._profile else "databricks-uc"
        )
        return open_client(self.uri, registry)

    def run_url(self, experiment_id: str, run_id: str) -> str:
        """See `Server.run_url`."""
        return f"{self._host}/ml/experiments/{experiment_id}/runs/{run_id}"
