"""Logins of the stand-in for Azure: tokens, the endpoints that give them, and the cloud's map.

Two ways in: a managed identity as Azure's app service and Azure ML's computes offer it, and a
service principal with a secret, through the token endpoint of the tenant "adfs": for a tenant
of this name alone Microsoft's login library asks nobody else whether to trust the host.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from typing import Any

from standins.azureml_names import TENANT
from standins.service import json_response
from werkzeug.wrappers import Request, Response

CLIENT_ID = "5f2a9c1e-7d34-4b8e-a1f0-93c6d2e4b7a8"
CLIENT_SECRET = "the-secret-of-the-service-principal"
IDENTITY_HEADER = "the-header-of-the-managed-identity"
OBJECT_IDS = {
    "managed_identity": "1d3c5b7a-9e8f-4a6b-8c0d-2e4f6a8b0c1d",
    "service_principal": "2e4d6c8b-af90-4b7c-9d1e-3f5a7b9c1d2e",
}
"""Who has logged in, as tokens (`oid`) and error messages name it."""

LIFETIME = 86_400.0
"""Seconds that a token is good for if the test does not say otherwise."""


class Identity:
    """Gives tokens and knows them again. They outlive a restart."""

    def __init__(self, folder: Path, url: str) -> None:
        self._url = url
        self._last = 0
        self.restore()
        key = folder / "token.key"
        if not key.exists():
            key.write_bytes(secrets.token_bytes(32))
        self._key = key.read_bytes()

    def restore(self) -> None:
        """Let tokens last as long as ever, and those be good again that were made to expire."""
        self.lifetime = LIFETIME
        self._expired_until = 0

    def token(self, login: str, audience: str) -> dict[str, Any]:
        """Give a fresh token for `login` (a key of OBJECT_IDS), and when it expires."""
        now = time.time()
        # Two tokens never have the same number, and a later one has a higher one.
        self._last = max(self._last + 1, int(now * 1e6))
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + self.lifetime),
            "tid": TENANT,
            "oid": OBJECT_IDS[login],
            "appid": CLIENT_ID,
            "idtyp": "app",
            "number": self._last,
        }
        signed = f"{_base64(_json({'typ': 'JWT', 'alg': 'HS256'}))}.{_base64(_json(claims))}"
        return {
            "access_token": f"{signed}.{self._signature(signed)}",
            "expires_on": str(claims["exp"]),
            "expires_in": str(int(self.lifetime)),
            "resource": audience,
            "token_type": "Bearer",
        }

    def expire_tokens(self) -> None:
        """Let every token given so far be refused."""
        self._expired_until = max(self._last, int(time.time() * 1e6))

    def who(self, token: str) -> str | None:
        """Give the object id that a token was given to; None if it is not, or no longer, good."""
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(signature, self._signature(signed)):
            return None
        claims = json.loads(_from_base64(signed.partition(".")[2]))
        if claims["exp"] <= time.time() or claims["number"] <= self._expired_until:
            return None
        return str(claims["oid"])

    def answer(self, request: Request) -> Response | None:
        """Answer what has to do with logging in; None if the request is about something else."""
        match request.method, request.path:
            case "GET", "/identity/token":
                return self._managed_identity(request)
            case "GET", "/adfs/.well-known/openid-configuration":
                return json_response(
                    {
                        "issuer": f"{self._url}/adfs",
                        "authorization_endpoint": f"{self._url}/adfs/oauth2/authorize",
                        "token_endpoint": f"{self._url}/adfs/oauth2/token",
                    }
                )
            case "POST", "/adfs/oauth2/token":
                return self._service_principal(request)
            case "GET", "/metadata/endpoints":
                return json_response([_cloud(self._url)])
        return None

    def _managed_identity(self, request: Request) -> Response:
        if request.headers.get("X-IDENTITY-HEADER") != IDENTITY_HEADER:
            return json_response({"statusCode": 401, "message": "No valid identity header"}, 401)
        return json_response(self.token("managed_identity", request.args.get("resource", "")))

    def _service_principal(self, request: Request) -> Response:
        form = request.form
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            return json_response(
                {
                    "error": "invalid_client",
                    "error_description": "AADSTS7000215: Invalid client secret provided.",
                },
                401,
            )
        audience = form.get("scope", "").removesuffix("/.default")
        return json_response(self.token("service_principal", audience))

    def _signature(self, signed: str) -> str:
        return _base64(hmac.digest(self._key, signed.encode(), hashlib.sha256))


def _cloud(url: str) -> dict[str, Any]:
    """The public cloud's map, with this server for login and resource manager."""
    return {
        "name": "AzureCloud",
        "portal": url,
        "resourceManager": f"{url}/",
        "authentication": {
            "loginEndpoint": f"{url}/",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {"storage": "core.windows.net"},
    }


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
