"""The picture of the front: every name can be read, whatever lies where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from textgauge.leaderboard import Entry, make_leaderboard
from textgauge.report import front

CROWDED = [("bag", 0.93, 5.0), ("linear", 0.931, 5.1), ("cnn", 0.932, 5.2), ("lstm", 0.931, 5.3)]
SPREAD = [("bag", 0.6, 0.5), ("cnn", 0.9, 50.0), ("lstm", 1.0, 5000.0)]
EQUAL = [("bag", 1.0, 5.0), ("cnn", 1.0, 5.0)]


def entry(model: str, figure: float, cost: float, kind: str = "model") -> Entry:
    around = (figure - 0.03, min(figure + 0.03, 1.0))
    return Entry(
        model, kind, "run", 1, {}, figure, figure, figure, figure, around, around, 1.0, cost, 1.0
    )


@pytest.mark.parametrize("points", [CROWDED, SPREAD, EQUAL], ids=["crowded", "spread", "equal"])
def test_no_name_covers_another_or_leaves_the_picture(
    points: list[tuple[str, float, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}
    name_points = front._name_points

    def look(entries: Any, figure: Any, axes: Any, canvas: Any) -> None:
        name_points(entries, figure, axes, canvas)
        drawn.update(axes=axes, canvas=canvas)

    monkeypatch.setattr(front, "_name_points", look)
    rows = [entry(*point) for point in points]
    rows.append(entry("TF-IDF + logistic regression", points[0][1], points[0][2], "peer"))
    board = make_leaderboard(rows, {name: False for name, _, _ in points})
    path = tmp_path / "leaderboard.png"
    front.draw_front(board, path, "models on $table$ of\nmany lines " + "x" * 100)
    assert path.read_bytes().startswith(b"\x89PNG")
    renderer, inside = drawn["canvas"].get_renderer(), drawn["axes"].get_window_extent()
    names = {text.get_text(): front._box_of(text, renderer) for text in drawn["axes"].texts}
    assert set(names) == {
        f"{each.model} (best)" if each.best else each.model for each in board.entries
    }
    boxes = list(names.values())
    for at, box in enumerate(boxes):
        assert front._beyond(box, inside) == 0
        assert not any(front._common(box, other) for other in boxes[:at])
