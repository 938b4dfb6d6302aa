"""How an Azure Machine Learning workspace names things, and MLflow's store behind it.

The workspace's experiment ids are GUIDs and its run ids GUIDs with dashes, where the store has
small numbers and GUIDs without.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

TENANT = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"
RESOURCE_GROUP = "texts-group"
WORKSPACE = "texts-workspace"
WORKSPACE_ID = "b8d5f0a2-3c4e-4f6a-9b1c-2d3e4f5a6b7c"

SCOPE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)

ACCOUNT = "textsstorage"
"""The storage account of the workspace."""

BLOB_CONTAINER = "azureml"
"""The container of its storage account that artifacts are in."""

RUN_ORIGIN = "ExperimentRun"
"""What the artifact service calls the artifacts of runs."""

_EXPERIMENT = "e0e0e0e0-0000-4000-"
_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RUN_FILTER = re.compile(r"\brun_id`?\s*(=|!=|IN)\s*(\([^)]*\)|'[^']*'|\"[^\"]*\")", re.IGNORECASE)


def experiment_guid(stored_id: str) -> str:
    """The workspace's id of the experiment that the store numbers so.

    >>> experiment_guid("12")
    'e0e0e0e0-0000-4000-0000-00000000000c'
    """
    digits = f"{int(stored_id):016x}"
    return f"{_EXPERIMENT}{digits[:4]}-{digits[4:]}"


def stored_experiment_id(guid: str) -> str:
    """The store's number of an experiment; what is no GUID of ours is given back as it is.

    >>> stored_experiment_id("e0e0e0e0-0000-4000-0000-00000000000c")
    '12'
    """
    if not guid.startswith(_EXPERIMENT):
        return guid
    return str(int(guid.removeprefix(_EXPERIMENT).replace("-", ""), 16))


def dashed_run_id(stored_id: str) -> str:
    """The workspace's id of a run."""
    try:
        return str(uuid.UUID(stored_id))
    except ValueError:
        return stored_id


def stored_run_id(run_id: str) -> str:
    """The store's id of a run; what is no dashed GUID is given back as it is."""
    return run_id.replace("-", "").lower() if _RUN.fullmatch(run_id) else run_id


def to_stored(content: Any, key: str = "") -> Any:
    """Translate the ids within a request, found by the names of their fields."""
    return _translate(content, key, stored_run_id, stored_experiment_id, _stored_filter)


def to_workspace(content: Any, key: str = "") -> Any:
    """Translate the ids within an answer, found by the names of their fields."""
    return _translate(content, key, dashed_run_id, experiment_guid, str)


def _translate(content: Any, key: str, run: Any, experiment: Any, condition: Any) -> Any:
    if isinstance(content, dict):
        return {
            name: _translate(value, name, run, experiment, condition)
            for name, value in content.items()
        }
    if isinstance(content, list):
        return [_translate(value, key, run, experiment, condition) for value in content]
    if not isinstance(content, str) or not content:
        return content
    match key:
        case "run_id" | "run_uuid" | "run_ids" | "source_run_id":
            return run(content)
        case "experiment_id" | "experiment_ids":
            return experiment(content)
        case "filter" | "filter_string":
            return condition(content)
    return content


def _stored_filter(condition: str) -> str:
    """Translate run ids in a search's condition, but not in its tags, which hold them dashed."""
    return _RUN_FILTER.sub(
        lambda found: _RUN.sub(lambda run_id: stored_run_id(run_id[0]), found[0]), condition
    )


def blob_file(folder: Path, blob: str) -> Path:
    """Where a blob such as ExperimentRun/dcid.RUN/model/MLmodel is kept.

    The path within its artifact container is one file name: in a storage account `a` and `a/b`
    can both be blobs.
    """
    origin, container, path = blob.split("/", 2)
    return folder / "blobs" / quote(origin, "") / quote(container, "") / quote(path, "")


def blobs_of_run(folder: Path, run_id: str) -> dict[str, bytes]:
    """Give what was put for a run, by the path within its artifacts."""
    directory = blob_file(folder, f"{RUN_ORIGIN}/dcid.{run_id}/any").parent
    if not directory.is_dir():
        return {}
    return {unquote(file.name): file.read_bytes() for file in sorted(directory.iterdir())}
