"""A run as MLflow shows it afterwards, and what happens to it when something goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from logged_run import EPOCHS, METRICS, SETTINGS, LoggedRun, png

from textgauge.errors import TrackingError
from textgauge.tracking.journal import DESTINATION_TAG, Journal
from textgauge.tracking.local import LocalTracker
from textgauge.tracking.protocol import Destination, RunPlan, ServerAddress
from textgauge.tracking.sqlite_store import sqlite_uri

Open = Callable[..., LocalTracker]
Connect = Callable[[Path], Any]
ReadRun = Callable[[Path, str], Any]

TRAINER = """
import sys, time
from textgauge.tracking.open import open_tracker
from textgauge.tracking.protocol import RunPlan
with open_tracker() as tracker:
    tracker.start(RunPlan("interrupted"))
    tracker.log_metrics({"train_loss": 0.5}, 1)
    tracker.log_metrics({"train_loss": 0.25}, 2)
    print(tracker.ready(30).run_id, flush=True)  # Both are handed over long before.
    time.sleep(60)
"""


@pytest.fixture
def trainer(store: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A training process in the middle of its run, and the run's id."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": sqlite_uri(store)}
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        yield process, process.stdout.readline().strip()
        process.kill()
        process.wait()


def test_a_whole_run_is_there(filled_store: LoggedRun, read_run: ReadRun) -> None:
    record = filled_store.record
    run = read_run(filled_store.store, record.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "a whole run"
    assert run.info.end_time >= run.info.start_time
    assert {key: run.data.metrics[key] for key in METRICS} == METRICS
    assert run.data.params["lr"] == "0.001"
    assert run.data.params["vectors"] == "None"
    assert run.data.params["sizes"] == "[3, 2]"
    assert run.data.params["late"] == "True"
    assert run.data.tags["textgauge.version"] == "0.1"
    assert run.data.tags["textgauge.verdict"] == "worth it"
    assert run.data.tags["mlflow.source.name"] == "textgauge"


def test_curves_are_there_by_step(filled_store: LoggedRun, connect: Connect) -> None:
    client = connect(filled_store.store)
    for name in EPOCHS[0]:
        curve = client.get_metric_history(filled_store.record.run_id, name)
        assert [(point.step, point.value) for point in curve] == [
            (step, figures[name]) for step, figures in enumerate(EPOCHS, start=1)
        ]


def test_the_table_is_there_as_a_dataset(filled_store: LoggedRun, read_run: ReadRun) -> None:
    run = read_run(filled_store.store, filled_store.record.run_id)
    (found,) = run.inputs.dataset_inputs
    assert found.dataset.name == "notes.csv"
    assert found.dataset.digest == "0123456789abcdef0123456789abcdef0123"
    assert json.loads(found.dataset.profile)["num_rows"] == 90_000
    assert json.loads(found.dataset.profile)["digest"] == "0123456789abcdef" * 4
    assert json.loads(found.dataset.source)["uri"] == "/data/notes.csv"
    columns = json.loads(found.dataset.schema)["mlflow_colspec"]
    assert [(c["name"], c["type"]) for c in columns] == [("text", "string"), ("label", "long")]
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "training")]


def test_artifacts_are_there_byte_for_byte(filled_store: LoggedRun) -> None:
    folder = filled_store.record.artifact_folder
    assert folder is not None
    assert (folder / "training_results.png").read_bytes() == png(width=64, height=32)
    assert json.loads((folder / "figures" / "history.json").read_text()) == EPOCHS
    logged = sorted(p.relative_to(folder / "model") for p in (folder / "model").rglob("*"))
    made = sorted(p.relative_to(filled_store.bundle) for p in filled_store.bundle.rglob("*"))
    assert logged == made
    assert all(
        (folder / "model" / path).read_bytes() == (filled_store.bundle / path).read_bytes()
        for path in made
        if (filled_store.bundle / path).is_file()
    )


def test_a_value_too_long_for_its_field_is_kept_whole(filled_store: LoggedRun) -> None:
    folder = filled_store.record.artifact_folder
    assert folder is not None
    (kept,) = (folder / "long_values").iterdir()
    assert json.loads(kept.read_text()) == {"note": SETTINGS["note"]}


def test_the_record_says_where_the_run_is(filled_store: LoggedRun) -> None:
    record, store = filled_store.record, filled_store.store
    assert record.experiment == "notes"
    assert record.tracking_uri == f"sqlite:///{store}"
    assert record.run_url == (
        f"http://127.0.0.1:5000/#/experiments/{record.experiment_id}/runs/{record.run_id}"
        "?workflowType=machine_learning"
    )
    assert record.model_address == f"runs:/{record.run_id}/model"
    assert record.artifact_folder is not None
    assert record.artifact_folder.is_relative_to(store.parent / "mlruns")
    assert set(record.seconds) == {"import", "store", "run", "end"}
    left = [path.name for path in store.parent.glob(".*")]
    assert left == [".mlflow.db.lock"], "the half-made store was left behind"


def test_killing_the_trainer_marks_the_run(
    trainer: tuple[subprocess.Popen[str], str],
    store: Path,
    status_after: Callable[..., str],
    read_run: ReadRun,
) -> None:
    process, run_id = trainer
    process.kill()
    assert status_after(store, run_id) == "KILLED"
    run = read_run(store, run_id)
    assert run.data.metrics["train_loss"] == 0.25
    assert "without a word" in run.data.tags["textgauge.ended"]


def test_ctrl_c_ends_the_run_as_killed(
    trainer: tuple[subprocess.Popen[str], str], store: Path, read_run: ReadRun
) -> None:
    process, run_id = trainer
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT
    run = read_run(store, run_id)
    assert run.info.status == "KILLED"
    assert run.data.metrics["train_loss"] == 0.25
    assert "textgauge.ended" not in run.data.tags


def test_a_run_of_the_users_is_written_into_and_left_open(store: Path, read_run: ReadRun) -> None:
    import mlflow

    from textgauge.tracking.open import open_tracker

    mlflow.set_tracking_uri(sqlite_uri(store))
    try:
        with mlflow.start_run(run_name="theirs") as theirs:
            before = (mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI"))
            with open_tracker(experiment="ignored") as tracker:
                tracker.start(RunPlan("ours", {"lr": 0.5}))
                tracker.log_metrics({"eval_loss": 0.25})
                record = tracker.end("FINISHED")
            assert record.run_id == theirs.info.run_id
            assert mlflow.active_run().info.run_id == record.run_id
            assert (mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")) == before
            run = read_run(store, record.run_id)
            assert run.info.status == "RUNNING"
            assert run.info.run_name == "theirs"
            assert run.data.metrics["eval_loss"] == 0.25
            assert run.data.params["lr"] == "0.5"
        assert read_run(store, record.run_id).info.status == "FINISHED"
    finally:
        mlflow.set_tracking_uri(None)


def test_a_lock_delays_nothing_but_the_worker(
    open_store: Open, store: Path, read_run: ReadRun
) -> None:
    with open_store(lock_patience=30) as tracker:
        tracker.start(RunPlan("patient"))
        with pytest.raises(TrackingError, match="has not taken the run yet"):
            tracker.ready(0)
        assert tracker.failure() is None, "asking whether the run is there is no failure"
        assert tracker.ready(30) == tracker.ready(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(tracker._process.pid, number)  # meant for the training, not for the worker
        with closing(sqlite3.connect(store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            for step in range(2000):
                # Far more than a pipe holds: the trainer must not wait for the reader.
                tracker.log_metrics({"a_metric_with_a_long_name": step / 2000}, step)
            assert time.monotonic() - begun < 5
            assert tracker.failure() is None
            other.execute("ROLLBACK")
        record = tracker.end()
    run = read_run(store, record.run_id)
    assert run.data.metrics["a_metric_with_a_long_name"] == 1999 / 2000


def test_a_store_that_stays_locked_fails_the_run(
    open_store: Open, store: Path, read_run: ReadRun
) -> None:
    with open_store() as tracker:
        tracker.start(RunPlan("impatient"))
        run_id = tracker.ready(30).run_id
        with closing(sqlite3.connect(store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            tracker.log_metrics({"val_loss": 0.5}, 1)
            told = wait_for_failure(tracker)
            assert f"The tracking store {store} is locked" in told
            other.execute("ROLLBACK")
        with pytest.raises(TrackingError, match="is locked"):
            tracker.end("FINISHED")
    assert read_run(store, run_id).info.status == "FAILED"


def test_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("id,text\n1,bolt\n" * 10)
    with LocalTracker(Destination(sqlite_uri(path), "notes")) as tracker:
        assert "is not an MLflow store" in wait_for_failure(tracker)
        tracker.start(RunPlan("never"))
        with pytest.raises(TrackingError, match="is not an MLflow store"):
            tracker.ready(30)
        with pytest.raises(TrackingError, match="is not an MLflow store"):
            tracker.end()
    assert path.read_text().startswith("id,text")


def test_two_trainings_can_make_the_store_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "100% neu #1"
    folder.mkdir()
    (folder / "alembic.py").write_text("raise SystemExit('a file of the user, by chance')")
    monkeypatch.chdir(folder)
    where = Destination(sqlite_uri(folder / "mlflow.db"), "shared")
    with LocalTracker(where) as first, LocalTracker(where) as second:
        for tracker in (first, second):
            tracker.start(RunPlan("one of two"))
            tracker.log_metrics({"lr": 0.5})
        records = [tracker.end() for tracker in (first, second)]
    assert records[0].experiment_id == records[1].experiment_id
    assert records[0].run_id != records[1].run_id
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        found = connection.execute("SELECT run_uuid, status FROM runs").fetchall()
    assert sorted(found) == sorted((record.run_id, "FINISHED") for record in records)
    left = {path.name for path in folder.iterdir()}
    assert left == {".mlflow.db.lock", "alembic.py", "mlflow.db", "mlruns"}


def test_leaving_before_the_start_leaves_nothing(tmp_path: Path) -> None:
    with LocalTracker(Destination(sqlite_uri(tmp_path / "mlflow.db"), "notes")) as tracker:
        time.sleep(0.3)
        with pytest.raises(TrackingError, match="not started"):
            tracker.ready(0)
    assert tracker._process.returncode is not None
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_is_told_and_not_waited_for(open_store: Open) -> None:
    with open_store() as tracker:
        tracker.start(RunPlan("orphan"))
        tracker._process.kill()
        begun = time.monotonic()
        with pytest.raises(TrackingError, match="ended unexpectedly"):
            tracker.end()
        assert time.monotonic() - begun < 5


def test_a_worker_that_is_stuck_is_not_waited_for_forever(store: Path) -> None:
    where = Destination(sqlite_uri(store), "notes")
    tracker = LocalTracker(where, silence_patience=0.5)
    os.kill(tracker._process.pid, signal.SIGSTOP)
    try:
        tracker.start(RunPlan("stuck"))
        begun = time.monotonic()
        with pytest.raises(TrackingError, match="has not taken the run yet"):
            tracker.end()
        assert time.monotonic() - begun < 3
    finally:
        tracker._process.kill()
        tracker._process.wait()


def test_a_full_disk_fails_the_run_in_one_sentence(tmp_path: Path) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.call(mount):
        pytest.skip("a small disk can only be made as root, with the right to mount")
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(8 << 20))
    try:
        with LocalTracker(Destination(sqlite_uri(disk / "mlflow.db"), "notes")) as tracker:
            tracker.start(RunPlan("too big"))
            tracker.log_artifact(big)
            with pytest.raises(TrackingError, match="no space left"):
                tracker.end()
        with closing(sqlite3.connect(disk / "mlflow.db")) as connection:
            assert connection.execute("SELECT status FROM runs").fetchall() == [("FAILED",)]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# ---- what is told of a server --------------------------------------------------------------------


@pytest.fixture
def sending(store: Path) -> Iterator[LocalTracker]:
    """A tracker for a server; what its worker says, the test says."""
    with LocalTracker(
        Destination(sqlite_uri(store), "notes", server=ServerAddress("http://127.0.0.1:9"))
    ) as tracker:
        yield tracker


def test_news_are_told_once_and_are_no_failure(sending: LocalTracker) -> None:
    assert sending.news() == []
    sending._note_of_server({"is": "behind", "message": "It does not answer."})
    sending._note_of_server({"is": "note", "message": "it answers again"})
    sending._note_of_server({"is": "progress"})
    assert sending.news() == [
        "It does not answer. The run is kept here and sent later.",
        "it answers again.",
    ]
    assert sending.news() == []
    assert sending.failure() is None


@pytest.mark.parametrize(
    "answer",
    [
        {"is": "accepted", "record": {"run_id": "ab12"}},
        {"is": "behind", "message": "It does not answer."},
        {"is": "forwarded", "message": None},
    ],
)
def test_the_preflight_ends_with_a_word_from_the_server(
    answer: dict[str, Any], sending: LocalTracker
) -> None:
    begun = time.monotonic()
    sending.preflight(0.05)
    assert time.monotonic() - begun < 3, "no word in time is no refusal"
    sending._note_of_server(answer)
    sending.preflight(30)
    assert time.monotonic() - begun < 5


def test_a_refusal_ends_the_training(sending: LocalTracker) -> None:
    sending._note_of_server({"is": "refused", "message": "There is no login."})
    with pytest.raises(TrackingError, match=r"^There is no login\.$"):
        sending.preflight(30)


def test_a_refusal_that_comes_late_is_told_and_ends_nothing(sending: LocalTracker) -> None:
    sending._preflight_over = True
    sending._note_of_server({"is": "refused", "message": "There is no login."})
    assert sending.failure() is None
    assert sending.news() == ["There is no login. The run is kept here."]


def test_a_local_run_needs_no_preflight(open_store: Open) -> None:
    with open_store() as tracker:
        begun = time.monotonic()
        tracker.preflight(30)
        assert time.monotonic() - begun < 1


def test_a_server_that_is_down_costs_the_run_nothing_but_its_place_there(
    sending: LocalTracker, store: Path, read_run: ReadRun
) -> None:
    sending.start(RunPlan("kept here", {"lr": 0.5}))
    sending.log_metrics({"eval_loss": 0.25})
    record = sending.end("FINISHED")
    assert record.missing is not None
    assert "127.0.0.1:9 does not answer" in record.missing
    assert record.run_id == record.journal_run_id
    assert record.tracking_uri == sqlite_uri(store)
    run = read_run(store, record.run_id)
    assert (run.info.status, run.data.metrics["eval_loss"]) == ("FINISHED", 0.25)
    assert run.data.tags[DESTINATION_TAG] == "http://127.0.0.1:9"
    entry = Journal(store).find(record.run_id)
    assert entry is not None
    assert (entry.state, entry.uri, entry.problem) == ("open", "http://127.0.0.1:9", record.missing)


def test_an_exit_in_the_middle_neither_hangs_nor_crashes(store: Path) -> None:
    script = (
        "from textgauge.tracking.open import open_tracker\n"
        "from textgauge.tracking.protocol import RunPlan\n"
        "tracker = open_tracker()\n"
        "tracker.start(RunPlan('forgotten'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "MLFLOW_TRACKING_URI": sqlite_uri(store)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_the_tracker_imports_nothing_heavy() -> None:
    script = (
        "import sys, textgauge.tracking.open\n"
        "print([m for m in ('mlflow', 'sqlalchemy', 'pandas', 'numpy', 'polars', 'torch') "
        "if m in sys.modules])"
    )
    done = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert done.strip() == "[]"


def wait_for_failure(tracker: LocalTracker, patience: float = 20) -> str:
    end = time.monotonic() + patience
    while (problem := tracker.failure()) is None:
        assert time.monotonic() < end, "no failure was told"
        time.sleep(0.02)
    return str(problem)
