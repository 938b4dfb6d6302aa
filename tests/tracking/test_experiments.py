"""An experiment is found, or made, or told to be deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from textgauge.errors import TrackingError
from textgauge.tracking.experiments import find_or_create
from textgauge.tracking.sqlite_store import sqlite_uri

Connect = Callable[[Path], Any]


def test_a_new_name_makes_an_experiment_and_the_next_time_finds_it(
    store: Path, connect: Connect
) -> None:
    client = connect(store)
    made = find_or_create(client, "bolts & nuts", sqlite_uri(store))
    assert client.get_experiment(made).name == "bolts & nuts"
    assert find_or_create(client, "bolts & nuts", sqlite_uri(store)) == made


def test_a_deleted_experiment_is_told(store: Path, connect: Connect) -> None:
    client = connect(store)
    made = find_or_create(client, "gone", sqlite_uri(store))
    client.delete_experiment(made)
    words = rf"'gone' .* is deleted\. Restore it .*--experiment-id {made}\) or pass"
    with pytest.raises(TrackingError, match=words):
        find_or_create(client, "gone", sqlite_uri(store))


class Refusing:
    """A server on which the name is taken in the moment between the two questions, or never."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def get_experiment_by_name(self, name: str) -> Any:
        return self._answers.pop(0)

    def create_experiment(self, name: str) -> str:
        raise RuntimeError("RESOURCE_ALREADY_EXISTS")


def test_an_experiment_that_another_training_just_made_is_used() -> None:
    active = SimpleNamespace(experiment_id="7", lifecycle_stage="active")
    assert find_or_create(Refusing(None, active), "notes", "http://x") == "7"


def test_why_an_experiment_cannot_be_made_is_passed_on() -> None:
    with pytest.raises(RuntimeError, match="RESOURCE_ALREADY_EXISTS"):
        find_or_create(Refusing(None, None), "notes", "http://x")
