"""`textgauge sync` brings a server to what the store holds, however often it is cut off.

The unmodified plugin azureml-mlflow, against a stand-in for its service.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from replayed import (
    Synchroniser,
    Trainer,
    WrittenRun,
    assert_server_holds_all,
    entry_of,
    sync,
)
from standins.azureml import AzureMLStandIn
from waiting import wait_until

from textgauge.tracking.journal import Journal

Unsent = Callable[..., WrittenRun]


def test_killed_at_any_request_it_goes_on_where_it_was(
    azureml: AzureMLStandIn, azureml_sync: Synchroniser, unsent: Unsent
) -> None:
    """SIGKILL while a request is on its way, or its answer on the way back; again and again."""
    run = unsent(azureml, model_name="often-killed", alias="challenger")
    chance = random.Random(17)
    kills = 0
    while entry_of(run.store, run.run_id).state != "done":
        where = {"after": chance.randrange(1, 12), "path": "/mlflow/v2|/history/|blob.core"}
        if kills < 12:
            azureml.add_fault(action=chance.choice(["hang", "hang_after"]), seconds=60, **where)
        process = azureml_sync.start(run.store)
        done = wait_until(
            lambda: entry_of(run.store, run.run_id).state == "done" or hanging(azureml), patience=60
        )
        assert done
        if hanging(azureml):
            os.kill(process, signal.SIGKILL)
            kills += 1
        azureml_sync.wait(process)
        azureml.reset()
    assert kills > 5
    assert_server_holds_all(run.store, run.run_id, azureml)
    [version] = azureml.registered_versions("often-killed")
    assert version.tags == {"textgauge.alias": "challenger", "textgauge.run_id": run.run_id}


def test_killed_at_any_time_it_goes_on_where_it_was(
    azureml: AzureMLStandIn, azureml_sync: Synchroniser, unsent: Unsent
) -> None:
    """SIGKILL wherever it happens to be."""
    run = unsent(azureml)
    chance = random.Random(4)
    for _ in range(6):
        process = azureml_sync.start(run.store)
        try:
            wait_until(lambda: False, patience=chance.uniform(0.05, 0.6))
        finally:
            os.kill(process, signal.SIGKILL)
            azureml_sync.wait(process)
    azureml_sync.sync(run.store)
    assert_server_holds_all(run.store, run.run_id, azureml)


def test_two_at_once_do_not_meet(
    azureml: AzureMLStandIn, azureml_sync: Synchroniser, unsent: Unsent
) -> None:
    run = unsent(azureml)
    azureml.add_fault(action="hang", seconds=60, path="/log-batch$")
    first = azureml_sync.start(run.store)
    assert wait_until(lambda: hanging(azureml), patience=60)
    [second], _ = azureml_sync.sync(run.store)
    assert second["problem"] == "its training is still running, or another sync is sending it"
    azureml.clear_faults()
    azureml_sync.wait(first)
    assert_server_holds_all(run.store, run.run_id, azureml)


def test_local_runs_go_to_a_server_that_is_named(
    azureml: AzureMLStandIn,
    azureml_sync: Synchroniser,
    written_run: WrittenRun,
    empty_store: Path,
    tmp_path: Path,
) -> None:
    store = Path(shutil.copy(written_run.store, tmp_path))
    assert azureml_sync.sync(store) == ([], [])
    [done], _ = azureml_sync.sync(store, to=azureml.tracking_uri)
    assert (done["run_id"], done["problem"]) == (written_run.run_id, None)
    assert_server_holds_all(store, written_run.run_id, azureml)
    azureml.reset()
    assert azureml_sync.sync(store, to=azureml.tracking_uri) == ([], [])
    assert azureml.requests() == []


def test_a_run_that_never_reached_its_server_goes_to_another(
    azureml: AzureMLStandIn, azureml_sync: Synchroniser, unsent: Unsent
) -> None:
    run = unsent(azureml)
    elsewhere = entry_of(run.store, run.run_id)
    journal = Journal(run.store)
    nowhere = "http://127.0.0.1:1"
    journal.write(type(elsewhere)(run.run_id, nowhere, elsewhere.experiment))
    [done], _ = azureml_sync.sync(run.store, run.run_id, to=azureml.tracking_uri)
    assert done["problem"] is None
    assert_server_holds_all(run.store, run.run_id, azureml)
    left = journal.find(run.run_id, nowhere)
    assert left is not None
    assert left.state == "open"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.call(mount):
        pytest.skip("a small disk can only be made as root, with the right to mount")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_told_and_made_good_when_there_is_room(
    small_disk: Path,
    azureml: AzureMLStandIn,
    trainer: Callable[..., Trainer],
) -> None:
    training = trainer(azureml, small_disk, hold=1, epochs=400, pause=0.05, files={})
    run_id = training.first_epoch()
    training.wait_until_held()
    fill(small_disk / "filler")
    training.go_on()
    said = training.fail()
    [error] = [line for line in said.splitlines() if "TrackingError" in line] or [said]
    assert "no space left on the disk" in error
    (small_disk / "filler").unlink()

    done = sync(small_disk, azureml)
    assert done.returncode == 0, done.stderr
    assert_server_holds_all(training.store, run_id, azureml)
    server_run_id = entry_of(training.store, run_id).server_run_id
    assert azureml.run(server_run_id).info.status == "FAILED"


def fill(file: Path) -> None:
    """Take all the room that is left on a disk."""
    with file.open("wb", buffering=0) as filler:
        for size in (65536, 512):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                pass


def hanging(azureml: AzureMLStandIn) -> bool:
    """Whether a request hangs."""
    return any(request.fault for request in azureml.requests())
