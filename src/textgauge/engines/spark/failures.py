"""What Spark's errors mean: a person is told one sentence, not a stack of two languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ... import errors
from ...errors import EngineError, StorageError, TableError, TextgaugeError

_OURS = re.compile(r"^(?:textgauge\.errors\.)(\w+Error): (.+)", re.MULTILINE)


def explain(error: BaseException, name: str = "the table") -> TextgaugeError:
    """The error of our tree that says what `error`, raised by Spark, is about.

    An error that is not Spark's is raised as it is.

    Args:
        error: what a call of Spark raised.
        name: what a person calls the table at work.

    """
    if isinstance(error, TextgaugeError):
        return error
    if not _is_sparks(error):
        raise error
    said = _all_of(error)
    if ours := _OURS.search(said):
        kind: type[TextgaugeError] = getattr(errors, ours[1], EngineError)
        return kind(ours[2])
    for sign, make in _SIGNS:
        if found := re.search(sign, said):
            return make(name, said, found)
    return EngineError(f"Spark could not do the work: {first_sentence(_cause(said))}")


@contextmanager
def explaining(name: str) -> Iterator[None]:
    """Let what Spark raises be raised as `explain` says it."""
    try:
        yield
    except Exception as error:
        raise explain(error, name) from error


def _is_sparks(error: BaseException) -> bool:
    # A Java process that has ended shows as a refused connection.
    package = type(error).__module__.partition(".")[0]
    return package in ("pyspark", "py4j") or isinstance(error, ConnectionError)


_Make = Callable[[str, str, re.Match[str]], TextgaugeError]


def _always(kind: type[TextgaugeError], message: str) -> _Make:
    """One message, in which {0} stands for what the sign's first group found, and so on."""
    return lambda name, said, found: kind(message.format(*found.groups()))


def _unreadable(name: str, said: str, found: re.Match[str]) -> TextgaugeError:
    return TableError(
        f"{name} cannot be read: {first_sentence(_cause(said))} Copy it again, or write it again."
    )


def _other_columns(name: str, said: str, found: re.Match[str]) -> TextgaugeError:
    file = re.search(r"CSV file: \S*/(\S+)", said)
    columns = re.findall(r"(?:Header|Schema): (.+)", said)
    shown = f" ({columns[0]} instead of {columns[1]})" if len(columns) > 1 else ""
    return TableError(
        f"the files of {name} differ in their columns: {file[1] if file else 'one'} has others, or "
        f"in another order{shown}. Give all of them one header."
    )


_SIGNS: tuple[tuple[str, _Make], ...] = (
    (
        r"different version: ([\d.]+) than that in driver:? ([\d.]+)",
        _always(
            EngineError,
            "the executors run Python {0}, and this is Python {1}. Both must have the same minor "
            "version; PYSPARK_PYTHON names the executors' Python.",
        ),
    ),
    (
        r'Cannot run program "([^"]+)"',
        _always(
            EngineError,
            "the executors cannot run {0}. PYSPARK_PYTHON must name a Python that is there on "
            "every machine of the cluster, with textgauge installed.",
        ),
    ),
    (
        r"No module named '(\w+)",
        _always(
            EngineError,
            "the executors lack the package {0}. Install the wheel of textgauge on every machine "
            "of the cluster, or name a Python that has it with PYSPARK_PYTHON.",
        ),
    ),
    (
        r"No space left on device",
        _always(
            StorageError,
            "no space is left on a disk of the cluster. Make room where the results go and where "
            "Spark keeps temporary files (spark.local.dir).",
        ),
    ),
    (
        r"Python worker exited unexpectedly|Python worker failed to connect back",
        _always(
            EngineError,
            "a Python process of an executor died, several times. Give the executors more memory "
            "for Python (spark.executor.memoryOverhead), and see their logs.",
        ),
    ),
    (
        r"ExecutorLostFailure|OutOfMemoryError",
        _always(
            EngineError,
            "an executor ran out of memory or was ended by its machine, several times. Give the "
            "executors more memory (spark.executor.memory, spark.executor.memoryOverhead).",
        ),
    ),
    (
        r"SparkContext was shut down|Connection refused|Answer from Java side is empty",
        _always(
            EngineError,
            "Spark's own process has ended. It may have run out of memory (spark.driver.memory), "
            "or someone stopped the application.",
        ),
    ),
    (r"header does not conform", _other_columns),
    (
        r"FAILED_READ_FILE|CANNOT_READ_FILE|not a Parquet file|MALFORMED_CSV|UNABLE_TO_INFER_SCHEMA"
        r"|ZipException|incorrect header check|MalformedInput",
        _unreadable,
    ),
)
"""What in an error's words tells its kind, and what is made of it; the first that is found."""


def _all_of(error: BaseException) -> str:
    """Everything that is said by an error and by those that led to it."""
    said = []
    seen: BaseException | None = error
    while seen is not None:
        java = getattr(seen, "java_exception", None)
        said.append(str(seen) if java is None else f"{seen}\n{java.toString()}")
        seen = seen.__cause__
    return "\n".join(said)


def _cause(said: str) -> str:
    """The innermost cause of a Java stack trace, or the last line of a Python one."""
    if "Traceback (most recent call last)" in said:
        lines = [
            line for line in said.rsplit("Traceback", maxsplit=1)[-1].splitlines() if line.strip()
        ]
        told = [line for line in lines[1:] if not line.startswith((" ", "\t"))]
        if told:
            return re.sub(r"^[\w.]+: ", "", told[0])
    causes = re.findall(r"^Caused by: [\w.$]+(?:Exception|Error): (.+)$", said, flags=re.MULTILINE)
    return causes[-1] if causes else said


def first_sentence(said: str) -> str:
    """The first line that says something, without error classes, ending in a full stop."""
    lines = (line.strip() for line in said.splitlines())
    line = next((line for line in lines if line), "no reason is given")
    line = re.sub(r"^(?:[\w.$]+(?:Exception|Error): )+", "", line)
    line = re.sub(r"^\[[A-Z_.0-9]+\] ", "", line)
    line = line.partition(" SQLSTATE: ")[0]
    return line.rstrip(". ") + "."
