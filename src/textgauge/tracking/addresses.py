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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import BundleError, TrackingError
from .failures import explain, is_missing, status_of
from .mlflow_import import import_client
from .mlflow_run import local_folder
from .open import choose_destination
from .protocol import MODEL_FOLDER
from .registry import version_by_alias
from .servers import Server, server_at, using
from .servers import explain as explain_server
from .sqlite_store import LOCK_PATIENCE, asking, sqlite_path

_ADDRESS = re.compile(r"(runs|models):")
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
    if not _ADDRESS.match(text):
        folder = Path(address).expanduser()
        if folder.is_dir():
            return folder
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise BundleError(f"The model {text} {what}. Pass {_FORMS}.")
    destination = choose_destination(tracking_uri)
    if destination.server is not None:
        server = server_at(destination.server.uri)
        try:
            with using(server):
                return _Server(server).find(text)
        except (TrackingError, BundleError):
            raise
        except Exception as error:
            raise TrackingError(explain_server(error, server)) from error
    uri = destination.tracking_uri
    store = sqlite_path(uri)
    assert store is not None
    if not store.is_file():
        # MLflow would make an empty store in order to find nothing in it.
        raise TrackingError(
            f"There is no tracking store {store} to look up {text} in. Run the command in the "
            "folder where the model was trained, or pass --tracking-uri."
        )
    try:
        if match := _RUN.fullmatch(text):
            return _of_run_in(store, match.group(1), match.group(2) or MODEL_FOLDER, text)
        return _Store(uri, store).find(text)
    except (TrackingError, BundleError):
        raise
    except Exception as error:
        raise TrackingError(explain(error, uri, store)) from error


def _of_run_in(store: Path, run_id: str, path: str, address: str) -> Path:
    """The folder of a run's model, by asking SQLite: MLflow would take two seconds to import."""
    with asking(store, LOCK_PATIENCE) as connection:
        found = connection.execute(
            "SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)
        ).fetchone()
    if found is None:
        raise TrackingError(_no_run(str(store), run_id))
    return _existing(f"{found[0].rstrip('/')}/{path}", address)


def _no_run(where: str, run_id: str) -> str:
    return (
        f"{where} has no run {run_id}. Look the run up there (textgauge ui shows a local store), "
        "or name the store or server that holds it with --tracking-uri."
    )


def _existing(source: str, address: str) -> Path:
    folder = local_folder(source)
    if folder is None or not folder.is_dir():
        raise BundleError(
            f"{address} should lie in {folder or source}, but that folder does not exist. The "
            "run may have ended before it stored a model, or its files were moved or deleted."
        )
    return folder


class _Place:
    """Where runs and registered models are looked up."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def find(self, address: str) -> Path:
        """The folder of the model at `address`, on this machine."""
        if match := _RUN.fullmatch(address):
            return self._of_run(match.group(1), match.group(2) or MODEL_FOLDER, address)
        if match := _ALIAS.fullmatch(address):
            name, alias = match.groups()
            what = f"registered model {name!r} with the alias {alias!r}"
            version = self._found(lambda: version_by_alias(self._client, name, alias))
        elif match := _VERSION.fullmatch(address):
            name, number = match.groups()
            what = f"version {number!r} of a registered model {name!r}"
            version = self._found(lambda: self._client.get_model_version(name, number))
        else:
            raise BundleError(f"The model address {address} is not complete. Pass {_FORMS}.")
        if version is None:
            raise TrackingError(
                f"{self._name} has no {what}. Register one (textgauge train --register NAME), or "
                "look there for what there is."
            )
        return self._of_version(version, address)

    def _of_run(self, run_id: str, path: str, address: str) -> Path:
        run = self._found(lambda: self._client.get_run(run_id))
        if run is None:
            raise TrackingError(_no_run(self._name, run_id))
        return self._fetch(f"{run.info.artifact_uri.rstrip('/')}/{path}", address)

    def _of_version(self, version: Any, address: str) -> Path:
        raise NotImplementedError

    def _fetch(self, source: str, address: str) -> Path:
        raise NotImplementedError

    @staticmethod
    def _found(ask: Callable[[], Any]) -> Any | None:
        """What `ask()` returns; None if there is no such thing."""
        try:
            return ask()
        except Exception as error:
            # Some servers take an unknown id for a wrong one.
            if is_missing(error) or status_of(error) == 400:
                return None
            raise


class _Store(_Place):
    """A local store: what it holds is used where it lies."""

    def __init__(self, uri: str, store: Path) -> None:
        with warnings.catch_warnings():
            # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates; that is no concern of the user's.
            warnings.simplefilter("ignore")
            super().__init__(import_client()(uri), str(store))

    def _of_version(self, version: Any, address: str) -> Path:
        source = self._client.get_model_version_download_uri(version.name, version.version)
        return self.find(source) if _ADDRESS.match(source) else self._fetch(source, address)

    def _fetch(self, source: str, address: str) -> Path:
        return _existing(source, address)


class _Server(_Place):
    """A server: what it holds is downloaded."""

    def __init__(self, server: Server) -> None:
        server.log_in()
        server.reach()
        super().__init__(server.connect(), server.title)

    def _of_version(self, version: Any, address: str) -> Path:
        return self._fetch(f"models:/{version.name}/{version.version}", address)

    def _fetch(self, source: str, address: str) -> Path:
        from mlflow.artifacts import download_artifacts

        target = tempfile.mkdtemp(prefix="textgauge-model-")
        atexit.register(shutil.rmtree, target, ignore_errors=True)
        folder = Path(download_artifacts(artifact_uri=source, dst_path=target))
        if not (folder / "MLmodel").is_file():
            raise BundleError(
                f"{self._name} holds no model at {address}. The run may have ended before it "
                "stored one, or it was not sent whole: textgauge sync."
            )
        return folder
