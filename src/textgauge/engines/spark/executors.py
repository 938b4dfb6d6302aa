"""Whether the executors can do the work, told in one sentence where they cannot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...errors import EngineError, TextgaugeError
from .failures import explain
from .jobs import run_job

SLOT_PATIENCE = 10.0
"""Seconds that a cluster has to give the slots that are asked for."""

PROBE_PATIENCE = 60.0
"""Seconds that the executors have to start Python and to answer, once there are slots."""

NEEDED = ("textgauge", "polars", "numpy", "onnxruntime", "pyarrow")
"""Packages that the work needs on each executor."""

UNKNOWN = "?"
"""Version of a package that can be imported and was not installed, such as a source folder."""


@dataclass(frozen=True)
class Executors:
    """What was found.

    Attributes:
        slots: tasks that can run at the same time; None where Spark does not tell.
        notes: sentences about what differs from here and does no harm.

    """

    slots: int | None
    notes: tuple[str, ...] = ()


def check_executors(session: Any, slots: int = 1, patience: float = SLOT_PATIENCE) -> Executors:
    """Run a small job on the executors and return what they are.

    Args:
        session: a session.
        slots: tasks that must be able to run at the same time.
        patience: seconds to wait for so many slots.

    Raises:
        EngineError: there are too few slots, the executors cannot be reached or cannot reach us,
            or their Python is another one or lacks a package.

    """
    found = require_slots(session, slots, patience)
    answers = _ask_all(session, max(slots, found or 1))
    return Executors(found, tuple(_compare(answers)))


def slots_of(session: Any) -> int | None:
    """Tasks that can run at the same time now; None where Spark does not tell."""
    try:
        context = session.sparkContext._jsc.sc()
        profile = context.resourceProfileManager().defaultResourceProfile()
        return int(context.maxNumConcurrentTasks(profile))
    except Exception:  # Some clusters allow no such question; then the work itself will show.
        return None


def has_gpus(session: Any) -> bool:
    """Whether Spark gives each task a GPU of its own (`spark.task.resource.gpu.amount`)."""
    amount = session.sparkContext.getConf().get("spark.task.resource.gpu.amount", "0")
    return float(amount) >= 1


def require_slots(session: Any, slots: int, patience: float) -> int | None:
    """Wait until so many tasks can run at the same time, and give how many can; None: unknown.

    Raises:
        EngineError: after `patience` seconds there are still fewer.

    """
    context = session.sparkContext
    found = slots_of(session)
    if context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true":
        return None  # Executors come when there is work.
    end = time.monotonic() + patience
    while (
        found is not None
        and found < slots
        and not context.master.startswith("local")
        and time.monotonic() < end
    ):
        time.sleep(0.1)
        found = slots_of(session)
    if found is not None and found < slots:
        raise EngineError(_too_few(session, found, slots, patience))
    return found


def _too_few(session: Any, found: int, slots: int, patience: float) -> str:
    context = session.sparkContext
    configured = context.getConf()
    if context.master.startswith("local"):
        return (
            f"{context.master} runs {found} task{'s' if found > 1 else ''} at a time, and {slots} "
            f"are needed. Pass --spark-master local[{slots}]."
        )
    if found:
        return (
            f"{context.master} gave slots for {found} task{'s' if found > 1 else ''} within "
            f"{patience:.0f} s, and {slots} are needed at the same time. Start more workers, free "
            "cores that other applications hold, or ask for less."
        )
    driver = f"{configured.get('spark.driver.host')}:{configured.get('spark.driver.port')}"
    return (
        f"no executor of {context.master} has registered within {patience:.0f} s. Either no worker "
        "runs there, other applications hold all cores or memory, or its machines cannot reach "
        f"this one at {driver}: see the master's page; spark.driver.host and spark.driver.port "
        "set another address."
    )


# ---- the probe -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What one task saw: its machine, its Python, and the packages there (None: missing)."""

    host: str
    program: str
    python: str
    packages: dict[str, str | None]


def _probe(names: tuple[str, ...], unknown: str) -> Callable[[Iterable[int]], Iterator[Any]]:
    """What runs on the executors. A function in a function: Spark sends such code by its content.

    Of a function of this module it would send the name, which means nothing to an executor that
    lacks textgauge.
    """

    def probe(_: Iterable[int]) -> Iterator[Any]:
        import importlib.metadata
        import importlib.util
        import socket
        import sys

        packages: dict[str, str | None] = {}
        for name in names:
            try:
                packages[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                packages[name] = unknown if importlib.util.find_spec(name) else None
        python = ".".join(map(str, sys.version_info[:3]))
        yield socket.gethostname(), sys.executable, python, packages

    return probe


def _ask_all(session: Any, tasks: int) -> list[Answer]:
    """Answers of so many tasks at a time, which reach every executor that has a slot."""
    context = session.sparkContext

    def ask() -> list[Any]:
        job = context.parallelize(range(tasks), tasks)
        return list(job.mapPartitions(_probe(NEEDED, UNKNOWN)).collect())

    try:
        answers = run_job(session, "textgauge: looking at the executors", ask, PROBE_PATIENCE)
    except TimeoutError:
        raise EngineError(
            f"the executors of {context.master} did not answer within {PROBE_PATIENCE:.0f} s. See "
            "their logs on the master's page; they may be unable to start Python or to reach this "
            "machine."
        ) from None
    except Exception as error:
        raise explain(error) from error
    return [Answer(*each) for each in answers]


def _compare(answers: Iterable[Answer]) -> list[str]:
    """Notes on harmless differences. Raises EngineError for the others."""
    here = {name: _version_here(name) for name in NEEDED}
    notes: list[str] = []
    for each in answers:
        where = f"the executor on {each.host} ({each.program})"
        missing = [name for name, found in each.packages.items() if found is None]
        if missing:
            what = "textgauge" if "textgauge" in missing else " and ".join(missing)
            raise _lacks(where, what, here["textgauge"])
        theirs = each.packages["textgauge"]
        if UNKNOWN not in (theirs, here["textgauge"]) and theirs != here["textgauge"]:
            raise EngineError(
                f"{where} has textgauge {theirs}, and here it is {here['textgauge']}. Install one "
                "version everywhere (on Databricks: as a library of the cluster)."
            )
        for name, found in each.packages.items():
            if name != "textgauge" and UNKNOWN not in (found, here[name]) and found != here[name]:
                notes.append(
                    f"{where} has {name} {found}, and here it is {here[name]}: last digits of "
                    "probabilities may differ."
                )
    return list(dict.fromkeys(notes))


def _lacks(where: str, what: str, here: str | None) -> TextgaugeError:
    wheel = f"textgauge=={here}" if here not in (None, UNKNOWN) else "textgauge"
    return EngineError(
        f"{where} lacks {what}. Install the wheel there (pip install '{wheel}'; on Databricks: as "
        "a library of the cluster), or name a Python that has it with PYSPARK_PYTHON."
    )


def _version_here(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return UNKNOWN
