"""A run goes on whatever its server does, and in the end the server has all of it.

Each run is written by a process and its tracking worker, as a training does it, for a stand-in for
an Azure ML workspace with the unmodified plugin azureml-mlflow.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from replayed import Synchroniser, Trainer, assert_server_holds_all, entry_of, sync
from standins.azureml import AzureMLStandIn
from waiting import wait_until

StartTrainer = Callable[..., Trainer]

DOWN = "The Azure ML workspace texts-workspace does not answer. Check the address and the network."
KEPT = "The run is kept here and sent later."


def test_a_server_that_is_down_stops_nothing(
    azureml: AzureMLStandIn,
    azureml_sync: Synchroniser,
    trainer: StartTrainer,
    tmp_path: Path,
) -> None:
    """At the start of one run, in the middle of another, and at the end of a third."""
    middle = trainer(azureml, tmp_path / "middle", hold=2)
    end = trainer(azureml, tmp_path / "end", hold=1)
    run_ids = {each.store.parent.name: each.first_epoch() for each in (middle, end)}
    for each in (middle, end):
        each.wait_until_held()
    azureml.stop(kill=True)

    end.go_on()
    # The plugin asks there for a map of the clouds as soon as MLflow is imported.
    known = {k: v for k, v in azureml.environment.items() if k != "ARM_CLOUD_METADATA_URL"}
    start = trainer(azureml, tmp_path / "start", environment=known)
    run_ids["start"] = start.first_epoch()
    middle.go_on()
    middle.wait_until_held()
    for each in (start, end):
        record = each.finish()
        assert record["missing"] == DOWN
        # Where it can be found: here.
        assert record["run_id"] == run_ids[each.store.parent.name]
        assert entry_of(each.store, record["run_id"]).state == "open"
        told = [news for news in record["news"] if KEPT in news]
        assert told == ([f"{DOWN} {KEPT}"] if each is start else [])

    azureml.start()
    middle.go_on()
    record = middle.finish()
    assert record["missing"] is None  # caught up by itself
    assert [news for news in record["news"] if KEPT in news] == [f"{DOWN} {KEPT}"]
    assert_server_holds_all(middle.store, run_ids["middle"], azureml)

    done = sync(tmp_path / "start", azureml)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 run sent whole."), done.stderr
    [synced], _ = azureml_sync.sync(end.store)
    assert synced["problem"] is None
    for each in (start, end):
        assert_server_holds_all(each.store, run_ids[each.store.parent.name], azureml)


BAD_DAY: dict[str, dict[str, Any]] = {
    "errors of its own": {"action": "status", "status": 500, "times": 3},
    "too many requests": {
        "action": "status",
        "status": 429,
        "headers": {"Retry-After": "1"},
        "times": 3,
    },
    "no answer": {"action": "hang", "seconds": 4},
    "a cut connection": {"action": "cut_before", "times": 2},
    "a lost answer": {"action": "cut_after"},
}


def test_a_bad_day_loses_nothing(azureml: AzureMLStandIn, trainer: StartTrainer) -> None:
    """One fault after the other, each until the worker has met it and got over it."""
    environment = {**azureml.environment, "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
    training = trainer(
        azureml, environment=environment, epochs=9, hold=len(BAD_DAY) + 2, nan=("f",)
    )
    run_id = training.first_epoch()
    training.wait_until_held()
    for what, fault in BAD_DAY.items():
        azureml.reset()
        azureml.add_fault(path="/api/2.0/mlflow/runs/log-batch$", **fault)
        training.go_on()
        training.wait_until_held()
        assert wait_until(lambda: got_over(azureml), patience=60), what
    azureml.reset()
    azureml.expire_tokens()
    training.go_on()
    training.wait_until_held()
    assert wait_until(lambda: azureml.requests(path="/identity/token"), patience=60)
    training.go_on()
    record = training.finish()
    assert record["missing"] is None
    assert_server_holds_all(training.store, run_id, azureml)


def got_over(azureml: AzureMLStandIn) -> bool:
    """Whether the worker has asked again after the last fault, and been answered."""
    asked = azureml.requests(path="/mlflow/runs/")
    met = [at for at, request in enumerate(asked) if request.fault]
    return bool(met) and any(r.status == 200 and not r.fault for r in asked[met[-1] :])


def test_a_token_that_expires_is_replaced_unnoticed(
    azureml: AzureMLStandIn, trainer: StartTrainer
) -> None:
    training = trainer(azureml, hold=1)
    run_id = training.first_epoch()
    training.wait_until_held()
    assert len(azureml.requests(path="/identity/token")) == 1
    azureml.expire_tokens()
    training.go_on()
    record = training.finish()
    assert (record["missing"], record["news"]) == (None, [])
    assert_server_holds_all(training.store, run_id, azureml)
    assert len(azureml.requests(path="/identity/token")) == 2
    logins = [request.login for request in azureml.requests(path="/runs/") if request.status == 200]
    assert len(set(logins)) == 2


def test_a_killed_training_is_marked_on_the_server_by_its_worker(
    azureml: AzureMLStandIn, trainer: StartTrainer
) -> None:
    training = trainer(azureml, hold=1)
    run_id = training.first_epoch()
    training.wait_until_held()
    training.kill()
    wait_until(lambda: entry_of(training.store, run_id).state, lambda state: state == "done", 60)
    assert_server_holds_all(training.store, run_id, azureml)
    run = azureml.run(entry_of(training.store, run_id).server_run_id)
    assert run.info.status == "KILLED"
    assert "killed" in run.data.tags["textgauge.ended"]


def test_killed_together_with_its_worker_marked_by_sync_and_gone_on_with(
    azureml: AzureMLStandIn,
    azureml_sync: Synchroniser,
    trainer: StartTrainer,
) -> None:
    training = trainer(azureml, hold=1)
    run_id = training.first_epoch()
    training.wait_until_held()
    training.kill(worker=True)
    server_run_id = entry_of(training.store, run_id).server_run_id
    assert azureml.run(server_run_id).info.status == "RUNNING"

    [synced], _ = azureml_sync.sync(training.store)
    assert synced["problem"] is None
    killed = azureml.run(server_run_id)
    assert killed.info.status == "KILLED"
    assert "killed" in killed.data.tags["textgauge.ended"]
    assert_server_holds_all(training.store, run_id, azureml)

    resumed = trainer(azureml, resume=run_id)
    assert resumed.first_epoch() == run_id
    record = resumed.finish()
    assert (record["run_id"], record["missing"]) == (server_run_id, None)
    assert_server_holds_all(training.store, run_id, azureml)
    finished = azureml.run(server_run_id)
    assert finished.info.status == "FINISHED"
    assert "textgauge.ended" not in finished.data.tags
    assert len(azureml.requests(path="/runs/create")) == 1


def test_sync_leaves_a_training_alone_that_still_runs(
    azureml: AzureMLStandIn, trainer: StartTrainer, tmp_path: Path
) -> None:
    training = trainer(azureml, hold=1)
    run_id = training.first_epoch()
    training.wait_until_held()
    done = sync(tmp_path, azureml)
    assert done.returncode == 1
    assert done.stdout == (
        f"{run_id}: its training is still running, or another sync is sending it\n"
    )
    assert done.stderr.count("textgauge: error: ") == 1
    assert "Traceback" not in done.stderr
    training.go_on()
    record = training.finish()
    assert record["missing"] is None
    assert_server_holds_all(training.store, run_id, azureml)


@pytest.fixture(autouse=True)
def _nothing_wrong_afterwards(azureml: AzureMLStandIn) -> None:
    """Set up the workspace before the trainers, so that it is put in order after they ended."""
