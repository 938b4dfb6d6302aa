"""The demonstration data: its rule, its sizes, and a file that is written whole or not at all."""

import re
from collections import Counter
from pathlib import Path

import pytest

from textgauge.data.component_notes import (
    COMPLIANT,
    LABEL_NAMES,
    NON_COMPLIANT,
    is_non_compliant,
    make_component_notes,
    write_component_notes,
)
from textgauge.errors import StorageError


@pytest.fixture(scope="module")
def notes():
    return make_component_notes(60_000)


def test_every_note_is_labelled_by_the_regulation(notes):
    different = notes.unique()
    assert len(different) == different["text"].n_unique() == 50 * 4 * 4 * 3 == 2400
    for text, label, year_column in different.iter_rows():
        (year,) = re.findall(r"\b\d{4}\b", text)
        assert int(year) == year_column
        (condition,) = re.findall(r"(\w+) condition", text)
        ok = int(year) >= 1995 and condition in {"good", "new"}
        ok = ok and ("steel" in text or "carbon fiber" in text)
        assert label == ("0" if ok else "1"), text


def test_the_notes_say_the_year_the_condition_and_the_material_in_three_ways(notes):
    condition, material = "(poor|fair|good|new)", "(plastic|carbon fiber|steel|iron)"
    year = r"(19[789]\d|20[01]\d)"
    wordings = [
        f"manufactured in {year} made of {material} in {condition} condition",
        f"{material} component manufactured in {year} in {condition} condition",
        f"{condition} condition {material} component manufactured in {year}",
    ]
    counts = [notes["text"].unique().str.contains(f"^{w}$").sum() for w in wordings]
    assert counts == [800, 800, 800]


def test_the_notes_hold_65_distinct_words(notes):
    words = {word for text in notes["text"].unique() for word in text.split()}
    assert len(words) == 65
    assert sum(word.isdigit() for word in words) == 50


def test_worked_decisions():
    assert not is_non_compliant(1995, "good", "steel")
    assert is_non_compliant(1994, "good", "steel")
    assert is_non_compliant(2019, "fair", "steel")
    assert is_non_compliant(2019, "poor", "steel")
    assert is_non_compliant(2019, "new", "plastic")
    assert is_non_compliant(2019, "new", "iron")
    assert not is_non_compliant(2019, "new", "carbon fiber")
    assert LABEL_NAMES == {COMPLIANT: "compliant", NON_COMPLIANT: "non-compliant"}


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 1000])
def test_half_of_the_rows_have_each_label(rows):
    made = make_component_notes(rows)
    counts = Counter(made["label"])
    assert len(made) == rows
    assert counts[COMPLIANT] == rows - rows // 2
    assert counts[NON_COMPLIANT] == rows // 2


def test_the_labels_come_in_random_order(notes):
    first, second = notes["label"][:30_000], notes["label"][30_000:]
    assert abs((first == "1").mean() - (second == "1").mean()) < 0.03


def test_equal_seeds_make_equal_notes_and_others_differ():
    assert make_component_notes(50, seed=1).equals(make_component_notes(50, seed=1))
    assert not make_component_notes(50, seed=1).equals(make_component_notes(50, seed=2))


# ---- the file


def test_notes_are_written_once(tmp_path):
    path = tmp_path / "notes.csv"
    assert write_component_notes(path, rows=20) is True
    lines = path.read_text(encoding="utf-8").splitlines()
    made = make_component_notes(20)
    assert lines == ["text,label,year", *(",".join(map(str, r)) for r in made.iter_rows())]
    assert write_component_notes(path, rows=20) is False
    assert list(tmp_path.iterdir()) == [path]


def test_another_file_of_that_name_is_left_alone(tmp_path):
    path = tmp_path / "notes.csv"
    write_component_notes(path, rows=20)
    before = path.read_bytes()
    with pytest.raises(StorageError) as caught:
        write_component_notes(path, rows=21)
    assert str(caught.value) == (
        f"{path} is there already and holds something else; rename it, or run the demo in "
        "another folder."
    )
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "missing" / "notes.csv"
    with pytest.raises(StorageError) as caught:
        write_component_notes(path, rows=2)
    assert str(caught.value) == f"{path} cannot be written: No such file or directory."
    with pytest.raises(StorageError, match=f"{tmp_path} cannot be written: Is a directory"):
        write_component_notes(tmp_path, rows=2)


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_write_that_breaks_off_leaves_nothing(tmp_path, monkeypatch, step):
    original = getattr(Path, step)

    def full_disk(self, argument):
        original(self, argument[:10] if step == "write_bytes" else tmp_path / "elsewhere")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, step, full_disk)
    with pytest.raises(StorageError, match="cannot be written: No space left on device"):
        write_component_notes(tmp_path / "notes.csv", rows=20)
    assert [p.name for p in tmp_path.iterdir()] == (["elsewhere"] if step == "replace" else [])
