"""Work on Spark that Ctrl-C ends at once, and that can be given a time limit."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")

END_PATIENCE = 30.0
"""Seconds that cancelled work has to tidy up."""


def run_job(
    session: Any, title: str, work: Callable[[], Result], patience: float | None = None
) -> Result:
    """Do `work`, which calls Spark, and return what it returns.

    It is done in a thread of its own. An exception that a signal raises in the middle of a call to
    Java would leave an answer behind that the next call of that thread takes for its own.

    Args:
        session: a session.
        title: what Spark's pages call the jobs.
        work: what to do; when it is cancelled, its call to Spark raises.
        patience: seconds after which the work is cancelled.

    Raises:
        TimeoutError: the work took longer than `patience`.

    """
    context = session.sparkContext
    group = f"textgauge-{uuid.uuid4().hex}"
    results: list[Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            context.setJobGroup(group, title, True)
            results.append(work())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name=title, daemon=True)
    thread.start()
    try:
        thread.join(patience)
        if thread.is_alive():
            raise TimeoutError(f"{title} took longer than {patience} s")
    except BaseException:
        _cancel(context, group, thread)
        raise
    if failures:
        raise failures[0]
    return results[0]


def wait_for_tasks(session: Any, patience: float = 10.0) -> None:
    """Return once no task runs, or after so many seconds.

    Tasks of work that was cancelled or has failed go on for a moment, and write what nobody wants.
    """
    end = time.monotonic() + patience
    with contextlib.suppress(Exception):  # Where Spark does not tell, nothing can be waited for.
        tracker = session.sparkContext._jsc.sc().statusTracker()
        while time.monotonic() < end and any(
            each.numRunningTasks() for each in tracker.getExecutorInfos()
        ):
            time.sleep(0.1)


def _cancel(context: Any, group: str, thread: threading.Thread) -> None:
    """Cancel again and again: the work may have been between two jobs."""
    for _ in range(round(END_PATIENCE / 0.5)):
        with contextlib.suppress(Exception):
            context.cancelJobGroup(group)
        thread.join(0.5)
        if not thread.is_alive():
            return
