"""What was there before us: a run that the user opened, or variables that a job was given.

An active run is written into if it is meant for the place that we write to, and never ended. The
variables of an Azure ML job name that job's own run and hold a token for it; a command in the job
that tracks elsewhere must neither look for that run there nor send that token there.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from ..errors import TrackingError
from .servers import server_at
from .sqlite_store import sqlite_path

RUN_TAG = "textgauge.run_id"
"""On every run: its id in the local store. By it a run is found again on a server."""

PARENT_TAG = "mlflow.parentRunId"
"""MLflow's own: the run that a run stands below, by its id where both are."""

_OF_A_JOB = (
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
)


def active_run() -> tuple[str, str] | None:
    """The run that the user has opened in this process and its tracking URI, if there is one."""
    mlflow = sys.modules.get("mlflow")
    if mlflow is None:
        return None
    ask = getattr(mlflow, "active_run", None)  # absent while another thread imports mlflow
    run = ask() if ask is not None else None
    return None if run is None else (run.info.run_id, mlflow.get_tracking_uri())


def injected_run(uri: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The run that whoever started this process opened for it at `uri`, if there is one.

    A run id alone says nothing: only together with the address of its store is it a run.
    """
    run_id, given = environ.get("MLFLOW_RUN_ID"), environ.get("MLFLOW_TRACKING_URI")
    return run_id if run_id and given and same_place(given, uri) else None


def foreign_variables(uri: str, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Variables of an Azure ML job that are not meant for tracking to `uri`."""
    if "AZUREML_RUN_ID" not in environ or same_place(environ.get("MLFLOW_TRACKING_URI", ""), uri):
        return ()
    return tuple(name for name in _OF_A_JOB if name in environ)


def same_place(one: str, other: str) -> bool:
    """Whether two tracking URIs name the same store or server.

    >>> same_place("http://127.0.0.1:5000/", "http://127.0.0.1:5000")
    True
    """
    if not one or not other:
        return False
    if sqlite_path(one) is not None or sqlite_path(other) is not None:
        return sqlite_path(one) == sqlite_path(other)
    if one.lower().startswith("azureml:") and other.lower().startswith("azureml:"):
        # The same workspace has several hosts, and an address may lack it.
        return _workspace(one) == _workspace(other)
    return one.rstrip("/") == other.rstrip("/")


def _workspace(uri: str) -> str:
    with contextlib.suppress(TrackingError):
        return server_at(uri).uri.partition("/subscriptions/")[2].lower()
    return uri  # A variable that names no workspace is told where it is used, not here.


def may_write_into(run: Any, own_run_id: str | None = None) -> bool:
    """Whether an inherited run is ours already, or open and no other training's.

    Args:
        run: of MLflow.
        own_run_id: the local id of the run that is sent there, if one is.

    """
    writer = run.data.tags.get(RUN_TAG)
    if writer is not None:
        return bool(writer == own_run_id)
    return bool(run.info.status == "RUNNING" and run.info.lifecycle_stage == "active")
