"""What MLflow's exceptions mean, each as one sentence that says what to do.

MLflow wraps the cause in several layers and a page of advice; the cause is looked for in all of
them. Nothing here imports MLflow: its exceptions are known by their text.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import TrackingError
from ..installed import how_to_get, is_slim
from .sqlite_store import explain_sqlite


class NotYetError(TrackingError):
    """Something else has to come first; the same may go well later."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_RUN = re.compile(r"Run (?:with id=|')(\w+)'? not found")
_STATUS = re.compile(r"error code (\d{3})\b|too many (\d{3}) error responses")
_STATUS_OF_CODE = {
    "UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404, "ENDPOINT_NOT_FOUND": 404, "NOT_FOUND": 404,
    "NOT_IMPLEMENTED": 501, "RESOURCE_ALREADY_EXISTS": 409, "RESOURCE_CONFLICT": 409,
    "ALREADY_EXISTS": 409, "REQUEST_LIMIT_EXCEEDED": 429, "RESOURCE_EXHAUSTED": 429,
    "TEMPORARILY_UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
    "INVALID_PARAMETER_VALUE": 400, "BAD_REQUEST": 400,
    "Unauthorized": 401, "AuthenticationFailed": 401, "InvalidAuthenticationToken": 401,
    "ExpiredAuthenticationToken": 401, "Forbidden": 403, "AuthorizationFailed": 403,
    "NotFound": 404, "ResourceNotFound": 404, "ResourceGroupNotFound": 404,
    "SubscriptionNotFound": 404, "WorkspaceNotFound": 404, "Conflict": 409,
    "TooManyRequests": 429, "ServiceUnavailable": 503, "ServerBusy": 503, "ServiceError": 500,
    "InternalServerError": 500, "BlobNotFound": 404, "BadRequest": 400, "ValidationError": 400,
}  # fmt: skip
"""Names of errors, of MLflow, Databricks and Azure; INTERNAL_ERROR stands for anything at all."""

_STATUS_OF_CLASS = {
    "BadRequest": 400, "Unauthenticated": 401, "PermissionDenied": 403, "NotFound": 404,
    "ResourceConflict": 409, "TooManyRequests": 429, "InternalError": 500, "NotImplemented": 501,
    "TemporarilyUnavailable": 503, "DeadlineExceeded": 504,
}  # fmt: skip
"""Databricks' SDK makes its exceptions by the status, and keeps it in their class alone."""

_CODE = re.compile(r"(?:['\"]code['\"]: ['\"]|ErrorCode:)(\w+)")

_BAD_TOKEN = "invalid access token"
"""Databricks' words for a token that is wrong or has expired; its status is 403."""

_CONFLICT = ("already exist", "blobalreadyexists", "alreadyexists")
_EXTRAS = {"azureml": "azureml", "azure": "azureml", "databricks": "databricks"}
"""Packages to the extra of ours that brings them."""

_NETWORK = ("ServiceRequestError", "ServiceResponseError", "IncompleteReadError", "gaierror")
_SCHEMA = re.compile(r"found version (\w+), but expected (\w+)|identified by '(\w+)'")


def explain(error: BaseException, tracking_uri: str, store: Path | None) -> str:
    """One sentence or two on why the store at `tracking_uri` failed and what to do about it.

    `store` is its file if it is a local one.
    """
    layers = list(_layers(error))
    if isinstance(layers[0], TrackingError):
        return str(layers[0])
    text = "\n".join(str(layer) for layer in layers)
    for found in (
        _explain_file(layers),
        _explain_run(text, tracking_uri),
        _explain_schema(text, tracking_uri),
        explain_sqlite(text, store) if store is not None else None,
        _explain_package(layers, tracking_uri),
    ):
        if found:
            return found
    return f"MLflow could not write to {public_uri(tracking_uri)}: {_first_line(error)}"


def explain_server(
    error: BaseException,
    title: str,
    *,
    login_help: str = "",
    role_help: str = "",
    address_help: str = "Check the address.",
) -> str:
    """One sentence or two on why the server called `title` failed and what to do about it.

    `login_help` says how one logs in there, `role_help` who gives the right to write,
    `address_help` what to look at if there is nothing of that name.
    """
    layers = list(_layers(error))
    if isinstance(layers[0], TrackingError):
        return str(layers[0])
    where, status = capital(title), status_of(error)
    distrusted = (
        f"{where} shows a certificate that this machine does not trust. If it is your company's, "
        "name its file in REQUESTS_CA_BUNDLE."
    )
    unproxied = (
        f"{where} cannot be reached through the proxy that HTTP_PROXY or HTTPS_PROXY names. Check "
        "these, or name the server's host in NO_PROXY if it is to be reached without."
    )
    for found in (
        _explain_file(layers),
        _explain_package(layers, title),
        distrusted if _is_certificate(layers) else None,
        unproxied if _is_proxy(layers) else None,
    ):
        if found:
            return found
    by_status = {
        401: f"{where} refuses this login. {login_help}".strip(),
        403: f"This login may not write to {title}. {role_help}".strip(),
        404: f"Something answers where {title} should be, but not that. {address_help}",
        429: f"{where} takes no more requests for now (it answers 429).",
    }
    if "not in a valid json format" in str(error).lower():
        status = 404
    if status is not None and status >= 500:
        return f"{where} answers with an error of its own ({status})."
    if status in by_status:
        return by_status[status]
    if is_passing(error):
        return f"{where} does not answer. Check the address and the network."
    return f"{where} did not take the run: {_first_line(error)}"


def capital(title: str) -> str:
    """`title` as it stands at the beginning of a sentence.

    >>> capital("the tracking server http://h")
    'The tracking server http://h'
    """
    return title[:1].upper() + title[1:]


def status_of(error: BaseException) -> int | None:
    """The HTTP status that a client's exception stands for, or None if it tells of none."""
    found = (look(layer) for layer in _layers(error) for look in (_given_status, _named_status))
    return next((status for status in found if status is not None), None)


def _given_status(layer: BaseException) -> int | None:
    if _BAD_TOKEN in str(layer).lower():
        return 401
    for holder in (layer, getattr(layer, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return status
    match = _STATUS.search(str(layer))
    return int(match.group(1) or match.group(2)) if match else None


def _named_status(layer: BaseException) -> int | None:
    # Azure's own form of errors, of which MLflow keeps the text only; the inner code says most.
    for code in reversed(_CODE.findall(str(layer))):
        if (found := _STATUS_OF_CODE.get(code)) is not None:
            return found
    if (code := getattr(layer, "error_code", None)) in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[code]
    body = getattr(layer, "json", None)
    if isinstance(body, Mapping) and body.get("error_code", "") in ("INTERNAL_ERROR", None):
        # The server's own word, not MLflow's for a body that names no code; and what MLflow makes
        # of a failure of Databricks that had no such body.
        return 500
    for kind in type(layer).__mro__:
        if kind.__module__.startswith("databricks.") and kind.__name__ in _STATUS_OF_CLASS:
            return _STATUS_OF_CLASS[kind.__name__]
    return None


def is_missing(error: BaseException) -> bool:
    """Whether what was asked for is not there: a run, an alias, or the whole endpoint."""
    return status_of(error) in (404, 405, 501)


def is_conflict(error: BaseException) -> bool:
    """Whether what was to be made is there already."""
    text = "\n".join(str(layer) for layer in _layers(error)).lower()
    return status_of(error) == 409 or any(word in text for word in _CONFLICT)


def is_unauthorised(error: BaseException) -> bool:
    """Whether the token was not taken: it may have expired."""
    return status_of(error) == 401


def is_passing(error: BaseException) -> bool:
    """Whether the same may go well later: the server is down, slow, busy, or cannot be reached."""
    layers = list(_layers(error))
    if isinstance(layers[0], NotYetError):
        return True
    if isinstance(layers[0], TrackingError) or _is_certificate(layers):
        return False
    status = status_of(error)
    if status is not None:
        return status in (408, 425, 429) or status >= 500
    text = "\n".join(str(layer) for layer in layers).lower()
    return any(
        isinstance(layer, ConnectionError | TimeoutError)
        or type(layer).__module__.partition(".")[0] in ("requests", "urllib3", "http", "socket")
        or type(layer).__name__ in _NETWORK
        for layer in layers
    ) or any(words in text for words in ("max retries exceeded", "timed out", "connection"))


def _is_certificate(layers: list[BaseException]) -> bool:
    return any("certificate verify failed" in str(layer).lower() for layer in layers)


def _is_proxy(layers: list[BaseException]) -> bool:
    # urllib3's words for a proxy that does not answer, and for one that opens no tunnel.
    text = "\n".join(str(layer) for layer in layers).lower()
    return "unable to connect to proxy" in text or "tunnel connection failed" in text


def _first_line(error: BaseException) -> str:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return first or type(error).__name__


def public_uri(uri: str) -> str:
    """`uri` without the name and password that it may hold, fit to be printed.

    >>> public_uri("https://me:secret@mlflow.example/base")
    'https://mlflow.example/base'
    """
    parts = urlsplit(uri)
    if not parts.netloc or "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def deleted_experiment(name: str, experiment_id: str, tracking_uri: str) -> TrackingError:
    """The error for an experiment that was deleted and whose name is therefore still taken."""
    uri = public_uri(tracking_uri)
    deleted = f"The experiment {name!r} in {uri} is deleted."
    if uri.startswith("azureml:"):  # which has no way back
        return TrackingError(f"{deleted} Pass another --experiment.")
    return TrackingError(
        f"{deleted} Restore it (MLFLOW_TRACKING_URI={uri} mlflow experiments restore "
        f"--experiment-id {experiment_id}) or pass another --experiment."
    )


def _layers(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    layer: BaseException | None = error
    while layer is not None and id(layer) not in seen:
        seen.add(id(layer))
        yield layer
        layer = layer.__cause__ or layer.__context__


def _explain_file(layers: list[BaseException]) -> str | None:
    for layer in layers:
        if not isinstance(layer, OSError):
            continue
        if layer.errno in _FULL:
            # shutil reports the target as filename2, a plain write has no name at all.
            where = layer.filename2 or layer.filename
            disk = f"the disk of {where}" if where else "the disk"
            return f"There is no space left on {disk}. Free some space and run the command again."
        if layer.errno in _REFUSED and layer.filename is not None:
            return (
                f"{layer.filename2 or layer.filename} cannot be written ({layer.strerror}). Change "
                "the rights of its folder, or pass --tracking-uri sqlite:///PATH with a path in a "
                "folder of your own."
            )
        if isinstance(layer, FileNotFoundError) and layer.filename is not None:
            return f"{layer.filename} was to be stored with the run, but it is not there any more."
    return None


def _explain_run(text: str, tracking_uri: str) -> str | None:
    match = _RUN.search(text)
    if match is None:
        return None
    return (
        f"{public_uri(tracking_uri)} has no run {match.group(1)}. Look it up with textgauge ui, or "
        "name the store that holds it with --tracking-uri."
    )


def _explain_schema(text: str, tracking_uri: str) -> str | None:
    match = _SCHEMA.search(text)
    if match is None or ("schema" not in text and "revision" not in text):
        return None
    found = match.group(1) or match.group(3)
    return (
        f"The tracking store {public_uri(tracking_uri)} was written by another version of MLflow "
        f"(its schema is {found}). If that version is newer, install it (pip install -U mlflow); "
        f"if it is older, copy the store and run: mlflow db upgrade {public_uri(tracking_uri)}. "
        "Or pass another --tracking-uri."
    )


def _explain_package(layers: list[BaseException], tracking_uri: str) -> str | None:
    for layer in layers:
        if isinstance(layer, ModuleNotFoundError) and layer.name:
            top = layer.name.partition(".")[0]
            what = f"'textgauge[{_EXTRAS[top]}]'" if top in _EXTRAS else layer.name
            how = how_to_get(top) if is_slim() else f"Install it: pip install {what}."
            return (
                f"Tracking to {public_uri(tracking_uri)} needs the package {layer.name!r}, which "
                f"is not installed here. {how}"
            )
    return None
