"""Work that is ended in the middle leaves a session that can be used."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from textgauge.engines.spark.jobs import run_job, wait_for_tasks


def slow(spark):
    """A job of a minute."""
    return spark.sparkContext.parallelize(range(2), 2).map(lambda _: time.sleep(60)).count()


def test_what_the_work_returns_or_raises_comes_back(spark):
    assert run_job(spark, "counting", lambda: spark.range(3).count()) == 3
    with pytest.raises(ZeroDivisionError):
        run_job(spark, "a fault", lambda: 1 / 0)


def test_ctrl_c_ends_the_work_at_once_and_the_next_answer_is_the_next_questions(spark):
    begun = time.monotonic()
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_job(spark, "slow", lambda: slow(spark))
    timer.join()
    wait_for_tasks(spark)
    assert time.monotonic() - begun < 30
    assert spark.range(3).count() == 3
    assert spark.sparkContext.version == spark.version


def test_work_that_takes_too_long_is_cancelled(spark):
    with pytest.raises(TimeoutError, match=r"slow took longer than 1\.0 s"):
        run_job(spark, "slow", lambda: slow(spark), patience=1.0)
    wait_for_tasks(spark)
    tracker = spark.sparkContext._jsc.sc().statusTracker()
    assert sum(each.numRunningTasks() for each in tracker.getExecutorInfos()) == 0


def test_ctrl_c_waits_until_the_work_has_tidied_up(spark):
    tidied = threading.Event()

    def work():
        try:
            slow(spark)
        finally:
            time.sleep(2)
            tidied.set()

    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run_job(spark, "slow", work)
    assert tidied.is_set()
