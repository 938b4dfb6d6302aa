"""What is written through MLflow's client, without a worker process in between."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from textgauge.bundle.carried import carry_code
from textgauge.errors import TrackingError
from textgauge.tracking.failures import explain
from textgauge.tracking.inherited import RUN_TAG
from textgauge.tracking.mlflow_run import ENDED_TAG, MlflowRun, complete_files, local_folder
from textgauge.tracking.protocol import Registration
from textgauge.tracking.sqlite_store import sqlite_uri

Opened = Callable[..., MlflowRun]
Connect = Callable[[Path], Any]


@pytest.fixture
def opened(store: Path, connect: Connect) -> Opened:
    def open_it(**options: Any) -> MlflowRun:
        settings = {"experiment": "notes", "store": store, **options}
        run = MlflowRun(connect(store), tracking_uri=sqlite_uri(store), **settings)
        run.open()
        return run

    return open_it


def start(name: str, params: dict[str, str], tags: dict[str, str] | None = None) -> dict[str, Any]:
    return {"do": "start", "name": name, "params": params, "tags": tags or {}, "time": 1}


def test_space_is_kept_for_the_last_word(opened: Opened, store: Path) -> None:
    run = opened()
    run.apply(start("full disk", {}))
    (reserve,) = store.parent.glob(".*.reserve")
    assert reserve.stat().st_blocks * 512 >= 262_144
    run.end("FAILED", 2)
    assert not reserve.exists()


def test_a_run_of_the_users_own_needs_no_space_for_it(
    opened: Opened, store: Path, connect: Connect
) -> None:
    run_id = connect(store).create_run("1").info.run_id
    opened(run_id=run_id, keep_open=True).apply(start("joined", {}))
    assert not list(store.parent.glob(".*.reserve"))


def test_an_existing_run_is_gone_on_with(opened: Opened, store: Path, connect: Connect) -> None:
    first = opened()
    tags = {"textgauge.version": "1", "mlflow.user": "ann", ENDED_TAG: "killed"}
    first.apply(start("first", {"epochs": "1", "lr": "0.5", "long": "x" * 7000}, tags))
    first.end("KILLED", 2)
    client = connect(store)
    run_id = str(first.run_id)
    assert client.get_run(run_id).info.status == "KILLED"

    second = opened(run_id=run_id, experiment="another")
    params = {"epochs": "2", "lr": "0.5", "long": "x" * 7000, "more": "1"}
    second.apply(start("second", params, {"textgauge.version": "2", "mlflow.user": "bob"}))
    run = client.get_run(run_id)
    assert run.info.status == "RUNNING"
    assert run.info.run_name == "first"
    assert {k: run.data.params[k] for k in ("epochs", "lr", "more")} == {
        "epochs": "1",
        "lr": "0.5",
        "more": "1",
    }
    assert json.loads(run.data.tags["textgauge.resumed_with"]) == {"epochs": "2"}
    assert run.data.tags["textgauge.version"] == "2"
    assert run.data.tags["mlflow.user"] == "ann"
    assert ENDED_TAG not in run.data.tags
    assert second.record is not None
    assert second.record["experiment"] == "notes"
    assert client.get_experiment_by_name("another") is None
    second.end("FINISHED", 3)
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_run_that_is_to_stay_open_does(opened: Opened, store: Path, connect: Connect) -> None:
    client = connect(store)
    run_id = client.create_run("1").info.run_id
    run = opened(run_id=run_id, keep_open=True)
    run.apply(start("ours", {}))
    run.end("FAILED", 2)
    assert client.get_run(run_id).info.status == "RUNNING"


def ended(client: Any) -> str:
    run_id = str(client.create_run("1").info.run_id)
    client.set_terminated(run_id)
    return run_id


def written_by_another(client: Any) -> str:
    return str(client.create_run("1", tags={RUN_TAG: "feedbeef"}).info.run_id)


@pytest.mark.parametrize("inherited", [ended, written_by_another])
def test_a_run_that_cannot_be_written_into_gets_a_child(
    inherited: Callable[[Any], str], opened: Opened, store: Path, connect: Connect
) -> None:
    client = connect(store)
    parent = inherited(client)
    before = client.get_run(parent)
    run = opened(run_id=parent, keep_open=True)
    run.apply(start("child", {"lr": "0.5"}))
    run.end("FINISHED", 2)
    child = client.get_run(str(run.run_id))
    assert child.data.tags["mlflow.parentRunId"] == parent
    assert child.data.tags[RUN_TAG] == run.run_id
    assert child.info.status == "FINISHED"
    assert child.info.experiment_id == before.info.experiment_id, "not `notes`: where its parent is"
    assert client.get_run(parent).to_dictionary() == before.to_dictionary()


def test_a_second_training_in_the_same_run_becomes_its_child(
    opened: Opened, store: Path, connect: Connect
) -> None:
    client = connect(store)
    run_id = client.create_run("1").info.run_id
    first = opened(run_id=run_id, keep_open=True)
    first.apply(start("first", {"lr": "0.5"}))
    second = opened(run_id=run_id, keep_open=True)
    second.apply(start("second", {"lr": "0.25"}))
    assert first.run_id == run_id != second.run_id
    assert client.get_run(second.run_id).data.tags["mlflow.parentRunId"] == run_id
    assert client.get_run(run_id).data.params["lr"] == "0.5"


def test_a_run_id_left_over_from_elsewhere_leads_to_a_run_of_ones_own(
    opened: Opened, store: Path, connect: Connect
) -> None:
    client = connect(store)
    deleted = client.create_run("1").info.run_id
    client.delete_run(deleted)
    for run_id in (deleted, "feedbeef" * 4):
        run = opened(run_id=run_id, keep_open=True)
        run.apply(start("own", {}))
        found = client.get_run(str(run.run_id))
        assert run.run_id != run_id
        assert "mlflow.parentRunId" not in found.data.tags
        assert client.get_experiment(found.info.experiment_id).name == "notes"


def test_a_new_run_has_its_first_tags_from_its_first_moment_on(
    opened: Opened, store: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = opened(first_tags={"textgauge.tracking_uri": "http://mlflow.example"})
    monkeypatch.setattr(run, "_log_tags", lambda *_: pytest.fail("killed in this moment"))
    with pytest.raises(pytest.fail.Exception):
        run.apply(start("killed", {}))
    tags = connect(store).get_run(str(run.run_id)).data.tags
    assert tags["textgauge.tracking_uri"] == "http://mlflow.example"


def test_a_model_is_registered_in_the_stores_own_registry(
    opened: Opened, store: Path, connect: Connect, bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle, tmp_path / "model"))
    carry_code(folder)
    run = opened(registration=Registration("nuts", "challenger"))
    run.apply(start("registered", {}))
    run.apply({"do": "model", "folder": str(folder), "example": []})
    client = connect(store)
    version = client.get_model_version_by_alias("nuts", "challenger")
    assert (version.run_id, version.tags[RUN_TAG]) == (run.run_id, run.run_id)


def test_more_fields_than_fit_into_one_request_all_arrive(
    opened: Opened, store: Path, connect: Connect
) -> None:
    run = opened()
    run.apply(start("many", {f"p{i}": str(i) for i in range(250)}))
    run.apply({"do": "tags", "values": {f"t{i}": str(i) for i in range(250)}})
    rows = [["loss", i / 4, i, 1] for i in range(2500)]
    run.apply({"do": "metrics", "rows": rows})
    client = connect(store)
    found = client.get_run(str(run.run_id))
    assert {f"p{i}" for i in range(250)} <= set(found.data.params)
    assert {f"t{i}" for i in range(250)} <= set(found.data.tags)
    with closing(sqlite3.connect(store)) as connection:
        query = "SELECT count(*), max(value) FROM metrics WHERE run_uuid = ?"
        assert connection.execute(query, (run.run_id,)).fetchone() == (2500, 2499 / 4)


def test_a_deleted_experiment_is_told(opened: Opened, store: Path, connect: Connect) -> None:
    client = connect(store)
    client.delete_experiment(client.get_experiment_by_name("notes").experiment_id)
    with pytest.raises(TrackingError, match=r"The experiment 'notes' .* is deleted\. Restore it"):
        opened()


def test_a_deleted_run_is_told(opened: Opened, store: Path, connect: Connect) -> None:
    client = connect(store)
    run_id = client.create_run("1").info.run_id
    client.delete_run(run_id)
    with pytest.raises(TrackingError, match=f"The run {run_id} is deleted"):
        opened(run_id=run_id)


def test_an_unknown_run_is_told(opened: Opened, store: Path) -> None:
    with pytest.raises(Exception, match="not found") as caught:
        opened(run_id="feedbeef")
    assert "has no run feedbeef" in explain(caught.value, sqlite_uri(store), store)


def test_an_artifact_that_is_gone_is_told(opened: Opened, store: Path, tmp_path: Path) -> None:
    run = opened()
    run.apply(start("careless", {}))
    path = tmp_path / "gone.png"
    with pytest.raises(Exception, match=r"gone\.png") as caught:
        run.apply({"do": "artifact", "path": str(path), "folder": ""})
    sentence = explain(caught.value, sqlite_uri(store), store)
    assert sentence.startswith(f"{path} was to be stored with the run")


def test_byte_code_beside_the_carried_code_is_not_stored(
    opened: Opened, bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle, tmp_path / "model"))
    run = opened()
    run.apply(start("compiled", {}))
    package = carry_code(folder)
    cache = folder / "code" / package / "__pycache__"
    cache.mkdir()
    (cache / "errors.cpython-311.pyc").write_bytes(b"comes and goes")
    run.apply({"do": "model", "folder": str(folder), "example": []})
    assert run.record is not None
    stored = Path(run.record["artifact_folder"]) / "model"
    assert (stored / "MLmodel").is_file()
    assert (stored / "code" / package / "errors.py").is_file()
    assert not (stored / "code" / package / "__pycache__").exists()


def test_a_folder_for_artifacts_that_cannot_be_made_is_told_at_the_start(
    opened: Opened, store: Path, connect: Connect
) -> None:
    blocked = store.parent / "blocked"
    blocked.write_text("a file where a folder should be")
    connect(store).create_experiment("elsewhere", artifact_location=str(blocked / "here"))
    with pytest.raises(NotADirectoryError):
        opened(experiment="elsewhere").apply(start("never", {}))


def test_the_files_of_a_run_are_those_that_stay(tmp_path: Path) -> None:
    for name in ("a.png", "model/MLmodel", "model/code/__pycache__/errors.cpython-311.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert complete_files(tmp_path) == {"a.png", "model/MLmodel"}


def test_logging_before_the_start_is_told(opened: Opened) -> None:
    with pytest.raises(TrackingError, match="before the run was started"):
        opened().apply({"do": "tags", "values": {"a": "b"}})


def test_a_store_of_another_mlflow_is_told(store: Path, connect: Connect) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'f0f0f0f0f0f0'")
        connection.commit()
    before = store.read_bytes()
    with pytest.raises(Exception, match="schema") as caught:
        connect(store)
    sentence = explain(caught.value, sqlite_uri(store), store)
    assert "another version of MLflow (its schema is f0f0f0f0f0f0)" in sentence
    assert f"mlflow db upgrade {sqlite_uri(store)}" in sentence
    assert store.read_bytes() == before


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("/data/mlruns/1/ab/artifacts", Path("/data/mlruns/1/ab/artifacts")),
        ("file:///data/a%20b", Path("/data/a b")),
        ("mlflow-artifacts:/1/ab/artifacts", None),
        ("s3://bucket/1/ab", None),
    ],
)
def test_which_artifacts_lie_on_this_machine(uri: str, folder: Path | None) -> None:
    assert local_folder(uri) == folder
