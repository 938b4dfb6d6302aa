"""Tracking from the training's side: hands events to the worker process and never waits for it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ..errors import TrackingError, was_interrupted
from .failures import public_uri
from .inherited import foreign_variables
from .protocol import DatasetDescription, Destination, RunPlan, RunRecord, Status
from .servers import server_at
from .sqlite_store import LOCK_PATIENCE

SILENCE_PATIENCE = 120.0

_WORKER = (
    "import sys; sys.path += [p for p in sys.argv[1:] if p not in sys.path]; "
    f"from {__package__}.worker import main; main()"
)
"""What the child runs: it looks for packages in the usual places, then where this process does."""


class LocalTracker:
    """Writes a run through a worker process of its own (see `worker`); a `Tracker`."""

    def __init__(
        self,
        destination: Destination,
        *,
        lock_patience: float = LOCK_PATIENCE,
        silence_patience: float = SILENCE_PATIENCE,
    ) -> None:
        """Start the worker.

        Args:
            destination: where the run goes.
            lock_patience: seconds that a write waits for another process's lock on the store.
            silence_patience: seconds without any answer after which the worker counts as stuck.

        Raises:
            TrackingError: no process can be started.

        """
        self.destination = destination
        self._lock_patience = lock_patience
        self._silence_patience = silence_patience
        self._changed = threading.Condition()
        self._failure: TrackingError | None = None
        self._record: RunRecord | None = None
        self._there: dict[str, Any] | None = None
        self._refused: TrackingError | None = None
        self._preflight_over = False
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._missing: str | None = None
        self._behind = False
        self._forwarded = destination.server is None
        self._last_answer = time.monotonic()
        self._started = self._end_sent = self._ended = False
        self._closed = self._gone = False
        self._last_words: deque[str] = deque(maxlen=20)
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process = _start_worker(_environment_for(destination))
        for loop in (self._write_events, self._read_answers, self._read_errors):
            threading.Thread(target=loop, daemon=True, name=f"textgauge{loop.__name__}").start()
        self._send(
            "open",
            tracking_uri=destination.tracking_uri,
            experiment=destination.experiment,
            run_id=destination.run_id,
            parent=destination.parent,
            keep_open=destination.keep_open,
            server=None if destination.server is None else asdict(destination.server),
            registration=(
                None if destination.registration is None else asdict(destination.registration)
            ),
            lock_patience=lock_patience,
        )

    def start(self, run: RunPlan) -> None:
        """See `Tracker.start`."""
        self._started = True
        self._send(
            "start", name=run.name, params=_texts(run.params), tags={**_about_here(), **run.tags}
        )

    def log_params(self, params: Mapping[str, object]) -> None:
        """See `Tracker.log_params`."""
        self._send("params", values=_texts(params))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """See `Tracker.log_metrics`."""
        now = int(time.time() * 1000)
        rows = [[key, float(value), step or 0, now] for key, value in metrics.items()]
        self._send("metrics", rows=rows)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """See `Tracker.set_tags`."""
        self._send("tags", values=dict(tags))

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """See `Tracker.log_artifact`."""
        self._send("artifact", path=str(Path(path).absolute()), folder=folder)

    def log_dataset(self, dataset: DatasetDescription) -> None:
        """See `Tracker.log_dataset`."""
        self._send("dataset", **{**vars(dataset), "schema": dict(dataset.schema)})

    def log_model(self, folder: Path, example: Sequence[str] = ()) -> None:
        """See `Tracker.log_model`."""
        self._send("model", folder=str(Path(folder).absolute()), example=list(example))

    def failure(self) -> TrackingError | None:
        """See `Tracker.failure`."""
        return self._failure

    def preflight(self, timeout: float) -> None:
        """See `Tracker.preflight`."""
        self._wait(self._server_has_spoken, timeout)
        with self._changed:
            self._preflight_over = True
            problem = self._failure or self._refused
        if problem is not None:
            raise problem

    def _server_has_spoken(self) -> bool:
        return self._forwarded or bool(self._there or self._refused or self._behind)

    def news(self) -> list[str]:
        """See `Tracker.news`."""
        told = []
        with contextlib.suppress(queue.Empty):
            while True:
                told.append(self._news.get_nowait())
        return told

    def ready(self, timeout: float | None = None) -> RunRecord:
        """See `Tracker.ready`."""
        if not self._started:
            raise TrackingError("The run was not started yet.")
        there = self._wait(lambda: self._record is not None, timeout)
        if not there and self._failure is None:
            raise self._too_slow()
        return self._result()

    def child(self, run_id: str | None = None) -> LocalTracker:
        """See `Tracker.child`."""
        own, server = self.ready(), self.destination.server
        below = replace(
            self.destination,
            experiment=own.experiment,
            run_id=run_id,
            parent=own.run_id,
            keep_open=False,
            server=None if server is None else replace(server, run_id=None),
            registration=None,
        )
        return LocalTracker(
            below, lock_patience=self._lock_patience, silence_patience=self._silence_patience
        )

    def end(self, status: Status = "FINISHED") -> RunRecord:
        """See `Tracker.end`."""
        begun = time.perf_counter()
        self._end(status)
        record = self._result()
        if self.destination.server is not None:
            record = replace(record, journal_run_id=record.run_id, missing=self._missing)
            if self._there is not None and self._missing is None:
                record = replace(record, **self._there)
        seconds = {**record.seconds, "end": time.perf_counter() - begun}
        return replace(record, seconds=seconds)

    def close(self, status: Status = "FAILED") -> None:
        """See `Tracker.close`."""
        if self._ended or self._closed:
            return
        if self._started:
            self._end(status)
        else:
            # Nothing was promised yet: it stops in the middle of its imports.
            self._process.terminate()
            self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        killed = was_interrupted(error) or isinstance(error, SystemExit)
        self.close("KILLED" if killed else "FAILED")

    def _send(self, do: str, **what: Any) -> None:
        event = {"do": do, "time": int(time.time() * 1000), **what}
        self._outgoing.put(json.dumps(event).encode() + b"\n")

    def _end(self, status: Status) -> None:
        """Ask for the end, wait until all is written, and let the worker go."""
        if not self._end_sent:
            self._end_sent = True
            self._send("end", status=status)
            self._outgoing.put(None)
        if not self._wait(lambda: self._ended) and self._failure is None:
            self._failure = self._too_slow()
        elif not self._wait(lambda: self._forwarded):
            self._missing = self._missing or "the process that sends the run ended unexpectedly"
        self._finish()

    def _wait(self, there: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `there()`: False after `timeout` seconds, or too long a silence.

        A failure ends the wait too, except for the end of the run: that still comes.
        """
        begun = time.monotonic()
        with self._changed:
            while not there():
                if self._gone or (self._failure is not None and not self._end_sent):
                    return False
                now = time.monotonic()
                left = self._silence_patience - (now - max(begun, self._last_answer))
                if timeout is not None:
                    left = min(left, timeout - (now - begun))
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _too_slow(self) -> TrackingError:
        return TrackingError(
            f"{public_uri(self.destination.tracking_uri)} has not taken the run yet. Check that it "
            "can be reached and written, or pass another --tracking-uri."
        )

    def _result(self) -> RunRecord:
        if self._failure is not None:
            raise self._failure
        if self._record is None:
            raise TrackingError("The run was not started, so there is nothing to end.")
        return self._record

    def _finish(self) -> None:
        """Let the worker's process go."""
        self._closed = True
        self._outgoing.put(None)
        # It ends by itself once it has said so; a stuck one is left to its own time limit.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5 if self._ended or not self._started else 0)

    def _write_events(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError), pipe:
            while (line := self._outgoing.get()) is not None:
                while line:
                    line = line[pipe.write(line) :]

    def _read_answers(self) -> None:
        for line in _lines(self._process.stdout):
            answer = json.loads(line)
            with self._changed:
                self._last_answer = time.monotonic()
                if answer["is"] == "started":
                    self._record = _record(answer)
                elif answer["is"] == "failed":
                    self._failure = TrackingError(answer["message"])
                elif answer["is"] == "ended":
                    self._ended = True
                elif answer["is"] != "done":
                    self._note_of_server(answer)
                self._changed.notify_all()
        exit_status = self._process.wait()
        with self._changed:
            self._gone = True
            if not self._ended and not self._closed and self._failure is None:
                words = f": {self._last_words[-1]}" if self._last_words else "."
                self._failure = TrackingError(
                    f"The process that writes to {public_uri(self.destination.tracking_uri)} "
                    f"ended unexpectedly (exit status {exit_status}){words}"
                )
            self._changed.notify_all()

    def _note_of_server(self, answer: Mapping[str, Any]) -> None:
        """Take in what a `Sender` says."""
        message = answer.get("message")
        if answer["is"] == "accepted":
            self._there = answer["record"]
        elif answer["is"] == "refused":
            self._refused = TrackingError(message)
            if self._preflight_over:
                # Too late to give the training up for it: what was trained so far is worth more.
                self._news.put(f"{message} The run is kept here.")
        elif answer["is"] == "behind":
            self._behind = True
            self._news.put(f"{message} The run is kept here and sent later.")
        elif answer["is"] == "note":
            self._news.put(f"{message}.")
        elif answer["is"] == "forwarded":
            self._forwarded, self._missing = True, message

    def _read_errors(self) -> None:
        for line in _lines(self._process.stderr):
            if text := line.decode(errors="replace").strip():
                self._last_words.append(text)


def _environment_for(destination: Destination) -> dict[str, str]:
    """The variables of this process without those that were meant for another place."""
    uri = destination.server.uri if destination.server else destination.tracking_uri
    foreign = foreign_variables(uri)
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    if destination.server is not None:
        server_at(uri).hand_over(environment)
    return environment


def _start_worker(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise TrackingError(
            "Tracking needs a Python to start beside this one, and sys.executable names none."
        )
    path = [str(Path(entry).absolute()) for entry in sys.path if entry]
    return subprocess.Popen(
        # -P: a file of the user's that is called like a module must not be imported.
        [sys.executable, "-P", "-W", "ignore", "-c", _WORKER, *path],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Unbuffered: a thread that holds a buffer's lock would hang the interpreter's exit.
        bufsize=0,
        # A session of its own, so that Ctrl-C on the terminal does not reach it.
        start_new_session=True,
    )


def _lines(pipe: IO[bytes] | None) -> Iterator[bytes]:
    """The lines that arrive in an unbuffered pipe."""
    assert pipe is not None
    rest = b""
    with pipe:
        while chunk := pipe.read(65536):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole


def _record(answer: Mapping[str, Any]) -> RunRecord:
    fields = dict(answer["record"])
    folder = fields.pop("artifact_folder")
    return RunRecord(
        **fields,
        artifact_folder=None if folder is None else Path(folder),
        seconds=answer["seconds"],
    )


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    """Settings as text: plain values as Python shows them, nested ones as JSON."""
    return {
        key: json.dumps(value, default=str, ensure_ascii=False)
        if isinstance(value, Mapping | list | tuple)
        else str(value)
        for key, value in values.items()
    }


def _about_here() -> dict[str, str]:
    """The tags in which MLflow's UI looks for who ran what."""
    tags = {"mlflow.source.name": "textgauge", "mlflow.source.type": "LOCAL"}
    # There may be no user name, as in a container that runs under a bare number.
    with contextlib.suppress(OSError, KeyError):
        tags["mlflow.user"] = getpass.getuser()
    return tags
