"""`textgauge export`: by command and from Python, in 8 bits with what it costs, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from e2e import Done, FinishedRun, notes

import textgauge as python_side
from textgauge.errors import BundleError, SettingsError, StorageError, TableError

pytest_plugins = ["e2e_fixtures"]

Command = Callable[..., Done]


def test_the_command_tells_what_it_wrote(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    done = command("export", finished.bundle, "out")
    assert done.status == 0, done.err
    assert done.out.startswith("out: Dockerfile, README.md, example.py, model.json, model.onnx")
    assert 'python out/predict.py "a text"' in done.out
    found = command("export", finished.bundle, "again", "--json").json
    sizes = {path.name: path.stat().st_size for path in (workplace / "again").iterdir()}
    assert found == {
        "folder": "again",
        "files": sizes,
        "bytes": sum(sizes.values()),
        "int8": None,
    }


def test_what_8_bits_cost_is_told_everywhere(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    store = f"sqlite:///{finished.store}"
    address = f"runs:/{finished.run_id}/model"
    options = ("--int8", "--data", finished.table, "--tracking-uri", store)
    cost = command("export", address, "out", *options, "--json").json["int8"]
    assert (cost["table"], cost["rows"]) == ("notes.csv", 300)
    before, after = cost["float32"], cost["int8"]
    assert after["bytes"] < 0.6 * before["bytes"]
    assert after["bytes"] == (workplace / "out" / "model.onnx").stat().st_size
    for name in ("accuracy", "macro_f1"):
        assert cost[f"{name}_change"] == after[name] - before[name]
    assert 0.9 < cost["equal_decisions"] <= 1
    assert 0 < cost["largest_difference"] < 0.05
    evaluated = command("evaluate", finished.bundle, finished.table, "--json").json
    assert before["accuracy"] == evaluated["eval_accuracy"]
    card = (workplace / "out" / "README.md").read_text()
    assert "### Its weights in 8 bits\n\nMeasured on notes.csv (300 rows," in card
    assert f"| accuracy | {before['accuracy']:.4f} | {after['accuracy']:.4f} |" in card
    done = command("export", address, "shown", *options)
    assert "texts a second" in done.out
    assert "of the rows are decided as before" in done.out


def test_from_python_a_frame_will_do(finished: FinishedRun, workplace: Path) -> None:
    (workplace / "out").mkdir()  # An empty folder is as good as none.
    table = notes().rename({"text": "note"}).with_columns(pl.col("label").cast(pl.Int64))
    found = python_side.export(finished.bundle, "out", int8=True, data=table, text="note")
    assert found.int8 is not None
    assert found.int8.rows == 300
    assert json.loads((workplace / "out" / "model.json").read_text())["classes"] == ["0", "1"]


def test_what_cannot_be_exported_is_told_and_nothing_is_written(
    finished: FinishedRun, workplace: Path, command: Command
) -> None:
    done = command("export", finished.bundle, "out", "--int8")
    assert done.status == 2
    assert "name a labelled table with --data TABLE" in done.error
    done = command("export", finished.bundle, "out", "--data", finished.table)
    assert (done.status, "--data needs --int8" in done.error) == (2, True)
    with pytest.raises(SettingsError, match="--data TABLE"):
        python_side.export(finished.bundle, "out", int8=True)
    with pytest.raises(BundleError, match="The model nowhere does not exist"):
        python_side.export("nowhere", "out")
    other = pl.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    with pytest.raises(TableError, match="none of the model's labels"):
        python_side.export(finished.bundle, "out", int8=True, data=other)
    assert not list(workplace.iterdir())
    (workplace / "full").mkdir()
    (workplace / "full" / "file").touch()
    with pytest.raises(StorageError, match=r"full is not empty; give a new folder, or remove"):
        python_side.export(finished.bundle, "full")
    with pytest.raises(StorageError, match=r"file is a file, so there can be no folder"):
        python_side.export(finished.bundle, "full/file/out")
    assert [path.name for path in (workplace / "full").iterdir()] == ["file"]
