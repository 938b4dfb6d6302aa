"""What `textgauge compare` tries of each architecture: the one place to add a new one to.

The first trial of an architecture is always its default settings; the others are drawn from its
space. Each space is small: the settings that move results most, within what the literature and the
defaults make plausible. A setting that the user gave is not searched.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ..config import ENCODER_PACKAGES, ModelName
from ..errors import SettingsError, did_you_mean


@dataclass(frozen=True)
class LogScale:
    """A setting between `low` and `high`, whose ratio counts; rounded to two digits."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Steps:
    """A setting that is one of `low`, `low` + `step`, … `high`."""

    name: str
    low: float
    high: float
    step: float


@dataclass(frozen=True)
class OneOf:
    """A setting that is one of some values, whose order means nothing to the search."""

    name: str
    values: tuple[Any, ...]


Choice = LogScale | Steps | OneOf


@dataclass(frozen=True)
class Space:
    """What is searched of an architecture, and what it takes to train it.

    Attributes:
        choices: the settings, fields of `Config`.
        packages: that have to be installed, by their import names.
        extra: of textgauge that brings them.
        settings: fields of `Config` that have to be given.
        instead: packages of which one that is installed stands for these settings.

    """

    choices: tuple[Choice, ...]
    packages: tuple[str, ...] = ()
    extra: str = ""
    settings: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()


_WORDS = (OneOf("embedding_size", (50, 100, 200)), OneOf("min_texts", (1, 2, 3)))
"""Of all that learn a vector a word."""

SPACES: Mapping[ModelName, Space] = {
    "bag": Space((LogScale("lr", 0.002, 0.05), *_WORDS)),
    "cnn": Space(
        (
            LogScale("lr", 0.0003, 0.005),
            OneOf("filters", (50, 100, 200)),
            Steps("filter_dropout", 0.2, 0.7, 0.1),
            *_WORDS,
        )
    ),
    "encoder": Space(
        (LogScale("lr", 0.0003, 0.003), LogScale("penalty", 0.1, 10)),
        packages=("transformers", "tokenizers"),
        extra="encoder",
        settings=("encoder",),
        instead=ENCODER_PACKAGES,
    ),
    "linear": Space((LogScale("penalty", 0.1, 10), OneOf("min_texts", (1, 2)))),
    "lstm": Space(
        (
            LogScale("lr", 0.0003, 0.01),
            OneOf("hidden_size", (50, 100, 200)),
            Steps("dropout", 0.0, 0.5, 0.1),
            Steps("recurrent_dropout", 0.0, 0.5, 0.1),
            OneOf("bidirectional", (False, True)),
            *_WORDS,
        )
    ),
}
"""The space of every architecture in `Config.model`."""


def models_named(names: Collection[str] | None, given: Collection[str]) -> tuple[ModelName, ...]:
    """The architectures to compare, by name; None: all that can be trained here.

    Args:
        names: what was asked for.
        given: the settings that have a value of the user's.

    Raises:
        SettingsError: one is unknown, named twice, or cannot be trained here; all problems at once.

    """
    known: tuple[ModelName, ...] = typing.get_args(ModelName)
    if names is None:
        return tuple(name for name in known if not lacking(name, given))
    problems = [] if names else ["name at least one model after --models."]
    for at, name in enumerate(names):
        if name not in known:
            problems.append(
                f"there is no model {name!r}; there are {', '.join(known)}."
                f"{did_you_mean(name, known)}"
            )
        elif name in list(names)[:at]:
            problems.append(f"the model {name!r} is named twice; once is enough.")
        elif lack := lacking(name, given):
            problems.append(f"the model {name!r} cannot be trained here: {lack}")
    if problems:
        raise SettingsError("\n".join(dict.fromkeys(problems)))
    return tuple(name for name in known if name in names)


def lacking(name: ModelName, given: Collection[str]) -> str:
    """What it would take to train an architecture here, in a sentence; nothing if it can be."""
    space = SPACES[name]
    missing = [package for package in space.packages if find_spec(package) is None]
    if missing:
        return f"it needs {', '.join(missing)} (pip install 'textgauge[{space.extra}]')."
    here = any(find_spec(package) is not None for package in space.instead)
    needed = [setting for setting in space.settings if setting not in given and not here]
    if needed:
        return f"it needs {', '.join('--' + each.replace('_', '-') for each in needed)}."
    return ""


def searched(name: ModelName, given: Collection[str]) -> tuple[Choice, ...]:
    """What is searched of an architecture where the user gave some settings."""
    # Word vectors bring their own width.
    fixed = {*given, *(("embedding_size",) if "vectors" in given else ())}
    return tuple(choice for choice in SPACES[name].choices if choice.name not in fixed)
