"""The board of a comparison, as text."""

from __future__ import annotations

import shutil

from ..compared import CompareResult
from ..leaderboard import (
    Entry,
    Leaderboard,
    front_told,
    interval_told,
    name_told,
    number_told,
)
from .register import registered_text
from .review import missing_text
from .tables import table

_NO_TERMINAL = 140
"""Columns of what is no terminal."""


def compare_text(result: CompareResult, width: int | None = None) -> str:
    """What a person should see after a comparison, the run's page last.

    `width` are the columns to write in; None: the terminal's.
    """
    board = result.leaderboard
    columns = width or shutil.get_terminal_size((_NO_TERMINAL, 24)).columns
    one = _one_table(board)
    fits = max(map(len, one.splitlines())) <= columns
    blocks = [
        one if fits else f"{_figures(board)}\n\n{_costs(board)}",
        _settings(result),
        "\n".join([board.why, result.rule]),
        *_beside(board),
        *([_failures(result)] if result.failures else []),
        *(["\n".join(result.left)] if result.left else []),
        *([registered_text(result.registered)] if result.registered else []),
        *([f"The board as a picture: {result.picture_file}"] if result.picture_file else []),
        f"Best model, proved in a fresh process: {result.bundle}",
        *missing_text(result.run),
        f"Finished in {result.seconds:.1f} s. Run Details:\n{result.run.run_url}",
    ]
    return "\n\n".join(blocks)


def _one_table(board: Leaderboard) -> str:
    header = [
        "", "val. F1", "test F1", "95 %", "accuracy", "95 %", "train s", "ms/1,000", "MB",
        "front",
    ]  # fmt: skip
    rows = [
        [name_told(each), f"{each.val_macro_f1:.4f}", *_test_cells(each, 4), *_cost_cells(each)]
        for each in board.entries
    ]
    return _legend(table(header, rows))


def _figures(board: Leaderboard) -> str:
    rows = [[name_told(each), *_test_cells(each, 3)] for each in board.entries]
    return table(["on the test part", "F1", "95 %", "accuracy", "95 %"], rows)


def _costs(board: Leaderboard) -> str:
    rows = [
        [name_told(each), f"{each.val_macro_f1:.3f}", *_cost_cells(each)] for each in board.entries
    ]
    return _legend(table(["", "val. F1", "train s", "ms/1,000", "MB", "front"], rows))


def _test_cells(entry: Entry, digits: int) -> list[str]:
    return [
        f"{entry.macro_f1:.{digits}f}",
        interval_told(entry.macro_f1_interval),
        f"{entry.accuracy:.{digits}f}",
        interval_told(entry.accuracy_interval),
    ]


def _cost_cells(entry: Entry) -> list[str]:
    return [
        number_told(entry.train_seconds),
        number_told(entry.predict_ms),
        number_told(entry.megabytes),
        front_told(entry),
    ]


def _legend(text: str) -> str:
    return (
        f"{text}\n\nF1: macro F1. ms/1,000: to predict 1,000 texts, one thread.\n"
        "front: no other is as good on the test part and cheaper to predict with."
    )


def _settings(result: CompareResult) -> str:
    """Which settings each model has, and of how many trials it is the best."""
    lines = []
    for each in result.leaderboard.entries:
        if each.kind == "peer":
            continue
        counts = result.trials[each.model]
        others = [
            f"{number} {word}"
            for number, word in (
                (counts.pruned, "stopped early"),
                (counts.failed, "failed"),
                (counts.stopped, "waiting"),
            )
            if number
        ]
        told = f"{counts.complete} whole" + "".join(f", {other}" for other in others)
        lines.append(f"{each.model}: {each.settings_told} (trial {each.trial}; {told})")
    return "\n".join(lines)


def _beside(board: Leaderboard) -> list[str]:
    """What stands above the best on the front, if anything does."""
    names = " and ".join(each.model for each in board.better_beside)
    if not names:
        return []
    verb = "is" if len(board.better_beside) == 1 else "are"
    return [
        f"{names} {verb} at least as good as {board.best.model} on the test part, and cheaper. One "
        "look at the test part is no reason to choose; where the cost counts, try both."
    ]


def _failures(result: CompareResult) -> str:
    most = 5
    shown = [f"  {each}" for each in result.failures[:most]]
    more = len(result.failures) - most
    if more > 0:
        shown.append(f"  and {more} more")
    return "\n".join(["Could not be trained:", *shown])
