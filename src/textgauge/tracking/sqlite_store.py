"""The local store as a file: where it is, and whether it can be written, without MLflow.

MLflow retries an unusable store for minutes and reports it in pages of SQLAlchemy. Asking SQLite
first takes milliseconds and gives a plain answer before two seconds of imports are spent.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote

from ..errors import TrackingError

LOCK_PATIENCE = 10.0
"""Seconds to wait for another process that is writing to the store."""

_PREFIX = "sqlite:///"
_MAGIC = b"SQLite format 3\x00"


def sqlite_path(tracking_uri: str) -> Path | None:
    """The absolute path of the file that `tracking_uri` names, or None if it names no file.

    MLflow percent-encodes such paths in some places and not in others; both are understood.

    >>> sqlite_path("sqlite:////data/mlflow.db")
    PosixPath('/data/mlflow.db')
    >>> sqlite_path("https://mlflow.example") is None
    True
    """
    if not tracking_uri.startswith(_PREFIX):
        return None
    text = tracking_uri.removeprefix(_PREFIX).partition("?")[0]
    if text in ("", ":memory:"):
        return None
    path = Path(text).absolute()
    if "%" in text and not path.parent.exists():
        return Path(unquote(text)).absolute()
    return path


def sqlite_uri(path: Path) -> str:
    """The tracking URI of a store file, absolute.

    >>> sqlite_uri(Path("/data/mlflow.db"))
    'sqlite:////data/mlflow.db'
    """
    return f"{_PREFIX}{path.absolute()}"


def artifact_root(store: Path) -> Path:
    """The folder of the artifacts of all runs in `store`: `mlruns` beside the file."""
    return store.parent / "mlruns"


def check_writable(store: Path, patience: float = LOCK_PATIENCE) -> None:
    """Return if `store` can be written, or created, now.

    A lock that another process holds is waited for, `patience` seconds at most. Nothing is left
    behind or changed. Raises TrackingError with one sentence that says what to do.
    """
    if store.is_dir():
        raise TrackingError(f"The tracking store {store} is a folder. {_elsewhere(store)}")
    if not store.parent.is_dir():
        raise TrackingError(
            f"There is no folder {store.parent} for the tracking store {store.name}. "
            f"Make it (mkdir -p '{store.parent}') or pass another --tracking-uri."
        )
    artifacts = artifact_root(store)
    for folder in (store.parent, artifacts) if artifacts.exists() else (store.parent,):
        _check_folder(folder)
    if store.exists():
        _check_file(store, patience)


def wait_until_unlocked(store: Path, patience: float = LOCK_PATIENCE) -> None:
    """Return as soon as no other process is writing to the existing `store`.

    Raises TrackingError after `patience` seconds, or if the store is gone or cannot be written.
    """
    with asking(store, patience) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def explain_sqlite(message: str, store: Path, patience: float = LOCK_PATIENCE) -> str | None:
    """SQLite's `message` about `store` as a sentence that says what to do; None if it is new."""
    low = message.lower()
    where = f"The tracking store {store}"
    if "locked" in low:
        return (
            f"{where} is locked: another process has been writing to it for more than "
            f"{patience:.0f} s. Close that process (a database browser, a stuck run) or "
            f"{_elsewhere(store, lower=True)}"
        )
    if "readonly" in low or "read-only" in low:
        return (
            f"{where} is read-only. Give yourself the right to write it (chmod u+w '{store}') or "
            f"{_elsewhere(store, lower=True)}"
        )
    if "disk is full" in low:
        return (
            f"There is no space left on the disk that holds the tracking store {store}. "
            "Free some space and run the command again."
        )
    if "not a database" in low or "malformed" in low:
        return (
            f"{where} is not an MLflow store: the file is no SQLite database, or a damaged one. "
            f"{_elsewhere(store)}"
        )
    if "unable to open" in low or "disk i/o" in low:
        return (
            f"{where} cannot be opened for writing. Check the rights on the file and on the folder "
            f"{store.parent}, or {_elsewhere(store, lower=True)}"
        )
    return None


def _check_folder(folder: Path) -> None:
    try:
        # os.access says yes to root whatever the file system says; only trying is reliable.
        handle, name = tempfile.mkstemp(prefix=".textgauge-", dir=folder)
    except OSError as error:
        raise TrackingError(
            f"Nothing can be written to the folder {folder} of the tracking store "
            f"({error.strerror}). Change the folder's rights, or pass --tracking-uri "
            "sqlite:///PATH with a path in a folder of your own."
        ) from error
    os.close(handle)
    Path(name).unlink()


def _check_file(store: Path, patience: float) -> None:
    try:
        with store.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise TrackingError(
            f"The tracking store {store} cannot be read ({error.strerror}). {_elsewhere(store)}"
        ) from error
    if head and head != _MAGIC:
        raise TrackingError(str(explain_sqlite("file is not a database", store)))
    with asking(store, patience) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master")  # fails on a damaged file
        # Changing page 1 and taking it back proves all that a write needs: the lock, the right to
        # write the file, and the right to put a journal beside it.
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {int(version)}")
        connection.execute("ROLLBACK")


@contextmanager
def asking(store: Path, patience: float) -> Iterator[sqlite3.Connection]:
    """A connection to an existing store; what SQLite raises becomes a TrackingError.

    Every statement is a transaction of its own unless the caller begins one.
    """
    try:
        # mode=rw: a plain connection would make a file that is not there.
        with closing(
            sqlite3.connect(
                f"{store.as_uri()}?mode=rw", uri=True, timeout=patience, isolation_level=None
            )
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        sentence = explain_sqlite(str(error), store, patience)
        raise TrackingError(
            sentence or f"The tracking store {store} cannot be used: {error}. {_elsewhere(store)}"
        ) from error


def _elsewhere(store: Path, *, lower: bool = False) -> str:
    """The way out that always works."""
    other = store.with_name("other.db")
    text = f"Pass another store, such as --tracking-uri {sqlite_uri(other)}."
    return text[0].lower() + text[1:] if lower else text
