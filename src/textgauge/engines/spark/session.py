"""A Spark session: the one that is there already, or one of our own that ends with its use."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from ...errors import EngineError, MissingPackageError, SettingsError
from .executors import Executors, check_executors
from .failures import first_sentence
from .leftovers import removed_with

__all__ = ["Executors", "check_executors", "open_session", "running_session"]

EVERYWHERE = "local[*]"
"""All cores of this machine: the master where none is named and no session is there."""

MASTER_PATIENCE = 5.0
"""Seconds that a standalone master has to accept a connection."""

OLDEST_JAVA = 17
"""What PySpark 4 needs."""

_LOCAL = re.compile(r"local(\[(\*|[1-9]\d*)(,\s*[1-9]\d*)?\])?")
_STANDALONE = re.compile(r"spark://(.+)")
_OTHERS = re.compile(r"yarn|k8s://.+|local-cluster\[.+\]")
_LOOPBACK = re.compile(r"(127\.[\d.]+|localhost|\[::1\])(:\d+)?")
_MASTERS = "local[*], local[2], spark://HOST:7077, yarn or k8s://HOST:PORT"


@contextlib.contextmanager
def open_session(master: str | None = None) -> Iterator[Any]:
    """Give a Spark session.

    A session that is active already (a notebook's, a Databricks job's, the caller's) is used as it
    is and left running, whatever `master` says. Otherwise one is started on `master`, or on all
    cores of this machine, and stopped in the end.

    Raises:
        MissingPackageError: pyspark is not installed.
        SettingsError: `master` is no master.
        EngineError: there is no Java or too old a one, the master does not answer, or the session
            is one of Spark Connect.

    """
    if importlib.util.find_spec("pyspark") is None:
        raise MissingPackageError(
            "pyspark is not installed here. Install it: pip install 'textgauge[spark]'."
        )
    found = running_session()
    if found is not None:
        yield _classic(found)
        return
    master = master or EVERYWHERE
    _refuse_unknown(master)
    _require_java()
    _require_master(master)
    session = _start(master)
    with removed_with(session):
        yield session


def running_session() -> Any:
    """The session of a notebook, of a Databricks job or of the calling program; None without."""
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    from pyspark import SparkContext

    # A Databricks job has its cluster's session only once it asks for it.
    if SparkContext._active_spark_context is None and not os.environ.get(
        "DATABRICKS_RUNTIME_VERSION"
    ):
        return None
    return SparkSession.builder.getOrCreate()


def _classic(session: Any) -> Any:
    if type(session).__module__.startswith("pyspark.sql.connect"):
        raise EngineError(
            "this session is one of Spark Connect, which has no way to send a model to the "
            "executors. Use a cluster with dedicated access (on Databricks: access mode "
            "'Dedicated'), not serverless."
        )
    return session


def _refuse_unknown(master: str) -> None:
    if master.startswith("sc://"):
        raise SettingsError(
            f"{master} is an address of Spark Connect, which has no way to send a model to the "
            f"executors. Pass --spark-master with one of {_MASTERS}."
        )
    if not any(form.fullmatch(master) for form in (_LOCAL, _STANDALONE, _OTHERS)):
        raise SettingsError(
            f"--spark-master must be like {_MASTERS}; was {master!r}. On a cluster that runs this "
            "command itself (Databricks) leave it out."
        )


def _require_java() -> None:
    """Raise EngineError unless the Java that Spark would start is there and new enough."""
    install = (
        f"Install Java {OLDEST_JAVA} or newer (Debian: apt-get install openjdk-17-jre-headless) "
        "and set JAVA_HOME to its folder."
    )
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if java is None:
        raise EngineError(
            f"Spark needs Java, and there is no java on the PATH and no JAVA_HOME. {install}"
        )
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        named = f" (JAVA_HOME is {home})" if home else ""
        reason = getattr(error, "strerror", None) or "it does not answer"
        raise EngineError(
            f"Spark needs Java, and {java} cannot be run: {reason}{named}. {install}"
        ) from None
    # "17.0.15", "21"; the last one that counted otherwise was "1.8.0_392".
    found = re.search(r'version "(?:1\.)?(\d+)([^"]*)"', told.stderr + told.stdout)
    if found is None:
        said = first_sentence(told.stderr + told.stdout) or "it says nothing"
        raise EngineError(
            f"Spark needs Java, and {java} does not tell its version: {said} {install}"
        )
    if int(found[1]) < OLDEST_JAVA:
        raise EngineError(
            f"pyspark {_version('pyspark')} needs Java {OLDEST_JAVA} or newer; {java} is Java "
            f"{found[1]}. {install}"
        )


def _require_master(master: str) -> None:
    """Raise EngineError unless a standalone master can be reached; Spark alone waits a minute."""
    match = _STANDALONE.fullmatch(master)
    if match is None:
        return
    reasons = []
    for address in match[1].split(","):
        host, _, port = address.rpartition(":")
        if not (host and port.isdigit()):
            raise SettingsError(f"--spark-master must be like spark://HOST:7077; was {master!r}.")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), MASTER_PATIENCE):
                return
        except OSError as error:
            reasons.append(f"{address}: {error.strerror or error}")
    raise EngineError(
        f"no Spark master answers at {master} ({'; '.join(reasons)}). Check the address (the "
        "master's page shows it), and that the master runs and can be reached from this machine."
    )


def _start(master: str) -> Any:
    """Start a session of our own."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("textgauge")
    for name, value in _settings(master).items():
        builder = builder.config(name, value)
    environment = {"PYSPARK_PYTHON": sys.executable}
    if _is_loopback(master):
        environment["SPARK_LOCAL_IP"] = "127.0.0.1"
    with _defaults(environment), _kept_interrupt(), _kept_stderr() as log:
        try:
            session = builder.getOrCreate()
        except Exception as error:
            raise EngineError(_not_started(master, error, log)) from None
    session.sparkContext.setLogLevel("ERROR")
    return session


def _settings(master: str) -> dict[str, str]:
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # Too few slots for a training are told after two seconds, not after ten minutes.
        "spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "1s",
        "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "2",
        # Of torch's launcher, which shows a stack where one worker merely ends before another, and
        # TorchDistributor shows that to the user. What ends a training is raised, not logged.
        "spark.executorEnv.LOGLEVEL": "CRITICAL",
    }
    if master.startswith("local"):
        # Spark's 200 are made for clusters: on one machine they are mostly empty.
        settings["spark.sql.shuffle.partitions"] = "16"
    if _is_loopback(master):
        settings["spark.driver.bindAddress"] = settings["spark.driver.host"] = "127.0.0.1"
    return settings


def _is_loopback(master: str) -> bool:
    standalone = _STANDALONE.fullmatch(master)
    if standalone is None:
        return master.startswith("local")
    return all(_LOOPBACK.fullmatch(address) for address in standalone[1].split(","))


@contextlib.contextmanager
def _defaults(environment: dict[str, str]) -> Iterator[None]:
    """Set variables that are not set, for a while."""
    added = {name: value for name, value in environment.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _kept_interrupt() -> Iterator[None]:
    """Keep what Ctrl-C does: Spark's own handler calls Java from within a call to Java."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _kept_stderr() -> Iterator[IO[bytes]]:
    """Keep what is written to standard error, away from the terminal.

    The Java process writes there before it can be told to be silent, and keeps for all its life the
    standard error that it was started with.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        before = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            os.dup2(before, 2)
            os.close(before)


def _not_started(master: str, error: Exception, log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"\b(ERROR|Error|Exception)\b", line)]
    said = first_sentence(str(error))
    if "JAVA_GATEWAY_EXITED" in str(error) and lines:
        said = first_sentence((telling or lines)[-1])
    return (
        f"Spark {_version('pyspark')} did not start on {master}: {said} Check the master's address "
        "and its version of Spark, and what SPARK_HOME and SPARK_CONF_DIR say, if they are set."
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
