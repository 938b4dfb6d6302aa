"""Azure's blob service, as far as a storage client needs it to put and to read block blobs.

A blob is reached with a signed URL only. Its host is the stand-in's, and what is the host in
Azure is the path's first part: the storage client takes that for the account on an IP address.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import re
import secrets
import threading
import xml.etree.ElementTree as ET
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from standins.azureml_names import ACCOUNT, BLOB_CONTAINER, blob_file
from werkzeug.wrappers import Request, Response

ROOT = f"/{ACCOUNT}.blob.core.windows.net/{BLOB_CONTAINER}/"
SIGNED_FOR = datetime.timedelta(hours=8)


class Blobs:
    """Answers what comes below ROOT."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._lock = threading.Lock()
        key = folder / "storage.key"
        if not key.exists():
            key.write_bytes(secrets.token_bytes(32))
        self._key = key.read_bytes()

    def signed_url(self, blob: str, rights: str) -> str:
        """Give a URL that allows `rights` (r to read, c to create, w to write) for a time."""
        end = datetime.datetime.now(datetime.UTC) + SIGNED_FOR
        expiry = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {
            "sv": "2021-12-02",
            "sr": "b",
            "se": expiry,
            "sp": rights,
            "sig": self._signature(blob, rights, expiry),
        }
        return f"{self._url}{ROOT}{quote(blob)}?{urlencode(query)}"

    def answer(self, request: Request) -> Response:
        """Answer a request for a blob."""
        blob = request.path.removeprefix(ROOT)
        rights, expiry = request.args.get("sp", ""), request.args.get("se", "")
        signature = self._signature(blob, rights, expiry)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if not hmac.compare_digest(request.args.get("sig", ""), signature) or expiry < now:
            return _error(403, "AuthenticationFailed", "Server failed to authenticate the request.")
        if ("r" if request.method in ("GET", "HEAD") else "w") not in rights:
            message = "This request is not authorized to perform this operation."
            return _error(403, "AuthorizationPermissionMismatch", message)
        match request.method, request.args.get("comp", ""):
            case "PUT", "block":
                return self._put_block(request, blob)
            case "PUT", "blocklist":
                return self._put(request, blob, self._joined(request, blob))
            case "PUT", "":
                return self._put(request, blob, request.get_data())
            case "GET" | "HEAD", "":
                return self._get(request, blob)
        return _error(400, "UnsupportedQueryParameter", "The query is not supported.")

    def _put(self, request: Request, blob: str, content: bytes | None) -> Response:
        if content is None:
            return _error(400, "InvalidBlockList", "The specified block list is invalid.")
        file = blob_file(self._folder, blob)
        with self._lock:
            if request.headers.get("If-None-Match") == "*" and file.exists():
                return _error(409, "BlobAlreadyExists", "The specified blob already exists.")
            file.parent.mkdir(parents=True, exist_ok=True)
            # Whole or not at all, whenever this process is killed.
            part = self._folder / "part"
            part.write_bytes(content)
            part.replace(file)
        return Response("", 201, _facts(content))

    def _put_block(self, request: Request, blob: str) -> Response:
        file = self._block(blob, request.args["blockid"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(request.get_data())
        return Response("", 201)

    def _joined(self, request: Request, blob: str) -> bytes | None:
        """Give the bytes of a block list's blocks; None if one was never put."""
        files = [self._block(blob, block.text or "") for block in ET.fromstring(request.get_data())]
        if not all(file.exists() for file in files):
            return None
        return b"".join(file.read_bytes() for file in files)

    def _get(self, request: Request, blob: str) -> Response:
        file = blob_file(self._folder, blob)
        if not file.exists():
            return _error(404, "BlobNotFound", "The specified blob does not exist.")
        content = file.read_bytes()
        headers = {**_facts(content), "Accept-Ranges": "bytes", "x-ms-blob-type": "BlockBlob"}
        wanted = request.headers.get("x-ms-range") or request.headers.get("Range")
        if wanted is None:
            return Response(content, 200, headers, mimetype="application/octet-stream")
        first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted).groups()
        start, end = int(first), min(int(last or len(content)), len(content) - 1)
        if start >= len(content):
            return _error(416, "InvalidRange", "The range specified is invalid for the blob.")
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        part = content[start : end + 1]
        return Response(part, 206, headers, mimetype="application/octet-stream")

    def _block(self, blob: str, block: str) -> Path:
        directory = hashlib.sha256(blob.encode()).hexdigest()
        return self._folder / "blocks" / directory / quote(block, "")

    def _signature(self, blob: str, rights: str, expiry: str) -> str:
        signed = "\n".join((blob, rights, expiry))
        digest = hmac.digest(self._key, signed.encode(), hashlib.sha256)
        return base64.b64encode(digest).decode()


def _facts(content: bytes) -> dict[str, str]:
    return {
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
        "Last-Modified": formatdate(usegmt=True),
        "x-ms-version": "2021-12-02",
        "x-ms-request-server-encrypted": "true",
    }


def _error(status: int, code: str, message: str) -> Response:
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    )
    return Response(body, status, {"x-ms-error-code": code}, mimetype="application/xml")
