"""The board's rules, by hand: who is on the front, who is best, and how rows are written."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from textgauge.leaderboard import Entry, Leaderboard, make_leaderboard


def entry(model: str, val: float, test: float, cost: float, **more: Any) -> Entry:
    """A row with these figures."""
    return Entry(
        **{
            "model": model,
            "kind": "model",
            "run_id": f"run of {model}",
            "trial": 1,
            "changed": {},
            "val_accuracy": val,
            "val_macro_f1": val,
            "accuracy": test,
            "macro_f1": test,
            "accuracy_interval": (test - 0.02, min(test + 0.02, 1.0)),
            "macro_f1_interval": (test - 0.02, min(test + 0.02, 1.0)),
            "train_seconds": 1.25,
            "predict_ms": cost,
            "megabytes": 0.5,
            "bundle": "somewhere",
            **more,
        }
    )


ROWS = [
    entry("lstm", 0.95, 0.90, 40.0, changed={"lr": 0.002, "bidirectional": True}),
    entry("cnn", 0.94, 0.91, 50.0),
    entry("bag", 0.93, 0.88, 5.0),
    entry("<peer>", 0.96, 0.89, 20.0, kind="peer", run_id=None, trial=None, bundle=None),
]


def board(**equal: bool) -> Leaderboard:
    return make_leaderboard(ROWS, {"lstm": True, "cnn": False, "bag": False} | equal)


def test_on_the_front_is_what_no_other_beats() -> None:
    assert {each.model: each.front for each in board().entries} == {
        "lstm": True, "cnn": True, "bag": True, "<peer>": True,
    }  # fmt: skip
    rows = [*ROWS, entry("good", 0.5, 0.91, 30.0)]
    found = make_leaderboard(rows, {"lstm": True, "cnn": False, "bag": False, "good": False})
    assert {each.model for each in found.entries if not each.front} == {"lstm", "cnn"}
    assert [each.model for each in found.better_beside] == ["good"]


def test_rows_stand_by_validation_and_the_best_is_the_highest_model() -> None:
    found = board()
    assert [each.model for each in found.entries] == ["<peer>", "lstm", "cnn", "bag"]
    assert found.best.model == "lstm", "a peer is no model of ours, and cnn is better on test only"
    assert found.why == "Best: lstm (macro F1 0.9500 on validation, the highest of all models)."


def test_of_models_that_are_equal_beyond_chance_the_cheapest_is_best() -> None:
    found = board(bag=True)
    assert found.best.model == "bag"
    assert found.why == (
        "Best: bag (macro F1 0.9300 on validation). lstm has 0.9500 there, which is no more than "
        "chance, and takes 8.0 times as long to predict."
    )
    assert board(cnn=True).best.model == "lstm", "cnn is dearer"
    assert "cnn is not worse there beyond chance, but not cheaper" in board(cnn=True).why


def test_costs_that_are_nearly_the_same_are_no_reason() -> None:
    rows = [ROWS[0], replace(ROWS[1], predict_ms=37.0)]
    assert make_leaderboard(rows, {"lstm": True, "cnn": True}).best.model == "lstm"
    rows = [ROWS[0], replace(ROWS[1], predict_ms=36.0)]
    assert make_leaderboard(rows, {"lstm": True, "cnn": True}).best.model == "cnn"


def test_a_row_comes_back_from_json() -> None:
    for each in board().entries:
        assert Entry.from_json(each.to_json()) == each


def test_the_files_hold_every_row() -> None:
    found = board()
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [row["model"] for row in rows] == ["<peer>", "lstm", "cnn", "bag"]
    lstm = rows[1]
    assert lstm["settings"] == "lr 0.002, bidirectional"
    assert float(lstm["macro_f1_low"]) == pytest.approx(0.88)
    assert (lstm["best"], lstm["run_id"]) == ("True", "run of lstm")
    page = found.to_html("models on <notes>.csv")
    assert "<td>&lt;peer&gt;</td>" in page
    assert "<notes>" not in page
    assert "lstm (best)" in page
    markdown = found.to_markdown()
    assert "| lstm (best) | 0.9500 | 0.9000 |" in markdown
    assert "- lstm: lr 0.002, bidirectional (run `run of lstm`)" in markdown
