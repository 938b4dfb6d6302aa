"""The thread that keeps a server up to date: what it tells, and when it gives up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from textgauge.errors import TrackingError
from textgauge.tracking import sender as module
from textgauge.tracking.failures import capital
from textgauge.tracking.journal import Entry, Journal
from textgauge.tracking.sender import Sender
from textgauge.tracking.servers.mlflow_server import MlflowServer

DOWN = ConnectionRefusedError("refused")
BUSY = RuntimeError("API request failed with error code 429 != 200")
FORBIDDEN = RuntimeError("API request failed with error code 403 != 200")
TITLE = "the tracking server http://mlflow.example"


class Scripted:
    """A `Replay` that fails as it is told to; the run is accepted by the first that does not."""

    plan: list[Exception | threading.Event | None]

    def __init__(
        self,
        store: Any,
        journal: Journal,
        entry: Entry,
        server: Any,
        *,
        on_accepted: Callable[[], None],
        on_progress: Callable[[], None],
        on_note: Callable[[str], None],
    ) -> None:
        self.entry = entry
        self.accepted = False
        self.experiment, self.experiment_id, self.run_url = "notes", "7", "http://page"
        self.calls: list[tuple[frozenset[str], bool]] = []
        self._on_accepted, self._on_progress = on_accepted, on_progress
        self.note = on_note

    def catch_up(self, files: frozenset[str], *, ended: bool) -> None:
        self.calls.append((files, ended))
        step = self.plan.pop(0) if self.plan else None
        if isinstance(step, threading.Event):
            step.wait(20)
        elif step is not None:
            raise step
        if not self.accepted:
            self.accepted = True
            self._on_accepted()
        self._on_progress()


class Told(list[dict[str, Any]]):
    """What a sender said."""

    def kinds(self) -> list[str]:
        return [answer["is"] for answer in self if answer["is"] != "progress"]

    def of(self, kind: str) -> list[Any]:
        return [answer.get("message") for answer in self if answer["is"] == kind]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def begin(
    store: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Sender]]:
    """Make a sender whose replays go as planned, with pauses too short to notice."""
    monkeypatch.setattr(module, "Replay", Scripted)
    monkeypatch.setattr(module, "_GATHERING", 0.01)
    monkeypatch.setattr(module, "_WAITS", (0.01, 0.02))
    monkeypatch.setattr(module, "_LAST_WAITS", (0.0, 0.01, 0.02))
    hanging: list[threading.Event] = []

    def make(*plan: Exception | threading.Event | None) -> Sender:
        Scripted.plan = list(plan)
        hanging.extend(step for step in plan if isinstance(step, threading.Event))
        journal = Journal(store)
        entry = journal.write(Entry("ab12", "http://mlflow.example", "notes"))
        server = MlflowServer("http://mlflow.example")
        return Sender(None, journal, entry, server, told.append)

    yield make
    for event in hanging:
        event.set()


def entry_of(store: Path) -> Entry:
    found = Journal(store).find("ab12")
    assert found is not None
    return found


def until(ready: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.005)


def finish(sender: Sender, *, finished: bool = True) -> None:
    sender.end(finished=finished)
    sender.wait_until_done(0)
    sender.join(20)
    assert not sender.is_alive()


def test_a_run_that_goes_well_is_accepted_forwarded_and_done(
    begin: Callable[..., Sender], told: Told, store: Path
) -> None:
    sender = begin()
    sender.start()
    until(lambda: told.kinds() == ["accepted"])
    sender.wake(frozenset({"a.png"}))
    finish(sender)
    assert told.kinds() == ["accepted", "forwarded"]
    assert told.of("forwarded") == [None]
    (accepted,) = (answer for answer in told if answer["is"] == "accepted")
    assert accepted["record"] == {
        "run_id": None,
        "experiment_id": "7",
        "experiment": "notes",
        "tracking_uri": "http://mlflow.example",
        "run_url": "http://page",
    }
    assert sender._replay.calls[-1] == (frozenset({"a.png"}), True)
    assert [ended for _, ended in sender._replay.calls[:-1]] == [False] * (
        len(sender._replay.calls) - 1
    )
    assert (entry_of(store).state, entry_of(store).problem) == ("done", None)


def test_metrics_bring_no_new_files(begin: Callable[..., Sender]) -> None:
    sender = begin()
    sender.wake(frozenset({"a.png"}))
    sender.wake(None)
    sender.start()
    finish(sender)
    assert {files for files, _ in sender._replay.calls} == {frozenset({"a.png"})}


def test_what_comes_together_goes_together(
    begin: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GATHERING", 0.5)
    sender = begin()
    sender.start()
    until(lambda: sender._replay.accepted)
    for _ in range(50):
        sender.wake(None)
        time.sleep(0.002)
    finish(sender)
    assert len(sender._replay.calls) <= 3


def test_without_news_nothing_is_sent(begin: Callable[..., Sender]) -> None:
    sender = begin()
    sender.start()
    until(lambda: sender._replay.accepted)
    time.sleep(0.2)
    assert len(sender._replay.calls) == 1
    finish(sender)


@pytest.mark.parametrize("error", [DOWN, BUSY])
def test_one_failure_in_passing_is_not_worth_a_word(
    error: Exception, begin: Callable[..., Sender], told: Told, store: Path
) -> None:
    sender = begin(error)
    sender.start()
    until(lambda: told.kinds() == ["accepted"])
    finish(sender)
    assert told.kinds() == ["accepted", "forwarded"]
    assert entry_of(store).state == "done"


def test_an_outage_is_told_once_and_its_end_too(begin: Callable[..., Sender], told: Told) -> None:
    sender = begin(None, DOWN, DOWN, DOWN, DOWN, None, DOWN, DOWN, None)
    sender.start()
    until(lambda: len(sender._replay.calls) == 1)
    sender.wake(None)
    until(lambda: told.of("note"))
    sender.wake(None)
    until(lambda: len(told.of("note")) == 2)
    finish(sender)
    assert told.kinds() == ["accepted", "behind", "note", "behind", "note", "forwarded"]
    assert told.of("note") == [f"{capital(TITLE)} answers again"] * 2
    assert all("does not answer" in text for text in told.of("behind"))
    assert told.of("forwarded") == [None]


@pytest.mark.parametrize(("finished", "state"), [(False, "refused"), (True, "open")])
def test_a_server_that_never_takes_the_run_refuses_it(
    finished: bool, state: str, begin: Callable[..., Sender], told: Told, store: Path
) -> None:
    """A run that ended well all the same is sent once somebody has mended it."""
    sender = begin(FORBIDDEN)
    sender.start()
    until(lambda: told.kinds() == ["refused"])
    assert entry_of(store).state == "open"
    finish(sender, finished=finished)
    assert told.kinds() == ["refused", "forwarded"]
    assert told.of("refused") == told.of("forwarded")
    assert "This login may not write" in told.of("refused")[0]
    assert entry_of(store).state == state
    assert entry_of(store).problem == told.of("refused")[0]


def test_a_run_that_was_accepted_is_not_refused_later(
    begin: Callable[..., Sender], told: Told, store: Path
) -> None:
    sender = begin(None, FORBIDDEN)
    sender.start()
    until(lambda: told.kinds() == ["accepted"])
    sender.wake(None)
    until(lambda: told.kinds() == ["accepted", "behind"])
    finish(sender, finished=False)
    assert told.kinds() == ["accepted", "behind", "forwarded"]
    assert (entry_of(store).state, entry_of(store).problem) == ("open", told.of("forwarded")[0])


def test_the_end_does_not_wait_for_a_pause(
    begin: Callable[..., Sender], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAITS", (60.0,))
    monkeypatch.setattr(module, "_GATHERING", 60.0)
    sender = begin(DOWN)
    sender.start()
    until(lambda: sender._replay.calls)
    begun = time.monotonic()
    finish(sender)
    assert time.monotonic() - begun < 5
    assert told.of("forwarded") == [None]


def test_what_is_missing_at_the_end_is_tried_three_times_and_left_open(
    begin: Callable[..., Sender], told: Told, store: Path
) -> None:
    sender = begin(None, *[DOWN] * 9)
    sender.start()
    until(lambda: sender._replay.accepted)
    finish(sender)
    assert [ended for _, ended in sender._replay.calls] == [False, True, True, True]
    assert "does not answer" in told.of("forwarded")[0]
    assert (entry_of(store).state, entry_of(store).problem) == ("open", told.of("forwarded")[0])


def test_what_fails_for_good_at_the_end_is_tried_once(
    begin: Callable[..., Sender], told: Told, store: Path
) -> None:
    sender = begin(None, FORBIDDEN, None)
    sender.start()
    until(lambda: sender._replay.accepted)
    finish(sender)
    assert [ended for _, ended in sender._replay.calls] == [False, True]
    assert entry_of(store).state == "open"


def test_a_silent_server_is_given_up(
    begin: Callable[..., Sender],
    told: Told,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SILENCE_PATIENCE", 0.3)
    sender = begin(None, threading.Event())
    sender.start()
    until(lambda: sender._replay.accepted)
    begun = time.monotonic()
    sender.end(finished=True)
    sender.wait_until_done(0)
    assert 0.2 < time.monotonic() - begun < 5
    assert told.of("forwarded") == [f"{capital(TITLE)} has been silent for 0 s"]
    assert entry_of(store).state == "open"


def test_a_large_file_is_given_the_time_it_needs(
    begin: Callable[..., Sender], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_PATIENCE", 0.1)
    slow = threading.Event()
    sender = begin(None, slow)
    sender.start()
    until(lambda: sender._replay.accepted)
    sender.end(finished=True)
    threading.Timer(0.6, slow.set).start()
    sender.wait_until_done(module.SLOWEST_UPLOAD * 10)
    assert told.of("forwarded") == [None]


def test_progress_and_notes_are_passed_on(begin: Callable[..., Sender], told: Told) -> None:
    sender = begin()
    sender._replay.note("there is no room for a tag")
    before = sender._last_progress
    sender.start()
    finish(sender)
    assert told.of("note") == ["there is no room for a tag"]
    assert "progress" in [answer["is"] for answer in told]
    assert sender._last_progress > before


def test_a_journal_that_cannot_be_written_does_not_hide_the_last_word(
    begin: Callable[..., Sender], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = begin(FORBIDDEN)

    def full(*_: Any, **changes: Any) -> Any:
        raise TrackingError("There is no space left.")

    monkeypatch.setattr(sender._journal, "update", full)
    sender.start()
    finish(sender)
    assert told.kinds() == ["refused", "forwarded"]
