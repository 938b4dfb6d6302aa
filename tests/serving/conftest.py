"""A small model behind HTTP: in this process, and as a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from served import Here, Served, application

from textgauge.serving.model import ServedModel


@pytest.fixture(scope="session")
def loaded(deciding: Any) -> ServedModel:
    """A model that leaves a third of the notes to a person."""
    return ServedModel.load(deciding.folder)


@pytest.fixture
def here(loaded: ServedModel) -> Iterator[Any]:
    """Make an application, with limits of a test's own."""
    made = []

    def make(model: ServedModel = loaded, **how: Any) -> Here:
        made.append(application(model, **how))
        return made[-1]

    yield make
    for each in made:
        each.batcher.close()


@pytest.fixture(scope="session")
def served(deciding: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The model as a process of its own, with short patience."""
    limits = (
        *("--max-body", 4_000, "--max-table", 20_000),
        *("--read-seconds", 0.4, "--max-connections", 20),
    )
    server = Served(deciding.folder, *limits, cwd=tmp_path_factory.mktemp("served"))
    yield server
    status = server.end()
    assert (status, "Traceback" in server.err) == (0, False), server.err
