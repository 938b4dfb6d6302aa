"""`textgauge serve` beside `mlflow models serve`, with the same model on the same machine.

    .venv/bin/python benchmarks/use/serve.py --model MODEL

One client and 32 clients ask for one note at a time (load.py, a process of its own); every note is
another one. Then more clients than the server takes, and one client after that; then 32 clients for
some minutes, with the server's memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HOST = "127.0.0.1"
PATIENCE = 120


def load(port: int, clients: int, seconds: float, *, mlflow: bool = False, seed: int = 0) -> Any:
    """What `load.py` tells of so many clients."""
    command = [sys.executable, str(HERE / "load.py"), HOST, str(port)]
    command += ["--clients", str(clients), "--seconds", str(seconds), "--seed", str(seed)]
    done = subprocess.run(
        [*command, *(["--mlflow"] if mlflow else [])], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@contextlib.contextmanager
def textgauge(model: str, *options: object) -> Iterator[tuple[int, int]]:
    """The server at work: its port and its process."""
    command = [sys.executable, "-m", "textgauge", "serve", model, "--port", "0", "--json"]
    with subprocess.Popen(
        [*command, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        try:
            yield int(url.rpartition(":")[2]), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(30)
            if status:
                print(f"textgauge serve ended with status {status}")


@contextlib.contextmanager
def mlflow(model: str) -> Iterator[tuple[int, int]]:
    """MLflow's own scoring server."""
    with socket.create_server((HOST, 0)) as sock:
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model]
    command += ["--env-manager", "local", "--host", HOST, "--port", str(port)]
    # It looks for uvicorn on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(
        command, **quiet, env={**os.environ, "PATH": path}, start_new_session=True
    ) as process:
        try:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    urllib.request.urlopen(f"http://{HOST}:{port}/ping", timeout=5).close()
                    break
                except OSError:
                    if time.monotonic() > end or process.poll() is not None:
                        raise
                    time.sleep(0.2)
            yield port, process.pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def memory(pid: int) -> float:
    """Resident memory of a process in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def row(name: str, found: Any) -> str:
    """A line of the table."""
    told = [f"{found['p50_ms']:.1f}", f"{found['p99_ms']:.1f}"]
    answers = ", ".join(f"{count:,} of {what}" for what, count in sorted(found["answers"].items()))
    return (
        f"| {name} | {found['clients']} | {found['requests_per_second']:,.0f} | "
        f"{' | '.join(told)} | {answers} |"
    )


HEAD = (
    "| server | clients | requests a second | p50 ms | p99 ms | answers |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def side_by_side(model: str, seconds: float) -> None:
    """Both servers, one client and 32, by turns."""
    print(HEAD)
    found: dict[str, Any] = {}
    for name, server in (("textgauge serve", textgauge), ("mlflow models serve", mlflow)):
        with server(model) as (port, _):
            for clients in (1, 32):
                load(port, clients, 2, mlflow=server is mlflow, seed=1)  # to warm up
                one = load(port, clients, seconds, mlflow=server is mlflow)
                found[f"{name} {clients}"] = one
                print(row(name, one), flush=True)
    for clients in (1, 32):
        ours, theirs = (
            found[f"{name} {clients}"]["requests_per_second"]
            for name in ("textgauge serve", "mlflow models serve")
        )
        print(f"{clients} clients: {ours / theirs:.1f} times mlflow's requests a second")


def overload(model: str, seconds: float) -> None:
    """More than it takes, and what one client sees before and after."""
    print(f"\n{HEAD}")
    with textgauge(model, "--max-queue", 64, "--max-connections", 300) as (port, _):
        load(port, 32, 2, seed=1)
        for name, clients in (("before", 1), ("overload", 256), ("after", 1)):
            print(row(name, load(port, clients, seconds)), flush=True)


def endurance(model: str, minutes: float) -> None:
    """32 clients for some minutes."""
    print("\n| after | MB | requests | answers |\n| --- | --- | --- | --- |")
    with textgauge(model) as (port, pid):
        load(port, 32, 10, seed=1)
        begin, total = time.monotonic(), 0
        print(f"| warming up | {memory(pid):.0f} | | |", flush=True)
        step = max(min(60.0, minutes * 15), 5.0)
        seed = 2
        while (took := time.monotonic() - begin) < minutes * 60:
            found = load(port, 32, min(step, minutes * 60 - took + 0.1), seed=seed)
            seed += 1
            total += sum(found["answers"].values())
            took = time.monotonic() - begin
            told = ", ".join(f"{n:,} of {what}" for what, n in found["answers"].items())
            print(f"| {took:.0f} s | {memory(pid):.0f} | {total:,} | {told} |", flush=True)


def main() -> None:
    """Measure, and print the tables of the README."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a model's folder")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load (10)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the last load (10)")
    parser.add_argument(
        "--only", choices=("side-by-side", "overload", "endurance"), help="one of the three"
    )
    options = parser.parse_args()
    if options.only in (None, "side-by-side"):
        side_by_side(options.model, options.seconds)
    if options.only in (None, "overload"):
        overload(options.model, options.seconds)
    if options.only in (None, "endurance"):
        endurance(options.model, options.minutes)


if __name__ == "__main__":
    main()
