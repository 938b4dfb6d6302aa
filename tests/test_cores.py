"""How many cores there are to use, with the control groups of containers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from textgauge import cores as module
from textgauge.cores import available_cores


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
