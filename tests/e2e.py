"""Whole commands and whole trainings for the tests: real processes, and quick ones in this one."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
import pytest

from textgauge.data.component_notes import make_component_notes
from textgauge.errors import TrackingError
from textgauge.tracking.protocol import DatasetDescription, Registration, RunPlan, RunRecord

TEXTGAUGE = str(Path(sys.executable).with_name("textgauge"))
"""The command that is installed with the package under test."""

SMALL = ("--epochs", "2", "--hidden-size", "16", "--embedding-size", "16")
"""Options of a training that lasts no longer than it must."""

SMALL_SETTINGS: dict[str, Any] = {"epochs": 2, "hidden_size": 16, "embedding_size": 16}
"""The same for Python."""

MARKED = ("MLFLOW_", "TEXTGAUGE_", "DATABRICKS_", "AZUREML_")


def notes(rows: int = 300) -> pl.DataFrame:
    """Component notes, a label on every row."""
    return make_component_notes(rows).select("text", "label")


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit status, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The message of a command that failed as promised: once, and without a traceback."""
        assert "Traceback" not in self.err + self.out, self.err
        assert self.err.count("textgauge: error: ") == 1, self.err
        return self.err.partition("textgauge: error: ")[2].strip()

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        assert self.out.count("\n") == 1, self.out
        found = json.loads(self.out, parse_constant=pytest.fail)
        assert isinstance(found, dict)
        return found


def clean_environment(**extra: str) -> dict[str, str]:
    """Return this process' environment without settings that would lead a run elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(MARKED)}
    return {**kept, "COLUMNS": "100", **extra}


def textgauge(
    *arguments: object,
    cwd: Path,
    stdin: str | bytes | None = None,
    before: Sequence[str] = (),
    **environment: str,
) -> Done:
    """Run the installed command in a process of its own; `before` is a command that starts it."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [*before, TEXTGAUGE, *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL if data is None else None,
        input=data,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """The installed command at work in a process group of its own, as a terminal starts it."""

    def __init__(self, *arguments: object, cwd: Path) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [TEXTGAUGE, *map(str, arguments)],
            cwd=cwd,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        # A test that waits for a line that never comes must end too.
        self._watch = threading.Timer(60, self._process.kill)
        self._watch.start()

    def wait_for(self, start: str) -> None:
        """Return as soon as a line of standard error begins so, blanks aside."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            if line.strip().startswith(start):
                return
        pytest.fail(f"ended without a line {start!r}: {''.join(self.lines)}")

    def signal_group(self, number: int) -> None:
        """Send a signal to the command and its children, as Ctrl-C on a terminal does."""
        os.killpg(self._process.pid, number)

    def signal(self, number: int) -> None:
        """Send a signal to the command alone."""
        self._process.send_signal(number)

    def end(self) -> Done:
        """Wait for the end."""
        with self._process as process:
            assert process.stdout is not None
            assert process.stderr is not None
            err = "".join([*self.lines, process.stderr.read()])
            out = process.stdout.read()
        self._watch.cancel()
        return Done(process.returncode, out, err)


@dataclass(frozen=True)
class FinishedRun:
    """What the first training on a fresh machine left behind. Not to be changed."""

    folder: Path
    table: Path
    done: Done
    result: dict[str, Any]

    @property
    def store(self) -> Path:
        return self.folder / "mlflow.db"

    @property
    def bundle(self) -> Path:
        return Path(self.result["bundle"])

    @property
    def run_id(self) -> str:
        return str(self.result["run_id"])


def runs(store: Path, experiment: str = "textgauge") -> dict[str, str]:
    """Return the status of each run in a store, the oldest first."""
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
        found = connection.execute(
            "SELECT run_uuid, status FROM runs JOIN experiments USING (experiment_id)"
            " WHERE experiments.name = ? ORDER BY start_time",
            [experiment],
        )
        return dict(found.fetchall())


# ---- a quick run, without store and processes ----------------------------------------------------


class MemoryTracker:
    """A `Tracker` that remembers what it was told, in order."""

    def __init__(self, run_id: str, fail_after: int | None = None) -> None:
        self.run_id = run_id
        self.told: list[tuple[str, Any]] = []
        self.ended: str | None = None
        self.registration: Registration | None = None
        self.metrics: dict[str, list[tuple[int | None, float]]] = {}
        self.children: list[MemoryTracker] = []
        self._fail_after = fail_after

    @property
    def kinds(self) -> list[str]:
        """What was told, repetitions left out."""
        kinds = [kind for kind, _ in self.told]
        return [k for at, k in enumerate(kinds) if at == 0 or kinds[at - 1] != k]

    def start(self, run: RunPlan) -> None:
        self.told.append(("start", run))

    def log_params(self, params: Mapping[str, object]) -> None:
        self.told.append(("params", params))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.told.append(("metrics", (step, dict(metrics))))
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append((step, value))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.told.append(("tags", dict(tags)))

    def log_artifact(self, path: Path, folder: str = "") -> None:
        self.told.append(("artifact", (path.name, path.read_bytes())))

    def log_dataset(self, dataset: DatasetDescription) -> None:
        self.told.append(("dataset", dataset))

    def log_model(self, folder: Path, example: Sequence[str] = ()) -> None:
        assert folder.is_dir()
        self.told.append(("model", list(example)))

    def failure(self) -> TrackingError | None:
        epochs = sum(kind == "metrics" for kind, _ in self.told)
        broken = self._fail_after is not None and epochs >= self._fail_after
        return TrackingError("the store went away.") if broken else None

    def preflight(self, timeout: float) -> None: ...

    def news(self) -> list[str]:
        return []

    def ready(self, timeout: float | None = None) -> RunRecord:
        return RunRecord(self.run_id, "1", "textgauge", "memory", "http://127.0.0.1/a")

    def child(self, run_id: str | None = None) -> MemoryTracker:
        if run_id is not None:
            return next(each for each in self.children if each.run_id == run_id)
        self.children.append(MemoryTracker(f"{self.run_id[:-2]}{len(self.children) + 1:02x}"))
        return self.children[-1]

    def end(self, status: str = "FINISHED") -> RunRecord:
        self.told.append(("end", status))
        self.ended = status
        return self.ready()

    def close(self, status: str = "FAILED") -> None:
        self.ended = self.ended or status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")


class MajorityHere:
    """The simplest baseline, in this process: importing scikit-learn takes longer than training."""

    refits: list[bool] = []  # noqa: RUF012 - what each was told

    def __init__(
        self, train: Any, test_texts: pl.Series, classes: int, *, val: Any, refit: bool
    ) -> None:
        self.refits.append(refit)
        self._train, self._texts, self._classes = train, len(test_texts), classes
        self._val = len(val)
        self._known = train.joined(val) if refit else train

    def wait(self) -> list[Any]:
        from textgauge.review import baselines

        train = self._train
        if train.sets is not None:
            triples = np.stack(train.cells)
            of_sets = [
                baselines.fit_shares(triples, train.text_rows, texts, self._classes)
                for texts in (self._texts, self._val)
            ]
            return [baselines.Baseline(baselines.SHARES, of_sets[0], 0.0, len(train), of_sets[1])]
        known = self._known
        shares = baselines.fit_majority(known.label, known.count, self._texts, self._classes)
        return [baselines.Baseline(baselines.MAJORITY, shares, 0.0, len(known))]

    def doubt_labels(self, others: Sequence[Any], probabilities: Sequence[Any]) -> None:
        self._others, self._probabilities = others, probabilities

    def doubts(self) -> pl.DataFrame:
        """Contradictory labels only: cleanlab imports scikit-learn."""
        from textgauge.review.label_issues import distinct, find_doubts

        found, begin, every = [], 0, []
        shares = np.full((len(self._train), self._classes), 1 / self._classes, np.float32)
        for part, of_part in zip(
            (self._train, *self._others), (shares, *self._probabilities), strict=True
        ):
            once, first = distinct(part)
            found.append(np.stack([once.text_index + begin, once.label, once.count]))
            every.append(of_part[first])
            begin += len(once)
        return find_doubts(
            np.concatenate(found, axis=1),
            np.concatenate(every),
            suspects=lambda label, _: np.zeros(len(label), dtype=np.bool_),
        )

    def stop(self) -> None: ...


def no_curves(history: Any, path: Path, title: str, *, dropout: bool = True) -> None:
    """In the place of the curves: drawing them takes longer than a training of two epochs."""
    path.write_bytes(b"no picture")


class PeersHere:
    """The peers of a comparison, in this process: they know the most frequent label."""

    refits: list[bool] = []  # noqa: RUF012 - what each was told

    def __init__(
        self, train: Any, val: Any, test: pl.Series, costs: pl.Series, *, refit: bool
    ) -> None:
        self.refits.append(refit)
        self._most = int(np.bincount(train.label, train.count).argmax())
        self._val, self._test = len(val), len(test)

    def measure(self) -> list[Any]:
        from textgauge.review.peers import Peer

        answers = (np.full(number, self._most) for number in (self._val, self._test))
        return [Peer("most frequent", *answers, 0.01, 0.001, 1.0, 1)]

    def stop(self) -> None: ...


@dataclass
class Quick:
    """Trainings in this process, tracked in memory; the proof of the saved model stays real."""

    trackers: list[MemoryTracker] = field(default_factory=list)
    fail_after: int | None = None

    @property
    def tracker(self) -> MemoryTracker:
        """Of the last training."""
        return self.trackers[-1]

    def open(
        self, *_: Any, run_id: str | None = None, registration: Registration | None = None
    ) -> MemoryTracker:
        new = f"{len(self.trackers):032x}"
        self.trackers.append(MemoryTracker(run_id or new, self.fail_after))
        self.tracker.registration = registration
        return self.tracker

    def train(self, source: Any, *, out: Path | None = None, **settings: Any) -> Any:
        """Train as `textgauge.run.train` does; `settings` are fields of `Config`."""
        from textgauge.config import Config
        from textgauge.run import train

        options = {k: settings.pop(k) for k in ("progress", "resume") if k in settings}
        return train(source, Config(**{**SMALL_SETTINGS, **settings}), out=out, **options)
