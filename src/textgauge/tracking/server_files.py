"""The files of a run, and which of them a server holds as they are here."""

from __future__ import annotations

import filecmp
import tempfile
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from ..errors import TrackingError
from .failures import capital, is_conflict, is_missing, is_passing
from .journal import Entry, Journal
from .protocol import MODEL_FOLDER
from .server_run import ServerRun

_UPLOADS = 4
"""Files that are sent at the same time: a cloud takes tenths of a second to answer for each."""


def send_files(
    to: ServerRun, folder: Path, files: Iterable[str], journal: Journal, entry: Entry
) -> set[str]:
    """Send the files that the server is not known to hold, and note each in the journal.

    Gives those whose names the server has, without their bytes, and that it takes no more.

    Args:
        to: the run on the server.
        folder: the run's folder in the local store.
        files: complete ones, relative to it.
        journal: knows what was sent before.
        entry: of the run.

    """
    sent = journal.sent(entry)
    new = sorted(path for path in files if path not in sent)
    if new and to.held.files is None:
        to.held.files = _list(to, {Path(path).parent.as_posix() for path in new})
    # The last one by itself, when all others are there: what lacks it is no model to MLflow.
    last = [path for path in new if path == f"{MODEL_FOLDER}/MLmodel"]
    hollow: set[str] = set()
    for together in ([path for path in new if path not in last], last):
        with ThreadPoolExecutor(_UPLOADS) as pool:
            there = pool.map(lambda path: _send_file(to, folder, path), together)
            for path, is_there in zip(together, there, strict=True):
                if is_there:
                    journal.mark_sent(entry, [path])
                else:
                    hollow.add(path)
                to.on_progress()
    return hollow


def hollow_files(
    to: ServerRun, paths: Collection[str], folder: Path, entry: Entry
) -> TrackingError:
    """The error for files of which the server has the names and never takes the bytes."""
    names = ", ".join(sorted(paths)[:3]) + (" …" if len(paths) > 3 else "")
    return TrackingError(
        f"{capital(to.server.title)} has the name of {names} but not the bytes, and takes them no "
        f"more: the connection broke in between. All of it lies in {folder}. To have it whole "
        f"there too, delete the run {to.run_id} there and run: textgauge sync {entry.run_id}."
    )


def _send_file(to: ServerRun, folder: Path, path: str) -> bool:
    """Send a file; False if the server has its name, lacks its bytes, and takes it no more."""
    if path in (to.held.files or ()) and _compare(to, folder, path) == "same":
        return True
    place = Path(path).parent.as_posix()
    try:
        to.client.log_artifact(to.run_id, str(folder / path), "" if place == "." else place)
    except Exception as error:
        # A service that never replaces a file, and an upload whose answer got lost.
        if not is_conflict(error):
            raise
        found = _compare(to, folder, path)
        if found == "nothing":
            return to.server.fill_file(to.artifact_uri(), path, folder / path)
        if found == "another":
            where = capital(to.server.title)
            raise TrackingError(
                f"{where} holds another {path} of this run and lets nobody replace it. The one "
                f"that belongs there is {folder / path}."
            ) from error
    return True


def _compare(
    to: ServerRun, folder: Path, path: str
) -> Literal["same", "another", "nothing", "unreadable"]:
    """Whether the server's file is ours, byte for byte."""
    with tempfile.TemporaryDirectory(prefix="textgauge-") as name:
        try:
            to.artifacts().download_artifacts(path, name)
        except Exception as error:
            if is_passing(error):
                raise
            return "nothing" if is_missing(error) else "unreadable"
        copy = Path(name) / path
        if not copy.is_file():
            return "unreadable"
        return "same" if filecmp.cmp(folder / path, copy, shallow=False) else "another"


def _list(to: ServerRun, places: Iterable[str]) -> set[str]:
    """The files that the server lists in these folders, whether or not it has them whole."""
    found: set[str] = set()
    for place in sorted(places):
        try:
            listed = to.artifacts().list_artifacts(None if place == "." else place)
        except Exception as error:
            if not is_missing(error):
                raise
            continue
        found.update(each.path for each in listed if not each.is_dir)
    return found
