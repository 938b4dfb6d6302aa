"""The command that trains the same model again."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from ..config import Config

_SWITCHES = {"numbers": "--no-numbers", "distinct": "--every-row"}
"""Settings that are on by default, and the options that turn them off."""

_OTHERWISE = {"slice_column": "--slice"}
"""Settings whose option is not their name."""


def command_of(config: Config, table: str) -> str:
    """`textgauge train` with every setting that is not the default, a line each.

    Args:
        config: the settings.
        table: what to train on.

    """
    lines = [f"textgauge train {shlex.quote(table)}"]
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        default = (
            field.default_factory()
            if field.default is dataclasses.MISSING
            and field.default_factory is not dataclasses.MISSING
            else field.default
        )
        if value != default:
            lines.append(_option(field.name, value))
    return " \\\n  ".join(lines)


def _option(name: str, value: Any) -> str:
    if name in _SWITCHES:
        return _SWITCHES[name]
    option = _OTHERWISE.get(name, f"--{name.replace('_', '-')}")
    if value is True:
        return option
    if isinstance(value, Mapping):
        value = ",".join(f"{key}={each}" for key, each in value.items())
    return f"{option} {shlex.quote(str(value))}"
