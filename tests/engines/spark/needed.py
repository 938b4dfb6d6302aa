"""Whether Spark can be tried here: skipped where it cannot, but not in continuous integration."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from once import made_once

_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable"
"""Options of Java for work of seconds: what the better compiler gains comes too late for it."""

_TYPICAL = """
from textgauge.engines.spark.session import open_session
with open_session("local[2]") as spark:
    ids = spark.range(1000).selectExpr("id % 7 as k", "cast(id as string) as text")
    ids.mapInArrow(lambda batches: batches, ids.schema).write.parquet("ids.parquet")
    spark.read.parquet("ids.parquet").groupBy("k").count().orderBy("k").collect()
"""


def quick_java(temporary: pytest.TempPathFactory) -> str:
    """Options with which Java starts Spark in half the time.

    The classes that Spark loads are written to an archive once (JEP 350), by a session that does a
    little of everything; a Java that cannot use it loads them as ever.
    """
    archive = made_once(temporary, "java-classes", _archive)
    return f"{_QUICK} -XX:SharedArchiveFile={archive}"


def _archive(folder: Path) -> Path:
    archive = folder / "spark.jsa"
    options = f"{_QUICK} -XX:ArchiveClassesAtExit={archive}"
    subprocess.run(
        [sys.executable, "-c", _TYPICAL],
        cwd=folder,
        env={**os.environ, "SPARK_SUBMIT_OPTS": options},
        capture_output=True,
        check=True,
        timeout=180,
    )
    return archive


def what_is_missing() -> str | None:
    """What Spark lacks here, and how to get it; None where nothing is missing."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed (pip install 'textgauge[spark]')"
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        return "there is no Java (apt-get install openjdk-17-jre-headless)"
    return None


def need_spark() -> None:
    """Skip the test where pyspark or Java is not installed; with CI=true fail."""
    reason = what_is_missing()
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; with CI=true the tests on Spark must run")
    pytest.skip(reason)
