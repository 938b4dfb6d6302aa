"""Around every request: its token, its size, how long its body takes; and it is counted."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from .faults import RefusedError
from .limits import Limits
from .metrics import Metrics

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/health", "/", "/page.css", "/page.js")
"""What needs no token: whether the process lives; the page, which holds nothing of the model."""

_LOG = logging.getLogger("textgauge.serving")

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """Lets through what is allowed, with its whole body read; refuses the rest in one shape."""

    def __init__(
        self,
        app: App,
        *,
        paths: Mapping[str, int],
        at_once: Mapping[str, int],
        limits: Limits,
        metrics: Metrics,
        token: str | None = None,
    ) -> None:
        """Guard an application.

        Args:
            app: the application.
            paths: its addresses, and how many bytes a body may have there; 0: none is read.
            at_once: how many requests there may be at the same time to an address; others: any.
            limits: for the time that a body may take.
            metrics: where requests are counted.
            token: that a client must send; None: none.

        """
        self._app, self._paths, self._metrics = app, paths, metrics
        self._at_once, self._now = at_once, Counter[str]()
        self._seconds = limits.read_seconds
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        path, status, started = scope["path"], 500, False

        async def sent(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        limited = path in self._at_once  # Others are not counted: a client may make up any.
        if limited:
            self._now[path] += 1
        try:
            self._check_token(scope, path)
            self._check_room(path)
            most = self._paths.get(path, 0) if scope["method"] == "POST" else 0
            if most:
                body = await self._body(scope, receive, most)
                if body is None:
                    status = 499  # Nobody is there any more to be answered.
                    return
                receive = _once(body, receive)
            await self._app(scope, receive, sent)
        except RefusedError as fault:
            await answer(fault, sent)
        except asyncio.CancelledError:
            # The server ends and has waited as long as it may.
            if not started:
                await answer(RefusedError(503, "The server is ending. Ask again."), sent)
        except Exception:
            _LOG.exception("a request to %s failed", path if path in self._paths else "?")
            if not started:
                reason = "The server made a mistake. Its log tells more."
                await answer(RefusedError(500, reason), sent)
        finally:
            if limited:
                self._now[path] -= 1
            known = path if path in self._paths else "other"
            self._metrics.answered(known, status, time.perf_counter() - begin)

    def _check_token(self, scope: Scope, path: str) -> None:
        if self._token is None or path in OPEN:
            return
        given = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
        kind, _, token = given.partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            raise RefusedError(
                401, "The token is missing or wrong. Send it as: Authorization: Bearer TOKEN"
            )

    def _check_room(self, path: str) -> None:
        most = self._at_once.get(path)
        if most is not None and self._now[path] > most:
            raise RefusedError(
                429, f"{most:,} requests to {path} are at work already. Come again in a moment."
            )

    async def _body(self, scope: Scope, receive: Receive, most: int) -> bytes | None:
        """The whole body; None where the client went away before it was there."""
        declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"")
        if declared.isdigit() and int(declared) > most:
            raise _too_large(most)
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise _too_large(most)
                    parts.append(part)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise RefusedError(
                408,
                f"The body was not there within {self._seconds:g} s.",
                {"Connection": "close"},
            ) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"The body has more than {most:,} bytes. Send it in parts.")


def _once(body: bytes, receive: Receive) -> Receive:
    """Give the body once, and then what comes, which can only be that the client went away."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


async def answer(fault: RefusedError, send: Send) -> None:
    """Send a refusal."""
    body = fault.body
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in fault.headers.items()),
    ]
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
