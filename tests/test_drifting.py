"""A table held against a model or against another table, from files."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from textgauge.data.component_notes import make_component_notes
from textgauge.drifting import drift_of_table
from textgauge.errors import BundleError, ColumnError, SettingsError, TableError
from textgauge.terminal.drift import drift_text


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Component notes as a file."""
    path = tmp_path / "notes.csv"
    make_component_notes(2_000).write_csv(path)
    return path


def test_notes_are_like_those_that_the_model_was_trained_on(trained: Any, notes: Path) -> None:
    found = drift_of_table(notes, trained.folder)
    assert found.warnings == ()
    assert found.reference == "the texts it was trained on"
    assert found.rows == 2_000
    assert {"lengths", "numbers", "with a number", "labels"} == set(found.differences)
    shown = drift_text(found)
    assert shown.endswith("Nothing sets it far apart from the texts it was trained on.")
    assert "a number above 2019" in shown


def test_what_is_new_is_told_with_the_warnings_first(
    trained: Any, notes: Path, tmp_path: Path
) -> None:
    lines = notes.read_text().replace("steel", "unob\u200btanium").replace("of 20", "of 21")
    (tmp_path / "new.csv").write_text(lines.replace("in 20", "in 21"), encoding="utf-8")
    found = drift_of_table(str(tmp_path / "new.csv"), str(trained.folder))
    shown = drift_text(found).split("\n\n")
    assert [line for line in shown if line.startswith("warning: ")] == shown[1 : 1 + len(
        found.warnings
    )]  # fmt: skip
    assert len(found.warnings) >= 2
    assert any("the largest it was trained on" in warning for warning in found.warnings)
    assert "new word" in drift_text(found)
    assert "\u200b" not in drift_text(found)  # what no line shows is written out
    json.dumps(found.to_json(), allow_nan=False)


def test_two_tables_are_compared(notes: Path, tmp_path: Path) -> None:
    table = pl.read_csv(notes, infer_schema=False)
    table.filter(pl.col("label") == "1").write_parquet(tmp_path / "ones.parquet")
    found = drift_of_table(tmp_path / "ones.parquet", str(notes))
    assert found.reference == "notes.csv"
    assert found.differences["labels"].distance == pytest.approx(
        (table["label"] == "0").mean(), abs=1e-9
    )
    assert "The labels have other shares than in notes.csv" in " ".join(found.warnings)
    assert drift_of_table(table, table).warnings == ()


def test_numbers_are_read_as_the_other_table_writes_them() -> None:
    before = pl.DataFrame({"text": [f"Spalt 0,{n} mm" for n in range(10, 90)]})
    after = pl.DataFrame({"text": ["Spalt 1.200,5 mm", "Spalt 0,5 mm"]})
    found = drift_of_table(after, before)
    assert found.number_range == (0.1, 0.89)
    assert [(each.side, each.example) for each in found.beyond] == [("above", "spalt 1.200,5 mm")]


def test_a_table_needs_no_labels_unless_they_are_asked_for(trained: Any, notes: Path) -> None:
    table = pl.read_csv(notes, infer_schema=False).drop("label")
    assert drift_of_table(table, trained.folder).labels is None
    assert drift_of_table(table, str(notes)).labels is None
    with pytest.raises(ColumnError, match="no column 'label'"):
        drift_of_table(table, trained.folder, label="label")
    with pytest.raises(ColumnError, match=r"no column 'note'.* Pass --text"):
        drift_of_table(table, trained.folder, text="note")


def test_a_table_without_any_text_is_told(trained: Any) -> None:
    empty = pl.DataFrame({"text": [None, "  "]})
    with pytest.raises(TableError, match="DataFrame has no text in its column 'text'"):
        drift_of_table(empty, trained.folder)
    with pytest.raises(TableError, match="has no text"):
        drift_of_table(pl.DataFrame({"text": ["a"]}), empty)


def test_a_model_of_before_says_so(trained: Any, notes: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "model"))
    (folder / "profile.json").unlink()
    with pytest.raises(BundleError, match=r"does not tell what it was trained on.* --against TAB"):
        drift_of_table(notes, folder)
    (folder / "profile.json").write_text("[]")
    (folder / "digests.json").unlink()
    with pytest.raises(BundleError, match=r"profile\.json is damaged"):
        drift_of_table(notes, folder)


def test_standard_input_is_read_once(
    notes: Path, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="standard input can be read once"):
        drift_of_table("-", "-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(notes.read_bytes())))
    assert drift_of_table("-", trained.folder).rows == 2_000


def test_what_is_neither_model_nor_table_is_told(notes: Path) -> None:
    with pytest.raises(BundleError, match="nowhere"):
        drift_of_table(notes, "nowhere")
    with pytest.raises(TableError, match=r"no file 'nowhere\.csv'"):
        drift_of_table(notes, "nowhere.csv")
