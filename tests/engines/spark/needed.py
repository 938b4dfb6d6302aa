"""Whether Spark can be tried here: skipped where it cannot, but not in continuous integration."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Options of Java for work of seconds: what the better compiler gains comes too late for it."""


def need_spark() -> None:
    """Skip the test where pyspark or Java is not installed; with CI=true fail."""
    if importlib.util.find_spec("pyspark") is None:
        reason = "pyspark is not installed (pip install 'textgauge[spark]')"
    elif shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        reason = "there is no Java (apt-get install openjdk-17-jre-headless)"
    else:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; with CI=true the tests on Spark must run")
    pytest.skip(reason)
