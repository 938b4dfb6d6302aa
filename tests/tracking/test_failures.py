"""MLflow's exceptions become one sentence that says what to do."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from needed import need_package

from textgauge.errors import TrackingError
from textgauge.tracking.failures import (
    deleted_experiment,
    explain,
    explain_server,
    is_conflict,
    is_missing,
    is_passing,
    is_unauthorised,
    public_uri,
    status_of,
)

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
        (
            "API request failed with error code 404 != 200",
            "Something answers where the server should be",
        ),
        (
            "the response body was not in a valid JSON format",
            "Something answers where the server should be",
        ),
        ("Max retries exceeded (too many 500 error responses)", "an error of its own (500)"),
        ("Max retries exceeded (too many 429 error responses)", "no more requests for now"),
        ("Max retries exceeded: Connection refused", "does not answer"),
        ("Read timed out", "does not answer"),
        ("ProxyError('Unable to connect to proxy', …)", "NO_PROXY"),
        ("Tunnel connection failed: 407 Proxy Authentication Required", "NO_PROXY"),
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


# ---- what real clients raise ---------------------------------------------------------------------

NO_SERVER = "http://127.0.0.1:9"
"""Nothing listens there (the port is reserved for discarding, RFC 863)."""


class _Answering(BaseHTTPRequestHandler):
    """Answers every request as the path says, /400, /503 …, and with no body."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def answering() -> Iterator[str]:
    """The address of a server that answers as it is asked to."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def raised(do: Callable[[], object]) -> Exception:
    try:
        do()
    except Exception as error:
        return error
    pytest.fail("nothing was raised")


def kinds(error: BaseException) -> str:
    """Of which kinds an exception is, in words."""
    asked = (is_passing, is_missing, is_conflict, is_unauthorised)
    return ", ".join(ask.__name__.removeprefix("is_") for ask in asked if ask(error))


KINDS = {
    400: "", 401: "unauthorised", 403: "", 404: "missing", 405: "missing", 408: "passing",
    409: "conflict", 425: "passing", 429: "passing", 500: "passing", 501: "passing, missing",
    503: "passing", 504: "passing",
}  # fmt: skip
"""What an HTTP status says of the request."""


@pytest.mark.parametrize("status", KINDS)
def test_a_status_is_read_from_what_requests_raises(status: int, answering: str) -> None:
    import requests

    error = raised(lambda: requests.get(f"{answering}/{status}", timeout=5).raise_for_status())
    assert (status_of(error), kinds(error)) == (status, KINDS[status])


@pytest.mark.parametrize("status", KINDS)
def test_a_status_is_read_from_what_azures_core_raises(status: int, answering: str) -> None:
    need_package("azure.core", "azureml")
    import requests
    from azure.core.exceptions import HttpResponseError

    answer = requests.get(f"{answering}/{status}", timeout=5)
    error = HttpResponseError(message="Operation returned an invalid status", response=answer)
    assert (status_of(error), kinds(error)) == (status, KINDS[status])


def test_azures_own_kinds_of_error_are_told_apart() -> None:
    need_package("azure.core", "azureml")
    from azure.core import exceptions

    assert kinds(exceptions.ServiceRequestError("getaddrinfo failed")) == "passing"
    assert kinds(exceptions.ServiceResponseError("broken off")) == "passing"
    assert kinds(exceptions.IncompleteReadError("broken off")) == "passing"
    exists = exceptions.ResourceExistsError("The specified blob already exists. BlobAlreadyExists")
    assert kinds(exists) == "conflict"
    assert kinds(exceptions.ClientAuthenticationError("no login")) == ""


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "INVALID_PARAMETER_VALUE", ""),
        (401, None, "unauthorised"),
        (403, "PERMISSION_DENIED", ""),
        (404, "RESOURCE_DOES_NOT_EXIST", "missing"),
        (404, "CATALOG_DOES_NOT_EXIST", "missing"),
        (409, "RESOURCE_ALREADY_EXISTS", "conflict"),
        (409, "ALREADY_EXISTS", "conflict"),
        (429, "REQUEST_LIMIT_EXCEEDED", "passing"),
        (429, "RESOURCE_EXHAUSTED", "passing"),
        (500, "INTERNAL_ERROR", "passing"),
        (501, "NOT_IMPLEMENTED", "passing, missing"),
        (503, "TEMPORARILY_UNAVAILABLE", "passing"),
        (503, None, "passing"),
        (504, "DEADLINE_EXCEEDED", "passing"),
    ],
)
def test_a_status_is_read_from_what_databricks_sdk_raises(
    status: int, code: str | None, kind: str, answering: str
) -> None:
    need_package("databricks.sdk", "databricks")
    import requests
    from databricks.sdk.errors import DatabricksError
    from databricks.sdk.errors.parser import _Parser

    body = json.dumps({"error_code": code, "message": "m"} if code else {"message": "m"})
    answer = requests.get(f"{answering}/{status}", timeout=5)
    answer._content = body.encode()
    error = _Parser().get_api_error(answer)
    assert isinstance(error, DatabricksError)
    assert (status_of(error), kinds(error)) == (status, kind)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No run"}, 404, "missing"),
        ({"error_code": "ENDPOINT_NOT_FOUND", "message": "No API"}, 404, "missing"),
        ({"error_code": "RESOURCE_ALREADY_EXISTS", "message": "There"}, 409, "conflict"),
        ({"error_code": "INVALID_PARAMETER_VALUE", "message": "Too long"}, 400, ""),
        ({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Slow down"}, 429, "passing"),
        ({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Wait"}, 503, "passing"),
        ({"error_code": "RESOURCE_EXHAUSTED", "message": "Slow down"}, 429, "passing"),
        ({"error_code": "DEADLINE_EXCEEDED", "message": "Too slow"}, 504, "passing"),
        ({"error_code": "ALREADY_EXISTS", "message": "There"}, 409, "conflict"),
        ({"error_code": "INTERNAL_ERROR", "message": "Sorry"}, 500, "passing"),
        ({"error_code": "UNAUTHENTICATED", "message": "Who?"}, 401, "unauthorised"),
        ({"error_code": "PERMISSION_DENIED", "message": "No"}, 403, ""),
        ({"message": "nothing is known"}, None, ""),
        # Azure's form, https://learn.microsoft.com/azure/machine-learning (ErrorResponse).
        ({"error": {"code": "NotFound", "message": "No such API"}}, 404, "missing"),
        ({"error": {"code": "UserError", "innerError": {"code": "NotFound"}}}, 404, "missing"),
        ({"error": {"code": "UserError", "innerError": {"code": "Conflict"}}}, 409, "conflict"),
        ({"error": {"code": "ServiceError", "message": "Sorry"}}, 500, "passing"),
        ({"error": {"code": "ServiceError", "innerError": {"code": "TooManyRequests"}}}, 429,
         "passing"),
        ({"error": {"code": "ExpiredAuthenticationToken", "message": "Old"}}, 401, "unauthorised"),
        ({"error": {"code": "AuthorizationFailed", "message": "No role"}}, 403, ""),
        ({"error": {"code": "UserError", "innerError": {"code": "BadRequest"}}}, 400, ""),
        ({"error": {"code": "SomethingNew", "message": "What?"}}, None, ""),
    ],
)  # fmt: skip
def test_a_status_is_read_from_what_mlflow_makes_of_a_body(
    body: dict[str, Any], status: int | None, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    from mlflow.exceptions import RestException

    error = RestException(body)
    assert (status_of(error), kinds(error)) == (status, kind)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_status_is_read_from_what_mlflows_client_raises(
    status: int, answering: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.utils.rest_utils import MlflowHostCreds, http_request, verify_rest_response

    creds = MlflowHostCreds(answering)
    error = raised(
        lambda: verify_rest_response(
            http_request(creds, f"/{status}", "GET", max_retries=0, timeout=5), f"/{status}"
        )
    )
    assert (status_of(error), kinds(error)) == (status, KINDS[status])


def test_a_server_that_cannot_be_reached_may_come_back() -> None:
    import requests
    import urllib3
    from mlflow.utils.rest_utils import MlflowHostCreds, http_request

    def with_mlflow() -> None:
        http_request(MlflowHostCreds(NO_SERVER), "/api", "GET", max_retries=0, timeout=5)

    for do in (
        lambda: requests.get(NO_SERVER, timeout=5),
        lambda: requests.get("http://nowhere.invalid", timeout=5),
        lambda: urllib3.PoolManager().request("GET", NO_SERVER, retries=False),
        with_mlflow,
    ):
        error = raised(do)
        assert (status_of(error), kinds(error)) == (None, "passing")


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("timed out"),
        ConnectionResetError("reset by peer"),
        wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
    ],
)
def test_a_connection_that_broke_off_may_go_well_later(error: Exception) -> None:
    assert kinds(error) == "passing"


@pytest.mark.parametrize(
    "error",
    [
        TrackingError("There is no login; the connection would be refused."),
        RuntimeError("certificate verify failed: Max retries exceeded"),
        OSError(errno.ENOSPC, "No space left on device"),
        KeyError("run"),
    ],
)
def test_what_will_not_mend_itself_is_no_passing_trouble(error: Exception) -> None:
    assert kinds(error) == ""


def test_the_status_is_found_under_all_layers() -> None:
    outer = RuntimeError("could not be sent")
    outer.__cause__ = RuntimeError("API request failed with error code 503 != 200")
    assert (status_of(outer), kinds(outer)) == (503, "passing")
