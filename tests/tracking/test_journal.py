"""What the journal remembers, and who may write a run."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logged_run import LoggedRun

from textgauge.errors import TrackingError
from textgauge.tracking.journal import DESTINATION_TAG, Entry, Journal, lock_run, release_run

Connect = Callable[[Path], Any]

RUN = "0123456789abcdef" * 2
WHOLE = Entry(
    RUN,
    "http://one",
    "notes",
    server_run_id="feedbeef",
    keep_open=True,
    tried=True,
    model_name="bolts",
    alias="challenger",
    model_version="3",
    state="refused",
    problem="No role.",
)


@pytest.fixture
def journal(store: Path) -> Journal:
    return Journal(store, patience=0.2)


def create_run(client: Any, start_time: int, **tags: str) -> str:
    run = client.create_run("1", start_time=start_time, tags=tags)
    return str(run.info.run_id)


# ---- entries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [WHOLE, Entry(RUN, "http://one", "notes")])
def test_an_entry_is_read_as_it_was_written(entry: Entry, store: Path) -> None:
    assert Journal(store).write(entry) == entry
    assert Journal(store).find(RUN) == entry


def test_an_entry_is_on_disk_as_soon_as_it_is_written(store: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from textgauge.tracking.journal import *\n"
        "Journal(Path(sys.argv[1])).write(Entry('ab12', 'http://one', 'notes'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, store], check=False)
    assert done.returncode == -signal.SIGKILL
    assert Journal(store).find("ab12") == Entry("ab12", "http://one", "notes")


def test_a_run_has_one_entry_for_each_server(journal: Journal) -> None:
    one, other = Entry(RUN, "http://one", "notes"), Entry(RUN, "http://other", "notes")
    for entry in (one, other, replace(one, server_run_id="feedbeef")):
        journal.write(entry)
    assert journal.find(RUN, "http://one") == replace(one, server_run_id="feedbeef")
    assert journal.find(RUN, "http://other") == other
    assert len(journal.open_entries()) == 2


def test_a_run_is_found_by_both_its_ids_and_the_newest_entry_of_several(journal: Journal) -> None:
    assert journal.find(RUN) is None
    one = journal.write(Entry(RUN, "http://one", "notes", server_run_id="feedbeef"))
    other = journal.write(Entry(RUN, "http://other", "notes"))
    assert journal.find("feedbeef") == one
    assert journal.find("feedbeef", "http://other") is None
    assert journal.find(RUN) == other
    journal.write(one)
    assert journal.find(RUN) == one


def test_only_what_changes_is_written(journal: Journal, store: Path) -> None:
    entry = journal.write(Entry(RUN, "http://one", "notes"))
    before = store.read_bytes()
    assert journal.update(entry, state="open", tried=False) is entry
    assert store.read_bytes() == before
    changed = journal.update(entry, state="done", problem=None, model_version="2")
    assert changed == replace(entry, state="done", model_version="2")
    assert journal.find(RUN) == changed


def test_what_is_open_is_listed_the_oldest_run_first(
    journal: Journal, store: Path, connect: Connect
) -> None:
    client = connect(store)
    newest, oldest, middle = (create_run(client, start) for start in (3000, 1000, 2000))
    done, refused = create_run(client, 500), create_run(client, 600)
    for run_id in (newest, oldest, middle):
        journal.write(Entry(run_id, "http://one", "notes"))
    journal.write(Entry(done, "http://one", "notes", state="done"))
    journal.write(Entry(refused, "http://one", "notes", state="refused"))
    assert [entry.run_id for entry in journal.open_entries()] == [oldest, middle, newest]


def test_a_run_whose_process_was_killed_before_it_was_entered_is_entered(
    journal: Journal, store: Path, connect: Connect
) -> None:
    client = connect(store)
    run_id = create_run(client, 1000, **{DESTINATION_TAG: "http://one"})
    create_run(client, 1000)  # meant for no server
    known = create_run(client, 2000, **{DESTINATION_TAG: "http://one"})
    journal.write(Entry(known, "http://other", "notes", state="done"))
    experiment = client.get_experiment("1").name
    assert journal.open_entries() == [Entry(run_id, "http://one", experiment)]
    assert journal.find(run_id) == Entry(run_id, "http://one", experiment)


def test_all_runs_of_ours_are_listed_the_oldest_first(
    filled_store: LoggedRun, store: Path, connect: Connect
) -> None:
    client = connect(store)
    name = client.get_experiment("1").name
    ours = {"textgauge.version": "0.1"}
    late = create_run(client, 9_000_000_000_000, **ours)
    early = create_run(client, 1000, **ours)
    deleted = create_run(client, 2000, **ours)
    client.delete_run(deleted)
    create_run(client, 3000)  # somebody else's
    assert Journal(store).runs() == [
        (early, name),
        (filled_store.record.run_id, "notes"),
        (late, name),
    ]


def test_files_that_were_sent_are_remembered_for_each_server(journal: Journal) -> None:
    one, other = Entry(RUN, "http://one", "notes"), Entry(RUN, "http://other", "notes")
    assert journal.sent(one) == set()
    journal.mark_sent(one, [])
    journal.mark_sent(one, ["a.png", "model/MLmodel"])
    journal.mark_sent(one, ["a.png", "b.png"])
    assert journal.sent(one) == {"a.png", "b.png", "model/MLmodel"}
    assert journal.sent(other) == set()
    assert journal.sent(replace(one, run_id="ab12")) == set()


def test_mlflow_and_the_journal_leave_each_other_alone(
    journal: Journal, store: Path, filled_store: LoggedRun, connect: Connect
) -> None:
    client = connect(store)
    before = client.get_run(filled_store.record.run_id).to_dictionary()
    journal.write(WHOLE)
    journal.mark_sent(WHOLE, ["a.png"])
    assert client.get_run(filled_store.record.run_id).to_dictionary() == before
    client.set_tag(filled_store.record.run_id, "a", "b")
    upgraded = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "mlflow", "db", "upgrade", f"sqlite:///{store}"],
        capture_output=True,
        check=False,
    )
    assert upgraded.returncode == 0, upgraded.stderr
    assert journal.find(RUN) == WHOLE
    assert journal.sent(WHOLE) == {"a.png"}


def test_a_table_that_was_cut_off_before_it_was_made_is_made_up_for(store: Path) -> None:
    Journal(store).open_entries()
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("DROP TABLE textgauge_sent")
        connection.commit()
    Journal(store).mark_sent(WHOLE, ["a.png"])
    assert Journal(store).sent(WHOLE) == {"a.png"}


# ---- several writers -----------------------------------------------------------------------------

WRITER = """
import sys; from pathlib import Path
from textgauge.tracking.journal import *
journal = Journal(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    entry = journal.write(Entry(f"{sys.argv[2]}{number}", "http://one", "notes"))
    journal.mark_sent(entry, [f"{number}.png"])
"""


def test_two_processes_write_at_once_and_nothing_is_lost(store: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, store, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        errors = writer.communicate(timeout=60)[1]
        assert writer.returncode == 0, errors
    journal = Journal(store)
    entries = journal.open_entries()
    assert {e.run_id for e in entries} == {f"{name}{n}" for name in "ab" for n in range(40)}
    assert all(journal.sent(e) == {f"{e.run_id[1:]}.png"} for e in entries[:5])


def test_a_store_that_stays_locked_is_told(journal: Journal, store: Path) -> None:
    journal.open_entries()
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match=f"The tracking store {store} is locked"):
            journal.write(WHOLE)
        other.execute("ROLLBACK")
    assert journal.find(RUN) is None
    journal.write(WHOLE)


# ---- disks that take nothing ---------------------------------------------------------------------


@contextmanager
def disk(folder: Path, store: Path, options: str) -> Iterator[Path]:
    """A disk of its own with a copy of the store; a skip where none can be made."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.call(mount):
        pytest.skip("a small disk can only be made as root, with the right to mount")
    try:
        yield Path(shutil.copy(store, folder))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_in_one_sentence_and_the_journal_stays_whole(
    store: Path, tmp_path: Path
) -> None:
    with disk(tmp_path / "small", store, "size=4m") as copy:
        journal = Journal(copy)
        journal.write(WHOLE)
        filler = copy.with_name("filler")
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(16 << 20))
        with pytest.raises(TrackingError, match=r"no space left .* Free some space and run"):
            journal.mark_sent(WHOLE, [f"{'x' * 200}{number}" for number in range(2000)])
        assert journal.find(RUN) == WHOLE
        assert journal.sent(WHOLE) == set()
        filler.unlink()
        journal.mark_sent(WHOLE, ["a.png"])
        assert journal.sent(WHOLE) == {"a.png"}


def test_a_read_only_store_is_told_in_one_sentence(store: Path, tmp_path: Path) -> None:
    with disk(tmp_path / "fixed", store, "size=16m") as copy:
        Journal(copy).write(WHOLE)
        subprocess.run(["mount", "-o", "remount,ro", str(copy.parent)], check=True)
        with pytest.raises(TrackingError, match=f"{copy} is read-only"):
            Journal(copy).update(WHOLE, state="done")
        assert Journal(copy).find(RUN) == WHOLE
        with pytest.raises(TrackingError, match=r"\.mlflow\.db\.lock .* cannot be opened \(Read"):
            lock_run(copy, RUN)


# ---- locks ---------------------------------------------------------------------------------------

HOLDER = """
import sys; from pathlib import Path
from textgauge.tracking.journal import *
print(lock_run(Path(sys.argv[1]), sys.argv[2]), flush=True)
if sys.stdin.readline() == "release\\n":
    release_run(Path(sys.argv[1]), sys.argv[2])
    print("released", flush=True)
    sys.stdin.readline()
"""


class Holder:
    """Another process that claims a run."""

    def __init__(self, store: Path, run_id: str = RUN) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(store), run_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.has_it = self.line() == "True"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def release(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("release\n")
        self.process.stdin.flush()
        assert self.line() == "released"

    def end(self) -> None:
        self.process.communicate(timeout=10)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)


def test_a_run_belongs_to_one_process_and_other_runs_to_others(store: Path) -> None:
    first = Holder(store)
    second, other = Holder(store), Holder(store, "f" * 32)
    assert (first.has_it, second.has_it, other.has_it) == (True, False, True)
    assert not lock_run(store, RUN)
    for holder in (first, second, other):
        holder.end()


@pytest.mark.parametrize("how", [Holder.release, Holder.end, Holder.kill])
def test_a_run_is_free_again_however_its_process_lets_go(
    how: Callable[[Holder], None], store: Path
) -> None:
    holder = Holder(store)
    assert not lock_run(store, RUN)
    how(holder)
    assert lock_run(store, RUN)
    late = Holder(store)
    assert not late.has_it
    release_run(store, RUN)
    for each in (late, holder):
        if each.process.poll() is None:
            each.end()


def test_a_lock_file_that_cannot_be_opened_is_not_taken_for_a_lock(store: Path) -> None:
    (store.parent / ".mlflow.db.lock").mkdir()
    with pytest.raises(TrackingError, match=r"mlflow\.db\.lock of the tracking store cannot be"):
        lock_run(store, RUN)


def test_locks_of_two_stores_have_nothing_to_do_with_each_other(
    store: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copy(store, tmp_path / "other.db"))
    holder = Holder(store)
    assert lock_run(other, RUN)
    release_run(other, RUN)
    holder.end()


def test_the_journal_needs_no_mlflow(store: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from textgauge.tracking.journal import *\n"
        "print(Journal(Path(sys.argv[1])).open_entries(), 'mlflow' in sys.modules)"
    )
    done = subprocess.check_output([sys.executable, "-c", script, store], text=True)
    assert done.strip() == "[] False"
