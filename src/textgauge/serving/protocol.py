"""Around every connection: a client that is slow to speak or to listen, and too many of them.

uvicorn limits how long a connection may rest between requests, and h11 how large headers may be.
Neither limits how long headers may take, how long a refused body goes on, or how long an answer may
wait to be fetched.
"""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .faults import RefusedError
from .limits import Limits


class _Together:
    """A transport that sends what is written in one turn of the event loop as one piece.

    uvicorn writes the headers of an answer and its body one after the other: two calls of the
    system, which are the most that a request costs.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send soon."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Send what is left, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(H11Protocol):
    """One connection of a client, bounded in time."""

    limits = Limits()
    _speaking: asyncio.TimerHandle | None = None
    _listening: asyncio.TimerHandle | None = None
    _heard = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(_Together(transport, self.loop))  # type: ignore[arg-type]
        sock = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            # Without it a second piece waits 40 ms for the client's system to confirm the first.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self.limits.connections:
            self._refuse(
                RefusedError(503, "Too many clients are connected. Come again in a moment.")
            )
            return
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_expecting()
        self._stop_listening()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; what belongs to no request that is at work must be whole soon."""
        self._heard = True
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_expecting()
        elif self.cycle is None or self.cycle.response_complete:
            self._expect()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the end of one that was answered before its end."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._expect()

    def pause_writing(self) -> None:
        """The client does not fetch what is ready."""
        super().pause_writing()
        if self._listening is None:
            self._listening = self.loop.call_later(self.limits.write_seconds, self._cut_off)

    def resume_writing(self) -> None:
        """The client goes on fetching."""
        self._stop_listening()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(
                RefusedError(400, "This is no valid HTTP request, or its headers are too large.")
            )
        else:
            self.transport.close()

    def _expect(self) -> None:
        if self._speaking is None and not self.transport.is_closing():
            self._speaking = self.loop.call_later(self.limits.read_seconds, self._too_slow)

    def _stop_expecting(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            self._speaking = None

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None

    def _too_slow(self) -> None:
        self._speaking = None
        if self.transport.is_closing() or (self.cycle and not self.cycle.response_complete):
            return
        if self._heard and self.conn.our_state is h11.IDLE:
            seconds = self.limits.read_seconds
            self._refuse(RefusedError(408, f"The request was not there within {seconds:g} s."))
        else:
            self.transport.close()

    def _cut_off(self) -> None:
        self._listening = None
        self.transport.abort()

    def _refuse(self, fault: RefusedError) -> None:
        """Answer without a request, and close."""
        lines = [
            f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}",
            "content-type: application/json",
            f"content-length: {len(fault.body)}",
            "connection: close",
            *(f"{name.lower()}: {value}" for name, value in fault.headers.items()),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + fault.body)
        self.transport.close()


def bounded(limits: Limits) -> type[Any]:
    """The class of connections with these limits."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits})
