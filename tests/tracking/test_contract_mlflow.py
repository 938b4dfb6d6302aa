"""What arrives at a plain MLflow server, over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from plain_server import PASSWORD, USER, PlainServer
from promoted import PROMOTE
from replayed import Trainer, WrittenRun, assert_server_holds_all, entry_of, sync
from standins.plugin_process import PluginProcess

StartTrainer = Callable[..., Trainer]


def test_a_whole_run_arrives(
    mlflow_server: PlainServer, trainer: StartTrainer, bundle: Path
) -> None:
    training = trainer(mlflow_server, nan=("f1",), bundle=bundle, register="bolts")
    run_id = training.first_epoch()
    record = training.finish()
    assert_server_holds_all(training.store, run_id, mlflow_server)
    assert record["missing"] is None
    assert (record["journal_run_id"], record["tracking_uri"]) == (run_id, mlflow_server.url)
    assert record["run_url"].startswith(f"{mlflow_server.url}/#/experiments/")
    assert f"/runs/{record['run_id']}?" in record["run_url"]
    (version,) = mlflow_server.registered_versions("bolts")
    assert version.run_id == record["run_id"]
    client = mlflow_server.client()
    assert client.get_model_version_by_alias("bolts", "challenger").version == version.version
    with PluginProcess(mlflow_server.process_environment()) as process:
        runs = [record["run_id"]]
        done = process.run(PROMOTE, uri=mlflow_server.url, name="nuts", runs=runs)
    assert done == [["nuts", "1", True, None], ["nuts", "1", False, None]]
    (version,) = mlflow_server.registered_versions("nuts")
    assert (version.run_id, version.description) == (record["run_id"], "| what | changed |")
    champion = client.get_model_version_by_alias("nuts", "champion")
    assert champion.version == version.version


def test_a_password_in_the_address_stays_with_the_process(
    mlflow_server: PlainServer, trainer: StartTrainer
) -> None:
    mlflow_server.ask_for_login()
    training = trainer(mlflow_server, uri=mlflow_server.uri_with_password)
    run_id = training.first_epoch()
    record = training.finish()
    assert record["missing"] is None
    assert PASSWORD not in str(record)
    assert entry_of(training.store, run_id).uri == mlflow_server.url
    written = [path for path in training.store.parent.rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]
    mlflow_server.ask_for_login(False)
    assert_server_holds_all(training.store, run_id, mlflow_server)


def test_a_login_that_is_refused_ends_the_training(
    mlflow_server: PlainServer, trainer: StartTrainer
) -> None:
    mlflow_server.ask_for_login()
    wrong = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": "wrong"}
    training = trainer(mlflow_server, environment=mlflow_server.environment | wrong, pause=0.5)
    assert "refuses this login. Set MLFLOW_TRACKING_USERNAME" in training.fail()


def test_what_a_server_missed_is_sent_later(
    mlflow_server: PlainServer, trainer: StartTrainer
) -> None:
    mlflow_server.stop()
    training = trainer(mlflow_server)
    run_id = training.first_epoch()
    record = training.finish()
    assert record["run_id"] == run_id
    assert "does not answer" in record["missing"]
    mlflow_server.start()
    done = sync(training.store.parent, mlflow_server)
    assert (done.returncode, "1 run sent whole." in done.stdout) == (0, True), done.stderr
    assert_server_holds_all(training.store, run_id, mlflow_server)


def test_a_local_run_goes_to_a_server_that_is_named(
    mlflow_server: PlainServer, written_run: WrittenRun, tmp_path: Path
) -> None:
    store = Path(shutil.copy(written_run.store, tmp_path))
    done = sync(tmp_path, mlflow_server, "--to", mlflow_server.url)
    assert done.returncode == 0, done.stderr
    assert_server_holds_all(store, written_run.run_id, mlflow_server)
