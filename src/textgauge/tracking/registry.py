"""A model becomes a version of a registered model, in the one way that every registry takes.

The files are there already, as artifacts of the run; the version is made from their place. MLflow's
own `log_model` and `register_model("runs:/…")` need endpoints that Azure ML does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .failures import is_conflict, is_missing, status_of
from .protocol import MODEL_FOLDER

ALIAS_TAG = "textgauge.alias"
"""Stands for the alias where the registry has none: "challenger" on the version it points to."""

_READY = "READY"
_READY_PATIENCE = 60
"""Seconds that a registry may take to copy the files."""


def register_version(
    client: Any,
    name: str,
    run_id: str,
    *,
    alias: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Make a version of the run's model, unless there is one; returns its number.

    Args:
        client: an `MlflowClient` for the run's server and its registry.
        name: of the registered model, created if there is none.
        run_id: of a run that has the folder `model/`.
        alias: shall point to the version; a tag of it where the registry has no aliases.
        tags: of the version.

    Raises:
        what MLflow raises; calling again goes on.

    """
    try:
        client.create_registered_model(name)
    except Exception as error:
        if not is_conflict(error):
            raise
    version = _version_of(client, name, run_id)
    if version is None:
        source = f"{client.get_run(run_id).info.artifact_uri.rstrip('/')}/{MODEL_FOLDER}"
        version = client.create_model_version(
            name, source, run_id, tags=dict(tags or {}), await_creation_for=_READY_PATIENCE
        )
    if alias is not None:
        move_alias(client, name, alias, str(version.version))
    return str(version.version)


def version_by_alias(client: Any, name: str, alias: str) -> Any | None:
    """The version that `alias` points to, by alias or by tag; None if there is none."""
    try:
        return client.get_model_version_by_alias(name, alias)
    except Exception as error:
        # MLflow's own registry takes an unknown alias for a wrong one.
        if not is_missing(error) and status_of(error) != 400:
            raise
    return next(iter(_tagged(client, name, alias)), None)


def _version_of(client: Any, name: str, run_id: str) -> Any | None:
    """The version that an earlier attempt made of the run, if it was finished."""
    found = client.search_model_versions(f"name='{name}'")
    of_run = [version for version in found if version.run_id == run_id]
    for version in of_run:
        if version.status != _READY:
            # Cut off in the middle: where we send the files ourselves, nobody else ever will.
            client.delete_model_version(name, version.version)
    return next((version for version in of_run if version.status == _READY), None)


def move_alias(client: Any, name: str, alias: str, version: str) -> None:
    """Have `alias` point to a version, and to no other; by a tag where there are no aliases."""
    try:
        client.set_registered_model_alias(name, alias, version)
        return
    except Exception as error:
        if not is_missing(error):
            raise
    # The new one first: at no time does nothing carry the tag.
    client.set_model_version_tag(name, version, ALIAS_TAG, alias)
    for other in _tagged(client, name, alias):
        if str(other.version) != version:
            client.delete_model_version_tag(name, other.version, ALIAS_TAG)


def _tagged(client: Any, name: str, alias: str) -> list[Any]:
    """Versions with the alias' tag, newest first."""
    found = client.search_model_versions(f"name='{name}'")
    # Unity Catalog's search tells no tags; it has aliases, and needs none.
    tagged = [
        version
        for version in found
        if isinstance(version.tags, Mapping) and version.tags.get(ALIAS_TAG) == alias
    ]
    return sorted(tagged, key=lambda version: int(version.version), reverse=True)
