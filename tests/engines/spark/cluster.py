"""A real Spark cluster on the loopback address: a master, and workers of one core each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e import TEXTGAUGE, Done, clean_environment
from waiting import wait_until

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


SMALL_TABLES = "-Dspark.sql.shuffle.partitions=4"
"""A setting of Spark, as an option of its Java: its 200 pieces are for large tables."""


class Cluster:
    """A standalone cluster; a context manager that ends its processes."""

    def __init__(
        self,
        folder: Path,
        workers: int = 2,
        memory: str = "1g",
        java: str = "",
        pinned: bool = False,
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: for logs and for the workers' files.
            workers: how many, of one core each.
            memory: of each worker, for its executors.
            java: options of Java for all of them.
            pinned: whether each worker, with its executors, stays on a core of its own.

        """
        self.folder, self._count, self._memory = folder, workers, memory
        self._java, self._pinned = java, pinned
        self._port, self._page = free_ports(2)
        self.master = f"spark://127.0.0.1:{self._port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._run("master.Master", "--port", str(self._port), "--webui-port", str(self._page))
            wait_until(lambda: self.state() is not None, patience=60)
            for _ in range(self._count):
                self.add_worker()
        except BaseException:
            self.stop()
            raise
        return self

    def add_worker(self, cores: int = 1) -> None:
        """Start one more worker and wait until the master knows it."""
        known = self.alive()
        (page,) = free_ports(1)
        folder = self.folder / f"worker-{len(self._processes)}"
        worker = self._run(
            *("worker.Worker", "--cores", str(cores), "--memory", self._memory),
            *("--webui-port", str(page), "--work-dir", str(folder), self.master),
        )
        if self._pinned:
            # Before it starts anything: what it starts will stay there too.
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(worker.pid, {cores[len(self.workers) % len(cores)]})
        self.workers.append(worker)
        assert wait_until(lambda: self.alive() > known, patience=60), "no worker came up"

    def _run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        import pyspark

        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "PYSPARK_PYTHON": sys.executable,
            # The executors inherit them.
            "JAVA_TOOL_OPTIONS": self._java,
        }
        log = (self.folder / "log").open("ab")
        with log:
            process = subprocess.Popen(
                [
                    str(Path(pyspark.__file__).parent / "bin" / "spark-class"),
                    f"org.apache.spark.deploy.{name}",
                    *("--host", "127.0.0.1"),
                    *arguments,
                ],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def state(self) -> dict[str, Any] | None:
        """What the master's page says; None while it is not up."""
        try:
            with _DIRECT.open(f"http://127.0.0.1:{self._page}/json/", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
        except OSError:
            return None
        return found

    def alive(self) -> int:
        """Workers that the master knows and that are alive."""
        state = self.state()
        return 0 if state is None else int(state["aliveworkers"])

    def executors(self) -> list[int]:
        """Process ids of the executors."""
        children = [pid for worker in self.workers for pid in _children(worker.pid)]
        return [pid for pid in children if b"CoarseGrainedExecutorBackend" in _command_line(pid)]

    def stop(self) -> None:
        """End every process; does no harm twice."""
        executors = self.executors()
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in executors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._processes.clear()
        self.workers.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(
    cluster: Cluster,
    *arguments: object,
    cwd: Path,
    program: Sequence[str] = (TEXTGAUGE,),
    **more: str,
) -> subprocess.Popen[bytes]:
    """Begin a command on the cluster; `more` are variables of its environment."""
    options = os.environ.get("SPARK_SUBMIT_OPTS", "")
    return subprocess.Popen(
        [*program, *map(str, arguments), "--engine", "spark", "--spark-master", cluster.master],
        cwd=cwd,
        env=clean_environment(**{"SPARK_SUBMIT_OPTS": f"{options} {SMALL_TABLES}", **more}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(process: subprocess.Popen[bytes]) -> Done:
    """Wait until it has ended."""
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    return Done(process.returncode, out.decode(), err.decode())


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _children(pid: int) -> Iterator[int]:
    """Process ids of the children of a process."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = path.read_text()
        except OSError:
            continue
        if int(told.rpartition(")")[2].split()[1]) == pid:
            yield int(path.parent.name)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
