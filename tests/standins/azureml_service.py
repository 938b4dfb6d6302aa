"""The server's side of the stand-in for Azure ML: who may ask what, and which part answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from standins import azureml_blobs
from standins import azureml_names as names
from standins.azureml_artifacts import Artifacts
from standins.azureml_blobs import Blobs
from standins.azureml_identity import Identity
from standins.azureml_tracking import Tracking, writes
from standins.backend import MlflowBackend
from standins.service import Service, json_response
from werkzeug.wrappers import Request, Response

_WORKSPACE = re.compile(
    r"(?P<service>/mlflow/v[12]\.0|/history/v1\.0|/artifact/v2\.0|)"
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+)"
    r"(?P<rest>/.*|)",
    re.IGNORECASE,
)


class AzureMLService(Service):
    """A workspace, with all that a client of it needs."""

    def __init__(self, folder: Path, port: int, *, logged_models: bool = False) -> None:
        super().__init__(folder)
        self._host = f"127.0.0.1:{port}"
        url = f"https://{self._host}"
        self._identity = Identity(folder, url)
        self._blobs = Blobs(folder, url)
        self._tracking = Tracking(
            MlflowBackend(folder), f"azureml://{self._host}/mlflow/v2.0{names.SCOPE}"
        )
        self._artifacts = Artifacts(folder, self._blobs, self._tracking.can_own_artifacts)
        self._has_logged_models = logged_models
        self._restore()

    def answer(self, request: Request) -> Response:
        if request.path.startswith(azureml_blobs.ROOT):
            return self._blobs.answer(request)
        found = self._identity.answer(request)
        if found is not None:
            return found
        place = _WORKSPACE.fullmatch(request.path)
        if place is None:
            return Response("", 404)
        return (
            self._refusal(request, place["service"], place["rest"])
            or _not_found(place)
            or self._of_workspace(request, place["service"].lower(), place["rest"])
        )

    def login(self, request: Request) -> str:
        """Give the token, or the name with which somebody asks for one."""
        name = request.form.get("client_id") or request.headers.get("X-IDENTITY-HEADER")
        return name or super().login(request)

    def reset(self) -> None:
        super().reset()
        self._restore()

    def order(self, name: str, arguments: dict[str, Any]) -> Any:
        match name:
            case "serve_logged_models":
                self._tracking.logged_models = arguments["served"]
            case "set_token_lifetime":
                self._identity.lifetime = arguments["seconds"]
            case "expire_tokens":
                self._identity.expire_tokens()
            case "forbid_writing":
                self._writing_forbidden = arguments["forbidden"]
            case "forbid_reading":
                self._reading_forbidden = arguments["forbidden"]
            case "name_artifacts_once":
                self._artifacts.named_once = arguments["once"]
            case "give_place_for_a_name":
                self._artifacts.place_for_a_name = arguments["by"]
            case _:
                return super().order(name, arguments)
        return None

    def _restore(self) -> None:
        self._tracking.logged_models = self._has_logged_models
        self._identity.restore()
        self._writing_forbidden = self._reading_forbidden = False
        self._artifacts.named_once = True
        self._artifacts.place_for_a_name = "write"

    def _refusal(self, request: Request, service: str, path: str) -> Response | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        who = self._identity.who(token) if kind == "Bearer" else None
        if who is None:
            return json_response(
                _error("InvalidAuthenticationToken", "The access token is invalid or has expired."),
                401,
                None if service else {"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        forbidden = self._writing_forbidden and writes(request.method, path)
        if forbidden or self._reading_forbidden:
            action = "write" if forbidden else "read"
            message = (
                f"The client '{who}' with object id '{who}' does not have authorization to perform "
                f"action 'Microsoft.MachineLearningServices/workspaces/{action}' over scope "
                f"'{names.SCOPE}' or the scope is invalid."
            )
            return json_response(_error("AuthorizationFailed", message), 403)
        return None

    def _of_workspace(self, request: Request, service: str, rest: str) -> Response:
        if service.startswith("/mlflow/v2") and rest.startswith("/api/"):
            return self._tracking.answer(request, rest.removeprefix("/api/"))
        if service.startswith(("/history", "/artifact")):
            return self._artifacts.answer(request, rest.removeprefix("/"))
        if not service and not rest and request.method == "GET":
            if "api-version" not in request.args:
                message = "The api-version query parameter (?api-version=) is required."
                return json_response(_error("MissingApiVersionParameter", message), 400)
            return json_response(self._description())
        return Response("", 404)

    def _description(self) -> dict[str, Any]:
        """The workspace as the resource manager describes it."""
        return {
            "id": names.SCOPE,
            "name": names.WORKSPACE,
            "type": "Microsoft.MachineLearningServices/workspaces",
            "location": "westeurope",
            "identity": {"type": "SystemAssigned", "tenantId": names.TENANT},
            "properties": {
                "friendlyName": names.WORKSPACE,
                "workspaceId": names.WORKSPACE_ID,
                "tenantId": names.TENANT,
                "mlFlowTrackingUri": f"azureml://{self._host}/mlflow/v1.0{names.SCOPE}",
                "discoveryUrl": f"https://{self._host}/discovery",
                "provisioningState": "Succeeded",
            },
        }


def _not_found(place: re.Match[str]) -> Response | None:
    """What is wrong with a workspace's address, as the resource manager says it."""
    subscription, group, workspace = place["subscription"], place["group"], place["workspace"]
    if subscription.lower() != names.SUBSCRIPTION:
        message = f"The subscription '{subscription}' could not be found."
        return json_response(_error("SubscriptionNotFound", message), 404)
    if group.lower() != names.RESOURCE_GROUP:
        message = f"Resource group '{group}' could not be found."
        return json_response(_error("ResourceGroupNotFound", message), 404)
    if workspace.lower() != names.WORKSPACE:
        message = (
            f"The Resource 'Microsoft.MachineLearningServices/workspaces/{workspace}' under "
            f"resource group '{group}' was not found."
        )
        return json_response(_error("ResourceNotFound", message), 404)
    return None


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
