"""MLflow's exceptions become one sentence that says what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from textgauge.errors import TrackingError
from textgauge.tracking.failures import deleted_experiment, explain, explain_server, public_uri

STORE = Path("/data/mlflow.db")
LOCAL = "sqlite:////data/mlflow.db"


def wrapped(cause: BaseException) -> Exception:
    """`cause` as MLflow passes it on: two layers deep."""
    outer = RuntimeError(f"(sqlite3.OperationalError) {cause}\n[SQL: INSERT INTO runs …]")
    outer.__cause__ = RuntimeError("in between")
    outer.__cause__.__context__ = cause
    return outer


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (RuntimeError("database is locked"), "/data/mlflow.db is locked"),
        (RuntimeError("attempt to write a readonly database"), "/data/mlflow.db is read-only"),
        (RuntimeError("database or disk is full"), "no space left on the disk"),
        (RuntimeError("file is not a database"), "is not an MLflow store"),
        (OSError(errno.ENOSPC, "No space left", "/data/mlruns/1"), "the disk of /data/mlruns/1"),
        (OSError(errno.EDQUOT, "Quota exceeded", "/data/mlruns/1"), "no space left"),
        (OSError(errno.EACCES, "Permission denied", "/data/mlruns"), "/data/mlruns cannot be writ"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/data/a.png"), "/data/a.png was to be"),
        (
            RuntimeError("out-of-date database schema (found version ab12, but expected cd34)."),
            "another version of MLflow (its schema is ab12)",
        ),
        (
            RuntimeError("alembic: Can't locate revision identified by 'ab12'"),
            "another version of MLflow (its schema is ab12)",
        ),
        (RuntimeError("Run with id=deadbeef not found"), "has no run deadbeef"),
        (ModuleNotFoundError("No module named 'psycopg'", name="psycopg"), "pip install psycopg"),
    ],
)
def test_the_cause_is_found_under_all_layers(cause: BaseException, words: str) -> None:
    sentence = explain(wrapped(cause), LOCAL, STORE)
    assert words in sentence
    assert "SQL:" not in sentence


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("API request failed with error code 401 != 200", "refuses this login. Log in."),
        ("API request failed with error code 403 != 200", "may not write to the server. Ask."),
        ("API request failed with error code 404 != 200", "was not found"),
        ("the response body was not in a valid JSON format", "was not found"),
        ("Max retries exceeded (too many 500 error responses)", "an error of its own (500)"),
        ("Max retries exceeded (too many 429 error responses)", "no more requests for now"),
        ("Max retries exceeded: Connection refused", "does not answer"),
        ("Read timed out", "does not answer"),
        ("certificate verify failed: self-signed certificate", "REQUESTS_CA_BUNDLE"),
        ("the name is too long", "The server did not take the run: the name is too long"),
    ],
)
def test_what_a_server_does_is_told(message: str, words: str) -> None:
    sentence = explain_server(
        RuntimeError(message), "the server", login_help="Log in.", role_help="Ask."
    )
    assert words in sentence


def test_an_unknown_error_is_passed_on_in_its_first_line() -> None:
    sentence = explain(RuntimeError("\n\nNo such thing\nmore"), LOCAL, STORE)
    assert sentence == f"MLflow could not write to {LOCAL}: No such thing"


def test_an_error_without_words_is_named() -> None:
    assert explain(ZeroDivisionError(), LOCAL, STORE).endswith("ZeroDivisionError")


def test_our_own_sentence_stays_as_it_is() -> None:
    assert explain(TrackingError("Say this."), LOCAL, STORE) == "Say this."


def test_an_error_that_is_its_own_context_ends_the_search() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__context__, second.__context__ = second, first
    assert explain(first, LOCAL, STORE).endswith(": a")


def test_a_missing_file_of_another_kind_than_an_artifact_is_not_guessed_at() -> None:
    nameless = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    assert "MLflow could not write" in explain(nameless, LOCAL, STORE)


def test_a_deleted_experiment_can_be_restored_or_left() -> None:
    sentence = str(deleted_experiment("notes", "7", LOCAL))
    assert "mlflow experiments restore --experiment-id 7" in sentence
    assert "--experiment" in sentence.rpartition(" or ")[2]


@pytest.mark.parametrize(
    ("uri", "printed"),
    [
        ("https://a:b@host:8/x", "https://host:8/x"),
        ("https://host/x", "https://host/x"),
        ("sqlite:////a@b/mlflow.db", "sqlite:////a@b/mlflow.db"),
    ],
)
def test_addresses_are_printed_without_secrets(uri: str, printed: str) -> None:
    assert public_uri(uri) == printed
