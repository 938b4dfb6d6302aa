"""What a comparison comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .data.checks import CheckReport
from .data.corpus import Corpus
from .leaderboard import Entry, Leaderboard
from .registered import Registered
from .tracking.protocol import RunRecord

FILE_NAME = "leaderboard"
"""Of the board's files in the run, without what tells their kind."""


@dataclass(frozen=True)
class TrialCounts:
    """How the trials of an architecture ended.

    Attributes:
        complete: trained to their end.
        pruned: stopped early, because earlier trials were further by then.
        failed: that could not be trained.
        stopped: begun, and waiting to be gone on with.

    """

    complete: int
    pruned: int
    failed: int
    stopped: int


@dataclass(frozen=True)
class CompareResult:
    """What a comparison came to.

    Attributes:
        run: where its run is tracked; the runs of the trials stand below it.
        leaderboard: the rows.
        rule: how the best is chosen, in a sentence.
        trials: of each architecture, how they ended.
        failures: of each trial that could not be trained, which and why.
        left: what there was no time for, a sentence each.
        resumable: whether trials are left to go on with.
        corpus: what was trained on.
        check: what was found in the table.
        table: its name.
        bundle: the folder with the best model.
        seconds: wall time of the whole.
        registered: what registering the best came to; None where that was not asked.
        registration_problem: why it could not be registered.

    """

    run: RunRecord
    leaderboard: Leaderboard
    rule: str
    trials: Mapping[str, TrialCounts]
    failures: tuple[str, ...]
    left: tuple[str, ...]
    resumable: bool
    corpus: Corpus
    check: CheckReport
    table: str
    bundle: Path
    seconds: float
    registered: Registered | None = None
    registration_problem: str | None = None

    @property
    def best(self) -> Entry:
        """The model that was chosen, by validation."""
        return self.leaderboard.best

    @property
    def picture_file(self) -> Path | None:
        """The board as a picture, where the run's files lie on this machine."""
        folder = self.run.artifact_folder
        return None if folder is None else folder / f"{FILE_NAME}.png"

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge compare --json` prints it."""
        parts = self.corpus.sizes
        return {
            **self.run.to_json(),
            "best": self.best.to_json(),
            "bundle": str(self.bundle),
            "why": self.leaderboard.why,
            "rule": self.rule,
            "leaderboard": self.leaderboard.to_json(),
            "trials": {model: asdict(counts) for model, counts in self.trials.items()},
            "failures": list(self.failures),
            "left": list(self.left),
            "resumable": self.resumable,
            "registered": None if self.registered is None else self.registered.to_json(),
            "registration_problem": self.registration_problem,
            "rows": {name: part.rows for name, part in parts.items()},
            "unique_texts": {name: part.texts for name, part in parts.items()},
            "test_texts_in_train": self.corpus.test_texts_in_train,
            "seconds": round(self.seconds, 3),
        }
