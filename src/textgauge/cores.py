"""How many processor cores this process may use, and what it does while it waits for one."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")

SPINS = 2_000
"""How often a thread looks whether the others are done before it sleeps, where GNU's OpenMP runs
them. Its own 300,000 take cores from those that are waited for, when anything else runs beside;
waking costs little."""

_ASKED = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def give_cores_away() -> None:
    """Have threads that wait for each other sleep soon; to be called before torch is imported.

    What the environment says of it already, stays.
    """
    if not any(name in os.environ for name in _ASKED):
        os.environ[_ASKED[0]] = str(SPINS)


def available_cores() -> int:
    """The cores that it is bound to, or fewer where its container has a smaller share of time.

    More threads than that would wait for each other: a container that may use two of 64 cores still
    sees all of them.
    """
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min([bound, *(max(math.ceil(share), 1) for share in _shares())])


def _shares() -> Iterator[float]:
    """The limits of this process's control groups, in cores. Linux alone has these.

    See "Control Group v2" (cpu.max) and "CFS Bandwidth Control" (version 1) in the documentation
    of the Linux kernel.
    """
    with contextlib.suppress(OSError):
        for line in OWN_GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                for folder in _upwards(CONTROL_GROUPS, path):
                    yield from _share(folder / "cpu.max")
            elif "cpu" in controllers.split(","):
                for folder in _upwards(CONTROL_GROUPS / controllers, path):
                    yield from _share(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """A group and those that it is in. What a container is told of its own may begin at `root`."""
    found = root / path.lstrip("/")
    yield from (found, *(each for each in found.parents if each.is_relative_to(root)))


def _share(*files: Path) -> Iterator[float]:
    """The time that one group has, in cores; nothing where it has all."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = " ".join(file.read_text(encoding="ascii") for file in files).split()
        if quota != "max" and int(quota) > 0 and int(period) > 0:
            yield int(quota) / int(period)
