"""What broken-off work leaves behind, removed when nothing can write it anew.

A task that Spark has given up goes on for as long as its Python process works on a batch, and makes
the folder that it writes to once more. Where the session is ours, that ends with the session; so
what is left is removed at once, and again when the executors of the stopped session have ended.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

from .jobs import wait_for_tasks
from .storage import Storage

PATIENCE = 15.0
"""Seconds for the executors of a stopped session to end."""

QUIET = 1.0
"""Seconds for which what was removed must stay away to be believed gone."""

_ours: list[list[tuple[Storage, str]]] = []
"""For each session of our own that runs (one at most): the folders that were left in it."""


@contextlib.contextmanager
def removed_with(session: Any) -> Iterator[None]:
    """Stop the session in the end, and remove what `remove_left` was told of while it ran."""
    left: list[tuple[Storage, str]] = []
    _ours.append(left)
    try:
        yield
    finally:
        _ours.remove(left)
        executors = _executors_of(session) if left else []
        session.stop()
        with contextlib.suppress(Exception):  # The first error is the one to tell.
            _remove_for_good(left, executors)


def remove_left(session: Any, storage: Storage, folder: str) -> None:
    """Remove a folder that broken-off work has written; does nothing if there is none."""
    wait_for_tasks(session)
    for left in _ours:
        left.append((storage, folder))
    storage.remove(folder)


def _executors_of(session: Any) -> list[tuple[str, int]]:
    """Addresses at which the executors can be reached as long as they live."""
    try:
        infos = session.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
        return [(str(each.host()), int(each.port())) for each in infos]
    except Exception:  # Where Spark does not tell, what is left is only looked for.
        return []


def _remove_for_good(left: list[tuple[Storage, str]], executors: list[tuple[str, int]]) -> None:
    """Java's part of Spark lives on after the session, so its file systems can still be asked."""
    begun = seen = time.monotonic()
    while left and time.monotonic() < min(seen + QUIET, begun + PATIENCE):
        there = [(storage, folder) for storage, folder in left if storage.exists(folder)]
        for storage, folder in there:
            storage.remove(folder)
        if there or any(map(_answers, executors)):
            seen = time.monotonic()
        time.sleep(0.1)


def _answers(address: tuple[str, int]) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection(address, 0.5):
            return True
    except OSError:
        return False
