"""The folder behind a model's address."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logged_run import LoggedRun

from textgauge.errors import BundleError, TrackingError
from textgauge.tracking.addresses import resolve_model
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


@pytest.mark.parametrize("address", ["models:/bolts", "models:/", "runs:/"])
def test_incomplete_addresses_are_told(address: str, store: Path) -> None:
    with pytest.raises(BundleError, match=r"is not complete\. Pass .* models:/NAME@ALIAS"):
        resolve_model(address, sqlite_uri(store))
