"""Chooses the store or server that a run goes to, and the tracker that writes there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import TrackingError
from .failures import public_uri
from .local import LocalTracker
from .protocol import DEFAULT_EXPERIMENT, Destination, Tracker
from .sqlite_store import sqlite_path, sqlite_uri

DEFAULT_STORE = "mlflow.db"

_NOT_YET = {
    "azureml": "Azure Machine Learning workspaces",
    "databricks": "Databricks workspaces",
    "databricks-uc": "Databricks workspaces",
}


def open_tracker(
    tracking_uri: str | None = None,
    experiment: str | None = None,
    *,
    run_id: str | None = None,
    store: Path | str | None = None,
) -> Tracker:
    """Start tracking; returns at once.

    What is wrong with the store is told by the tracker's `failure`, `ready` and `end`.

    Args:
        tracking_uri: `sqlite:///PATH` or another database's URI, or the `http(s)` address of an
            MLflow server. None: an active run's, `MLFLOW_TRACKING_URI`, else the local store.
        experiment: None: `MLFLOW_EXPERIMENT_NAME`, else `textgauge`.
        run_id: an interrupted run of ours to go on with, in its own experiment.
        store: file of the local store. None: `TEXTGAUGE_STORE`, else `mlflow.db` in the working
            folder.

    Raises:
        TrackingError: the address is of a kind that cannot be tracked to.

    """
    return LocalTracker(choose_destination(tracking_uri, experiment, run_id=run_id, store=store))


def choose_destination(
    tracking_uri: str | None = None,
    experiment: str | None = None,
    *,
    run_id: str | None = None,
    store: Path | str | None = None,
) -> Destination:
    """Where a run with these options goes; see `open_tracker`. Local addresses become absolute."""
    name = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT
    active = _active_run() if tracking_uri is None and run_id is None else None
    if active is not None:
        active_id, uri = active
        return Destination(_checked(uri), name, run_id=active_id, keep_open=True)
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or local_store_uri(store)
    return Destination(_checked(uri), name, run_id=run_id)


def local_store_uri(store: Path | str | None = None) -> str:
    """The local store's absolute address: `store`, else `TEXTGAUGE_STORE`, else `mlflow.db`."""
    chosen = str(store or os.environ.get("TEXTGAUGE_STORE") or DEFAULT_STORE)
    path = sqlite_path(chosen) or Path(chosen).expanduser()
    return sqlite_uri(path)


def _checked(uri: str) -> str:
    """`uri` made absolute. Raises TrackingError for kinds of addresses that are not supported."""
    path = sqlite_path(uri)
    if path is not None:
        return sqlite_uri(path)
    scheme = uri.partition(":")[0].lower()
    if scheme == "sqlite":
        raise TrackingError(f"{uri} names no file. Pass a path, such as sqlite:///mlflow.db.")
    if scheme in _NOT_YET:
        raise TrackingError(
            f"Tracking in {_NOT_YET[scheme]} ({public_uri(uri)}) is not supported yet. "
            "Leave --tracking-uri out (and unset MLFLOW_TRACKING_URI) to track locally."
        )
    if scheme == "file" or "://" not in uri:
        raise TrackingError(
            f"MLflow no longer tracks into plain folders ({uri}). Pass a store file, such as "
            "--tracking-uri sqlite:///mlflow.db, or a server's http address."
        )
    return uri


def _active_run() -> tuple[str, str] | None:
    """The run that the user has opened in this process and its tracking URI, if there is one."""
    mlflow = sys.modules.get("mlflow")
    if mlflow is None:
        return None
    active_run = getattr(mlflow, "active_run", None)  # absent while another thread imports mlflow
    run = active_run() if active_run is not None else None
    return None if run is None else (run.info.run_id, mlflow.get_tracking_uri())
