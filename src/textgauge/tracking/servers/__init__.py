"""Tracking servers: what differs between an MLflow server, Azure ML and Databricks.

`server` draws the line: how an experiment is called there, where a run's page is, how much a
field holds, and how one gets in. Everything else (the replay, the registry) is the same for all.
"""

from __future__ import annotations

import re

from .azureml import AzureML
from .databricks import Databricks
from .mlflow_server import MlflowServer
from .server import Limits, RefusedError, Server, asking_once, explain, prepare, using

__all__ = [
    "Limits",
    "RefusedError",
    "Server",
    "asking_once",
    "explain",
    "prepare",
    "server_at",
    "using",
]


def server_at(tracking_uri: str) -> Server:
    """The server that a tracking URI names; nothing is contacted.

    Args:
        tracking_uri: `azureml://…`, `databricks`, `databricks://PROFILE`, or the address of an
            MLflow server or database.

    Raises:
        TrackingError: the address has the wrong form.

    >>> server_at("databricks://prod").experiment_name("notes")
    '/Shared/notes'
    """
    if tracking_uri.lower().startswith("azureml:"):
        return AzureML.from_uri(tracking_uri)
    if re.match(r"databricks(-uc)?(://|$)", tracking_uri):
        return Databricks.from_uri(tracking_uri)
    return MlflowServer(tracking_uri)
