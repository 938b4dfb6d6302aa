"""What is searched: every architecture has a space, and its defaults are in it."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from textgauge.config import Config, ModelName
from textgauge.errors import SettingsError
from textgauge.models import MODELS
from textgauge.search import spaces
from textgauge.search.spaces import SPACES, LogScale, OneOf, Space, models_named, searched


def test_every_architecture_has_a_space() -> None:
    assert SPACES.keys() == MODELS.keys() == set(typing.get_args(ModelName))


@pytest.mark.parametrize("model", SPACES)
def test_the_ends_of_a_space_are_settings_and_the_defaults_lie_in_it(model: ModelName) -> None:
    default = Config(model=model)
    for choice in SPACES[model].choices:
        known = getattr(default, choice.name)
        if isinstance(choice, OneOf):
            assert known in choice.values
            ends = choice.values
        else:
            assert choice.low <= known <= choice.high
            ends = (choice.low, choice.high)
        for value in ends:
            dataclasses.replace(default, **{choice.name: value})  # type: ignore[arg-type]


def test_what_is_given_is_not_searched() -> None:
    names = {choice.name for choice in searched("lstm", {"lr": 0.5, "vectors": "glove.txt"})}
    assert names == {choice.name for choice in SPACES["lstm"].choices} - {"lr", "embedding_size"}


def test_all_that_is_wrong_with_the_models_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        models_named(["lsmt", "cnn", "cnn"], {})
    assert str(error.value).splitlines() == [
        "there is no model 'lsmt'; there are bag, cnn, encoder, linear, lstm. Did you mean 'lstm'?",
        "the model 'cnn' is named twice; once is enough.",
    ]
    with pytest.raises(SettingsError, match="name at least one model"):
        models_named([], {})


def test_the_default_is_all_that_can_be_trained_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """An architecture joins by an entry; one that lacks a package or a setting stays out."""
    monkeypatch.setattr(spaces, "find_spec", lambda package: package)
    assert models_named(None, {}) == typing.get_args(ModelName)
    monkeypatch.undo()
    monkeypatch.setattr(
        spaces,
        "SPACES",
        {
            "bag": Space((LogScale("lr", 0.1, 1),)),
            "cnn": Space((), packages=("no_such_package",), extra="encoder"),
            "encoder": Space((), settings=("encoder",), instead=("no_such_package",)),
            "linear": Space((), packages=("no_such_package",), extra="encoder"),
            "lstm": Space((), settings=("vectors",)),
        },
    )
    assert models_named(None, {}) == ("bag",)
    assert models_named(None, {"vectors": "glove.txt"}) == ("bag", "lstm")
    with pytest.raises(SettingsError) as error:
        models_named(["cnn", "lstm"], {})
    assert "needs no_such_package (pip install 'textgauge[encoder]')" in str(error.value)
    assert "needs --vectors" in str(error.value)
