"""Where a model lies that a user names: a folder, a run's model, or a registered model.

FOLDER                    a bundle
runs:/RUN_ID/model        the model of a run
models:/NAME/VERSION      a version of a registered model
models:/NAME@ALIAS        the version that an alias points to
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ..errors import BundleError, TrackingError
from .failures import explain, public_uri
from .mlflow_run import local_folder
from .open import choose_destination
from .protocol import MODEL_FOLDER
from .sqlite_store import sqlite_path

_RUN = re.compile(r"runs:/+([^/]+)(?:/(.+?))?/*")
_VERSION = re.compile(r"models:/+([^/@]+)/([^/]+)/*")
_ALIAS = re.compile(r"models:/+([^/@]+)@([^/@]+)/*")
_FORMS = "a bundle's folder, runs:/RUN_ID/model, models:/NAME/VERSION or models:/NAME@ALIAS"


def resolve_model(address: str | Path, tracking_uri: str | None = None) -> Path:
    """The bundle's folder on this machine.

    What a local store holds is used where it lies; what a server holds is downloaded into a folder
    that is there until this process ends.

    Args:
        address: a folder or an address; the forms stand at the top of this file.
        tracking_uri: the store to look in; None as in `open_tracker`.

    Raises:
        BundleError: the folder does not exist, or the address has none of the known forms.
        TrackingError: the store has no such run or model, or cannot be read.

    """
    text = str(address)
    if not re.match(r"(runs|models):", text):
        folder = Path(address).expanduser()
        if folder.is_dir():
            return folder
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise BundleError(f"The model {text} {what}. Pass {_FORMS}.")
    uri = choose_destination(tracking_uri).tracking_uri
    store = sqlite_path(uri)
    if store is not None and not store.is_file():
        # MLflow would make an empty store in order to find nothing in it.
        raise TrackingError(
            f"There is no tracking store {store} to look up {text} in. Run the command in the "
            "folder where the model was trained, or pass --tracking-uri."
        )
    try:
        return _resolve(text, uri, store)
    except (TrackingError, BundleError):
        raise
    except Exception as error:
        raise TrackingError(explain(error, uri, store)) from error


def _resolve(address: str, uri: str, store: Path | None) -> Path:
    with warnings.catch_warnings():
        # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates; that is no concern of the user's.
        warnings.simplefilter("ignore")
        from mlflow.tracking.client import MlflowClient

        client = MlflowClient(uri)
    where = public_uri(uri) if store is None else str(store)
    if match := _RUN.fullmatch(address):
        run_id, path = match.group(1), match.group(2) or MODEL_FOLDER
        artifact_uri = _run_artifacts(client, run_id, where)
        return _fetch(f"{artifact_uri.rstrip('/')}/{path}", address, uri)
    if match := _ALIAS.fullmatch(address):
        version = _found(
            lambda: client.get_model_version_by_alias(*match.groups()),
            f"{where} has no registered model {match.group(1)!r} with the alias "
            f"{match.group(2)!r}. Register one (textgauge register RUN NAME) or look with "
            "textgauge ui.",
        )
    elif match := _VERSION.fullmatch(address):
        version = _found(
            lambda: client.get_model_version(*match.groups()),
            f"{where} has no version {match.group(2)!r} of a registered model "
            f"{match.group(1)!r}. Register one (textgauge register RUN NAME) or look with "
            "textgauge ui.",
        )
    else:
        raise BundleError(f"The model address {address} is not complete. Pass {_FORMS}.")
    source = client.get_model_version_download_uri(version.name, version.version)
    return _fetch(source, address, uri)


def _run_artifacts(client: Any, run_id: str, where: str) -> str:
    run = _found(
        lambda: client.get_run(run_id),
        f"{where} has no run {run_id}. Look the run up with textgauge ui, or name the store that "
        "holds it with --tracking-uri.",
    )
    return str(run.info.artifact_uri)


def _fetch(source: str, address: str, uri: str) -> Path:
    """The folder that `source` names, downloaded unless it is on this machine."""
    if re.match(r"(runs|models):", source):
        return _resolve(source, uri, sqlite_path(uri))
    folder = local_folder(source)
    if folder is None:
        from mlflow.artifacts import download_artifacts

        target = tempfile.mkdtemp(prefix="textgauge-model-")
        atexit.register(shutil.rmtree, target, ignore_errors=True)
        return Path(download_artifacts(artifact_uri=source, dst_path=target, tracking_uri=uri))
    if not folder.is_dir():
        raise BundleError(
            f"{address} should lie in {folder}, but that folder does not exist. The run may have "
            "ended before it stored a model, or its files were moved or deleted."
        )
    return folder


def _found(ask: Any, otherwise: str) -> Any:
    """What `ask()` returns; TrackingError(`otherwise`) if MLflow knows no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise TrackingError(otherwise) from error
        raise
