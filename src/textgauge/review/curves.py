"""`training_results.png`: accuracy and loss by epoch, training and validation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from ..training.history import Epoch, best_epoch

TRAIN_COLOR, VAL_COLOR = "#1f6fb4", "#d9650c"
LONGEST_TITLE = 90


def draw_curves(history: Sequence[Epoch], path: Path, title: str, *, dropout: bool = True) -> None:
    """Write the picture: accuracy left, loss right; the kept epoch is marked in both.

    `dropout` tells that the training figures were taken with it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    best = best_epoch(history)
    epochs = [epoch.epoch for epoch in history]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    title = " ".join(title.split())
    if len(title) > LONGEST_TITLE:
        title = title[: LONGEST_TITLE - 1] + "…"
    figure.suptitle(title, fontsize=12, parse_math=False)
    for axes, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        for part, words, color in (
            ("train", "training (dropout on)" if dropout else "training", TRAIN_COLOR),
            ("val", "validation", VAL_COLOR),
        ):
            values = [getattr(epoch, f"{part}_{name}") for epoch in history]
            axes.plot(epochs, values, color=color, marker="o", markersize=3, label=words)
        kept = getattr(best, f"val_{name}")
        shown = f"{kept:.1%}" if name == "accuracy" else f"{kept:.4f}"
        axes.axvline(best.epoch, color="#777777", linestyle=":", linewidth=1)
        axes.plot(
            [best.epoch], [kept], marker="o", markersize=9, fillstyle="none", linestyle="none",
            color=VAL_COLOR, label=f"kept: epoch {best.epoch}, {shown}",
        )  # fmt: skip
        axes.set_title("Accuracy" if name == "accuracy" else "Loss (nats a row)")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if len(history) == 1:  # Two points by themselves would fill any height.
            axes.set_ylim(0, 1 if name == "accuracy" else None)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=9)
    with warnings.catch_warnings():
        # matplotlib's own font lacks some scripts; it draws a box for each such letter.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        figure.savefig(path, dpi=110)
