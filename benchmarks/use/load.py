"""Clients that ask a server one note at a time, each as soon as it has its answer.

A process of its own, with as little work a request as asyncio allows: the server shares its cores
with it. Every text is another one, so that nobody can answer from memory.

    python benchmarks/use/load.py 127.0.0.1 8000 --clients 32 --seconds 10
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections import Counter
from pathlib import Path

NOTES = (
    "{0} component manufactured in {1} in {2} condition, lot {3}",
    "{1} {0} component in {2} condition, lot {3}",
    "manufactured in {1} made of {0} in {2} condition, lot {3}",
)
MATERIALS = ("steel", "iron", "plastic", "carbon fiber", "aluminium", "titanium")
CONDITIONS = ("new", "good", "fair", "poor")


class Client(asyncio.Protocol):
    """One connection, kept alive: sends, waits for the whole answer, sends again."""

    def __init__(self, load: Load) -> None:
        self.load, self.buffer, self.begin = load, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """Send the next note."""
        self.buffer, self.begin = b"", time.perf_counter()
        self.transport.write(self.load.request())

    def data_received(self, data: bytes) -> None:
        """Take the answer."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        if len(body) < int(lowered[at + 15 :].split(b"\r\n", 1)[0]):
            return
        now = time.perf_counter()
        self.load.answered(int(head[9:12]), now - self.begin)
        if now >= self.load.end:
            self.transport.close()
        elif b"connection: close" in lowered:
            self.transport.close()
            self.load.connect()
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; before the time is over it is an error."""
        if time.perf_counter() < self.load.end and not self.transport.is_closing():
            self.load.statuses["cut"] += 1
            self.load.connect()
        else:
            self.load.done(self)


class Load:
    """All clients, and what they were answered."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.chance = options, random.Random(options.seed)
        self.statuses: Counter[object] = Counter()
        self.seconds: list[float] = []
        self.open = 0
        self.number = 0
        self.end = 0.0

    def request(self) -> bytes:
        """A note that was not asked before."""
        self.number += 1
        pick = self.chance.choice
        note = pick(NOTES).format(
            pick(MATERIALS), self.chance.randint(1970, 2020), pick(CONDITIONS), self.number
        )
        body = json.dumps({"inputs": [note]} if self.options.mlflow else {"text": note}).encode()
        head = (
            f"POST {'/invocations' if self.options.mlflow else '/predict'} HTTP/1.1\r\n"
            f"Host: {self.options.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def answered(self, status: int, seconds: float) -> None:
        """Note an answer."""
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(seconds)

    def connect(self) -> None:
        """One client more."""
        self.open += 1
        self.tasks.add(task := self.loop.create_task(self._connect()))
        task.add_done_callback(self.tasks.discard)

    async def _connect(self) -> None:
        try:
            await self.loop.create_connection(
                lambda: Client(self), self.options.host, self.options.port
            )
        except OSError:
            self.statuses["refused"] += 1
            self.done(None)

    def done(self, client: Client | None) -> None:
        """One client less."""
        self.open -= 1
        if not self.open:
            self.finished.set()

    async def run(self) -> dict[str, object]:
        """Ask for the given time."""
        self.loop, self.finished = asyncio.get_running_loop(), asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        begin = time.perf_counter()
        self.end = begin + self.options.seconds
        for _ in range(self.options.clients):
            self.connect()
        await asyncio.wait_for(self.finished.wait(), self.options.seconds + 60)
        took = time.perf_counter() - begin
        found = sorted(self.seconds) or [0.0]
        return {
            "clients": self.options.clients,
            "requests_per_second": len(self.seconds) / took,
            "p50_ms": statistics.median(found) * 1e3,
            "p99_ms": found[int(len(found) * 0.99)] * 1e3,
            "worst_ms": found[-1] * 1e3,
            "answers": {str(status): count for status, count in self.statuses.items()},
        }


def main() -> None:
    """Ask, and print what came back."""
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mlflow", action="store_true", help="in the form of mlflow models serve")
    print(json.dumps(asyncio.run(Load(parser.parse_args()).run())))


if __name__ == "__main__":
    main()
