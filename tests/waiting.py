"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(
    look: Callable[[], Found], ready: Callable[[Found], object] = bool, patience: float = 30
) -> Found:
    """What `look` finds as soon as that is ready, or what it still finds after so many seconds."""
    end = time.monotonic() + patience
    while not ready(found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found
