"""What is another in one model than in another, from what both say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .repetition import Difference, flat

_FIGURES = ("accuracy", "macro_f1", "loss")

_DIGITS = 16
"""Of a digest, as the model card shows it."""


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Figures, labels, decision rule, table and settings that differ, in this order.

    The figures are those that each run measured on its own test part.

    Args:
        before: the settings (`textgauge.json`) of a saved model.
        now: of another.

    """
    then, here = _told(before), _told(now)
    return tuple(
        Difference(name, then.get(name), here.get(name))
        for name in dict.fromkeys((*then, *here))
        if then.get(name) != here.get(name)
    )


def _told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared, by names that people read."""
    models = list(settings.get("figures", {}).values())  # The model's own stand first.
    rows = models[0]["rows"] if models else {}
    data, decision = settings.get("data", {}), settings.get("decision") or {}
    weights, digest = decision.get("weights"), data.get("digest")
    return {
        **{f"{name.replace('_', ' ')} on its test part": rows.get(name) for name in _FIGURES},
        "labels": ", ".join(settings.get("classes", ())),
        "costs": None if decision.get("costs") is None else _listed(decision["costs"]),
        "threshold": weights[1] / sum(weights) if weights and len(weights) == 2 else None,
        **{
            f"threshold of {label}": value
            for label, value in zip(
                settings.get("classes", ()), decision.get("thresholds") or (), strict=False
            )
        },
        "review below": decision.get("review_below"),
        "table": data.get("name"),
        "rows": data.get("rows"),
        "distinct texts": data.get("distinct_texts"),
        "split": data.get("split"),
        # Of the same table, another split is another digest: it does not tell the table's alone.
        "digest of train, val and test": digest and digest[:_DIGITS],
        **flat(settings.get("config", {}), "setting"),
        "textgauge": settings.get("version"),
    }


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
