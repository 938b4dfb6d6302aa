"""Errors as Spark raises them, and the one sentence that they become."""

from __future__ import annotations

import pytest

from textgauge.engines.spark.failures import explain, first_sentence
from textgauge.errors import BundleError, EngineError, StorageError, TableError

STACK = """An error occurred while calling o91.save.
: org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed while writing rows.
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.taskFailedWhileWritingRowsError(Q.scala:774)
Caused by: java.io.IOException: {}
\tat java.base/java.lang.Thread.run(Thread.java:840)
"""


class PythonException(Exception):  # noqa: N818 - pyspark's name
    __module__ = "pyspark.errors.exceptions.captured"


def told(text: str):
    return explain(PythonException(text), "notes.csv")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            "PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different "
            "version: 3.12 than that in driver: 3.11, PySpark cannot run",
            EngineError,
            "the executors run Python 3.12, and this is Python 3.11. Both must have the same",
        ),
        (
            STACK.format('Cannot run program "/x/python": error=2, No such file or directory'),
            EngineError,
            "the executors cannot run /x/python. PYSPARK_PYTHON must name a Python",
        ),
        (
            "Traceback (most recent call last):\nModuleNotFoundError: No module named "
            "'textgauge.engines'\n",
            EngineError,
            "the executors lack the package textgauge. Install the wheel",
        ),
        (
            "Traceback (most recent call last):\n  File x\n"
            "textgauge.errors.BundleError: models/m is damaged (no); copy the model again.\n",
            BundleError,
            "models/m is damaged (no); copy the model again.",
        ),
        (STACK.format("No space left on device"), StorageError, "no space is left on a disk"),
        (
            "ExecutorLostFailure (executor 3 exited caused by one of the running tasks)",
            EngineError,
            "an executor ran out of memory or was ended",
        ),
        (
            "SparkException: Python worker exited unexpectedly (crashed)",
            EngineError,
            "a Python process of an executor died, several times.",
        ),
        (
            "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///t/a.parquet. "
            "SQLSTATE: KD001\n\tat x\nCaused by: java.lang.RuntimeException: it is no Parquet\n",
            TableError,
            "notes.csv cannot be read: it is no Parquet. Copy it again",
        ),
        (
            STACK.format("something new."),
            EngineError,
            "Spark could not do the work: something new.",
        ),
        (
            "An exception was thrown from the Python worker:\nTraceback (most recent call last):\n"
            '  File "a.py", line 1, in f\nValueError: this is odd.\n',
            EngineError,
            "Spark could not do the work: this is odd.",
        ),
    ],
)
def test_an_error_of_sparks_becomes_a_sentence(text, kind, words):
    error = told(text)
    assert type(error) is kind
    assert str(error).startswith(words)
    assert "\n" not in str(error)


def test_what_led_to_an_error_is_looked_at_too():
    error = PythonException("Job aborted.")
    error.__cause__ = PythonException("No space left on device")
    assert isinstance(explain(error), StorageError)


def test_an_error_of_our_own_stays_and_a_fault_of_the_programs_is_not_hidden():
    ours = TableError("as it is")
    assert explain(ours) is ours
    with pytest.raises(ZeroDivisionError):
        explain(ZeroDivisionError("a fault"))


def test_a_java_process_that_is_gone_is_told():
    assert "Spark's own process has ended" in str(
        explain(ConnectionRefusedError(111, "Connection refused"))
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no reason is given."),
        ("\n  [A_CODE.SUB] It is so. SQLSTATE: 42000\nmore", "It is so."),
        ("java.io.IOException: It broke", "It broke."),
    ],
)
def test_a_first_sentence_has_no_codes(text, sentence):
    assert first_sentence(text) == sentence
