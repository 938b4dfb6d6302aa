"""What a training run comes to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data.checks import CheckReport
from .data.corpus import Corpus
from .review.contenders import Review
from .tracking.protocol import RunRecord
from .training.history import Epoch


@dataclass(frozen=True)
class TrainResult:
    """What a training run came to.

    Attributes:
        run: where the run is tracked.
        bundle: the folder with the saved model.
        corpus: what was trained on.
        check: what was found in the table.
        review: the model and the baselines with their figures, and the verdict.
        history: every epoch.
        best_epoch: the epoch whose weights were kept.
        proved: the largest difference of a probability in the round-trip proof.
        seconds: wall time of the whole, and of each stage.
    """

    run: RunRecord
    bundle: Path
    corpus: Corpus
    check: CheckReport
    review: Review
    history: tuple[Epoch, ...]
    best_epoch: Epoch
    proved: float
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge train --json` prints it."""
        parts = self.corpus.sizes
        figures, best = self.review.model.evaluation, self.review.best_baseline
        return {
            "run_id": self.run.run_id,
            "experiment": self.run.experiment,
            "tracking_uri": self.run.tracking_uri,
            "run_url": self.run.run_url,
            "journal_run_id": self.run.journal_run_id,
            "missing_on_server": self.run.missing,
            "bundle": str(self.bundle),
            "eval_loss": figures.rows.loss,
            "eval_accuracy": figures.rows.accuracy,
            "eval_macro_f1": figures.rows.macro_f1,
            "eval_text_accuracy": figures.texts.accuracy,
            "eval_roc_auc": figures.rows.roc_auc,
            "eval_average_precision": figures.rows.average_precision,
            "eval_brier": figures.rows.brier,
            "eval_ece": figures.rows.ece,
            "intervals": None
            if figures.rows.intervals is None
            else figures.rows.intervals.to_json(),
            "baseline": {
                "name": best.name,
                "eval_accuracy": best.evaluation.rows.accuracy,
                "eval_macro_f1": best.evaluation.rows.macro_f1,
            },
            "mcnemar_p_value": self.review.comparison.p_value,
            "verdict": self.review.verdict,
            "rows": {name: part.rows for name, part in parts.items()},
            "unique_texts": {name: part.texts for name, part in parts.items()},
            "test_texts_in_train": self.corpus.test_texts_in_train,
            "random_split_share": self.corpus.random_split_share,
            "epochs": len(self.history),
            "best_epoch": self.best_epoch.epoch,
            "seconds": round(self.seconds["whole"], 3),
            "stages": {name: round(value, 3) for name, value in self.seconds.items()},
        }


class Clock:
    """Notes how long each stage took, from the start of the process on if that is known."""

    def __init__(self, started: float | None) -> None:
        self._start = self._last = time.monotonic() if started is None else started
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """`stage` is over; a stage may have several laps."""
        now = time.monotonic()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
        self.seconds["whole"] = now - self._start
