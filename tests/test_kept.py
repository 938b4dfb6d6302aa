"""What is kept of a comparison: it comes back as it was, and belongs to one table and settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_leaderboard import ROWS

from textgauge.errors import SettingsError
from textgauge.folders import WAITING
from textgauge.kept import Kept

SETTINGS = {"epochs": 3, "label_names": {"0": "good"}}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.chdir(tmp_path)
    return Kept(WAITING / "abc", SETTINGS, "notes.csv", "ab" * 32).write()


def test_it_comes_back_as_it_was(kept: Kept) -> None:
    whole = kept.with_row(ROWS[0]).with_peers((ROWS[3],))
    assert Kept.of_run("abc") == whole
    whole.refuse_other(SETTINGS, "notes.csv", "ab" * 32)
    whole.discard()
    assert not WAITING.exists()


def test_other_settings_and_another_table_are_refused_in_a_sentence(kept: Kept) -> None:
    with pytest.raises(SettingsError) as error:
        kept.refuse_other({"epochs": 4, "lr": 0.1}, "notes.csv", "ab" * 32)
    assert "epochs was 3 and is 4 now; label_names was {'0': 'good'} and is not given" in str(
        error.value
    )
    with pytest.raises(SettingsError, match=r"other.csv is not the table .* \(notes.csv"):
        kept.refuse_other(SETTINGS, "other.csv", "cd" * 32)


def test_a_run_that_is_not_there_is_told_with_those_that_are(kept: Kept) -> None:
    with pytest.raises(SettingsError, match=r"there is no comparison xyz .* There are abc\."):
        Kept.of_run("xyz")
    kept.discard()
    with pytest.raises(SettingsError, match="None waits here"):
        Kept.of_run("xyz")


def test_a_training_is_not_taken_for_a_comparison(kept: Kept) -> None:
    (WAITING / "def").mkdir()
    (WAITING / "def" / "checkpoint.safetensors").touch()
    with pytest.raises(SettingsError, match="textgauge train TABLE --resume def"):
        Kept.of_run("def")


@pytest.mark.parametrize("content", ["{", '{"format": 99}'])
def test_a_damaged_one_is_told(content: str, kept: Kept) -> None:
    (kept.folder / "comparison.json").write_text(content)
    with pytest.raises(SettingsError, match="compare again without --resume"):
        Kept.of_run("abc")
