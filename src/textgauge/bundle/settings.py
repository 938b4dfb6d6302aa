"""What `textgauge.json` and `vocabulary.json` must hold for a model to predict."""

from __future__ import annotations

import math
from typing import Any

from .decision import is_number

MOST_TOKENS = 100_000
"""Tokens of a text at most that a model can be trained to read."""


def check_settings(values: dict[str, Any]) -> None:
    """Check what is used of `textgauge.json`, type by type.

    Raises:
        KeyError, TypeError, ValueError: what is missing or wrong.

    """
    classes = _texts("classes", values["classes"])
    if len(set(classes)) != len(classes) or not classes:
        raise ValueError("its classes must be distinct")
    names = _object("label_names", values["label_names"])
    if not all(isinstance(name, str) for name in names.values()):
        raise TypeError("its label_names must be texts")
    _whole("architecture.vocabulary_size", _object("architecture", values["architecture"]), 1)
    if not isinstance(values.get("multi_label", False), bool):
        raise TypeError(
            f"its multi_label must be true or false, was {_short(values['multi_label'])}"
        )
    config = _object("config", values["config"])
    for column in ("text", "label"):
        if not isinstance(config[column], str):
            raise TypeError(f"its config.{column} must be a text, was {_short(config[column])}")


def check_vocabulary(values: dict[str, Any]) -> None:
    """Check `vocabulary.json`, type by type; `reader_from_json` checks what they hold.

    Raises:
        KeyError, TypeError, ValueError: what is missing or wrong.

    """
    if "tokenizer" in values:
        _object("tokenizer", values["tokenizer"])
    else:
        _texts("words", values["words"])
        _texts("pieces", values.get("pieces", []))
    edges = values["number_edges"]
    if edges is not None:
        if not isinstance(edges, list) or not all(is_number(edge) for edge in edges):
            raise TypeError("its number_edges must be a list of numbers")
        # Two of them may differ by more than a float can say, which would give no position.
        if edges and not math.isfinite(float(edges[-1]) - float(edges[0])):
            raise ValueError("its number_edges lie too far apart")
    _object("notation", values.get("notation", {}))
    _whole("max_tokens", values, 1, MOST_TOKENS)


def _texts(name: str, values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise TypeError(f"its {name} must be a list of texts")
    return values


def _object(name: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise TypeError(f"its {name} must be an object, was {_short(values)}")
    return values


def _whole(name: str, values: dict[str, Any], least: int, most: int | None = None) -> None:
    value = values[name.rpartition(".")[2]]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"its {name} must be a whole number, was {_short(value)}")
    if value < least or (most is not None and value > most):
        at_most = "" if most is None else f" and at most {most}"
        raise ValueError(f"its {name} must be at least {least}{at_most}, was {_short(value)}")


def _short(value: Any) -> str:
    told = repr(value) if not isinstance(value, int) or abs(value) < 1e18 else "a larger one"
    return told if len(told) <= 40 else f"{told[:37]}..."
