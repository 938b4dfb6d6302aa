"""The worker's queue of events."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textgauge.tracking import worker
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
