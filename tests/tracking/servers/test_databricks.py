"""Databricks workspaces, as far as they can be known without one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from needed import need_package

from textgauge.tracking.servers import RefusedError, server_at
from textgauge.tracking.servers import databricks as module
from textgauge.tracking.servers.databricks import Databricks


class Config:
    """Stands for `databricks.sdk.config.Config`, which asks the workspace about itself."""

    def __init__(self, profile: str | None = None) -> None:
        if profile == "unknown":
            raise ValueError("resolve: /home/ann/.databrickscfg has no unknown profile. Config: x")
        self.host = "https://adb-1.azuredatabricks.net/"

    @classmethod
    def attributes(cls) -> list[object]:
        return []

    def authenticate(self) -> dict[str, str]:
        if "DATABRICKS_SECRET" not in os.environ:
            raise ValueError("default auth: cannot configure default credentials")
        return {"Authorization": f"Bearer {os.environ['DATABRICKS_SECRET']}"}


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    need_package("databricks.sdk", "databricks")
    monkeypatch.setattr("databricks.sdk.config.Config", Config)


# ---- addresses and names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "canonical", "title"),
    [
        ("databricks", "databricks", "Databricks"),
        ("databricks://", "databricks", "Databricks"),
        ("databricks://lab", "databricks://lab", "Databricks (profile lab)"),
        ("databricks-uc", "databricks", "Databricks"),
        ("databricks-uc://lab", "databricks://lab", "Databricks (profile lab)"),
    ],
)
def test_a_workspace_is_named_by_its_login(uri: str, canonical: str, title: str) -> None:
    server = server_at(uri)
    assert isinstance(server, Databricks)
    assert (server.uri, server.title) == (canonical, title)


@pytest.mark.parametrize("uri", ["databricksy", "http://databricks", "databricks.example"])
def test_other_addresses_are_none(uri: str) -> None:
    assert not isinstance(server_at(uri), Databricks)


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("notes", "/Shared/notes"),
        ("component notes", "/Shared/component notes"),
        ("/Users/ann@lab.example/notes", "/Users/ann@lab.example/notes"),
    ],
)
def test_an_experiment_is_an_absolute_path(name: str, there: str) -> None:
    assert Databricks().experiment_name(name) == there


@pytest.mark.parametrize("name", ["main.default.bolts", "lab-1.notes_2.component-notes"])
def test_a_model_has_three_levels(name: str) -> None:
    assert Databricks().model_name(name) == name


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("bolts", "main.default.bolts"),
        ("default.bolts", "main.default.default_bolts"),
        ("a.b.c.d", "main.default.a_b_c_d"),
        ("main.default.", "main.default.main_default_"),
        ("main..bolts", "main.default.main_bolts"),
        ("main.default.two words", "main.default.main_default_two_words"),
    ],
)
def test_a_model_with_other_levels_is_told_with_a_name_that_would_do(
    name: str, advice: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        Databricks().model_name(name)
    assert repr(name) in str(caught.value)
    assert str(caught.value).endswith(f"--register {advice}.")
    assert Databricks().model_name(advice) == advice


def test_the_workspaces_own_registry_takes_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in ("databricks", "databricks://lab"):
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", registry)
        assert Databricks().model_name("bolts") == "bolts"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "databricks-uc")
    with pytest.raises(RefusedError):
        Databricks().model_name("bolts")


# ---- logging in ----------------------------------------------------------------------------------


def test_after_the_login_the_workspace_has_a_name_and_pages(
    sdk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_SECRET", "secret")
    server = Databricks()
    server.log_in()
    assert server.title == "Databricks at https://adb-1.azuredatabricks.net"
    assert server.run_url("7", "ab12") == (
        "https://adb-1.azuredatabricks.net/ml/experiments/7/runs/ab12"
    )


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("", r"^There is no login to Databricks"),
        (
            "unknown",
            r"^There is no login to Databricks \(profile unknown\) \(resolve: .* profile\)",
        ),
    ],
)
def test_a_missing_login_is_told(profile: str, words: str, sdk: None) -> None:
    with pytest.raises(RefusedError, match=rf"{words}\. Set DATABRICKS_HOST and DATABRICKS_TOKEN"):
        Databricks(profile).log_in()


def test_a_missing_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(RefusedError, match=r"needs the package databricks-sdk.*\[databricks\]"):
        Databricks().log_in()


def test_a_server_that_is_down_is_noticed_soon_unless_the_user_waits() -> None:
    environment: dict[str, str] = {}
    Databricks().prepare(environment)
    assert int(environment["MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT"]) <= 10
    own = dict.fromkeys(environment, "99")
    environment = dict(own)
    Databricks().prepare(environment)
    assert environment == own


# ---- a notebook's login --------------------------------------------------------------------------

RUNTIME = {"DATABRICKS_RUNTIME_VERSION": "16.4"}


def test_a_notebooks_login_is_handed_over(sdk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_SECRET", "secret")
    environment = dict(RUNTIME)
    Databricks().hand_over(environment)
    assert environment == {
        **RUNTIME,
        "DATABRICKS_HOST": "https://adb-1.azuredatabricks.net/",
        "DATABRICKS_TOKEN": "secret",
    }


@pytest.mark.parametrize(
    ("profile", "environment"),
    [
        ("", {}),
        ("lab", RUNTIME),
        ("", {**RUNTIME, "DATABRICKS_TOKEN": "own"}),
        ("", {**RUNTIME, "DATABRICKS_CLIENT_ID": "own"}),
        ("", {**RUNTIME, "DATABRICKS_CONFIG_PROFILE": "own"}),
    ],
)
def test_a_login_of_ones_own_is_left_alone(
    profile: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, sdk: None
) -> None:
    monkeypatch.setenv("DATABRICKS_SECRET", "secret")
    before = dict(environment)
    Databricks(profile).hand_over(environment)
    assert environment == before


def test_a_notebook_without_login_or_package_is_left_to_the_worker(
    sdk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(RUNTIME)
    Databricks().hand_over(environment)
    monkeypatch.setitem(sys.modules, "databricks.sdk.config", None)
    Databricks().hand_over(environment)
    assert environment == RUNTIME


def test_the_registry_is_unity_catalog_of_the_same_login(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[tuple[str, str]] = []
    monkeypatch.setattr(module, "open_client", lambda *uris: opened.append(uris))
    Databricks().connect()
    Databricks("lab").connect()
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "databricks")
    Databricks().connect()
    assert opened == [
        ("databricks", "databricks-uc"),
        ("databricks://lab", "databricks-uc://lab"),
        ("databricks", "databricks"),
    ]
