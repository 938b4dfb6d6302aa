"""Values that a server has no room for: cut in the field, kept whole elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .servers import Limits

_FIRST = (
    "lr", "eval_loss", "eval_accuracy", "eval_macro_f1",
    "train_loss", "train_accuracy", "val_loss", "val_accuracy",
)  # fmt: skip
"""Metrics that every run has, and that no other may push out."""


@dataclass(frozen=True)
class Shortened:
    """A value that the server does not hold whole: what it is, and all of it."""

    kind: Literal["params", "tags", "metrics"]
    key: str
    whole: Any


def fit_tags(
    tags: Mapping[str, str], held: Mapping[str, str], limits: Limits
) -> tuple[dict[str, str], list[Shortened]]:
    """The tags as the server can take them, and those that it cannot hold whole.

    Args:
        tags: all tags of the run.
        held: those that the server has, of others too: they take room.
        limits: of the server.

    """
    fitting: dict[str, str] = {}
    shortened = []
    # A name may hold few characters besides letters and digits: no dots that mean more.
    longest = limits.tag_key
    shorts = {key: key if len(key) <= longest else f"{key[: longest - 1]}_" for key in tags}
    others = held.keys() - set(shorts.values())
    room = len(tags) if limits.tags is None else limits.tags - len(others)
    # What is there already takes its room; then what MLflow and we ourselves set.
    order = sorted(
        tags,
        key=lambda key: (shorts[key] not in held, not key.startswith(("mlflow.", "textgauge."))),
    )
    for key in order:
        value, short = tags[key], shorts[key]
        fits = len(fitting) < room
        if fits:
            fitting[short] = _cut(value, limits.tag_value)
        if not fits or fitting[short] != value or short != key:
            shortened.append(Shortened("tags", key, value))
    return fitting, shortened


def fit_params(params: Mapping[str, str], limits: Limits) -> tuple[dict[str, str], list[Shortened]]:
    """The parameters as the server can take them, and those that it cannot hold whole."""
    kept = list(params)[: limits.params]
    fitting = {key: _cut(params[key], limits.param_value) for key in kept}
    shortened = [
        Shortened("params", key, value)
        for key, value in params.items()
        if fitting.get(key) != value
    ]
    return fitting, shortened


def fit_metrics(
    names: Collection[str], held: Collection[str], limits: Limits
) -> tuple[list[str], list[str]]:
    """Which metrics the server shall have, and which it has no room for.

    Those that it has already stay, and those that every run has find room even if they come last.
    """
    if limits.metric_names is None:
        return sorted(names), []
    others = sorted(set(names) - set(_FIRST) - set(held))
    kept = sorted(set(names) & ({*_FIRST, *held}))
    room = max(0, limits.metric_names - len({*held, *_FIRST}))
    return kept + others[:room], others[room:]


def _cut(text: str, length: int) -> str:
    """At most `length` characters; the last shows that some are missing.

    >>> _cut("magnitudes", 5), _cut("bins", 5)
    ('magn…', 'bins')
    """
    return text if len(text) <= length else text[: length - 1] + "…"
