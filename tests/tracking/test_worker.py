"""The worker's queue of events."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from textgauge.errors import TrackingError
from textgauge.tracking import worker
from textgauge.tracking.journal import Entry, Journal, release_run
from textgauge.tracking.mlflow_run import MlflowRun
from textgauge.tracking.protocol import Registration
from textgauge.tracking.servers import server_at
from textgauge.tracking.sqlite_store import sqlite_uri
from textgauge.tracking.worker import _GONE, _next, _Service, _with_following_metrics


def metrics(*rows: list[Any]) -> dict[str, Any]:
    return {"do": "metrics", "rows": list(rows)}


def filled(*events: dict[str, Any]) -> queue.SimpleQueue[dict[str, Any]]:
    events_queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for event in events:
        events_queue.put(event)
    return events_queue


def test_metrics_that_piled_up_are_joined_up_to_the_next_other_event() -> None:
    first, second, third, late = (["loss", 0.5 / step, step, 0] for step in (1, 2, 3, 4))
    tags = {"do": "tags", "values": {}}
    events = filled(metrics(third), tags, metrics(late))
    joined, waiting = _with_following_metrics(metrics(first), [metrics(second)], events)
    assert joined == metrics(first, second, third)
    assert waiting == [tags]
    assert events.get_nowait() == metrics(late)


def test_metrics_alone_are_not_waited_upon() -> None:
    joined, waiting = _with_following_metrics(metrics(["lr", 1.0, 0, 0]), [], filled())
    assert joined["rows"] == [["lr", 1.0, 0, 0]]
    assert waiting == []


def test_a_dead_parent_counts_as_the_end_even_if_the_input_stays_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(worker, "_give_up", lambda: ended.append(True))
    monkeypatch.setattr(worker.os, "getppid", lambda: 1)
    assert _next(filled()) is _GONE
    assert ended == [True]


def test_a_store_that_cannot_be_used_is_told_before_mlflow_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_import_client", lambda: pytest.fail("imported MLflow first"))
    said: list[dict[str, Any]] = []
    uri = sqlite_uri(tmp_path / "nowhere" / "mlflow.db")
    opening = {"do": "open", "tracking_uri": uri, "experiment": "notes", "lock_patience": 0.1}
    _Service(filled(opening, {"do": "end", "status": "FINISHED"}), said.append).serve()
    assert [answer["is"] for answer in said] == ["failed", "ended"]
    assert said[0]["message"].startswith(f"There is no folder {tmp_path / 'nowhere'}")


@pytest.mark.parametrize("whole", [False, True])
def test_mlflow_is_imported_without_what_takes_long_and_is_not_needed(
    whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, Any] = {}
    with monkeypatch.context() as patch:
        patch.setattr(worker.sys, "modules", found)
        patch.setattr(worker, "import_client", lambda: "the client")
        assert worker._import_client(whole=whole) == "the client"
    gateway = found.pop("fastapi", None)
    assert (gateway is None) == whole
    assert whole or issubclass(gateway.HTTPException, Exception)
    assert ({"aiohttp", "pandas", "pyspark"} <= found.keys()) != whole
    assert set(found.values()) <= {None}


# ---- the run of a server -------------------------------------------------------------------------


@pytest.fixture
def run(store: Path, connect: Callable[[Path], Any]) -> MlflowRun:
    """A run that was started in the store."""
    run = MlflowRun(connect(store), tracking_uri=sqlite_uri(store), experiment="notes", store=store)
    run.open()
    run.apply({"do": "start", "name": "n", "params": {}, "tags": {}, "time": 1})
    return run


@pytest.fixture
def service(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Service]:
    """A service that has opened the store, and sends to nobody."""
    made: list[Any] = []
    monkeypatch.setattr(
        worker,
        "Sender",
        lambda *parts: made.append(parts) or SimpleNamespace(start=lambda: None, entry=parts[2]),
    )
    service = _Service(filled(), lambda answer: None)
    service._store, service._tracking_uri = store, sqlite_uri(store)
    yield service
    for run_id in {parts[2].run_id for parts in made}:
        release_run(store, run_id)


def test_a_run_for_a_server_is_entered_before_anything_is_sent(
    service: _Service, run: MlflowRun, store: Path
) -> None:
    service._server = server_at("http://mlflow.example")
    service._server_run = {"uri": "http://mlflow.example", "run_id": "feedbeef"}
    run.registration = Registration("bolts", "best")
    service._begin_to_send(run)
    entry = Journal(store).find(str(run.run_id))
    assert entry == Entry(
        str(run.run_id),
        "http://mlflow.example",
        "notes",
        server_run_id="feedbeef",
        keep_open=True,
        model_name="bolts",
        alias="best",
    )


def test_a_run_that_is_gone_on_with_keeps_what_is_known_of_its_server(
    service: _Service, run: MlflowRun, store: Path
) -> None:
    before = Journal(store).write(
        Entry(
            str(run.run_id),
            "http://mlflow.example",
            "notes",
            server_run_id="feedbeef",
            tried=True,
            model_name="bolts",
            alias="best",
            state="done",
            problem="It was down.",
        )
    )
    service._server = server_at("http://mlflow.example")
    service._server_run = {"uri": "http://mlflow.example", "run_id": None}
    service._begin_to_send(run)
    assert Journal(store).find(str(run.run_id)) == replace(before, state="open", problem=None)


def test_a_local_run_is_entered_nowhere(service: _Service, run: MlflowRun, store: Path) -> None:
    service._begin_to_send(run)
    assert service._sender is None
    assert Journal(store).find(str(run.run_id)) is None
    release_run(store, str(run.run_id))


def test_a_run_that_another_process_writes_is_refused(
    service: _Service, run: MlflowRun, store: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from textgauge.tracking.journal import lock_run\n"
        "print(lock_run(Path(sys.argv[1]), sys.argv[2]), flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store), str(run.run_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with pytest.raises(TrackingError, match=f"{run.run_id} is being written, or sent"):
            service._begin_to_send(run)
        other.communicate()


def test_nothing_but_answers_reaches_the_standard_output() -> None:
    script = (
        "import os\n"
        "from textgauge.tracking.worker import _claim_standard_streams\n"
        "say, events = _claim_standard_streams()\n"
        "print('noise', flush=True)\n"
        "os.write(1, b'more noise')\n"
        "say({'is': events.readline().decode().strip(), 'rest': os.read(0, 10).decode()})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=b"event\n", capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {"is": "event", "rest": ""}
    assert done.stderr == b"noise\nmore noise"
