"""Azure ML's MLflow service: MLflow's own handlers under the workspace's ids, rules and limits."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from standins.azureml_names import to_stored, to_workspace
from standins.backend import MlflowBackend
from standins.service import json_response
from werkzeug.wrappers import Request, Response

NOT_SERVED = (
    "3.0/",
    "2.0/mlflow/experiments/set-experiment-tag",
    "2.0/mlflow/registered-models/alias",
    "2.0/mlflow/runs/outputs",
    "2.0/mlflow/traces",
)
"""What the service lacks, by the beginning of the path after `/api/`: 404 with an empty body."""

LOGGED_MODELS = "2.0/mlflow/logged-models"
"""Lacking too, unless the stand-in is told to have it."""

LIMITS = {
    "metric_names": 50,
    "metric_rows": 250,
    "params": 200,
    "param_value": 6000,
    "tags": 50,
    "tag_key": 100,
    "tag_value": 1000,
}
"""Metric names, params and tags of a run; metric rows of a request; characters of the rest."""

_FIELDS = {
    "metric_names": "Metrics",
    "metric_rows": "MetricV2Dto.Value/Count",
    "params": "Parameters",
    "param_value": "Parameters/Value",
    "tags": "Tags",
    "tag_key": "Tags/Key",
    "tag_value": "Tags/Value",
}
_READING = re.compile(r"/(get|get-[a-z-]+|search|list|search-[a-z-]+)$")


@dataclass
class _Additions:
    """What a request is about to add to a run."""

    metrics: list[str]
    params: dict[str, str]
    tags: dict[str, str]


class Tracking:
    """Answers what comes after `…/workspaces/W/api/`."""

    def __init__(self, backend: MlflowBackend, root: str) -> None:
        """Take MLflow, and the azureml:// address of the workspace that artifacts are under."""
        self._backend = backend
        self._root = root
        self.logged_models = False

    def answer(self, request: Request, path: str) -> Response:
        """Answer a request at `path`, such as 2.0/mlflow/runs/create."""
        lacking = NOT_SERVED if self.logged_models else (*NOT_SERVED, LOGGED_MODELS)
        if path.startswith(lacking):
            return Response("", 404)
        if path == "2.0/preview/mlflow/runs/get-run-data-status":
            return json_response({"is_complete": True})
        waiting = path == "2.0/preview/mlflow/runs/log-batch-async"
        if waiting:
            path = "2.0/mlflow/runs/log-batch"
        name = request.args.get("experiment_name", "")
        if path.endswith("/experiments/get-by-name") and "/" in name:
            # The service makes such an experiment and then finds it by its id only.
            return _error(404, "RESOURCE_DOES_NOT_EXIST", f"Could not find experiment {name}")
        text = request.get_data()
        body = json.loads(text) if text else {}
        if refused := self._over_a_limit(path, body):
            return refused
        query = [(key, str(to_stored(value, key))) for key, value in request.args.items(multi=True)]
        found = self._call(request.method, path, query, to_stored(body) if text else None)
        if isinstance(found, Response):
            return found
        if waiting:
            return json_response({"batch_tracking_id": str(uuid.uuid4())})
        return json_response(self._at_home(to_workspace(found)))

    def can_own_artifacts(self, owner: str) -> bool:
        """Whether there is a run, or a logged model, with the workspace's id `owner`."""
        if not owner.startswith("m-"):
            return self._run(owner) is not None
        return not isinstance(self._call("GET", f"{LOGGED_MODELS}/{owner}", [], None), Response)

    def _run(self, run_id: str) -> dict[str, Any] | None:
        query = [("run_id", str(to_stored(run_id, "run_id")))]
        found = self._call("GET", "2.0/mlflow/runs/get", query, None)
        return None if isinstance(found, Response) else to_workspace(found)["run"]

    def _call(
        self, method: str, path: str, query: list[tuple[str, str]], body: Any
    ) -> dict[str, Any] | Response:
        content = b"" if body is None else json.dumps(body).encode()
        answer = self._backend.call(method, f"/api/{path}", query=query, body=content)
        if answer.status == 200:
            return dict(json.loads(answer.body or b"{}"))
        try:
            error = json.loads(answer.body)
            return _error(answer.status, error["error_code"], error["message"])
        except (ValueError, KeyError, TypeError):
            # MLflow has no such endpoint: nor has the service.
            return Response("", answer.status)

    def _at_home(self, found: dict[str, Any]) -> dict[str, Any]:
        """Put the workspace's addresses in the place of the store's."""
        for run in [found.get("run"), *found.get("runs", [])]:
            if run is not None:
                run["info"]["artifact_uri"] = self._artifacts_of(run["info"], "run_id")
        for experiment in [found.get("experiment"), *found.get("experiments", [])]:
            if experiment is not None:
                experiment["artifact_location"] = ""
        for model in [found.get("model"), *found.get("models", [])]:
            if model is not None:
                model["info"]["artifact_uri"] = self._artifacts_of(model["info"], "model_id")
        return found

    def _artifacts_of(self, info: dict[str, Any], owner: str) -> str:
        experiment = f"{self._root}/experiments/{info['experiment_id']}"
        return f"{experiment}/runs/{info[owner]}/artifacts"

    def _over_a_limit(self, path: str, body: dict[str, Any]) -> Response | None:
        added = _added(path, body)
        if added is None:
            return None
        run = self._run(body.get("run_id", body.get("run_uuid", "")))
        data = {} if run is None else run.get("data", {})
        sizes = {
            "metric_rows": len(added.metrics),
            "metric_names": len(_keys(data, "metrics") | set(added.metrics)),
            "params": len(_keys(data, "params") | set(added.params)),
            "param_value": max(map(len, added.params.values()), default=0),
            "tags": len(_keys(data, "tags") | set(added.tags)),
            "tag_key": max(map(len, added.tags), default=0),
            "tag_value": max(map(len, added.tags.values()), default=0),
        }
        for name, limit in LIMITS.items():
            if sizes[name] > limit:
                return _error(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    "A field of the entity is over the size limit. "
                    f"FieldName={_FIELDS[name]}, Limit={limit}, Size={sizes[name]}.",
                )
        return None


def writes(method: str, path: str) -> bool:
    """Whether a request at `path` is one that somebody who may only read must not make."""
    return method != "GET" and not _READING.search(path)


def _added(path: str, body: dict[str, Any]) -> _Additions | None:
    match path.removeprefix("2.0/mlflow/"):
        case "runs/log-batch":
            return _Additions(
                [metric["key"] for metric in body.get("metrics", [])],
                _pairs(body.get("params", [])),
                _pairs(body.get("tags", [])),
            )
        case "runs/create":
            return _Additions([], {}, _pairs(body.get("tags", [])))
        case "runs/log-metric":
            return _Additions([body["key"]], {}, {})
        case "runs/log-parameter":
            return _Additions([], _pairs([body]), {})
        case "runs/set-tag":
            return _Additions([], {}, _pairs([body]))
    return None


def _pairs(fields: Iterable[dict[str, str]]) -> dict[str, str]:
    return {field["key"]: field.get("value", "") for field in fields}


def _keys(data: dict[str, Any], kind: str) -> set[str]:
    return {field["key"] for field in data.get(kind, [])}


def _error(status: int, error_code: str, message: str) -> Response:
    """An error as the service words it: MLflow shows the whole of it to the user."""
    code = "UserError" if status == 404 else "ValidationError"
    return json_response(
        {
            "Error": {"Code": code, "Severity": None, "Message": message, "Details": []},
            "Environment": "westeurope",
            "ComponentName": "mlflow",
            "statusCode": status,
            "error_code": error_code,
        },
        status,
    )
