"""How many cores there are to use, with the control groups of containers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from textgauge import cores as module
from textgauge.cores import SPINS, available_cores, give_cores_away


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 64 cores, whose control groups lie here."""
    monkeypatch.setattr(module, "CONTROL_GROUPS", tmp_path / "fs")
    monkeypatch.setattr(module, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_without_control_groups_all_cores_are_there(
    groups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert available_cores() == 64
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available_cores() == 3


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("max 100000", 64),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("20000 100000", 1),
        ("9900000 100000", 64),
        ("", 64),
        ("odd 100000", 64),
        ("100000 0", 64),
    ],
)
def test_a_limit_of_version_2(groups: Path, limit: str, found: int) -> None:
    write(groups / "own", "0::/")
    write(groups / "fs" / "cpu.max", limit)
    assert available_cores() == found


def test_the_tightest_limit_of_a_group_and_those_around_it_counts(groups: Path) -> None:
    write(groups / "own", "0::/system/job/step")
    write(groups / "fs/system/job/step/cpu.max", "max 100000")
    write(groups / "fs/system/job/cpu.max", "300000 100000")
    write(groups / "fs/system/cpu.max", "800000 100000")
    assert available_cores() == 3


@pytest.mark.parametrize(("quota", "found"), [("250000", 3), ("-1", 64)])
def test_a_limit_of_version_1(groups: Path, quota: str, found: int) -> None:
    write(groups / "own", "5:cpuset:/\n4:cpu,cpuacct:/docker/1f\n1:name=systemd:/a:b")
    write(groups / "fs/cpu,cpuacct/cpu.cfs_quota_us", quota)  # A container sees its own here.
    write(groups / "fs/cpu,cpuacct/cpu.cfs_period_us", "100000")
    assert available_cores() == found


@pytest.mark.parametrize("asked", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}])
def test_waiting_threads_sleep_soon_unless_something_else_was_asked_for(
    asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # What it was comes back after the test.
        monkeypatch.delenv(name)
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    give_cores_away()
    there = {n: os.environ[n] for n in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY") if n in os.environ}
    assert there == (asked or {"GOMP_SPINCOUNT": str(SPINS)})


def test_a_command_says_so_before_torch_is_there() -> None:
    script = (
        "import os, sys; sys.argv = ['textgauge', '--version']\n"
        "import textgauge.cli as cli\n"
        "cli.run_command = lambda arguments: print('torch' in sys.modules, "
        "os.environ['GOMP_SPINCOUNT'])\n"
        "cli.main()"
    )
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", str(SPINS)]
