"""Fixtures of the tests that run whole commands: `pytest_plugins = ["e2e_fixtures"]`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e import (
    MARKED,
    SMALL,
    Done,
    FinishedRun,
    MajorityHere,
    Quick,
    no_curves,
    notes,
    textgauge,
)
from once import made_once


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder of the test's own, far from the tracking of whoever runs it."""
    for name in os.environ:
        if name.startswith(MARKED):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run a command in this process: everything but starting Python is real."""
    from textgauge.cli import run_command

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        try:
            status = run_command([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's way to leave
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return Done(status, out, err)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """`textgauge train notes.csv --json --quiet` in an empty folder with a name that needs care."""

    def train(folder: Path) -> FinishedRun:
        notes().write_csv(folder / "notes.csv")
        names = "0=compliant,1=non-compliant"
        done = textgauge(
            *("train", "notes.csv", *SMALL, "--label-names", names, "--json", "--quiet"),
            *("--experiment", "notes of 2024"),
            cwd=folder,
        )
        assert done.status == 0, done.err
        return FinishedRun(folder, folder / "notes.csv", done, done.json)

    return made_once(tmp_path_factory, "Noten für 2024", train)


@pytest.fixture(scope="session")
def new_store(finished: FinishedRun) -> Callable[[Path], Path]:
    """Put a store into a folder in no time: making a new one takes MLflow seconds.

    It knows the finished run's experiment, but none of the name that others use by default.
    """
    return lambda folder: Path(shutil.copy(finished.store, folder / "mlflow.db"))


@pytest.fixture
def quick_review(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings in this process fit the simplest baseline only, here, and draw no picture."""
    monkeypatch.setattr("textgauge.review.baselines.start", MajorityHere)
    monkeypatch.setattr("textgauge.documents.draw_curves", no_curves)


@pytest.fixture
def quick(workplace: Path, quick_review: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quick]:
    """Train in this process, a second or so each time."""
    trainings = Quick()
    monkeypatch.setattr("textgauge.run.open_tracker", trainings.open)
    monkeypatch.setattr("textgauge.comparing.open_tracker", trainings.open)
    yield trainings
    # Whatever happened, no training may leave its temporary folders behind.
    assert not list(workplace.glob(".*-*")), sorted(workplace.iterdir())


@pytest.fixture
def obey_rights() -> list[str]:
    """Start a command so that the rights of files hold for it, even if it belongs to root.

    Root's power to write everything (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH; capabilities(7)) is
    dropped from what the next program can get.
    """
    if os.geteuid() != 0:
        return []
    script = (
        "import ctypes, os, sys\n"
        "drop = ctypes.CDLL(None).prctl\n"
        "assert drop(24, 1, 0, 0, 0) == drop(24, 2, 0, 0, 0) == 0\n"  # PR_CAPBSET_DROP
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    before = [sys.executable, "-c", script]
    if subprocess.run([*before, "/bin/true"], check=False, capture_output=True).returncode:
        pytest.skip("running as root without the right to drop root's rights")
    return before
