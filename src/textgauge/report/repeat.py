"""Commands that the page tells, ready to be copied."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from ..config import Config
from ..review.label_issues import FILE_NAME

_SWITCHES = {"numbers": "--no-numbers", "distinct": "--every-row"}
"""Settings that are on by default, and the options that turn them off."""

_JOINED = " \\\n  "

_OTHERWISE = {"slice_column": "--slice"}
"""Settings whose option is not their name."""


_READING = ("encoding", "delimiter")
"""Of a text file, as far as they were named; see `surroundings.origin`."""


def command_of(config: Config, table: str, origin: Mapping[str, Any] | None = None) -> str:
    """`textgauge train` with every setting that is not the default, a line each.

    Args:
        config: the settings.
        table: what to train on.
        origin: how it was read.

    """
    lines = [f"textgauge train {_argument(table)}", *_reading(origin)]
    usual = {**Config(model=config.model).to_json(), "model": Config().model}
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        if value != usual[field.name]:
            lines.append(_option(field.name, value))
    return _JOINED.join(lines)


def fix_command(config: Config, table: str, origin: Mapping[str, Any] | None = None) -> str:
    """`textgauge check` that puts corrected labels into the table.

    The arguments are as in `command_of`.
    """
    return _JOINED.join(
        [
            f"textgauge check {_argument(table)}",
            *_reading(origin),
            *(
                _option(name, getattr(config, name))
                for name, usual in (("text", Config().text), ("label", Config().label))
                if getattr(config, name) != usual
            ),
            f"--fix {FILE_NAME} --out corrected.csv",
        ]
    )


def _reading(origin: Mapping[str, Any] | None) -> list[str]:
    return [_option(name, origin[name]) for name in _READING if origin and origin.get(name)]


def _argument(table: str) -> str:
    """A file's name as an argument: one that begins with a dash is no option."""
    return shlex.quote(f"./{table}" if table.startswith("-") and table != "-" else table)


def _option(name: str, value: Any) -> str:
    if name in _SWITCHES:
        return _SWITCHES[name]
    option = _OTHERWISE.get(name, f"--{name.replace('_', '-')}")
    if value is True:
        return option
    if isinstance(value, Mapping):
        value = ",".join(f"{key}={each}" for key, each in value.items())
    # With "=" a value that begins with a dash is no option.
    text = str(value)
    return f"{option}{'=' if text.startswith('-') else ' '}{shlex.quote(text)}"
