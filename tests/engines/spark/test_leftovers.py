"""What is made anew while an executor still answers is removed once it does not."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from textgauge.engines.spark import leftovers


class Disk:
    """The two questions that are asked of a storage, on this disk."""

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def remove(self, path: str) -> None:
        shutil.rmtree(path, ignore_errors=True)


def test_a_folder_that_a_late_task_makes_anew_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "QUIET", 0.3)
    folder = tmp_path / ".scored.parquet.partial"
    folder.mkdir()
    executor = socket.create_server(("127.0.0.1", 0))
    address = executor.getsockname()[:2]

    def late() -> None:
        time.sleep(1.0)  # Longer than it is quiet for.
        folder.mkdir(exist_ok=True)
        executor.close()

    task = threading.Thread(target=late)
    task.start()
    leftovers._remove_for_good([(Disk(), str(folder))], [address])  # type: ignore[list-item]
    task.join()
    assert not folder.exists()


def test_nothing_left_costs_no_time() -> None:
    begun = time.monotonic()
    leftovers._remove_for_good([], [("127.0.0.1", 9)])
    assert time.monotonic() - begun < 0.05
