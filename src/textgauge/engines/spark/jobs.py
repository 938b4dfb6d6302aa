"""Work on Spark that Ctrl-C ends at once, and that can be given a time limit."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from .failures import explaining

Result = TypeVar("Result")

END_PATIENCE = 30.0
"""Seconds that cancelled work has to tidy up."""


class Job(threading.Thread, Generic[Result]):
    """Work that calls Spark, in a thread of its own, so that it can be cancelled from another one.

    An exception that a signal raises in the middle of a call to Java would leave an answer behind
    that the next call of that thread takes for its own.
    """

    def __init__(self, session: Any, title: str, work: Callable[[], Result]) -> None:
        """Nothing is done before `start`.

        Args:
            session: a session.
            title: what Spark's pages call the jobs.
            work: what to do; when it is cancelled, its call to Spark raises.

        """
        super().__init__(name=title, daemon=True)
        self._context, self._work = session.sparkContext, work
        self._group = f"textgauge-{uuid.uuid4().hex}"
        self._results: list[Result] = []
        self._ended = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        """What the thread does."""
        try:
            self._context.setJobGroup(self._group, self.name, True)
            self._results.append(self._work())
        except BaseException as error:
            self.error = error
        finally:
            self._ended.set()

    def wait(self, patience: float | None = None) -> bool:
        """Whether it has ended, after so many seconds at most.

        `join` will not do: when Ctrl-C interrupts it, Python takes the thread for ended from then
        on (CPython up to 3.12), while it still tidies up.
        """
        return self._ended.wait(patience)

    @property
    def result(self) -> Result:
        """What the work returned, once it has ended. Raises what it raised."""
        if self.error is not None:
            raise self.error
        return self._results[0]

    def cancel(self) -> None:
        """End it; again and again, since the work may have been between two of Spark's jobs."""
        for _ in range(round(END_PATIENCE / 0.5)):
            with contextlib.suppress(Exception):
                self._context.cancelJobGroup(self._group)
            if self.wait(0.5):
                return


def run_job(
    session: Any, title: str, work: Callable[[], Result], patience: float | None = None
) -> Result:
    """Do `work`, which calls Spark, and return what it returns.

    Args:
        session: a session.
        title: what Spark's pages call the jobs.
        work: what to do; when it is cancelled, its call to Spark raises.
        patience: seconds after which the work is cancelled.

    Raises:
        TimeoutError: the work took longer than `patience`.

    """
    job = Job(session, title, work)
    job.start()
    try:
        if not job.wait(patience):
            raise TimeoutError(f"{title} took longer than {patience} s")
    except BaseException:
        job.cancel()
        raise
    return job.result


def run_explained(session: Any, title: str, name: str, work: Callable[[], Result]) -> Result:
    """`run_job`, and what Spark raises is told as an error about the table `name`."""
    with explaining(name):
        return run_job(session, title, work)


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
