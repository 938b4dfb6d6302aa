"""The folder behind a model's address."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logged_run import LoggedRun

from textgauge.errors import BundleError, TrackingError
from textgauge.tracking import addresses
from textgauge.tracking.addresses import pin_model, resolve_model
from textgauge.tracking.servers.mlflow_server import MlflowServer
from textgauge.tracking.servers.server import open_client
from textgauge.tracking.sqlite_store import sqlite_uri


def test_a_folder_is_itself(bundle: Path) -> None:
    assert resolve_model(bundle) == bundle
    assert resolve_model(str(bundle)) == bundle


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with pytest.raises(BundleError, match=r"does not exist\. Pass a bundle's folder, runs:/R"):
        resolve_model(path)
    path.write_text("")
    with pytest.raises(BundleError, match="is a file, not a folder"):
        resolve_model(path)


def test_the_model_of_a_run_is_used_where_it_lies(filled_store: LoggedRun) -> None:
    record, uri = filled_store.record, sqlite_uri(filled_store.store)
    assert record.artifact_folder is not None
    expected = record.artifact_folder / "model"
    assert resolve_model(record.model_address, uri) == expected
    assert resolve_model(f"runs:/{record.run_id}", uri) == expected


def test_an_unknown_run_names_the_store(filled_store: LoggedRun) -> None:
    words = re.escape(f"{filled_store.store} has no run feedbeef.")
    with pytest.raises(TrackingError, match=words):
        resolve_model("runs:/feedbeef/model", sqlite_uri(filled_store.store))


def test_a_run_without_a_model_names_the_folder(
    store: Path, connect: Callable[[Path], Any]
) -> None:
    run = connect(store).create_run("1")
    with pytest.raises(BundleError, match="ended before it stored a model"):
        resolve_model(f"runs:/{run.info.run_id}/model", sqlite_uri(store))


def test_a_missing_store_is_told_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrackingError, match="There is no tracking store"):
        resolve_model("runs:/ab12/model")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def registered(
    filled_store: LoggedRun, store: Path, connect: Callable[[Path], Any]
) -> tuple[str, Path]:
    """A store with the model `bolts`, version 1, alias `champion`; its address, and the folder."""
    client = connect(store)
    folder = filled_store.record.artifact_folder
    assert folder is not None
    client.create_registered_model("bolts")
    client.create_model_version(
        "bolts", source=str(folder / "model"), run_id=filled_store.record.run_id
    )
    client.set_registered_model_alias("bolts", "champion", "1")
    return sqlite_uri(store), folder / "model"


def test_registered_models_are_found_by_version_and_alias(registered: tuple[str, Path]) -> None:
    uri, folder = registered
    assert resolve_model("models:/bolts/1", uri) == folder
    assert resolve_model("models:/bolts@champion", uri) == folder


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("models:/bolts/7", "no version '7' of a registered model 'bolts'"),
        ("models:/nuts/1", "no version '1' of a registered model 'nuts'"),
        ("models:/bolts@winner", "no registered model 'bolts' with the alias 'winner'"),
    ],
)
def test_unknown_registered_models_are_told(
    address: str, words: str, registered: tuple[str, Path]
) -> None:
    with pytest.raises(TrackingError, match=words):
        resolve_model(address, registered[0])


# ---- on a server ---------------------------------------------------------------------------------


class OnAStore(MlflowServer):
    """A server behind which lies a store."""

    def __init__(self, store: Path) -> None:
        super().__init__("http://mlflow.example")
        self._store = store
        self.logged_in = False

    def log_in(self) -> None:
        self.logged_in = True

    def connect(self) -> Any:
        return open_client(sqlite_uri(self._store), sqlite_uri(self._store))


@pytest.fixture
def server(registered: tuple[str, Path], store: Path, monkeypatch: pytest.MonkeyPatch) -> OnAStore:
    """A server that holds what `registered` holds."""
    found = OnAStore(store)
    monkeypatch.setattr(addresses, "server_at", lambda uri: found)
    return found


@pytest.mark.parametrize("address", ["run", "models:/bolts/1", "models:/bolts@champion"])
def test_what_a_server_holds_is_downloaded(
    address: str, server: OnAStore, registered: tuple[str, Path], filled_store: LoggedRun
) -> None:
    import mlflow

    if address == "run":
        address = filled_store.record.model_address
    environment, uris = dict(os.environ), (mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    folder = resolve_model(address, "http://mlflow.example")
    assert server.logged_in
    assert folder != registered[1]
    made = {path.relative_to(registered[1]) for path in registered[1].rglob("*")}
    assert {path.relative_to(folder) for path in folder.rglob("*")} >= made
    assert (folder / "MLmodel").is_file()
    assert dict(os.environ) == environment
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == uris


def test_an_alias_of_a_server_is_pinned_to_the_version_it_points_to(server: OnAStore) -> None:
    pinned = pin_model("models:/bolts@champion", "http://mlflow.example")
    assert (pinned, server.logged_in) == (("models:/bolts/1", "1"), True)
    with pytest.raises(TrackingError, match="alias 'winner'"):
        pin_model("models:/bolts@winner", "http://mlflow.example")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("models:/bolts/7", "example has no version '7' of a registered model 'bolts'"),
        ("models:/bolts@winner", "example has no registered model 'bolts' with the alias 'winner'"),
        ("runs:/feedbeef/model", "example has no run feedbeef"),
    ],
)
def test_what_a_server_does_not_hold_is_told(address: str, words: str, server: OnAStore) -> None:
    with pytest.raises(TrackingError, match=words):
        resolve_model(address, "http://mlflow.example")


def test_a_servers_run_without_a_whole_model_is_told(
    server: OnAStore, store: Path, connect: Callable[[Path], Any], tmp_path: Path
) -> None:
    client = connect(store)
    run_id = client.create_run("1").info.run_id
    part = tmp_path / "weights.safetensors"
    part.write_bytes(b"part of a model")
    client.log_artifact(run_id, str(part), "model")
    with pytest.raises(BundleError, match=rf"holds no model at runs:/{run_id}/model\."):
        resolve_model(f"runs:/{run_id}/model", "http://mlflow.example")


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(TrackingError, match=r"^The tracking server http://127\.0\.0\.1:9 does not"):
        resolve_model("runs:/feedbeef/model", "http://127.0.0.1:9")


@pytest.mark.parametrize("address", ["models:/bolts", "models:/", "runs:/"])
def test_incomplete_addresses_are_told(address: str, store: Path) -> None:
    with pytest.raises(BundleError, match=r"is not complete\. Pass .* models:/NAME@ALIAS"):
        resolve_model(address, sqlite_uri(store))
