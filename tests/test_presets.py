"""What a preset chooses, and that a run, a preview and a classifier follow it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from made_encoder import make_encoder

import textgauge
from textgauge import presets
from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.engines.local import open_table
from textgauge.errors import SettingsError
from textgauge.estimator import TextClassifier
from textgauge.presets import Facts, choose
from textgauge.training.progress import NoProgress

pytest_plugins = ["e2e_fixtures"]

TWO_CORES = Facts(texts=5_000, words=50_000, labels=6, encoder=True, power=2)


def chosen(preset: str, **facts: int) -> tuple[str, bool]:
    found = choose(preset, Facts(**{**vars(TWO_CORES), **facts}))
    return found.model, found.fine_tune


def test_fast_is_linear_whatever_is_installed() -> None:
    assert chosen("fast") == chosen("fast", encoder=False) == ("linear", False)


def test_an_encoder_reads_what_it_reads_in_minutes() -> None:
    most = 2 * presets.READ_BY_A_CORE
    assert chosen("balanced") == chosen("balanced", words=most) == ("encoder", False)
    assert chosen("balanced", words=most + 1) == ("linear", False)
    assert chosen("balanced", words=most + 1, power=4) == ("encoder", False)
    assert chosen("balanced", encoder=False) == chosen("best", encoder=False) == ("linear", False)


def test_the_best_takes_longer_and_trains_the_encoder_where_it_can() -> None:
    most = 2 * presets.TRAINED_ON_BY_A_CORE
    assert chosen("best") == chosen("best", words=most) == ("encoder", True)
    assert chosen("best", words=most + 1) == ("encoder", False)
    assert chosen("best", words=most * 10, power=presets.GPU) == ("encoder", True)
    most = 2 * presets.READ_BY_A_CORE * presets.READ_FOR_THE_BEST
    assert chosen("best", words=most) == ("encoder", False)
    assert chosen("best", words=most + 1) == ("linear", False)


def test_of_few_texts_the_encoder_is_trained_for_a_balance_too() -> None:
    few, short = presets.FEW_TEXTS, 2 * presets.FEW_WORDS_OF_A_CORE
    assert chosen("balanced", texts=few, words=short) == ("encoder", True)
    assert chosen("balanced", texts=few + 1, words=short) == ("encoder", False)
    assert chosen("balanced", texts=few, words=short + 1) == ("encoder", False)
    assert chosen("balanced", texts=few, words=short + 1, power=4) == ("encoder", True)
    assert chosen("balanced", texts=few, encoder=False) == ("linear", False)
    assert chosen("fast", texts=few, words=short) == ("linear", False)


def test_many_labels_are_too_many_for_a_linear_model() -> None:
    assert chosen("fast", labels=presets.MOST_LABELS) == ("linear", False)
    assert chosen("fast", labels=presets.MOST_LABELS + 1) == ("bag", False)


def test_the_settings_of_the_chosen_model_are_taken(tmp_path: Path) -> None:
    notes = make_component_notes(200)
    folder = str(make_encoder(tmp_path / "encoder", layers=1))

    class Told(NoProgress):
        notes: list[str] = []  # noqa: RUF012 - of this one test

        def note(self, text: str) -> None:
            self.notes.append(text)

    fast = open_table(notes, Config(preset="fast", min_texts=3), Told()).config
    assert fast == Config(model="linear", min_texts=3)
    assert "preset fast: the model is linear; nothing is trained sooner" in Told.notes
    best = open_table(notes, Config(preset="best", encoder=folder, device="cpu"), Told()).config
    few = {"contrast": True, "refit": True}  # What fine-tuning with so few texts is.
    assert best == Config(model="encoder", encoder=folder, fine_tune=True, device="cpu", **few)
    assert any(
        each.startswith("preset best: the model is encoder, fine-tuned; ") for each in Told.notes
    )


def test_long_texts_count_as_far_as_they_are_read() -> None:
    long = pl.DataFrame(
        {"text": ["word " * 1_000 + str(at) for at in range(40)], "label": ["a", "b"] * 20}
    )
    table = open_table(long, Config(preset="fast"), NoProgress())
    facts = presets.facts_of(Config(preset="fast"), table.corpus)
    assert facts.words == presets.LONGEST * len(table.corpus.train.texts)


@pytest.mark.usefixtures("quick_review")
def test_what_was_trained_can_be_repeated_without_the_preset(
    empty_store: Path, tmp_path: Path
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    textgauge.train(
        make_component_notes(300),
        preset="fast",
        tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
        out=tmp_path / "model",
        quiet=True,
    )
    settings = textgauge.load(tmp_path / "model").settings
    assert settings["config"]["model"] == settings["architecture"]["name"] == "linear"
    assert settings["config"]["preset"] is None
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        found = store.execute("SELECT value FROM tags WHERE key = 'textgauge.preset'").fetchall()
    assert found == [("fast",)]


def test_a_classifier_follows_a_preset() -> None:
    texts = [f"{word} {part}" for word in ("rusty", "leaky") for part in "abcdefghij"]
    fitted = TextClassifier(preset="fast").fit(texts, ["rust"] * 10 + ["leak"] * 10)
    assert fitted.n_iter_ == 1  # The linear model's one.
    assert list(fitted.predict(["rusty"])) == ["rust"]


def test_on_spark_a_preset_is_refused(tmp_path: Path) -> None:
    make_component_notes(50).write_csv(tmp_path / "notes.csv")
    with pytest.raises(SettingsError, match="models that are not trained on Spark"):
        textgauge.train(tmp_path / "notes.csv", preset="fast", engine="spark", quiet=True)
