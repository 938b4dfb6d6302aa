"""What a result depends on besides table and settings."""

import doctest
import platform
from importlib.metadata import version

import polars as pl

from textgauge import surroundings as module
from textgauge.surroundings import made_with, origin


def test_docstrings():
    assert doctest.testmod(module).failed == 0


def test_versions_and_machine_are_those_of_this_process():
    found = made_with()
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["torch"] == version("torch")
    assert set(found["machine"]) == {"system", "processor", "instructions"}
    assert all(isinstance(fact, str) and fact for part in found.values() for fact in part.values())


def origin_of(source, **how):
    return origin(
        source, **{"engine": "local", "workers": 1, "encoding": None, "delimiter": None, **how}
    )


def test_a_file_is_recorded_with_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.csv").write_text("")
    found = origin_of("notes.csv", encoding="latin-1", delimiter=";")
    assert found == {
        "source": str(tmp_path / "notes.csv"),
        "encoding": "latin-1",
        "delimiter": ";",
        "engine": "local",
        "workers": 1,
    }


def test_what_has_no_place_is_recorded_without_one():
    assert origin_of(pl.DataFrame())["source"] is None
    assert origin_of("-")["source"] is None


def test_a_table_of_spark_keeps_its_name():
    assert origin_of("main.lab.notes", engine="spark")["source"] == "main.lab.notes"


def test_a_frame_of_spark_is_read_by_spark():
    kind = type("DataFrame", (), {"__module__": "pyspark.sql.dataframe"})
    assert origin_of(kind())["engine"] == "spark"


def test_no_login_is_recorded():
    assert "secret" not in str(origin_of("s3://me:secret@bucket/notes.csv?token=secret"))
