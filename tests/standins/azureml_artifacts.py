"""Azure ML's artifact services: they name the blobs that artifacts are put to and read from.

A name is made first and the bytes are put afterwards, by the client and past this service. So
an artifact can be there that has no bytes: it is listed, and its blob answers 404.
"""

from __future__ import annotations

import datetime
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from standins.azureml_blobs import Blobs
from standins.azureml_names import RUN_ORIGIN
from standins.service import json_response
from werkzeug.wrappers import Request, Response

ROUTES = (
    re.compile(r"experiments/(?P<experiment>[^/]+)/runs/(?P<run>[^/]+)/artifacts(?P<what>/.*)?"),
    re.compile(r"artifacts/(?P<origin>[^/]+)/(?P<container>[^/]+?)(?P<what>/.*)?"),
)
"""Of the artifacts of runs (/history/v1.0/…), and of all others (/artifact/v2.0/…)."""


class Artifacts:
    """Answers what comes after `/history/v1.0/…/workspaces/W/` and `/artifact/v2.0/…`."""

    def __init__(
        self, folder: Path, blobs: Blobs, can_own_artifacts: Callable[[str], bool]
    ) -> None:
        """Take the place of the names and of the blobs, and how to look a run up."""
        self._folder = folder / "names"
        self._blobs = blobs
        self._can_own_artifacts = can_own_artifacts
        self._lock = threading.Lock()
        self.named_once = True
        """Whether a name can be made only once; if not, only its bytes can be put only once."""
        self.place_for_a_name = "write"
        """Which request tells where the bytes of a name can still be put: that, or "contentinfo",
        of which only reading is promised, or "none"."""

    def answer(self, request: Request, path: str) -> Response:
        """Answer a request at `path`, such as experiments/E/runs/R/artifacts."""
        found = next((match for route in ROUTES if (match := route.fullmatch(path))), None)
        if found is None:
            return _error(404, "NotFound", f"No resource at {path}")
        parts = found.groupdict()
        if "run" in parts:
            if not self._can_own_artifacts(parts["run"]):
                return _error(404, "UserError", f"Run with id {parts['run']} was not found")
            origin, container = RUN_ORIGIN, f"dcid.{parts['run']}"
        else:
            origin, container = parts["origin"], parts["container"]
        what, wanted = parts["what"] or "", request.args.get("path", "")
        match request.method, what:
            case "POST", "/batch/metadata":
                return self._make(origin, container, json.loads(request.get_data()))
            case "GET", "":
                return json_response({"value": self._list(origin, container, "")})
            case "GET", "/path":
                return json_response({"value": self._list(origin, container, wanted)})
            case "GET", "/contentinfo" | "/metadata":
                if not self._name(origin, container, wanted).exists():
                    return _error(404, "UserError", f"Artifact {wanted} was not found")
                if what == "/metadata":
                    return json_response(_artifact(origin, container, wanted))
                rights = "rcw" if self.place_for_a_name == "contentinfo" else "r"
                return json_response(self._content(origin, container, wanted, rights))
            case "GET", "/write" if self.place_for_a_name == "write" and "run" not in parts:
                return json_response(self._content(origin, container, wanted, "rcw"))
        return _error(404, "NotFound", f"No resource at {path}")

    def _make(self, origin: str, container: str, body: dict[str, Any]) -> Response:
        artifacts, contents, errors = {}, {}, {}
        for path in (entry["path"] for entry in body["paths"]):
            name = self._name(origin, container, path)
            with self._lock:
                taken = name.exists() and self.named_once
                name.parent.mkdir(parents=True, exist_ok=True)
                name.touch()
            if taken:
                message = (
                    f"Resource Conflict: ArtifactId {origin}/{container}/{path} already exists."
                )
                errors[path] = {"error": {"code": "UserError", "message": message}}
            else:
                artifacts[path] = _artifact(origin, container, path)
                contents[path] = self._content(origin, container, path, "rcw")
        return json_response(
            {
                "artifacts": artifacts,
                "artifactContentInformation": contents,
                "errors": errors,
            }
        )

    def _list(self, origin: str, container: str, below: str) -> list[dict[str, Any]]:
        directory = self._name(origin, container, "any").parent
        names = sorted(unquote(file.name) for file in directory.glob("*"))
        prefix = f"{below.rstrip('/')}/" if below else ""
        return [
            _artifact(origin, container, name)
            for name in names
            if name == below or name.startswith(prefix)
        ]

    def _content(self, origin: str, container: str, path: str, rights: str) -> dict[str, Any]:
        return {
            "contentUri": self._blobs.signed_url(f"{origin}/{container}/{path}", rights),
            "origin": origin,
            "container": container,
            "path": path,
            "tags": {},
        }

    def _name(self, origin: str, container: str, path: str) -> Path:
        return self._folder / quote(origin, "") / quote(container, "") / quote(path, "")


def _artifact(origin: str, container: str, path: str) -> dict[str, Any]:
    return {
        "artifactId": f"{origin}/{container}/{path}",
        "origin": origin,
        "container": container,
        "path": path,
        "etag": None,
        "createdTime": datetime.datetime.now(datetime.UTC).isoformat(),
        "dataPath": {"dataStoreName": "workspaceartifactstore", "relativePath": path},
        "tags": {},
    }


def _error(status: int, code: str, message: str) -> Response:
    return json_response(
        {"error": {"code": code, "message": message}, "componentName": "run-history"}, status
    )
