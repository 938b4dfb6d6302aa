"""Whether a local store can be written is told before MLflow is asked."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from textgauge.errors import TrackingError
from textgauge.tracking.sqlite_store import (
    check_writable,
    explain_sqlite,
    sqlite_path,
    sqlite_uri,
    wait_until_unlocked,
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (run_uuid TEXT)")
        connection.commit()
    return path


@pytest.fixture
def read_only(database: Path) -> Iterator[Path]:
    """A file that not even root can write."""
    database.chmod(0o444)
    if os.access(database, os.W_OK):
        freeze(database)
        yield database
        subprocess.check_call(["chattr", "-i", database])
    else:
        yield database
        database.chmod(0o644)


def freeze(path: Path) -> None:
    """Make `path` unchangeable even for root, to whom rights say nothing."""
    if not shutil.which("chattr") or subprocess.call(["chattr", "+i", path]):
        pytest.skip("running as root on a file system without chattr: nothing is read-only")


def problem(path: Path, patience: float = 0.1) -> str:
    with pytest.raises(TrackingError) as caught:
        check_writable(path, patience)
    return str(caught.value)


def test_a_writable_store_passes_unchanged(database: Path) -> None:
    before = database.read_bytes()
    check_writable(database)
    wait_until_unlocked(database)
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["mlflow.db"]


def test_a_store_that_can_be_made_passes_and_is_not_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "mlflow.db")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    check_writable(path)


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "no" / "mlflow.db"
    assert f"There is no folder {path.parent}" in problem(path)
    assert f"mkdir -p '{path.parent}'" in problem(path)
    assert not path.parent.exists()


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert f"{tmp_path} is a folder" in problem(tmp_path)


def test_another_file_is_no_store_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("id,text,label\n1,bolt,0\n" * 100)
    before = path.read_bytes()
    assert "is not an MLflow store" in problem(path)
    assert "other.db" in problem(path)
    assert path.read_bytes() == before


def test_a_damaged_database_is_no_store(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:100] + b"\xff" * 5000)
    assert "is not an MLflow store" in problem(database)


def test_a_read_only_store_is_told(read_only: Path) -> None:
    assert f"The tracking store {read_only} is read-only" in problem(read_only)
    assert "chmod u+w" in problem(read_only)


def test_a_folder_where_no_journal_can_be_written_is_told(database: Path) -> None:
    folder = database.parent
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            freeze(folder)
        assert f"Nothing can be written to the folder {folder}" in problem(database)
    finally:
        if os.geteuid() == 0:
            subprocess.call(["chattr", "-i", folder])
        folder.chmod(0o755)


def test_a_lock_is_waited_for_as_long_as_said(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        assert "is locked" in problem(database, patience=0.4)
        assert 0.3 < time.monotonic() - begun < 3
        with pytest.raises(TrackingError, match="is locked"):
            wait_until_unlocked(database, 0.1)
        other.execute("ROLLBACK")
    check_writable(database, 0.1)


def test_a_store_that_vanished_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="cannot be opened"):
        wait_until_unlocked(tmp_path / "mlflow.db")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told() -> None:
    sentence = explain_sqlite("database or disk is full", Path("/data/mlflow.db"))
    assert sentence is not None
    assert "no space left" in sentence
    assert "/data/mlflow.db" in sentence


def test_an_unknown_message_is_left_to_others() -> None:
    assert explain_sqlite("no such table: runs", Path("/data/mlflow.db")) is None


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////data/mlflow.db", "/data/mlflow.db"),
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:////data/mlflow.db?timeout=3", "/data/mlflow.db"),
    ],
)
def test_the_path_in_an_address(uri: str, path: str) -> None:
    assert sqlite_path(uri) == Path(path).absolute()


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "https://x/y", "databricks"])
def test_addresses_without_a_file(uri: str) -> None:
    assert sqlite_path(uri) is None


def test_an_encoded_address_is_understood_and_a_percent_sign_kept(tmp_path: Path) -> None:
    spaced, percent = tmp_path / "a b", tmp_path / "a%20c"
    spaced.mkdir()
    percent.mkdir()
    assert sqlite_path(f"sqlite:///{tmp_path}/a%20b/mlflow.db") == spaced / "mlflow.db"
    assert sqlite_path(sqlite_uri(percent / "mlflow.db")) == percent / "mlflow.db"
