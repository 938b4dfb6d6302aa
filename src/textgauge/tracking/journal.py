"""Which run was meant for which server, and how far it got: two tables in the local store.

Every run is first written to the local store, by MLflow. For a run that a server shall have too,
the journal remembers the server, the run's id there, and which files the server is known to hold.
The tables lie in the store's own file, so that they travel with it; MLflow leaves tables alone
that it does not know. Nothing here imports MLflow: to find that nothing is left takes milliseconds.

Only the process that holds a run's lock writes or replays it. The kernel gives the lock back when
that process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import TrackingError
from .sqlite_store import LOCK_PATIENCE, asking

DESTINATION_TAG = "textgauge.tracking_uri"
"""On every run that was meant for a server: where it was meant to go."""

_TABLES = """
CREATE TABLE IF NOT EXISTS textgauge_journal (
    run_id TEXT NOT NULL,
    uri TEXT NOT NULL,
    experiment TEXT NOT NULL,
    server_run_id TEXT,
    keep_open INTEGER NOT NULL DEFAULT 0,
    tried INTEGER NOT NULL DEFAULT 0,
    model_name TEXT,
    alias TEXT,
    model_version TEXT,
    state TEXT NOT NULL DEFAULT 'open',
    problem TEXT,
    PRIMARY KEY (run_id, uri)
);
CREATE TABLE IF NOT EXISTS textgauge_sent (
    run_id TEXT NOT NULL,
    uri TEXT NOT NULL,
    path TEXT NOT NULL,
    PRIMARY KEY (run_id, uri, path)
);
"""
_COLUMNS = (
    "run_id, uri, experiment, server_run_id, keep_open, tried, model_name, alias, model_version, "
    "state, problem"
)


@dataclass(frozen=True)
class Entry:
    """A run and a server that shall have it.

    Attributes:
        run_id: in the local store.
        uri: the server's tracking URI, without secrets.
        experiment: as the user called it; the server's form may differ.
        server_run_id: the run's id there, once it is known.
        keep_open: the run there is the user's own: written into, never ended.
        tried: the server was asked to create the run; perhaps it did, and we were not told.
        model_name: the model shall be registered there under this name.
        alias: and this alias shall point to it.
        model_version: the version that it became.
        state: "open" (something may be missing there), "done", or "refused" (it never began there,
            and the training was given up for it).
        problem: why it is still open, in one sentence.
    """

    run_id: str
    uri: str
    experiment: str
    server_run_id: str | None = None
    keep_open: bool = False
    tried: bool = False
    model_name: str | None = None
    alias: str | None = None
    model_version: str | None = None
    state: str = "open"
    problem: str | None = None


class Journal:
    """The journal in an existing store. Safe to use from several processes and threads."""

    def __init__(self, store: Path, patience: float = LOCK_PATIENCE) -> None:
        """Name the store's file; `patience` seconds are waited for other writers."""
        self._store, self._patience = store, patience

    def write(self, entry: Entry) -> Entry:
        """Add or replace the entry, on disk when this returns."""
        values = [getattr(entry, column) for column in _COLUMNS.split(", ")]
        marks = ", ".join("?" * len(values))
        with self._asking() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO textgauge_journal ({_COLUMNS}) VALUES ({marks})", values
            )
        return entry

    def update(self, entry: Entry, **changes: object) -> Entry:
        """The entry with `changes`, written if that differs."""
        changed = replace(entry, **changes)  # type: ignore[arg-type]
        return entry if changed == entry else self.write(changed)

    def find(self, run_id: str, uri: str | None = None) -> Entry | None:
        """The entry of a run, by its local id or by a server's; the newest of several."""
        where = "(run_id = ? OR server_run_id = ?)" + (" AND uri = ?" if uri else "")
        found = self._entries(where, (run_id, run_id, *((uri,) if uri else ())))
        return found[-1] if found else None

    def open_entries(self) -> list[Entry]:
        """What servers may still lack, oldest run first; includes runs that have no entry yet."""
        with self._asking() as connection:
            lost = connection.execute(
                "SELECT tags.run_uuid, tags.value, experiments.name FROM tags "
                "JOIN runs ON runs.run_uuid = tags.run_uuid "
                "JOIN experiments ON experiments.experiment_id = runs.experiment_id "
                "WHERE tags.key = ? AND tags.run_uuid NOT IN "
                "(SELECT run_id FROM textgauge_journal)",
                (DESTINATION_TAG,),
            ).fetchall()
        for run_id, uri, experiment in lost:
            # Its process was killed between creating the run and writing the entry.
            self.write(Entry(run_id, uri, experiment))
        return self._entries("state = 'open'")

    def refused_entries(self) -> list[Entry]:
        """The runs that a server refused from the start, oldest first: sent only when named."""
        return self._entries("state = 'refused'")

    def runs(self) -> list[tuple[str, str]]:
        """All runs of ours in the store: id and name of the experiment, oldest first."""
        with self._asking() as connection:
            return connection.execute(
                "SELECT runs.run_uuid, experiments.name FROM runs "
                "JOIN experiments ON experiments.experiment_id = runs.experiment_id "
                "JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'textgauge.version' "
                "WHERE runs.lifecycle_stage = 'active' ORDER BY runs.start_time"
            ).fetchall()

    def sent(self, entry: Entry) -> set[str]:
        """Files of the run that the server is known to hold as they are here."""
        with self._asking() as connection:
            rows = connection.execute(
                "SELECT path FROM textgauge_sent WHERE run_id = ? AND uri = ?",
                (entry.run_id, entry.uri),
            ).fetchall()
        return {path for (path,) in rows}

    def mark_sent(self, entry: Entry, paths: Iterable[str]) -> None:
        """Remember that the server holds these files."""
        rows = [(entry.run_id, entry.uri, path) for path in paths]
        if rows:
            with self._asking() as connection:
                connection.executemany(
                    "INSERT OR IGNORE INTO textgauge_sent VALUES (?, ?, ?)", rows
                )

    def forget_sent(self, entry: Entry) -> None:
        """The server holds none of the run's files any more."""
        with self._asking() as connection:
            connection.execute(
                "DELETE FROM textgauge_sent WHERE run_id = ? AND uri = ?", (entry.run_id, entry.uri)
            )

    def _entries(self, where: str, values: tuple[str, ...] = ()) -> list[Entry]:
        with self._asking() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM textgauge_journal LEFT JOIN "
                "(SELECT run_uuid, start_time FROM runs) ON run_uuid = run_id "
                f"WHERE {where} ORDER BY start_time, textgauge_journal.rowid",
                values,
            ).fetchall()
        return [
            Entry(**dict(zip(_COLUMNS.split(", "), row, strict=True)) | {
                "keep_open": bool(row[4]), "tried": bool(row[5])
            })
            for row in rows
        ]  # fmt: skip

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        """A connection to the store, with the tables there; what is executed is committed."""
        with asking(self._store, self._patience) as connection:
            known = connection.execute(
                "SELECT count(*) FROM sqlite_master WHERE name LIKE 'textgauge_%'"
            ).fetchone()[0]
            if known < 2:
                connection.executescript(_TABLES)
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")


_lock_files: dict[Path, int] = {}
"""Kept open: closing any descriptor of a file gives back all the locks that a process has on it."""


def lock_run(store: Path, run_id: str) -> bool:
    """Claim the run for this process until it ends or gives it back; False: another has it."""
    try:
        fcntl.lockf(_lock_file(store), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(run_id))
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise TrackingError(
            f"The tracking store {store} cannot be locked ({error.strerror}): its disk takes no "
            "locks. Name a store on a disk of this machine with TEXTGAUGE_STORE."
        ) from error
    return True


def release_run(store: Path, run_id: str) -> None:
    """Give the run back."""
    fcntl.lockf(_lock_file(store), fcntl.LOCK_UN, 1, _place(run_id))


def _lock_file(store: Path) -> int:
    path = store.with_name(f".{store.name}.lock")
    if path not in _lock_files:
        try:
            _lock_files[path] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise TrackingError(
                f"The lock file {path} of the tracking store cannot be opened ({error.strerror}). "
                "Change its rights, or name another store with TEXTGAUGE_STORE."
            ) from error
    return _lock_files[path]


def _place(run_id: str) -> int:
    """The byte of the lock file that stands for the run; it need not exist in the file."""
    return int.from_bytes(run_id.encode()[:7], "big")
