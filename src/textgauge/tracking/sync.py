"""`textgauge sync`: sends to their servers what the local store holds and they lack.

Each run is replayed (see `replay`) as a whole: it can be cut off anywhere and run again.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import TrackingError
from .failures import is_passing
from .journal import Entry, Journal, lock_run, release_run
from .mlflow_import import import_client
from .mlflow_run import ENDED_TAG, complete_files, local_folder
from .open import check_address, local_store_uri
from .replay import BEYOND_LIMITS, Replay
from .servers import Server, explain, server_at, using
from .sqlite_store import check_writable, sqlite_path

_WAITS = (0.0, 1.0, 4.0, 10.0)
"""Seconds before each attempt at a run whose server is down, slow or busy."""


@dataclass(frozen=True)
class Synced:
    """What came of one run: `problem` is why its server still lacks something, or None."""

    run_id: str
    tracking_uri: str
    server_run_id: str | None
    run_url: str | None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def sync(
    runs: Sequence[str] = (),
    *,
    to: str | None = None,
    store: Path | str | None = None,
    on_begin: Callable[[str, str], None] = lambda run_id, title: None,
    on_note: Callable[[str], None] = lambda text: None,
) -> list[Synced]:
    """Replay runs of the local store to their servers, oldest first.

    Args:
        runs: ids, in the store or on the server; none: all that servers may still lack.
        to: another server's address: all finished runs of the store go there, or `runs`.
        store: file of the local store; None as in `open_tracker`.
        on_begin: told the run's id and the server before each run.
        on_note: told what else is worth knowing.

    Raises:
        TrackingError: a run is not in the store, or the store cannot be used.

    """
    path = sqlite_path(local_store_uri(store))
    if path is None or not path.is_file():
        if runs or to:
            raise TrackingError(
                f"There is no tracking store {path}. Run the command in the folder where the model "
                "was trained, or name the store with TEXTGAUGE_STORE."
            )
        return []
    check_writable(path)
    journal = Journal(path)
    entries = _chosen(journal, runs, to)
    if not entries:
        return []
    servers = {uri: server_at(uri) for uri in dict.fromkeys(entry.uri for entry in entries)}
    client = _store_client(path)
    done: list[Synced] = []
    unreachable: dict[str, str] = {}
    for entry in entries:
        on_begin(entry.run_id, servers[entry.uri].title)
        if entry.uri in unreachable:
            done.append(_left(entry, unreachable[entry.uri]))
        elif not lock_run(path, entry.run_id):
            done.append(
                _left(entry, "its training is still running, or another sync is sending it")
            )
        else:
            try:
                with using(servers[entry.uri]):
                    result, down = _sync_one(client, journal, entry, servers[entry.uri], on_note)
            finally:
                release_run(path, entry.run_id)
            done.append(result)
            if down and result.problem:
                unreachable[entry.uri] = result.problem
    return done


def refused(store: Path | str | None = None) -> list[Synced]:
    """The runs that their servers refused, which `sync` leaves out unless they are named."""
    path = sqlite_path(local_store_uri(store))
    if path is None or not path.is_file():
        return []
    entries = Journal(path).refused_entries()
    return [_left(entry, entry.problem or "its server refused it") for entry in entries]


def _chosen(journal: Journal, runs: Sequence[str], to: str | None) -> list[Entry]:
    """The entries to work on; those for another server are made."""
    if to is None:
        if not runs:
            return journal.open_entries()
        journal.open_entries()  # Enters those that were lost.
        return [_known(journal, run) for run in runs]
    uri = server_at(check_address(to)).uri
    if sqlite_path(uri) is not None:
        raise TrackingError(f"{to} is a local store. Name a server with --to, or copy the file.")
    everything = dict(journal.runs())
    wanted = [_local_id(journal, run, everything) for run in runs] or list(everything)
    entries = [
        journal.find(run_id, uri) or Entry(run_id, uri, everything[run_id]) for run_id in wanted
    ]
    return [entry for entry in entries if entry.state != "done"]


def _known(journal: Journal, run: str) -> Entry:
    entry = journal.find(run)
    if entry is None:
        _local_id(journal, run, dict(journal.runs()))
        raise TrackingError(
            f"No server is noted for the run {run}. Name one: textgauge sync {run} --to URI."
        )
    return entry


def _local_id(journal: Journal, run: str, everything: dict[str, str]) -> str:
    entry = journal.find(run)
    run_id = entry.run_id if entry else run
    if run_id not in everything:
        raise TrackingError(f"The store has no run {run}. Look it up with textgauge ui.")
    return run_id


def _sync_one(
    client: Any,
    journal: Journal,
    entry: Entry,
    server: Server,
    on_note: Callable[[str], None],
) -> tuple[Synced, bool]:
    """Replay one run; gives what came of it, and whether the server could not be reached."""
    _end_if_killed(client, entry.run_id)
    entry = journal.write(entry)
    replay = Replay(client, journal, entry, server, on_note=on_note)
    folder = local_folder(client.get_run(entry.run_id).info.artifact_uri)
    files = {
        path
        for path in (complete_files(folder) if folder is not None else ())
        if not path.startswith(f"{BEYOND_LIMITS}/")
    }
    problem, down = None, False
    for wait in _WAITS:
        time.sleep(wait)
        try:
            replay.catch_up(files, ended=True)
        except Exception as error:
            problem, down = explain(error, server), is_passing(error)
            if not down:
                break
        else:
            problem, down = None, False
            break
    entry = journal.update(
        replay.entry, state="done" if problem is None else "open", problem=problem
    )
    url = replay.run_url if replay.accepted else None
    return Synced(entry.run_id, server.uri, entry.server_run_id, url, problem), down


def _end_if_killed(client: Any, run_id: str) -> None:
    """Mark a run that still counts as running: nobody writes it, or its lock were not ours."""
    if client.get_run(run_id).info.status == "RUNNING":
        client.set_tag(run_id, ENDED_TAG, "the training process ended without a word (killed?)")
        client.set_terminated(run_id, "KILLED")


def _left(entry: Entry, problem: str) -> Synced:
    return Synced(entry.run_id, entry.uri, entry.server_run_id, None, problem)


def _store_client(store: Path) -> Any:
    with warnings.catch_warnings():
        # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates; that is no concern of the user's.
        warnings.simplefilter("ignore")
        return import_client()(f"sqlite:///{store}")
