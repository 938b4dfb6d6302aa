"""The worker's queue of events."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from textgauge.tracking import worker
from textgauge.tracking.worker import _GONE, _next, _with_following_metrics


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
