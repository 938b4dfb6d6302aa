"""What MLflow's exceptions mean, each as one sentence that says what to do.

MLflow wraps the cause in several layers and a page of advice; the cause is looked for in all of
them. Nothing here imports MLflow: its exceptions are known by their text.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import TrackingError
from .sqlite_store import explain_sqlite

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_RUN = re.compile(r"Run (?:with id=|')(\w+)'? not found")
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
        _explain_server(text, tracking_uri) if tracking_uri.startswith("http") else None,
    ):
        if found:
            return found
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"MLflow could not write to {public_uri(tracking_uri)}: {first or type(error).__name__}"


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
    return TrackingError(
        f"The experiment {name!r} in {uri} is deleted. Restore it (MLFLOW_TRACKING_URI={uri} "
        f"mlflow experiments restore --experiment-id {experiment_id}) or pass another --experiment."
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
            return (
                f"Tracking to {public_uri(tracking_uri)} needs the package {layer.name!r}, which "
                f"is not installed here. Install it (pip install {layer.name})."
            )
    return None


def _explain_server(text: str, tracking_uri: str) -> str | None:
    server = f"The tracking server {public_uri(tracking_uri)}"
    low = text.lower()
    if "error code 401" in low or "error code 403" in low or "permission_denied" in low:
        return (
            f"{server} refuses this login. Set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    if "error code 404" in low or "not in a valid json format" in low:
        return f"{server} answers, but not as an MLflow server. Check the address."
    if "too many 5" in low or "error code 5" in low:
        return f"{server} answers with an error of its own. Look at its log, or try again later."
    if "max retries exceeded" in low or "timed out" in low or "connection" in low:
        return f"{server} does not answer. Check the address and that it is running."
    return None
