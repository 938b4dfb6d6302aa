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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import BundleError, TextgaugeError, TrackingError
from .failures import explain, is_missing, status_of
from .journal import Journal
from .mlflow_import import import_client
from .mlflow_run import local_folder
from .open import choose_destination, local_store_uri
from .protocol import MODEL_FOLDER, Destination
from .registry import version_by_alias
from .servers import Server, server_at, using
from .servers import explain as explain_server
from .sqlite_store import LOCK_PATIENCE, asking, sqlite_path, sqlite_uri

_ADDRESS = re.compile(r"(runs|models):")
_ID = re.compile(r"[0-9A-Za-z_-]+")
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
    match = _RUN.fullmatch(text)
    destination = choose_destination(tracking_uri)
    if match and destination.server is None:
        store = _store_file(destination, text)
        try:
            return _of_run_in(store, match.group(1), match.group(2) or MODEL_FOLDER, text)
        except (TrackingError, BundleError):
            raise
        except Exception as error:
            raise TrackingError(explain(error, destination.tracking_uri, store)) from error
    with place_at(tracking_uri, text) as place:
        return place.find(text)


def pin_model(address: str | Path, tracking_uri: str | None = None) -> tuple[str, str | None]:
    """The address that names the same model tomorrow, and the version of a registered model.

    An alias moves; what it points to now is `models:/NAME/VERSION`. Other addresses stay as they
    are, and the version of a folder or a run is None.

    Raises:
        TrackingError: the store has no such model or alias, or cannot be read.

    """
    text = str(address)
    if match := _VERSION.fullmatch(text):
        return text, match.group(2)
    match = _ALIAS.fullmatch(text)
    if match is None:
        return text, None
    name, alias = match.groups()
    with place_at(tracking_uri, text) as place:
        version = str(place.aliased(name, alias).version)
    return f"models:/{name}/{version}", version


@contextmanager
def place_at(tracking_uri: str | None, wanted: str) -> Iterator[Place]:
    """The store or server that holds runs and registered models, logged in to, while it is used.

    Args:
        tracking_uri: None as in `open_tracker`.
        wanted: what is looked up there, for the message where no store is.

    Raises:
        TrackingError: there is no such store, or it or the server failed while it was used.

    """
    destination = choose_destination(tracking_uri)
    if destination.server is not None:
        server = server_at(destination.server.uri)
        try:
            with using(server):
                yield _Server(server)
        except TextgaugeError:
            raise
        except Exception as error:
            raise TrackingError(explain_server(error, server)) from error
        return
    store = _store_file(destination, wanted)
    try:
        yield _Store(destination.tracking_uri, store)
    except TextgaugeError:
        raise
    except Exception as error:
        raise TrackingError(explain(error, destination.tracking_uri, store)) from error


def _store_file(destination: Destination, wanted: str) -> Path:
    store = sqlite_path(destination.tracking_uri)
    assert store is not None
    if not store.is_file():
        # MLflow would make an empty store in order to find nothing in it.
        raise TrackingError(
            f"There is no tracking store {store} to look up {wanted} in. Run the command in the "
            "folder where the model was trained, or pass --tracking-uri."
        )
    return store


def model_of_run(run: str | Path, tracking_uri: str | None = None) -> Path:
    """The folder of a run's model on this machine.

    A run that was meant for a server is looked up in the local store first, by either of its ids:
    all of it is there.

    Args:
        run: a run's id; or a folder or an address, as `resolve_model` takes them.
        tracking_uri: the store or server to look in; None as in `open_tracker`.

    Raises:
        BundleError: the run has no model, or there is no such folder.
        TrackingError: there is no such run, or the store cannot be read.

    """
    text = str(run)
    if not _ID.fullmatch(text) or Path(text).is_dir():
        return resolve_model(run, tracking_uri)
    store = sqlite_path(tracking_uri or "") or sqlite_path(local_store_uri())
    entry = Journal(store).find(text) if store is not None and store.is_file() else None
    if entry is not None and store is not None:
        return resolve_model(f"runs:/{entry.run_id}/{MODEL_FOLDER}", sqlite_uri(store))
    return resolve_model(f"runs:/{text}/{MODEL_FOLDER}", tracking_uri)


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


class Place:
    """Where runs and registered models are looked up.

    Attributes:
        client: an `MlflowClient` for it and its registry.
        name: what it is called in messages.

    """

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name

    def model_name(self, name: str) -> str:
        """What the registered model `name` is called there. Raises TrackingError."""
        return name

    def run(self, run_id: str) -> Any:
        """The run. Raises TrackingError where there is none."""
        found = self.asked(lambda: self.client.get_run(run_id))
        if found is None:
            raise TrackingError(_no_run(self.name, run_id))
        return found

    def fetch(self, source: str, address: str) -> Path:
        """The folder at `source` on this machine; `address` is what a user calls it."""
        raise NotImplementedError

    def find(self, address: str) -> Path:
        """The folder of the model at `address`, on this machine."""
        if match := _RUN.fullmatch(address):
            return self._of_run(match.group(1), match.group(2) or MODEL_FOLDER, address)
        if match := _ALIAS.fullmatch(address):
            version = self.aliased(*match.groups())
        elif match := _VERSION.fullmatch(address):
            name, number = match.groups()
            version = self.asked(lambda: self.client.get_model_version(name, number))
            if version is None:
                raise self._missing(f"version {number!r} of a registered model {name!r}")
        else:
            raise BundleError(f"The model address {address} is not complete. Pass {_FORMS}.")
        return self._of_version(version, address)

    def aliased(self, name: str, alias: str) -> Any:
        """The version that an alias of a registered model points to. Raises TrackingError."""
        version = self.asked(lambda: version_by_alias(self.client, name, alias))
        if version is None:
            raise self._missing(f"registered model {name!r} with the alias {alias!r}")
        return version

    def _missing(self, what: str) -> TrackingError:
        return TrackingError(
            f"{self.name} has no {what}. Register one (textgauge train --register NAME), or "
            "look there for what there is."
        )

    def _of_run(self, run_id: str, path: str, address: str) -> Path:
        run = self.run(run_id)
        return self.fetch(f"{run.info.artifact_uri.rstrip('/')}/{path}", address)

    def _of_version(self, version: Any, address: str) -> Path:
        raise NotImplementedError

    @staticmethod
    def asked(ask: Callable[[], Any]) -> Any | None:
        """What `ask()` returns; None if there is no such thing."""
        try:
            return ask()
        except Exception as error:
            # Some servers take an unknown id for a wrong one.
            if is_missing(error) or status_of(error) == 400:
                return None
            raise


class _Store(Place):
    """A local store: what it holds is used where it lies."""

    def __init__(self, uri: str, store: Path) -> None:
        with warnings.catch_warnings():
            # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates; that is no concern of the user's.
            warnings.simplefilter("ignore")
            super().__init__(import_client()(uri), str(store))

    def _of_version(self, version: Any, address: str) -> Path:
        source = self.client.get_model_version_download_uri(version.name, version.version)
        return self.find(source) if _ADDRESS.match(source) else self.fetch(source, address)

    def fetch(self, source: str, address: str) -> Path:
        """See `Place.fetch`."""
        return _existing(source, address)


class _Server(Place):
    """A server: what it holds is downloaded."""

    def __init__(self, server: Server) -> None:
        server.log_in()
        server.reach()
        super().__init__(server.connect(), server.title)
        self._server = server

    def model_name(self, name: str) -> str:
        """See `Place.model_name`."""
        return self._server.model_name(name)

    def _of_version(self, version: Any, address: str) -> Path:
        return self.fetch(f"models:/{version.name}/{version.version}", address)

    def fetch(self, source: str, address: str) -> Path:
        """See `Place.fetch`."""
        from mlflow.artifacts import download_artifacts

        target = tempfile.mkdtemp(prefix="textgauge-model-")
        atexit.register(shutil.rmtree, target, ignore_errors=True)
        folder = Path(download_artifacts(artifact_uri=source, dst_path=target))
        if not (folder / "MLmodel").is_file():
            raise BundleError(
                f"{self.name} holds no model at {address}. The run may have ended before it "
                "stored one, or it was not sent whole: textgauge sync."
            )
        return folder
