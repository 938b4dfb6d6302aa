"""What a client is told where something is refused: a status, a word for programs, a reason."""

from __future__ import annotations

import json
from collections.abc import Mapping

KINDS = {
    400: "malformed",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    422: "invalid",
    429: "too_many_requests",
    500: "internal",
    503: "overloaded",
}
"""The word for programs, by status."""

RETRY_SECONDS = 1
"""When to come again after 429 and 503."""


class RefusedError(Exception):
    """A request that is refused; `reason` is a sentence for people."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.headers = dict(headers or {})
        if status in (429, 503):
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))
        if status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")

    @property
    def body(self) -> bytes:
        """The one shape of every refusal."""
        kind = KINDS.get(self.status, "invalid" if self.status < 500 else "internal")
        return json.dumps({"error": kind, "reason": self.reason}).encode()
