"""The tracking worker: a child process that writes a run to the store beside the training.

    python -m textgauge.tracking.worker      (started by `local.LocalTracker`, not by hand)

It reads events as JSON lines from standard input and answers on standard output. Importing MLflow
and opening a store takes about two seconds of one core; here they cost the training nothing, and a
store that hangs hangs alone. A run for a server is written to the store like any other; a thread
(`sender`) follows with what the server lacks. Its input ends when the training process ends,
however that came about; a run that was not ended by then is marked KILLED, so a run's status is
right even after `kill -9`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from ..errors import TrackingError
from .failures import explain
from .inherited import PARENT_TAG
from .journal import DESTINATION_TAG, Entry, Journal, lock_run
from .mlflow_import import import_client
from .mlflow_run import ENDED_TAG, Event, MlflowRun
from .protocol import Registration
from .sender import Sender
from .servers import Server, prepare, server_at
from .sqlite_store import check_writable, sqlite_path

ORPHAN_PATIENCE = 60.0
"""Seconds that the worker may go on writing after the training process has ended."""

_GONE: Event = {"do": "gone"}

_NOT_NEEDED = ("aiohttp", "pandas", "polars", "pyarrow", "pygments", "pyspark")
"""Packages that MLflow and Azure's import if installed, and little here needs: 1 s of one core."""

_GATEWAY_ONLY = "fastapi"
"""MLflow's gateway, which it always imports, takes the class of an error from it: 0.15 s."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def main() -> NoReturn:
    """Serve one tracker until its `end`, or until its process is gone."""
    for name in ("SIGINT", "SIGHUP"):
        # Ctrl-C is for the training process; the end of the input tells of its end.
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_sigterm)
    # Importing and mapping make a million objects that all stay: looking for garbage is in vain.
    gc.disable()
    say, events_in = _claim_standard_streams()
    os.environ.update(_ENVIRONMENT)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(events_in, events), daemon=True).start()
    _Service(events, say).serve()
    # Nothing is left to write; tearing down two thousand modules would take half a second.
    os._exit(0)


class _Service:
    """What the worker does for its tracker, from the first event to the last.

    All that is logged goes into the store; a `Sender` follows with what a server shall have.
    """

    def __init__(self, events: queue.SimpleQueue[Event], say: Callable[[Event], None]) -> None:
        self._events, self._say = events, say
        self._tracking_uri = ""
        self._store: Path | None = None
        self._client: Any = None
        self._run: MlflowRun | None = None
        self._server: Server | None = None
        self._server_run: Event = {}
        self._sender: Sender | None = None
        self._failed = False
        self._seconds: dict[str, float] = {}

    def serve(self) -> None:
        """Return once the run has ended, or nobody is there any more."""
        event = _next(self._events)
        if event is not _GONE:
            self._attempt(self._open, event)
        waiting: list[Event] = []
        while event is not _GONE:
            event = waiting.pop(0) if waiting else _next(self._events)
            if event["do"] == "end":
                break
            if event["do"] == "metrics":
                event, waiting = _with_following_metrics(event, waiting, self._events)
            if event is not _GONE and not self._failed:
                self._attempt(self._apply, event)
            self._say({"is": "done"})
        self._end(event)
        self._say({"is": "ended"})
        if self._sender is not None:
            self._sender.end(finished=event.get("status") == "FINISHED" and not self._failed)
            self._sender.wait_until_done(self._run.largest_file() if self._run else 0)

    def _attempt(self, step: Callable[[Event], None], event: Event) -> None:
        try:
            step(event)
        except Exception as error:
            message = explain(error, self._tracking_uri, self._store)
            if not self._failed:
                self._say({"is": "failed", "message": message})
            self._failed = True

    def _open(self, event: Event) -> None:
        """Check the store, import MLflow, open the store, find the experiment."""
        begun = time.perf_counter()
        self._tracking_uri = address = event["tracking_uri"]
        self._store = store = sqlite_path(address)
        assert store is not None, f"{address} is no local store"
        check_writable(store, event["lock_patience"])
        # A relative address needs no encoding, and MLflow puts `mlruns` where we stand.
        os.chdir(store.parent)
        address = f"sqlite:///{store.name}"
        if event["server"] is not None:
            self._server_run = event["server"]
            self._server = server_at(self._server_run["uri"])
            prepare(self._server)
        # Where a registry takes the model from this machine, MLflow reads it with pandas.
        through_here = self._server is not None and self._server.registers_through_here
        client_class = _import_client(whole=bool(event["registration"]) and through_here)
        self._seconds["import"] = time.perf_counter() - begun
        begun = time.perf_counter()
        if not (store.exists() and store.stat().st_size):
            _create_store(client_class, store)
        tags = {} if self._server is None else {DESTINATION_TAG: self._server.uri}
        if event["parent"] is not None:
            tags[PARENT_TAG] = event["parent"]
        registration = event["registration"]
        self._client = client_class(address)
        run = MlflowRun(
            self._client,
            tracking_uri=event["tracking_uri"],
            experiment=event["experiment"],
            store=store,
            lock_patience=event["lock_patience"],
            run_id=event["run_id"],
            keep_open=event["keep_open"],
            first_tags=tags,
            registration=Registration(**registration) if registration else None,
        )
        run.open()
        self._run = run
        gc.freeze()
        gc.enable()
        self._seconds["store"] = time.perf_counter() - begun

    def _apply(self, event: Event) -> None:
        assert self._run is not None
        begun = time.perf_counter()
        if event["do"] == "start":
            _unfinished.run = True
        self._run.apply(event)
        if event["do"] == "start":
            self._seconds["run"] = time.perf_counter() - begun
            self._say({"is": "started", "record": self._run.record, "seconds": self._seconds})
            self._begin_to_send(self._run)
        if self._sender is not None:
            # Curves make no files; looking for some after each epoch would be in vain.
            self._sender.wake(None if event["do"] == "metrics" else self._run.files())

    def _begin_to_send(self, run: MlflowRun) -> None:
        """Enter the run into the journal, and follow with what its server shall have."""
        assert self._store is not None and run.run_id is not None
        if not lock_run(self._store, run.run_id):
            raise TrackingError(
                f"The run {run.run_id} is being written, or sent to its server, by another "
                "process. Wait until that has ended."
            )
        if self._server is None:
            return
        journal = Journal(self._store)
        registration = run.registration
        known = journal.find(run.run_id, self._server.uri)
        entry = known or Entry(
            run.run_id,
            self._server.uri,
            run.experiment,
            server_run_id=self._server_run["run_id"],
            keep_open=self._server_run["run_id"] is not None,
        )
        entry = journal.write(
            replace(
                entry,
                state="open",
                problem=None,
                model_name=registration.name if registration else entry.model_name,
                alias=registration.alias if registration else entry.alias,
            )
        )
        self._sender = Sender(self._client, journal, entry, self._server, self._say)
        self._sender.start()

    def _end(self, event: Event) -> None:
        """Mark the run; `event` is the `end` that was asked for, or that nobody is there."""
        run = self._run
        if run is None or run.run_id is None:
            return
        if event is _GONE and not self._failed:
            reason = "the training process ended without a word (killed?)"
            self._attempt(run.apply, {"do": "tags", "values": {ENDED_TAG: reason}})
        status = event.get("status", "KILLED")
        if self._failed and status == "FINISHED":
            status = "FAILED"
        time_ms = event.get("time", int(time.time() * 1000))
        self._attempt(lambda _: run.end(status, time_ms), event)


def _import_client(*, whole: bool) -> Any:
    """MLflow's client class, imported as lightly as MLflow allows unless `whole`."""
    if whole:
        return import_client()
    for name in _NOT_NEEDED:
        # What a failed import looks like; all are made to work without these.
        sys.modules[name] = None  # type: ignore[assignment]
    # Without this one MLflow is not; but nobody answers requests here, so the name will do.
    gateway = module_from_spec(ModuleSpec(_GATEWAY_ONLY, None))
    gateway.HTTPException = type("HTTPException", (Exception,), {})  # type: ignore[attr-defined]
    sys.modules[_GATEWAY_ONLY] = gateway
    return import_client()


def _create_store(client_class: Any, store: Path) -> None:
    """Make the store under another name, then give it its own.

    Filling a new store takes MLflow some seconds, without a lock. This way two trainings can start
    at the same time, and one that is cut off leaves nothing that looks like a store.
    """
    partial = store.with_name(f".{store.name}.{os.getpid()}.new")
    _unfinished.store = partial
    try:
        client_class(f"sqlite:///{partial.name}")
        try:
            os.link(partial, store)
        except FileExistsError:
            if store.stat().st_size == 0:
                partial.replace(store)
    finally:
        partial.unlink(missing_ok=True)


@dataclass
class _Unfinished:
    """What the worker would leave behind if it ended now."""

    store: Path | None = None
    run: bool = False


_unfinished = _Unfinished()


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    """End at once while there is no run; later only the end of the input ends the worker.

    A machine that shuts down asks all processes to end: the run must still be marked.
    """
    if not _unfinished.run:
        if _unfinished.store is not None:
            _unfinished.store.unlink(missing_ok=True)
        os._exit(0)


def _with_following_metrics(
    event: Event, waiting: Sequence[Event], events: queue.SimpleQueue[Event]
) -> tuple[Event, list[Event]]:
    """Join the metrics events that have piled up into one, so that they cost one transaction."""
    rest = list(waiting)
    rows = list(event["rows"])
    while True:
        if not rest:
            try:
                rest.append(events.get_nowait())
            except queue.Empty:
                break
        if rest[0]["do"] != "metrics":
            break
        rows += rest.pop(0)["rows"]
    return {**event, "rows": rows}, rest


def _next(events: queue.SimpleQueue[Event]) -> Event:
    """The next event; `_GONE` once the training process is no more."""
    while True:
        try:
            event = events.get(timeout=1.0)
        except queue.Empty:
            # Something that the training forked may keep our input open after its death.
            if os.getppid() == _PARENT:
                continue
            event = _GONE
        if event is _GONE:
            threading.Thread(target=_give_up, daemon=True).start()
        return event


_PARENT = os.getppid()


def _give_up() -> None:
    time.sleep(ORPHAN_PATIENCE)
    os._exit(1)


def _read(stream: IO[bytes], events: queue.SimpleQueue[Event]) -> None:
    for line in stream:
        if not line.endswith(b"\n"):
            break  # cut off in the middle by the writer's death
        events.put(json.loads(line))
    events.put(_GONE)


def _claim_standard_streams() -> tuple[Callable[[Event], None], IO[bytes]]:
    """Keep standard input and output for the protocol; whatever prints, prints to standard error.

    Returns what sends an answer, and the stream of events.
    """
    events_in = os.fdopen(os.dup(0), "rb")
    answers = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)

    one_at_a_time = threading.Lock()

    def say(answer: Event) -> None:
        data = json.dumps(answer).encode() + b"\n"
        # The reader may be gone; the run is still to be ended.
        with one_at_a_time, contextlib.suppress(OSError):
            while data:
                data = data[os.write(answers, data) :]

    return say, events_in


if __name__ == "__main__":
    main()
