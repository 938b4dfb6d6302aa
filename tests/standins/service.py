"""The server's side of a stand-in: records, faults and orders around a workspace's own answers.

A kind of workspace is a subclass of `Service` with its answers in `answer`, run by `serve`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from standins.server import RecordedRequest
from werkzeug.wrappers import Request, Response

ORDERS = "/_standin/"
ACTIONS = ("status", "cut_before", "cut_after", "hang", "hang_after")


@dataclass
class Fault:
    """What is to go wrong; its fields are the arguments of `StandIn.add_fault`."""

    action: str
    method: str = ""
    path: str = ""
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    seconds: float = 0.0
    after: int = 0
    times: int | None = 1
    cleared: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"A fault's action is one of {', '.join(ACTIONS)}, not {self.action}.")

    def takes(self, method: str, target: str) -> bool:
        """Count a request that matches, and say whether it is to fail."""
        if self.method not in ("", method) or not re.search(self.path, target):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class Service:
    """A WSGI application: `answer` gives the workspace's answers, the rest is here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._records: list[dict[str, Any]] = []

    def answer(self, request: Request) -> Response:
        """Answer as the workspace would."""
        raise NotImplementedError

    def login(self, request: Request) -> str:
        """Give the token or user name that a request came with."""
        return request.headers.get("Authorization", "").removeprefix("Bearer ")

    def reset(self) -> None:
        """Forget faults, records, and in a subclass whatever an order switched."""
        self.clear_faults()
        with self._lock:
            self._records.clear()

    def order(self, name: str, arguments: dict[str, Any]) -> Any:
        """Do what the test asks for. A subclass adds orders of its own."""
        match name:
            case "ready":
                return True
            case "reset":
                return self.reset()
            case "add_fault":
                with self._lock:
                    self._faults.append(Fault(**arguments))
                return None
            case "clear_faults":
                return self.clear_faults()
            case "requests":
                return self.requests(**arguments)
        raise ValueError(f"There is no order {name!r}.")

    def clear_faults(self) -> None:
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.cleared.set()

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        with self._lock:
            return [
                dict(record)
                for record in self._records
                if method in ("", record["method"]) and re.search(path, record["path"])
            ]

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith(ORDERS):
            return self._obey(request)(environ, start_response)
        # Read before all else, or the next request of this connection would start within it.
        body = request.get_data()
        target = request.full_path if request.query_string else request.path
        with self._lock:
            fault = next((f for f in self._faults if f.takes(request.method, target)), None)
            record = asdict(
                RecordedRequest(
                    method=request.method,
                    path=request.path,
                    query=request.query_string.decode(),
                    status=0,
                    time=time.time(),
                    size=len(body),
                    login=self.login(request),
                    fault="" if fault is None else fault.action,
                )
            )
            self._records.append(record)
        response = self._under(fault, request)
        if response is None:
            # The raise keeps werkzeug from answering for us, the shutdown from reading on.
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError("cut by a fault")
        record["status"] = response.status_code
        return response(environ, start_response)

    def _under(self, fault: Fault | None, request: Request) -> Response | None:
        """Give the answer under a fault; None where the connection is to be cut."""
        if fault is None:
            return self.answer(request)
        if fault.action == "status":
            return Response(fault.body, fault.status, fault.headers)
        if fault.action == "cut_before":
            return None
        if fault.action == "hang":
            return None if fault.cleared.wait(fault.seconds) else self.answer(request)
        answer = self.answer(request)
        if fault.action == "hang_after":
            return None if fault.cleared.wait(fault.seconds) else answer
        return None

    def _obey(self, request: Request) -> Response:
        name = request.path.removeprefix(ORDERS)
        try:
            done = self.order(name, json.loads(request.get_data() or b"{}"))
        except (TypeError, ValueError) as error:
            return Response(str(error), 400)
        return json_response(done)


def json_response(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(json.dumps(content), status, headers, mimetype="application/json")


def options(description: str | None) -> argparse.ArgumentParser:
    """The command line that `StandIn.start` uses, to be added to."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    return parser


def serve(service: Service, port: int, *, certificate: tuple[Path, Path] | None = None) -> None:
    """Serve until a signal comes, each connection in a thread of its own.

    Args:
        service: what answers.
        port: on 127.0.0.1.
        certificate: the files of a certificate and its key, to speak HTTPS.

    """
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

    # At once, even where requests hang: whoever stops a server does not want it to say goodbye.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = make_server("127.0.0.1", port, service, threaded=True, request_handler=Handler)
    server.daemon_threads = True
    server.block_on_close = False
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.ssl_context = context
        # The handshake is left to the connection's thread: a client that is slow or cut off
        # there keeps nobody else waiting.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    with server:
        server.serve_forever()
