"""What takes long to make, made once for all the processes that pytest-xdist starts."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def made_once(temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """What `make` gives for a new folder, the same in all processes; nobody may change it.

    The first process that asks makes it, and the others wait. If it cannot be made, the next one
    that asks tries in a folder of its own.
    """
    base = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # Each process has a folder of its own in that of the whole run.
    done = base / f"{name}.pickle"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            made: Made = pickle.loads(done.read_bytes())
            return made
        made = make(temporary.mktemp(name))
        done.write_bytes(pickle.dumps(made))
        return made
