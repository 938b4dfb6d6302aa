"""Runs below another one: MLflow shows them so, here and on a server, and none is lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from logged_run import LoggedRun
from plain_server import PlainServer

from textgauge.errors import TrackingError
from textgauge.tracking.failures import NotYetError, is_passing
from textgauge.tracking.journal import Entry, Journal
from textgauge.tracking.local import LocalTracker
from textgauge.tracking.protocol import Destination, RunPlan, ServerAddress
from textgauge.tracking.replay import Replay
from textgauge.tracking.sqlite_store import sqlite_uri
from textgauge.tracking.sync import sync

ReadRun = Callable[[Path, str], Any]

PARENT = "mlflow.parentRunId"

KILLED = """
import os, signal, sys
from textgauge.tracking.open import open_tracker
from textgauge.tracking.protocol import RunPlan
with open_tracker(sys.argv[1]) as parent:
    parent.start(RunPlan("all"))
    with parent.child() as child:
        child.start(RunPlan("one"))
        print(parent.ready(60).run_id, child.ready(60).run_id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def write_family(tracker: LocalTracker) -> tuple[str, str]:
    """A parent and a child, both whole; gives what `end` gave of each."""
    with tracker as parent:
        parent.start(RunPlan("all", tags={"textgauge.version": "0.1"}))
        with parent.child() as child:
            child.start(RunPlan("one", tags={"textgauge.version": "0.1"}))
            child.log_metrics({"val_loss": 0.5}, 1)
            below = child.end()
        above = parent.end()
    assert (above.missing is None) == (below.missing is None)
    return above.run_id, below.run_id


@dataclass(frozen=True)
class Family:
    """A store with a parent and its child, and their ids."""

    store: Path
    above: str
    below: str

    def tracker(self) -> LocalTracker:
        return LocalTracker(Destination(sqlite_uri(self.store), "notes"))


@pytest.fixture(scope="module")
def written_family(filled_store: LoggedRun, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """Written once, by two workers. Not to be changed: use `family`."""
    store = Path(shutil.copy(filled_store.store, tmp_path_factory.mktemp("family")))
    family = Family(store, "", "")
    return Family(store, *write_family(family.tracker()))


@pytest.fixture
def family(written_family: Family, tmp_path: Path) -> Family:
    return replace(written_family, store=Path(shutil.copy(written_family.store, tmp_path)))


def test_a_child_stands_below_its_parent_and_can_be_gone_on_with(
    family: Family, read_run: ReadRun
) -> None:
    store, above, below = family.store, family.above, family.below
    found = read_run(store, below)
    assert found.data.tags[PARENT] == above
    assert found.info.experiment_id == read_run(store, above).info.experiment_id
    with family.tracker() as parent:
        parent.start(RunPlan("more"))
        with parent.child(below) as child:
            child.start(RunPlan("one"))
            child.log_metrics({"eval_loss": 0.25})
            assert child.end().run_id == below
        parent.end()
    found = read_run(store, below)
    assert (found.data.tags[PARENT], found.data.metrics["eval_loss"]) == (above, 0.25)


def test_kill_9_marks_the_parent_and_its_child(
    store: Path, status_after: Callable[..., str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, sqlite_uri(store)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [status_after(store, run) for run in done.stdout.split()] == ["KILLED", "KILLED"]


def test_on_a_server_a_child_stands_below_the_servers_own_run(
    mlflow_server: PlainServer, store: Path
) -> None:
    uri = mlflow_server.tracking_uri
    there = Destination(sqlite_uri(store), "families", server=ServerAddress(uri))
    above, below = write_family(LocalTracker(there))
    assert mlflow_server.run(below).data.tags[PARENT] == above
    assert Journal(store).find(above, uri).run_id != above, "the server has ids of its own"


def test_what_a_server_missed_is_sent_parent_first(
    mlflow_server: PlainServer, family: Family
) -> None:
    store, above, below = family.store, family.above, family.below
    uri = mlflow_server.tracking_uri
    for run in (below, above):
        Journal(store).write(Entry(run, uri, "families"))
    done = {each.run_id: each for each in sync(store=store)}
    assert list(done) == [above, below]
    assert [each.problem for each in done.values()] == [None, None]
    there = mlflow_server.run(done[below].server_run_id)
    assert there.data.tags[PARENT] == done[above].server_run_id


@pytest.fixture
def parent_of(family: Family, connect: Callable[[Path], Any]) -> Any:
    """What a child's replay takes for its parent there, by the parent's entry in the journal."""
    above, below = family.above, family.below
    client, journal = connect(family.store), Journal(family.store)

    def look(**fields: Any) -> str | None:
        if fields:
            journal.write(Entry(above, "http://there", "families", **fields))
        replay = Replay(client, journal, Entry(below, "http://there", "families"), None)  # type: ignore[arg-type]
        return replay._parent(client.get_run(below))

    return look


def test_a_child_waits_for_its_parent_and_never_names_a_run_that_is_not_there(
    parent_of: Any,
) -> None:
    assert parent_of() is None, "the parent was never meant to go there"
    with pytest.raises(NotYetError) as waits:
        parent_of(state="open")
    assert is_passing(waits.value)
    with pytest.raises(TrackingError, match="Send it first: textgauge sync") as refused:
        parent_of(state="refused")
    assert not is_passing(refused.value)
    assert parent_of(server_run_id="theirs") == "theirs"
