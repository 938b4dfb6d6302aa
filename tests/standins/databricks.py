"""A stand-in for a Databricks workspace, for MLflow's own unmodified Databricks client.

Tracking requests go to MLflow's real handlers. Around them is what a workspace has of its own:
tokens and OAuth, experiments named by paths, the Files API with signed URLs, and Unity Catalog's
registry, whose entries MLflow's registry handlers keep. The texts of errors are Databricks' own
where they are public.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from standins.backend import MlflowBackend
from standins.server import StandIn
from standins.service import Service, json_response, options, serve
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

USER = "ann@example.com"
TOKEN = "dapi-of-the-stand-in"
CLIENT_ID = "0badcafe-0000-4000-8000-000000000001"
CLIENT_SECRET = "dose-of-the-stand-in"
WORKSPACE_ID = "1234567890123456"
ARTIFACTS = "dbfs:/databricks/mlflow-tracking"
STORAGE = "s3://metastore/models"
MODEL_FILE_ROUTES = ("files_api", "presigned", "cloud")


class DatabricksStandIn(StandIn):
    """A Databricks workspace on 127.0.0.1. What is switched is so until `reset` or a restart."""

    module = "standins.databricks"
    tracking_uri = "databricks"
    registry_uri = "databricks-uc"
    profile_uri = "databricks://textgauge"

    def __init__(self, folder: Path, *, schemas: tuple[str, ...] = ("main.default",)) -> None:
        """Prepare a workspace whose Unity Catalog has `schemas`, each as CATALOG.SCHEMA."""
        super().__init__(folder, *(f"--schema={schema}" for schema in schemas))

    @property
    def environment(self) -> dict[str, str]:
        """Log in with a personal access token."""
        return self.profile_environment | {"DATABRICKS_HOST": self.url, "DATABRICKS_TOKEN": TOKEN}

    @property
    def profile_environment(self) -> dict[str, str]:
        """Log in with the profile of `profile_uri`, the only one there is."""
        return super().environment | {"DATABRICKS_CONFIG_FILE": str(self.folder / "databrickscfg")}

    @property
    def oauth_environment(self) -> dict[str, str]:
        """Log in as a service principal."""
        login = {"DATABRICKS_CLIENT_ID": CLIENT_ID, "DATABRICKS_CLIENT_SECRET": CLIENT_SECRET}
        return self.profile_environment | {"DATABRICKS_HOST": self.url} | login

    def prepare(self) -> None:
        profile = f"[textgauge]\nhost = {self.url}\ntoken = {TOKEN}\n"
        (self.folder / "databrickscfg").write_text(profile)

    def expire_tokens(self) -> None:
        """Refuse the tokens of now until `reset`; a service principal can get a new one."""
        self.control("expire_tokens")

    def set_token_lifetime(self, seconds: float) -> None:
        """Let the tokens that a service principal gets from now on live for `seconds`.

        The client gets a new one when there are 40 seconds left.
        """
        self.control("switch", token_lifetime=seconds)

    def forbid_writing(self, forbidden: bool) -> None:
        """Let the user only read from now on, or write again."""
        self.control("switch", read_only=forbidden)

    def serve_logged_models(self, served: bool) -> None:
        """Have the endpoints of MLflow 3's logged models (so at first), or have none."""
        self.control("switch", logged_models=served)

    def serve_model_files(self, route: str) -> None:
        """Choose how a client that is set to nothing moves the files of a registered model.

        Args:
            route: "files_api" (so at first) tells it to use the Files API; "presigned" to use
                signed URLs, as where Databricks hosts the storage; "cloud" gives it credentials
                for an S3 bucket (that there is not), to be used with boto3.

        """
        if route not in MODEL_FILE_ROUTES:
            raise ValueError(f"{route!r} is none of {', '.join(MODEL_FILE_ROUTES)}.")
        self.control("switch", model_files=route)

    def artifacts(self, run_id: str) -> dict[str, bytes]:
        experiment = self.run(run_id).info.experiment_id
        return _files_below(self.folder / "artifacts" / experiment / run_id / "artifacts")

    def model_files(self, name: str, version: str | int) -> dict[str, bytes]:
        """Give the files of a version of a registered model, by their path within the model."""
        return _files_below(self.folder.joinpath("models", *name.split("."), str(version)))


def _files_below(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class RefusedError(Exception):
    """Answered in the form of Databricks' errors."""

    def __init__(self, status: int, code: str | int, message: str) -> None:
        super().__init__(message)
        self.response = json_response({"error_code": code, "message": message}, status)


class Files:
    """The Files API on folders below `folder`, and signed URLs for the storage behind it."""

    PLACES: ClassVar[Mapping[str, str]] = {
        r"/WorkspaceInternal/Mlflow/Artifacts/(\d+)/Runs/([^/]+)(/.*)?": r"artifacts/\1/\2\3",
        r"/WorkspaceInternal/Mlflow/Artifacts/(\d+)/LoggedModels(/.*)": r"artifacts/\1/models\2",
        r"/Models/([^/]+)/([^/]+)/([^/]+)/(\d+)(/.*)?": r"models/\1/\2/\3/\4\5",
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished = folder / "unfinished"
        self._signed: dict[str, Path] = {}

    def sign(self, request: Request, target: Path) -> dict[str, Any]:
        """Give a URL that reads, writes and deletes `target` without a token."""
        key = secrets.token_urlsafe()
        self._signed[key] = target
        return {"url": f"{request.host_url}storage/{key}", "headers": []}

    def storage(self, request: Request, key: str) -> Response:
        """Answer at a signed URL, as a cloud's storage does."""
        target = self._signed.get(key)
        if target is None:
            return _xml(403, "AccessDenied", "Request has expired")
        match request.method:
            case "PUT":
                return Response(headers={"ETag": self._store(target, request.get_data())})
            case "DELETE":
                shutil.rmtree(target, ignore_errors=True)
                return Response()
        if not target.is_file():
            return _xml(404, "NoSuchKey", "The specified key does not exist.")
        return send_file(target, request.environ, "application/octet-stream", etag=False)

    def answer(self, request: Request, kind: str, path: str) -> Response:
        """Answer at /api/2.0/fs/`kind`/`path`; some kinds have the path among the arguments."""
        given = _arguments(request)
        path = "/" + (path or str(given.get("path"))).strip("/")
        target = self._target(path)
        parts = self._unfinished / Path(str(given.get("session_token", "none"))).name
        match request.method, kind, given.get("action"):
            case "PUT", "files", _:
                self._store(target, request.get_data())
                return Response(status=204)
            case "GET" | "HEAD", "files", _:
                file = _there(target, target.is_file())
                return send_file(file, request.environ, "application/octet-stream", etag=False)
            case "GET" | "HEAD", "directories", _:
                return _listing(_there(target, target.is_dir()), path, given)
            case "POST", "create-download-url", _:
                return json_response(self.sign(request, _there(target, target.is_file())))
            case "POST", "create-upload-url", _:
                return json_response(self.sign(request, target))
            case "POST", "files", "initiate-upload":
                return json_response({"multipart_upload": {"session_token": secrets.token_hex(8)}})
            case "POST", "create-upload-part-urls", _:
                first, count = int(given["start_part_number"]), int(given["count"])
                numbers = range(first, first + count)
                urls = [self.sign(request, parts / str(n)) | {"part_number": n} for n in numbers]
                return json_response({"upload_part_urls": urls})
            case "POST", "files", "complete-upload":
                numbers = [part["part_number"] for part in given["parts"]]
                self._store(target, b"".join((parts / str(n)).read_bytes() for n in numbers))
                shutil.rmtree(parts)
                return json_response({})
            case "POST", "create-abort-upload-url", _:
                return json_response({"abort_upload_url": self.sign(request, parts)})
        raise _no_such_endpoint(request)

    def _target(self, path: str) -> Path:
        for pattern, place in self.PLACES.items():
            match = re.fullmatch(pattern, path)
            if match and ".." not in path.split("/"):
                return self._folder / match.expand(place)
        raise RefusedError(404, "NOT_FOUND", f"There is no storage at {path}.")

    def _store(self, target: Path, content: bytes) -> str:
        """Write a file, whole or not at all, and give its tag."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished.mkdir(exist_ok=True)
        whole = self._unfinished / secrets.token_hex()
        whole.write_bytes(content)
        whole.replace(target)
        return hashlib.sha256(content).hexdigest()


def _listing(folder: Path, path: str, given: Mapping[str, Any]) -> Response:
    start, size = int(given.get("page_token") or 0), int(given.get("page_size") or 1000)
    found = sorted(folder.iterdir())
    contents = [
        {"path": f"{path}/{entry.name}", "name": entry.name, "is_directory": entry.is_dir()}
        | ({"file_size": entry.stat().st_size} if entry.is_file() else {})
        for entry in found[start : start + size]
    ]
    more = {"next_page_token": str(start + size)} if start + size < len(found) else {}
    return json_response({"contents": contents} | more)


def _there(target: Path, exists: bool) -> Path:
    if not exists:
        message = "The file or directory being accessed is not found."
        raise RefusedError(404, "NOT_FOUND", message)
    return target


@dataclass(frozen=True)
class Switches:
    """What a test can turn, as it is at first."""

    read_only: bool = False
    logged_models: bool = True
    model_files: str = MODEL_FILE_ROUTES[0]
    token_lifetime: float = 3600.0


class Databricks(Service):
    """The workspace's answers."""

    def __init__(self, folder: Path, schemas: list[str]) -> None:
        super().__init__(folder)
        self._schemas = schemas
        self._files = Files(folder)
        self._backend = MlflowBackend(folder)
        # A workspace has no experiment to begin with.
        self._mlflow("POST", "experiments/delete", {"experiment_id": "0"})
        for path in ("/Shared", f"/Users/{USER}"):
            self._directory(path).mkdir(parents=True, exist_ok=True)
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._switches = Switches()
        self._tokens = {TOKEN: float("inf")}

    def order(self, name: str, arguments: dict[str, Any]) -> Any:
        match name:
            case "switch":
                self._switches = replace(self._switches, **arguments)
            case "expire_tokens":
                self._tokens.clear()
            case _:
                return super().order(name, arguments)
        return None

    def login(self, request: Request) -> str:
        login = request.authorization
        return super().login(request) if login is None else str(login.token or login.username)

    def answer(self, request: Request) -> Response:
        try:
            response = self._answer(request)
        except RefusedError as refused:
            response = refused.response
        response.headers["X-Databricks-Org-Id"] = WORKSPACE_ID
        return response

    def _answer(self, request: Request) -> Response:
        path = request.path.split("/")[1:]
        oidc = f"{request.host_url}oidc"
        match path:
            case [".well-known", "databricks-config"]:
                return json_response({"oidc_endpoint": oidc, "workspace_id": WORKSPACE_ID})
            case ["oidc", ".well-known", "oauth-authorization-server"]:
                endpoints = ("authorization_endpoint", "authorize"), ("token_endpoint", "token")
                return json_response({name: f"{oidc}/v1/{end}" for name, end in endpoints})
            case ["oidc", "v1", "token"]:
                return self._grant(request)
            case ["storage", key]:
                return self._files.storage(request, key)
        self._check_rights(request)
        match path:
            case ["api", "2.0", "preview", "scim", "v2", "Me"]:
                return json_response({"id": "1", "userName": USER, "active": True})
            case ["api", "2.0", "workspace", "mkdirs"]:
                self._directory(request.get_json()["path"]).mkdir(parents=True, exist_ok=True)
                return json_response({})
            case ["api", "2.0", "fs", kind, *rest]:
                return self._files.answer(request, kind, "/".join(rest))
            case ["api", "2.0", "mlflow", "unity-catalog", *call]:
                return self._catalog(request, "/".join(call))
            case ["api", "2.0", "mlflow", "artifacts", call] if call.startswith("credentials-for"):
                return self._credentials(request)
            case ["api", "2.0", "mlflow", "registered-models" | "model-versions", *_]:
                message = "The legacy workspace model registry is disabled. Use Unity Catalog."
                raise RefusedError(403, "FEATURE_DISABLED", message)
            case ["api", "2.0", "mlflow", *call]:
                return self._tracking(request, "/".join(call))
        raise _no_such_endpoint(request)

    def _grant(self, request: Request) -> Response:
        """Give a service principal a token, by OAuth's client credentials."""
        login = request.authorization
        if login is None or (login.username, login.password) != (CLIENT_ID, CLIENT_SECRET):
            error = {"error": "invalid_client", "error_description": "Client authentication failed"}
            return json_response(error, 401)
        token, lifetime = secrets.token_urlsafe(), self._switches.token_lifetime
        self._tokens[token] = time.time() + lifetime
        grant = {"access_token": token, "token_type": "Bearer", "expires_in": int(lifetime)}
        return json_response(grant)

    def _check_rights(self, request: Request) -> None:
        if "Authorization" not in request.headers:
            message = "Credential was not sent or was of an unsupported type for this API."
            raise RefusedError(401, 401, message)
        if self._tokens.get(self.login(request), 0) < time.time():
            raise RefusedError(403, 403, "Invalid access token.")
        reading = request.method in ("GET", "HEAD") or re.search(
            r"/search$|/create-download-url$|/credentials-for-read$|/emit-lineage$", request.path
        )
        if self._switches.read_only and not reading:
            message = f"User {USER} does not have permission to 'Edit' {request.path}."
            raise RefusedError(403, "PERMISSION_DENIED", message)

    def _tracking(self, request: Request, call: str) -> Response:
        given = _arguments(request)
        if re.match("logged-models|runs/outputs", call) and not self._switches.logged_models:
            raise _no_such_endpoint(request)
        if given.get("experiment_id") == "0":
            raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", "Node ID 0 does not exist.")
        if call in ("experiments/create", "experiments/update"):
            self._check_experiment_name(str(given.get("new_name", given.get("name"))))
        query = list(request.args.items(multi=True))
        found = self._backend.call(
            request.method, request.path, query=query, body=request.get_data()
        )
        root = json.dumps(str(self._backend.artifact_root)).strip('"')
        text = found.body.decode().replace(root, ARTIFACTS)
        text = re.sub(rf"({ARTIFACTS}/\d+)/models/", r"\1/logged_models/", text)
        return Response(text, found.status, mimetype="application/json")

    def _check_experiment_name(self, name: str) -> None:
        if not name.startswith("/"):
            message = (
                f"Got an invalid experiment name '{name}'. An experiment name must be an absolute "
                "path within the Databricks workspace, e.g. '/Users/<some-username>/my-experiment'."
            )
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", message)
        parent = str(PurePosixPath(name).parent)
        if not self._directory(parent).is_dir():
            raise RefusedError(404, "NOT_FOUND", f"Parent directory does not exist: {parent}")

    def _directory(self, path: str) -> Path:
        """Give what stands for a directory of the workspace."""
        return self.folder / "workspace" / path.strip("/")

    def _credentials(self, request: Request) -> Response:
        """Give signed URLs for a run's artifacts: what the client tries after the Files API."""
        run_id = request.get_json()["run_id"]
        status, content = self._mlflow("GET", "runs/get", {"run_id": run_id})
        if status != 200:
            return json_response(content, status)
        folder = Path(content["run"]["info"]["artifact_uri"])
        infos = []
        for path in request.get_json()["path"]:
            url = self._files.sign(request, folder / path)["url"]
            infos.append({"path": path, "signed_uri": url, "type": "GCP_SIGNED_URL"})
        return json_response({"credential_infos": infos})

    def _catalog(self, request: Request, call: str) -> Response:
        """Answer for Unity Catalog's models."""
        if call.startswith("registered-models:is-databricks-sdk-"):
            flag = call.partition(":")[2].replace("-", "_")
            return json_response({flag: self._switches.model_files == "files_api"})
        given = _arguments(request)
        name = str(given.get("name", ""))
        if call == "model-versions/search":
            wanted = str(given.get("filter", ""))
            match = re.fullmatch(r"\s*name\s*=\s*'([^']*)'\s*", wanted)
            if match is None:
                message = (
                    f"Unsupported filter query : `{wanted}`. Please specify your filter parameter "
                    "in the format `name = 'model_name'`."
                )
                raise RefusedError(400, "INVALID_PARAMETER_VALUE", message)
            name = match[1]
        if call != "registered-models/search" and not re.fullmatch(r"(\w[^.]*\.){2}[^.]+", name):
            message = (
                "Bad model name: please specify all three levels of the model in the form "
                "`catalog_name.schema_name.model_name`"
            )
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", message)
        method = request.method
        match call:
            case "registered-models/create":
                schema = name.rpartition(".")[0]
                if schema not in self._schemas:
                    message = f"Schema '{schema}' does not exist."
                    raise RefusedError(404, "SCHEMA_DOES_NOT_EXIST", message)
            case "model-versions/emit-lineage":
                return json_response({})
            case "model-versions/generate-temporary-credentials":
                return json_response({"credentials": self._storage_credentials()})
            case "model-versions/get-download-uri":
                return json_response({"artifact_uri": f"{STORAGE}/{name}/{given['version']}"})
            case "model-versions/finalize":
                self._ready(name, given["version"]).mkdir(parents=True, exist_ok=True)
                method, call = "GET", "model-versions/get"
        status, content = self._mlflow(method, call, given)
        for version in [content.get("model_version"), *content.get("model_versions", [])]:
            if version:
                number, aliases = version["version"], version.get("aliases", [])
                ready = self._ready(name, number).exists()
                version["status"] = "READY" if ready else "PENDING_REGISTRATION"
                version["storage_location"] = f"{STORAGE}/{name}/{number}"
                version["aliases"] = [{"alias": alias, "version": number} for alias in aliases]
        if content.get("error_code") == "RESOURCE_ALREADY_EXISTS":
            content["message"] = f"Routine or Model '{name}' already exists."
        elif "Registered Model with name=" in content.get("message", ""):
            content["message"] = f"Routine or Model '{name}' does not exist."
        return json_response(content, status)

    def _storage_credentials(self) -> dict[str, Any]:
        if self._switches.model_files == "presigned":
            return {"storage_mode": "DEFAULT_STORAGE"}
        keys = {"access_key_id": "id", "secret_access_key": "key", "session_token": "token"}
        return {"storage_mode": "CUSTOMER_HOSTED", "aws_temp_credentials": keys}

    def _ready(self, name: str, version: str) -> Path:
        """Give what exists once a model's version is finalized."""
        return self.folder / "ready" / name / version

    def _mlflow(
        self, method: str, call: str, given: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Give status and content of MLflow's own answer."""
        query = [(key, str(value)) for key, value in given.items()] if method == "GET" else []
        body = b"" if method == "GET" else json.dumps(given).encode()
        found = self._backend.call(method, f"/api/2.0/mlflow/{call}", query=query, body=body)
        return found.status, json.loads(found.body)


def _arguments(request: Request) -> dict[str, Any]:
    """Give the arguments of the query and of a JSON body."""
    body = request.get_json(silent=True)
    return request.args.to_dict() | (body if isinstance(body, dict) else {})


def _xml(status: int, code: str, message: str) -> Response:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(text, status, mimetype="application/xml")


def _no_such_endpoint(request: Request) -> RefusedError:
    path = request.path.removeprefix("/api/2.0")
    message = f"No API found for '{request.method} {path}'"
    return RefusedError(404, "ENDPOINT_NOT_FOUND", message)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--schema", action="append", default=[], help="as CATALOG.SCHEMA")
    chosen = parser.parse_args()
    serve(Databricks(chosen.folder, chosen.schema), chosen.port)


if __name__ == "__main__":
    main()
