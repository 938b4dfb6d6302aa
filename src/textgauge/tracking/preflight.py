"""Asks a server, before anything depends on it, whether it will take a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import TrackingError
from .experiments import find_or_create
from .failures import is_missing, is_passing, status_of
from .open import choose_destination
from .servers import Server, explain, server_at, using
from .sqlite_store import check_writable, sqlite_path


@dataclass(frozen=True)
class Preflight:
    """A server that takes runs: which, under what experiment, and how long each step took."""

    tracking_uri: str
    title: str
    experiment: str
    seconds: dict[str, float]


def preflight(
    tracking_uri: str | None = None,
    experiment: str | None = None,
    *,
    on_step: Callable[[str], None] = lambda step: None,
) -> Preflight:
    """Log in, find or create the experiment, write a run called "textgauge check" and delete it.

    A local store is only asked whether it can be written; nothing is.

    Args:
        tracking_uri: as in `open_tracker`.
        experiment: as in `open_tracker`.
        on_step: told what is tried before each step.

    Raises:
        TrackingError: in one sentence, the first thing that is in the way.

    """
    destination = choose_destination(tracking_uri, experiment)
    seconds: dict[str, float] = {}
    if destination.server is None:
        store = sqlite_path(destination.tracking_uri)
        assert store is not None
        on_step("writing to the store")
        check_writable(store)
        return Preflight(
            destination.tracking_uri, f"the local store {store}", destination.experiment, seconds
        )
    server = server_at(destination.server.uri)
    name = server.experiment_name(destination.experiment)
    client: Any = None

    def connect() -> None:
        nonlocal client
        client = server.connect()

    begun = time.perf_counter()
    with using(server):
        for step, do in (
            ("logging in", server.log_in),
            ("reaching it", server.reach),
            ("loading its client", connect),
            ("writing a run", lambda: _write_a_run(client, server, name)),
        ):
            on_step(step)
            try:
                do()
            except Exception as error:
                again = " Try again in a minute." if is_passing(error) and status_of(error) else ""
                raise TrackingError(f"{explain(error, server)}{again}") from error
            seconds[step] = time.perf_counter() - begun
            begun = time.perf_counter()
    return Preflight(server.uri, server.title, name, seconds)


def _write_a_run(client: Any, server: Server, experiment: str) -> None:
    experiment_id = find_or_create(client, experiment, server.uri)
    run_id = client.create_run(experiment_id, run_name="textgauge check").info.run_id
    client.set_terminated(run_id)
    try:
        client.delete_run(run_id)
    except Exception as error:
        if not is_missing(error):  # a service that keeps every run
            raise
