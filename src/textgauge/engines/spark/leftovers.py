"""What broken-off work leaves behind, removed when nothing can write it anew.

A task that Spark has given up goes on for as long as its Python process works on a batch, and makes
the folder that it writes to once more. Where the session is ours, that ends with the session; so
what is left is removed at once, and looked for again after the session has been stopped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from .jobs import wait_for_tasks
from .storage import Storage

PATIENCE = 10.0
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
        session.stop()
        with contextlib.suppress(Exception):  # The first error is the one to tell.
            _remove_for_good(left)


def remove_left(session: Any, storage: Storage, folder: str) -> None:
    """Remove a folder that broken-off work has written; does nothing if there is none."""
    wait_for_tasks(session)
    for left in _ours:
        left.append((storage, folder))
    storage.remove(folder)


def _remove_for_good(left: list[tuple[Storage, str]]) -> None:
    """Java's part of Spark lives on after the session, so its file systems can still be asked."""
    begun = seen = time.monotonic()
    while left and time.monotonic() < min(seen + QUIET, begun + PATIENCE):
        for storage, folder in left:
            if storage.exists(folder):
                seen = time.monotonic()
                storage.remove(folder)
        time.sleep(0.1)
