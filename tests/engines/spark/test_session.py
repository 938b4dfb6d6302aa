"""A session is found or started, and whatever is in the way is told in one message."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from e2e import notes, textgauge
from engines.spark.needed import need_spark

from textgauge import platforms
from textgauge.engines.spark import session as module
from textgauge.engines.spark.session import open_session
from textgauge.errors import EngineError, MissingPackageError, SettingsError

pytest_plugins = ["e2e_fixtures"]


@pytest.fixture
def no_session(monkeypatch):
    """As if no session were active, and with none that starts."""
    need_spark()
    monkeypatch.setattr(module, "running_session", lambda: None)
    monkeypatch.setattr(module, "_start", lambda master: pytest.fail("Spark was started"))
    monkeypatch.delenv("JAVA_HOME", raising=False)


def opened(master: str | None = "local[2]") -> str:
    """The message with which a session is refused."""
    kinds = (EngineError, SettingsError, MissingPackageError)
    with pytest.raises(kinds) as error, open_session(master):
        pass
    return str(error.value)


def fake_java(folder: Path, version: str) -> Path:
    """A program that tells its version as Java does."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{version}' >&2\n")
    java.chmod(0o755)
    return java


# ---- what is missing -----------------------------------------------------------------------------


def test_without_pyspark_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    assert opened() == (
        "pyspark is not installed here. Install it: pip install 'textgauge[spark]'."
    )


def test_without_java_it_is_told_what_to_install(no_session, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert opened() == (
        "Spark needs Java, and there is no java on the PATH and no JAVA_HOME. Install Java 17 or "
        "newer (Debian: apt-get install openjdk-17-jre-headless) and set JAVA_HOME to its folder."
    )


def test_the_command_without_java_ends_with_one_message(trained, workplace, tmp_path):
    need_spark()
    notes(5).write_csv("notes.csv")
    done = textgauge(
        *("score", trained.folder, "notes.csv", "--out", "scored.parquet", "--engine", "spark"),
        cwd=workplace,
        PATH=str(tmp_path / "nothing"),
        JAVA_HOME="",
    )
    assert (done.status, done.out) == (1, "")
    assert done.error.startswith("Spark needs Java, and there is no java on the PATH")
    assert sorted(path.name for path in workplace.iterdir()) == ["notes.csv"]


def test_a_java_home_without_java_is_told(no_session, monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    message = opened()
    assert f"{tmp_path}/bin/java cannot be run: No such file or directory" in message
    assert f"(JAVA_HOME is {tmp_path})" in message


@pytest.mark.parametrize(
    ("told", "found"),
    [('openjdk version "11.0.2" 2019-01-15', "11"), ('java version "1.8.0_392"', "8")],
)
def test_a_java_that_is_too_old_is_told_with_its_place(
    told, found, no_session, monkeypatch, tmp_path
):
    java = fake_java(tmp_path, told)
    monkeypatch.setenv("PATH", str(java.parent))
    message = opened()
    assert f"needs Java 17 or newer; {java} is Java {found}. Install Java 17" in message
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert opened() == message


def test_a_program_that_is_no_java_is_told(no_session, monkeypatch, tmp_path):
    java = fake_java(tmp_path, "what do you mean")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert f"{java} does not tell its version: what do you mean." in opened()


@pytest.mark.parametrize("told", ['openjdk version "17.0.15" 2025-04-15', 'java version "21"'])
def test_a_newer_java_will_do(told, no_session, monkeypatch, tmp_path):
    fake_java(tmp_path, told)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    module._require_java()


# ---- masters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("master", ["lokal[2]", "local[]", "local[0]", "127.0.0.1:7077", "spark:7"])
def test_a_master_of_another_form_is_told(master, no_session):
    message = opened(master)
    assert message.startswith("--spark-master must be like local[*], local[2], spark://HOST:7077")
    assert f"was {master!r}" in message


def test_a_master_without_a_port_is_told(no_session):
    assert "must be like spark://HOST:7077; was 'spark://here'" in opened("spark://here")


def test_spark_connect_is_told(no_session, monkeypatch):
    assert opened("sc://127.0.0.1:15002").startswith(
        "sc://127.0.0.1:15002 is an address of Spark Connect"
    )
    there = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})()
    monkeypatch.setattr(module, "running_session", lambda: there)
    assert opened(None).startswith("this session is one of Spark Connect")


def test_a_master_that_does_not_answer_is_told_at_once(no_session):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        begun = time.monotonic()
        message = opened(f"spark://127.0.0.1:{port}")
    assert time.monotonic() - begun < module.MASTER_PATIENCE + 5
    assert message.startswith(
        f"no Spark master answers at spark://127.0.0.1:{port} (127.0.0.1:{port}: Connection refused"
    )


def test_a_second_master_will_do(no_session):
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        second.listen()
        ports = first.getsockname()[1], second.getsockname()[1]
        module._require_master("spark://127.0.0.1:{},127.0.0.1:{}".format(*ports))


def test_a_spark_that_does_not_start_is_told_in_its_own_words(workplace, trained):
    need_spark()
    notes(5).write_csv("notes.csv")
    (workplace / "spark" / "bin").mkdir(parents=True)
    submit = workplace / "spark" / "bin" / "spark-submit"
    submit.write_text("#!/bin/sh\necho 'Error: no classes here' >&2\necho at once >&2\nexit 3\n")
    submit.chmod(0o755)
    done = textgauge(
        *("score", trained.folder, "notes.csv", "--out", "scored.parquet", "--engine", "spark"),
        cwd=workplace,
        SPARK_HOME=str(workplace / "spark"),
    )
    assert done.status == 1
    assert "did not start on local[*]: Error: no classes here." in done.error
    assert "SPARK_HOME" in done.error


# ---- sessions ------------------------------------------------------------------------------------


def test_a_session_that_is_there_is_used_and_left_running(spark):
    with open_session("spark://127.0.0.1:1") as session:
        assert session is spark
    assert session.range(3).count() == 3


def test_a_session_that_errors_is_left_running_too(spark):
    with pytest.raises(KeyError), open_session():
        raise KeyError
    assert spark.range(3).count() == 3


def test_our_own_session_is_quiet_and_listens_on_the_loopback_address(spark):
    settings = dict(spark.sparkContext.getConf().getAll())
    assert settings["spark.master"] == "local[2]"
    assert settings["spark.ui.enabled"] == "false"
    assert settings["spark.driver.bindAddress"] == settings["spark.driver.host"] == "127.0.0.1"
    prefix = "spark.scheduler.barrier.maxConcurrentTasksCheck"
    assert (settings[f"{prefix}.interval"], settings[f"{prefix}.maxFailures"]) == ("1s", "2")
    assert signal.getsignal(signal.SIGINT).__module__ != "pyspark.core.context"
    assert spark.sparkContext.pythonExec == os.environ.get("PYSPARK_PYTHON", sys.executable)
    assert "PYSPARK_PYTHON" not in os.environ or os.environ["PYSPARK_PYTHON"] != sys.executable


def test_torchs_launcher_shows_no_stacks_of_its_own_on_the_executors(spark):
    def level(_: Any) -> Any:
        import os

        yield os.environ.get("LOGLEVEL")

    told = spark.sparkContext.parallelize(range(2), 2).mapPartitions(level).collect()
    assert told == ["CRITICAL", "CRITICAL"]


@pytest.mark.parametrize(
    ("master", "loopback"),
    [
        ("local", True),
        ("local[4,2]", True),
        ("spark://127.0.0.1:7077", True),
        ("spark://localhost:7077,127.0.0.1:7078", True),
        ("spark://head:7077", False),
        ("spark://127.0.0.1:7077,head:7077", False),
        ("yarn", False),
    ],
)
def test_only_a_master_on_this_machine_is_served_on_the_loopback_address(master, loopback):
    assert module._is_loopback(master) is loopback
    assert ("spark.driver.bindAddress" in module._settings(master)) is loopback


def test_a_notebook_finds_its_session_and_the_name_of_its_cluster(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(platforms, "_DATABRICKS_DISK", tmp_path)
    assert platforms.platform().spark is spark
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.0")
    name = "spark.databricks.clusterUsageTags.clusterName"
    assert platforms.platform().cluster is None
    spark.conf.set(name, "lab")
    try:
        found = platforms.platform()
    finally:
        spark.conf.unset(name)
    assert (found.cluster, found.tracking_uri) == ("lab", "databricks")
    assert found.model_name("notes") == "spark_catalog.default.notes"
