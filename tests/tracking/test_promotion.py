"""Which run is meant, and where: its ids here and on its server, and runs that have no model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logged_run import LoggedRun

from textgauge.errors import BundleError, TrackingError
from textgauge.tracking import addresses
from textgauge.tracking.journal import Entry, Journal
from textgauge.tracking.promotion import CHAMPION, PREVIOUS, find_run, find_version, promote
from textgauge.tracking.registry import move_alias, version_by_alias
from textgauge.tracking.servers.mlflow_server import MlflowServer
from textgauge.tracking.servers.server import open_client
from textgauge.tracking.sqlite_store import sqlite_uri

SERVER = "http://mlflow.example"


class OnAStore(MlflowServer):
    """A server behind which lies a store."""

    def __init__(self, store: Path) -> None:
        super().__init__(SERVER)
        self._store = store

    def connect(self) -> Any:
        return open_client(sqlite_uri(self._store), sqlite_uri(self._store))


@pytest.fixture
def run_id(filled_store: LoggedRun) -> str:
    return filled_store.record.run_id


@pytest.fixture
def sent(
    store: Path, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """A journal that knows a run "local" as this store's `run_id` on a server."""

    def make(**fields: Any) -> Path:
        journal = tmp_path / "journal.db"
        journal.write_bytes(store.read_bytes())
        entry = Entry("local", SERVER, "notes", **{"server_run_id": run_id, **fields})
        Journal(journal).write(entry)
        monkeypatch.setenv("TEXTGAUGE_STORE", str(journal))
        monkeypatch.setattr(addresses, "server_at", lambda uri: OnAStore(store))
        return journal

    return make


def test_a_run_tells_its_figures_and_where_its_model_lies(store: Path, run_id: str) -> None:
    found = find_run(run_id, sqlite_uri(store))
    assert (found.run_id, found.status, found.where) == (run_id, "FINISHED", str(store))
    assert found.metrics["eval_accuracy"] == 0.984375
    assert found.tags["textgauge.verdict"] == "worth it"
    assert (found.folder / "MLmodel").is_file()
    assert find_run(found.folder, sqlite_uri(store)).run_id == run_id
    assert find_run(f"runs:/{run_id}/model", sqlite_uri(store)).folder == found.folder


def test_a_run_that_was_sent_is_meant_where_it_was_sent_to(
    sent: Callable[..., Path], run_id: str
) -> None:
    journal = sent(state="done")
    for given in ("local", run_id):
        found = find_run(given)
        assert (found.run_id, found.tracking_uri) == (run_id, SERVER)
        assert found.where == f"the tracking server {SERVER}"
        assert find_run(given, SERVER).run_id == run_id
    with pytest.raises(TrackingError, match=r"journal\.db has no run local"):
        find_run(run_id, sqlite_uri(journal))  # Named, the store is meant, with its own id.


@pytest.mark.parametrize("fields", [{"state": "open"}, {"server_run_id": None}])
def test_a_run_that_was_not_sent_whole_is_told(
    sent: Callable[..., Path], fields: dict[str, Any]
) -> None:
    sent(**fields)
    with pytest.raises(TrackingError, match=r"not whole on its server .*: textgauge sync\. Or reg"):
        find_run("local")


def test_runs_without_a_proved_model_are_refused(
    store: Path, run_id: str, connect: Callable[[Path], Any]
) -> None:
    client, uri = connect(store), sqlite_uri(store)
    running = client.create_run("1").info.run_id
    with pytest.raises(TrackingError, match=r"is RUNNING, not FINISHED.*--resume"):
        find_run(running, uri)
    client.set_terminated(running, "FINISHED")
    with pytest.raises(BundleError, match="ended before it stored a model"):
        find_run(running, uri)
    client.delete_run(run_id)
    with pytest.raises(TrackingError, match="is deleted"):
        find_run(run_id, uri)


def test_the_champion_of_now_has_to_be_the_one_that_was_compared(
    store: Path, run_id: str, connect: Callable[[Path], Any]
) -> None:
    client, found = connect(store), find_run(run_id, sqlite_uri(store))
    done = promote(found, "bolts", CHAMPION, tags={}, description="", champion=None)
    assert (done.version, done.created, done.previous) == ("1", True, None)
    with pytest.raises(TrackingError, match="is version 1 now, no more none: somebody else"):
        promote(found, "bolts", "challenger", tags={}, description="", champion=None)
    assert client.get_registered_model("bolts").aliases == {"champion": 1}
    champion = find_version(found, "bolts", CHAMPION)
    assert champion is not None
    assert (champion.number, champion.run_id, champion.folder) == ("1", run_id, None)
    # Another version: it gets its place back, and the run's version is the one before.
    source = client.get_model_version("bolts", "1").source
    other = client.create_model_version("bolts", source)
    move_alias(client, "bolts", CHAMPION, str(other.version))
    champion = find_version(found, "bolts", CHAMPION)
    assert champion is not None
    assert (champion.number, champion.folder) == ("2", found.folder)
    done = promote(found, "bolts", CHAMPION, tags={"a": "b"}, description="d", champion="2")
    assert (done.version, done.created, done.previous) == ("1", False, "2")
    assert int(version_by_alias(client, "bolts", PREVIOUS).version) == 2
    version = client.get_model_version("bolts", "1")
    assert (version.tags["a"], version.description) == ("b", "d")
