"""The executors are looked at before the work, and what they lack is told in one sentence."""

from __future__ import annotations

import time

import pytest

from textgauge.engines.spark import executors
from textgauge.engines.spark.executors import NEEDED, UNKNOWN, Answer, check_executors, slots_of
from textgauge.errors import EngineError

SAME = {name: executors._version_here(name) for name in NEEDED}


def answer(**packages: str | None) -> Answer:
    return Answer("node7", "/opt/python", "3.11.2", {**SAME, **packages})


def refusal(*answers: Answer) -> str:
    with pytest.raises(EngineError) as error:
        executors._compare(answers)
    return str(error.value)


def test_executors_that_can_do_the_work_are_told_without_a_note(spark):
    assert slots_of(spark) == 2
    assert check_executors(spark) == executors.Executors(2, ())
    assert check_executors(spark, slots=2).slots == 2


def test_too_few_slots_of_this_machine_are_told_at_once(spark):
    begun = time.monotonic()
    with pytest.raises(EngineError) as error:
        check_executors(spark, slots=3)
    assert time.monotonic() - begun < 5
    assert str(error.value) == (
        "local[2] runs 2 tasks at a time, and 3 are needed. Pass --spark-master local[3]."
    )


def test_a_probe_that_gets_no_answer_ends(spark, monkeypatch):
    monkeypatch.setattr(executors, "PROBE_PATIENCE", 0.5)
    monkeypatch.setattr(executors, "_probe", lambda *_: lambda _: time.sleep(30) or iter(()))
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"did not answer within 0 s|did not answer within 1 s"):
        check_executors(spark)
    assert time.monotonic() - begun < 10
    monkeypatch.undo()
    assert check_executors(spark).slots == 2  # The job was cancelled, its slots are free.


def test_the_probe_is_sent_by_its_content():
    """An executor without textgauge must be able to say so."""
    from pyspark import cloudpickle

    sent = cloudpickle.dumps(executors._probe(("json", "no_such_package"), UNKNOWN))
    assert b"importlib" in sent
    assert b"_probe" not in sent.replace(b"_probe.<locals>", b"")
    ((_, _, _, packages),) = cloudpickle.loads(sent)(iter(()))
    assert packages == {"json": UNKNOWN, "no_such_package": None}


def test_an_executor_without_the_wheel_is_told_before_all_else():
    assert refusal(answer(textgauge=None, polars=None)) == (
        "the executor on node7 (/opt/python) lacks textgauge. Install the wheel there (pip install "
        f"'textgauge=={SAME['textgauge']}'; on Databricks: as a library of the cluster), or name a "
        "Python that has it with PYSPARK_PYTHON."
    )
    assert "lacks polars and onnxruntime." in refusal(answer(polars=None, onnxruntime=None))


def test_an_executor_with_another_textgauge_is_told(monkeypatch):
    message = refusal(answer(), answer(textgauge="0.0.9"))
    assert f"has textgauge 0.0.9, and here it is {SAME['textgauge']}." in message


def test_other_versions_of_other_packages_are_noted_once():
    old = answer(onnxruntime="1.0")
    (note,) = executors._compare([old, old, answer()])
    assert note.startswith("the executor on node7 (/opt/python) has onnxruntime 1.0, and here")


def test_a_source_folder_tells_no_version_and_will_do():
    assert executors._compare([answer(textgauge=UNKNOWN)]) == []
