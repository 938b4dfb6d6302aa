"""Chooses the store or server that a run goes to, and the tracker that writes there."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import TrackingError, as_utf8
from .inherited import active_run, foreign_variables, injected_run
from .journal import Journal
from .local import LocalTracker
from .protocol import DEFAULT_EXPERIMENT, Destination, Registration, ServerAddress, Tracker
from .servers import server_at
from .sqlite_store import sqlite_path, sqlite_uri

DEFAULT_STORE = "mlflow.db"


def open_tracker(
    tracking_uri: str | None = None,
    experiment: str | None = None,
    *,
    run_id: str | None = None,
    store: Path | str | None = None,
    registration: Registration | None = None,
) -> Tracker:
    """Start tracking; returns at once.

    What is wrong with the store or the server is told by the tracker's `failure`, `preflight`,
    `ready` and `end`.

    Args:
        tracking_uri: `sqlite:///PATH`, the `http(s)` address of an MLflow server, `azureml://…`,
            `databricks` or `databricks://PROFILE`. None: an active run's, `MLFLOW_TRACKING_URI`,
            else the local store.
        experiment: None: `MLFLOW_EXPERIMENT_NAME`, else `textgauge`.
        run_id: an interrupted run of ours to go on with, in its own experiment; its id in the
            local store (see `interrupted_run`).
        store: file of the local store, which is also the journal of runs for a server. None:
            `TEXTGAUGE_STORE`, else `mlflow.db` in the working folder.
        registration: how the model shall be registered.

    Raises:
        TrackingError: the address is of a kind that cannot be tracked to, or the model's name of
            one that cannot be registered there.

    """
    return LocalTracker(
        choose_destination(
            tracking_uri, experiment, run_id=run_id, store=store, registration=registration
        )
    )


def choose_destination(
    tracking_uri: str | None = None,
    experiment: str | None = None,
    *,
    run_id: str | None = None,
    store: Path | str | None = None,
    registration: Registration | None = None,
) -> Destination:
    """Where a run with these options goes; see `open_tracker`. Local addresses become absolute."""
    active = active_run() if tracking_uri is None and run_id is None else None
    theirs, uri = active or (None, tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"))
    uri = check_address(uri) if uri else local_store_uri(store)
    if theirs is None and run_id is None:
        theirs = injected_run(uri)
    given = None if "MLFLOW_EXPERIMENT_NAME" in foreign_variables(uri) else "MLFLOW_EXPERIMENT_NAME"
    name = experiment or os.environ.get(given or "") or DEFAULT_EXPERIMENT
    if sqlite_path(uri) is not None:
        return Destination(
            uri, name, run_id or theirs, keep_open=theirs is not None, registration=registration
        )
    if registration is not None:
        server_at(uri).model_name(registration.name)  # told now, not after the training
    return Destination(
        local_store_uri(store),
        name,
        run_id,
        server=ServerAddress(uri, theirs),
        registration=registration,
    )


def interrupted_run(
    run_id: str, tracking_uri: str | None = None, store: Path | str | None = None
) -> tuple[str, str | None]:
    """A run's id in the local store, and where it is meant to go, if the journal knows it.

    Args:
        run_id: in the store or on its server.
        tracking_uri: where it shall go; None: where it was meant to go.
        store: as in `open_tracker`.

    """
    path = sqlite_path(tracking_uri or "") or sqlite_path(local_store_uri(store))
    if path is None or not path.is_file():
        return run_id, tracking_uri
    entry = Journal(path).find(run_id)
    return (entry.run_id, tracking_uri or entry.uri) if entry else (run_id, tracking_uri)


def local_store_uri(store: Path | str | None = None) -> str:
    """The local store's absolute address: `store`, else `TEXTGAUGE_STORE`, else `mlflow.db`."""
    chosen = str(store or os.environ.get("TEXTGAUGE_STORE") or DEFAULT_STORE)
    path = sqlite_path(chosen) or Path(chosen).expanduser()
    return _of_store(path)


def _of_store(path: Path) -> str:
    uri = sqlite_uri(path)
    if as_utf8(uri) != uri:  # MLflow writes into the store where its files lie.
        raise TrackingError(
            f"the runs would lie at {as_utf8(uri)}, a name with letters that are no UTF-8, which "
            "MLflow cannot keep. Rename the folder, or pass another place with --tracking-uri "
            "sqlite:////PATH/mlflow.db."
        )
    return uri


def local_store_of_environment() -> str:
    """The store that `MLFLOW_TRACKING_URI` names, or the journal where it names a server."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    path = sqlite_path(given)
    return local_store_uri() if path is None else sqlite_uri(path)


def check_address(uri: str) -> str:
    """`uri` made absolute. Raises TrackingError for kinds of addresses that are not supported."""
    path = sqlite_path(uri)
    if path is not None:
        return _of_store(path)
    scheme = uri.partition(":")[0].lower()
    if scheme == "sqlite":
        raise TrackingError(f"{uri} names no file. Pass a path, such as sqlite:///mlflow.db.")
    if scheme == "azureml":
        return server_at(uri).uri
    if scheme in ("databricks", "databricks-uc"):
        return uri.replace("databricks-uc", "databricks")
    if scheme == "file" or "://" not in uri:
        raise TrackingError(
            f"MLflow no longer tracks into plain folders ({uri}). Pass a store file, such as "
            "--tracking-uri sqlite:///mlflow.db, or a server's http address."
        )
    return uri
