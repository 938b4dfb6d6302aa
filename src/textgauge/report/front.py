"""`leaderboard.png`: macro F1 against the cost of predicting, and the front of what none beats."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Drawn is what it is given.
    from ..leaderboard import Entry, Leaderboard

_MARKERS = {"model": "o", "peer": "s"}
_COLORS = {"model": "#1f6fb4", "peer": "#8a5a00"}
_WORDS = {"model": "model", "peer": "peer (scikit-learn)"}
_LONGEST_TITLE = 90


def draw_front(board: Leaderboard, path: Path, title: str) -> None:
    """Write the picture.

    Models are filled circles, peers open squares; bars are 95 % intervals. Each has its name beside
    it, where no other's stands.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(9, 5.4), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_xscale("log")
    for kind, marker in _MARKERS.items():
        for at, each in enumerate(e for e in board.entries if e.kind == kind):
            low, high = each.macro_f1_interval
            axes.errorbar(
                [each.predict_ms],
                [each.macro_f1],
                yerr=[[max(each.macro_f1 - low, 0.0)], [max(high - each.macro_f1, 0.0)]],
                fmt=marker,
                color=_COLORS[kind],
                markerfacecolor=_COLORS[kind] if kind == "model" else "white",
                markersize=9,
                markeredgewidth=1.8,
                elinewidth=1.2,
                capsize=4,
                label=_WORDS[kind] if at == 0 else None,
                zorder=3,
            )
    front = sorted((e for e in board.entries if e.front), key=lambda each: each.predict_ms)
    costs = [each.predict_ms for each in board.entries]
    left, right = min(costs) / 2.0, max(costs) * 3.0
    # A step: at each cost, the best that can be had for it.
    axes.step(
        [*(each.predict_ms for each in front), right],
        [*(each.macro_f1 for each in front), front[-1].macro_f1],
        where="post",
        color="#444444",
        linestyle="--",
        linewidth=1.2,
        label="front: no other is as good and cheaper",
        zorder=1,
    )
    axes.set_xlim(left, right)
    axes.margins(y=0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(
        "milliseconds to predict 1,000 texts, one thread (logarithmic; left is cheaper)"
    )
    axes.set_ylabel("macro F1 on the test part, with its 95 % interval")
    axes.grid(alpha=0.25, which="major")
    title = " ".join(title.split())
    if len(title) > _LONGEST_TITLE:
        title = title[: _LONGEST_TITLE - 1] + "…"
    axes.set_title(title, parse_math=False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    _name_points(board.entries, figure, axes, canvas)
    with warnings.catch_warnings():
        # matplotlib's own font lacks some scripts; it draws a box for each such letter.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        figure.savefig(path, dpi=110)


_PLACES = tuple(
    (across, side * up, "left" if across > 0 else "right", "bottom" if side > 0 else "top")
    for up in (8, 24, 42, 60, 78, 96)
    for across in (12, -12)
    for side in (1, -1)
)
"""Where a name may stand beside its point, in points across and up; the nearest that is free."""


def _name_points(entries: tuple[Entry, ...], figure: Any, axes: Any, canvas: Any) -> None:
    """Write each name where it covers no other name, no point, and nothing outside the axes."""
    figure.draw_without_rendering()  # From now on everything has its place.
    figure.set_layout_engine("none")
    renderer, inside = canvas.get_renderer(), axes.get_window_extent()
    taken = []
    for each in entries:
        x, y = axes.transData.transform((each.predict_ms, each.macro_f1))
        low, high = (
            axes.transData.transform((each.predict_ms, end))[1] for end in each.macro_f1_interval
        )
        taken.append(_box(x - 6, low, x + 6, high))
        taken.append(_box(x - 9, y - 9, x + 9, y + 9))
    for each in entries:
        name = f"{each.model} (best)" if each.best else each.model
        best = None
        for across, up, horizontal, vertical in _PLACES:
            text = axes.annotate(
                name,
                (each.predict_ms, each.macro_f1),
                xytext=(across, up),
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=10,
                fontweight="bold" if each.best else "normal",
                arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.8}
                if abs(up) > 10
                else None,
                zorder=4,
            )
            box = _box_of(text, renderer)
            covered = sum(_common(box, other) for other in taken) + _beyond(box, inside)
            if best is None or covered < best[0]:
                if best is not None:
                    best[1].remove()
                best = (covered, text, box)
            else:
                text.remove()
            if best[0] == 0:
                break
        assert best is not None
        taken.append(best[2])


def _box_of(text: Any, renderer: Any) -> Any:
    """Of the letters alone, without the line that leads to the point."""
    from matplotlib.text import Text

    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)


def _box(left: float, low: float, right: float, high: float) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox.from_extents(left, low, right, high)


def _common(one: Any, other: Any) -> float:
    """The area that two boxes share."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    up = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(across, 0.0) * max(up, 0.0))


def _beyond(box: Any, inside: Any) -> float:
    """The area of a box that lies outside another."""
    return float(box.width * box.height - _common(box, inside))
