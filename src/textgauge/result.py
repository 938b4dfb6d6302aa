"""What a training run comes to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .data.checks import CheckReport
from .data.corpus import Corpus
from .report import page as report
from .review import label_issues
from .review.contenders import Review
from .review.label_issues import LabelIssues
from .review.rule_summary import RuleSummary
from .review.set_review import SetReview
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
        label_issues: the labels in doubt; None where a text has any number of labels.
        history: every epoch.
        best_epoch: the epoch whose weights were kept.
        proved: the largest difference of a probability in the round-trip proof.
        seconds: wall time of the whole, and of each stage.
        rules: a few rules that imitate the model; None where a text has any number of labels.
        picture: `training_results.png`, accuracy and loss by epoch, as it stands in the run.
    """

    run: RunRecord
    bundle: Path
    corpus: Corpus
    check: CheckReport
    review: Review | SetReview
    label_issues: LabelIssues | None
    history: tuple[Epoch, ...]
    best_epoch: Epoch
    proved: float
    seconds: dict[str, float]
    rules: RuleSummary | None = None
    picture: bytes = field(default=b"", repr=False)

    @property
    def report_file(self) -> Path | None:
        """The review as a page, where the run's files lie on this machine."""
        return self._file(report.FILE_NAME)

    @property
    def label_issues_file(self) -> Path | None:
        """The list of the labels in doubt, where the run's files lie on this machine."""
        return None if self.label_issues is None else self._file(label_issues.FILE_NAME)

    def _file(self, name: str) -> Path | None:
        folder = self.run.artifact_folder
        return None if folder is None else folder / name

    def _of_sets(self) -> dict[str, Any]:
        """What there is more to tell where a text has any number of labels."""
        if not isinstance(self.review, SetReview):
            return {}
        rows = self.review.model.evaluation.rows
        return {
            "multi_label": True,
            "eval_micro_f1": rows.micro_f1,
            "eval_hamming_loss": rows.hamming_loss,
            "eval_label_accuracy": rows.label_accuracy,
        }

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge train --json` prints it."""
        parts = self.corpus.sizes
        figures, best = self.review.model.evaluation, self.review.best_baseline
        return {
            **self.run.to_json(),
            "bundle": str(self.bundle),
            "report": None if self.report_file is None else str(self.report_file),
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
            "over_rows": figures.rows.to_json(),
            "over_texts": figures.texts.to_json(),
            "baseline": {
                "name": best.name,
                "eval_accuracy": best.evaluation.rows.accuracy,
                "eval_macro_f1": best.evaluation.rows.macro_f1,
            },
            "mcnemar_p_value": self.review.comparison.p_value,
            "rule_summary": None if self.rules is None else self.rules.to_json(),
            "verdict": self.review.verdict,
            "decision": self.review.decision.to_json(),
            "slice_groups": [group.to_json() for group in self.review.slices],
            "label_issues": None
            if self.label_issues is None
            else {
                **self.label_issues.to_json(),
                "file": None if self.label_issues_file is None else str(self.label_issues_file),
            },
            **self._of_sets(),
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
