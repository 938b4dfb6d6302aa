"""A model behind HTTP for the tests: in this process, and as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from e2e import clean_environment

from textgauge.serving.app import make_app
from textgauge.serving.limits import Limits
from textgauge.serving.metrics import Metrics
from textgauge.serving.model import ServedModel
from textgauge.serving.watching import ModelInUse

SMALL = Limits(body_bytes=4_000, table_bytes=20_000, texts=20, characters=200, explained=3)


@dataclass
class Here:
    """The application in this process, without sockets."""

    app: Any
    in_use: ModelInUse
    metrics: Metrics
    batcher: Any

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Ask once."""
        return self.together([(method, path, how)])[0]

    def together(self, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Ask all at the same time."""

        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                asked = [client.request(method, path, **how) for method, path, how in requests]
                return await asyncio.gather(*asked)

        return asyncio.run(run())

    def predict(self, **body: Any) -> httpx.Response:
        """Ask POST /predict."""
        return self.ask("POST", "/predict", json=body)

    def figure(self, start: str) -> float:
        """A figure of /metrics."""
        lines = self.ask("GET", "/metrics").text.splitlines()
        found = [line for line in lines if line.startswith(start + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


def application(model: ServedModel, token: str | None = None, **limits: Any) -> Here:
    """The application with a model, and with limits of a test's own."""
    in_use, metrics = ModelInUse(model), Metrics()
    app, batcher = make_app(in_use, replace(SMALL, **limits), metrics, token=token)
    return Here(app, in_use, metrics, batcher)


class Served:
    """`textgauge serve` as a process of its own, on a free port."""

    def __init__(
        self,
        model: object,
        *options: object,
        cwd: Path,
        python: Path | str = sys.executable,
        **environment: str,
    ) -> None:
        arguments = [str(each) for each in (model, "--port", 0, "--json", *options)]
        self._errors = cwd / "serve.err"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [python, "-m", "textgauge", "serve", *arguments],
                cwd=cwd,
                env=clean_environment(**environment),
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.err
        self.url = json.loads(line)["url"]
        self.port = int(self.url.rpartition(":")[2])

    @property
    def err(self) -> str:
        """What it wrote to standard error."""
        return self._errors.read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end; gives the exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self.process.communicate()
