"""The board on a terminal: everything is told, and no line of a table is wider than it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_leaderboard import ROWS

from textgauge.compared import CompareResult, TrialCounts
from textgauge.leaderboard import RULE, make_leaderboard
from textgauge.terminal.leaderboard import compare_text
from textgauge.tracking.protocol import RunRecord


@pytest.fixture
def result() -> CompareResult:
    """Of a comparison that was stopped by its budget."""
    widest = replace(ROWS[3], model="TF-IDF + logistic regression", predict_ms=1234.0)
    equal = {"lstm": True, "cnn": False, "bag": True}
    nothing: Any = None
    return CompareResult(
        run=RunRecord("run", "1", "notes", "sqlite:///mlflow.db", "http://here", Path("files")),
        leaderboard=make_leaderboard([*ROWS[:3], widest], equal),
        rule=RULE,
        trials={name: TrialCounts(2, 1, 0, 1) for name in equal},
        failures=tuple(f"cnn {number}: no memory" for number in range(7)),
        left=("The budget of 5s is over.", "Go on with --resume run"),
        resumable=True,
        corpus=nothing,
        check=nothing,
        table="notes.csv",
        bundle=Path("best"),
        seconds=12.34,
    )


def tables(text: str) -> list[str]:
    """The lines of the tables."""
    blocks = [block for block in text.split("\n\n") if "───" in block]
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize(("width", "blocks"), [(80, 2), (120, 2), (130, 1)])
def test_tables_fit_the_terminal(result: CompareResult, width: int, blocks: int) -> None:
    text = compare_text(result, width)
    lines = tables(text)
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("───") for line in lines) == blocks
    assert sum(line.startswith("bag (best)") for line in lines) == blocks
    for row in result.leaderboard.entries:
        told = next(line for line in lines if line.startswith(row.model))
        assert f"{row.macro_f1:.3f}" in told


def test_settings_reason_failures_and_what_is_left_are_told(result: CompareResult) -> None:
    text = compare_text(result, 80)
    for words in (
        "lstm: lr 0.002, bidirectional (trial 1; 2 whole, 1 stopped early, 1 waiting)",
        "Best: bag (macro F1 0.9300 on validation). lstm has 0.9500",
        "cnn 0: no memory",
        "  and 2 more",
        "Go on with --resume run",
        "files/leaderboard.png",
        "Best model, proved in a fresh process: best",
        "Finished in 12.3 s. Run Details:\nhttp://here",
    ):
        assert words in text, words


def test_what_is_better_and_cheaper_on_test_is_told(result: CompareResult) -> None:
    assert "on the test part, and cheaper" not in compare_text(result, 80)
    rows = [*ROWS[:2], replace(ROWS[3], model="peer", macro_f1=0.95)]
    board = make_leaderboard(rows, {"lstm": True, "cnn": False})
    text = compare_text(replace(result, leaderboard=board), 80)
    assert "peer is at least as good as lstm on the test part, and cheaper." in text
