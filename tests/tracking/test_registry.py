"""Versions of registered models, in a real registry with and without aliases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logged_run import LoggedRun

from textgauge.tracking.registry import ALIAS_TAG, register_version, version_by_alias

Connect = Callable[[Path], Any]


class WithoutAliases:
    """A registry like Azure ML's: everything that concerns an alias is an unknown endpoint."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.carrying: list[list[str]] = []
        """Versions with the alias' tag after each change of one."""

    def __getattr__(self, name: str) -> Any:
        if "alias" in name:
            return self._refuse
        found = getattr(self._client, name)
        return self._watched(found) if name.endswith("version_tag") else found

    def _refuse(self, *_: Any) -> Any:
        from mlflow.exceptions import RestException

        raise RestException({"error": {"code": "NotFound", "message": "no such endpoint"}})

    def _watched(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> None:
            change(*arguments)
            found = self._client.search_model_versions("name='bolts'")
            self.carrying.append([str(v.version) for v in found if ALIAS_TAG in v.tags])

        return call


@pytest.fixture
def client(store: Path, connect: Connect) -> Any:
    return connect(store)


@pytest.fixture(params=["aliases", "no aliases"])
def registry(request: pytest.FixtureRequest, client: Any) -> Any:
    return client if request.param == "aliases" else WithoutAliases(client)


@pytest.fixture
def runs(filled_store: LoggedRun, client: Any) -> list[str]:
    """Two runs, the first with a model's files."""
    return [filled_store.record.run_id, str(client.create_run("1").info.run_id)]


def test_a_version_is_made_from_where_the_model_lies(registry: Any, runs: list[str]) -> None:
    number = register_version(registry, "bolts", runs[0], tags={"textgauge.run_id": runs[0]})
    version = registry.get_model_version("bolts", number)
    artifacts = registry.get_run(runs[0]).info.artifact_uri
    assert (number, version.run_id, version.source) == ("1", runs[0], f"{artifacts}/model")
    assert version.tags == {"textgauge.run_id": runs[0]}
    assert version.status == "READY"


def test_a_second_attempt_finds_what_the_first_made(registry: Any, runs: list[str]) -> None:
    assert [register_version(registry, "bolts", runs[0], alias="best") for _ in range(2)] == [
        "1",
        "1",
    ]
    assert len(registry.search_model_versions("name='bolts'")) == 1


def test_each_run_gets_a_version_of_its_own(registry: Any, runs: list[str]) -> None:
    assert [register_version(registry, "bolts", run_id) for run_id in runs] == ["1", "2"]
    assert register_version(registry, "nuts", runs[0]) == "1"


def test_the_alias_points_to_the_version_that_was_registered_last(
    registry: Any, runs: list[str]
) -> None:
    assert register_version(registry, "bolts", runs[0], alias="challenger") == "1"
    assert version_by_alias(registry, "bolts", "challenger").version in (1, "1")
    assert register_version(registry, "bolts", runs[1], alias="challenger") == "2"
    assert version_by_alias(registry, "bolts", "challenger").version in (2, "2")
    assert register_version(registry, "bolts", runs[0], alias="challenger") == "1"
    assert version_by_alias(registry, "bolts", "challenger").version in (1, "1")
    assert version_by_alias(registry, "bolts", "champion") is None
    assert version_by_alias(registry, "nuts", "challenger") is None


def test_without_an_alias_none_is_set(registry: Any, runs: list[str]) -> None:
    register_version(registry, "bolts", runs[0])
    assert version_by_alias(registry, "bolts", "challenger") is None


def test_a_tag_stands_for_the_alias_and_something_carries_it_at_all_times(
    client: Any, runs: list[str]
) -> None:
    registry = WithoutAliases(client)
    register_version(registry, "bolts", runs[0], alias="challenger")
    register_version(registry, "bolts", runs[1], alias="challenger")
    assert registry.carrying == [["1"], ["2", "1"], ["2"]]
    assert client.get_model_version("bolts", "2").tags == {ALIAS_TAG: "challenger"}
    assert client.get_registered_model("bolts").aliases == {}


def test_where_two_carry_the_tag_the_newest_counts(client: Any, runs: list[str]) -> None:
    """So it is while one takes it over from the other."""
    registry = WithoutAliases(client)
    for number, run_id in enumerate(runs, start=1):
        register_version(registry, "bolts", run_id)
        client.set_model_version_tag("bolts", str(number), ALIAS_TAG, "challenger")
    assert version_by_alias(registry, "bolts", "challenger").version in (2, "2")


def test_another_alias_tag_is_left_alone(client: Any, runs: list[str]) -> None:
    registry = WithoutAliases(client)
    register_version(registry, "bolts", runs[0], alias="champion")
    register_version(registry, "bolts", runs[1], alias="challenger")
    assert version_by_alias(registry, "bolts", "champion").version in (1, "1")
    assert version_by_alias(registry, "bolts", "challenger").version in (2, "2")


def test_trouble_with_the_alias_is_not_taken_for_a_registry_without(
    client: Any, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any) -> None:
        raise RuntimeError("API request failed with error code 503 != 200")

    monkeypatch.setattr(client, "set_registered_model_alias", busy)
    monkeypatch.setattr(client, "get_model_version_by_alias", busy)
    with pytest.raises(RuntimeError, match="503"):
        register_version(client, "bolts", runs[0], alias="challenger")
    with pytest.raises(RuntimeError, match="503"):
        version_by_alias(client, "bolts", "challenger")
    assert client.get_model_version("bolts", "1").tags == {}


def test_a_name_that_the_registry_refuses_is_told(client: Any, runs: list[str]) -> None:
    with pytest.raises(Exception, match=r"[Nn]ame"):
        register_version(client, "", runs[0])
