"""What a run leaves for people beside its model: picture, history, labels in doubt, report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .config import WITH_DROPOUT
from .report.page import FILE_NAME as REPORT
from .report.page import ReportFacts, write_report
from .review.curves import draw_curves
from .review.label_issues import FILE_NAME as LABEL_ISSUES
from .training.history import best_epoch

PICTURE, HISTORY = "training_results.png", "history.json"


def write_documents(folder: Path, facts: ReportFacts) -> Iterator[Path]:
    """Write them into `folder`, which is there already; gives each file when it is whole.

    Raises:
        StorageError: the report can't be written.

    """
    draw_curves(
        facts.history,
        folder / PICTURE,
        title=f"{facts.config.model.upper()} on {facts.table.name}",
        dropout=facts.config.model in WITH_DROPOUT,
    )
    yield folder / PICTURE
    (folder / HISTORY).write_text(json.dumps(_history(facts), indent=1) + "\n", encoding="utf-8")
    yield folder / HISTORY
    if facts.issues is not None:
        facts.issues.write_csv(folder / LABEL_ISSUES)
        yield folder / LABEL_ISSUES
    write_report(folder / REPORT, facts)
    yield folder / REPORT


def _history(facts: ReportFacts) -> dict[str, Any]:
    return {
        "best_epoch": best_epoch(facts.history).epoch,
        "batch_size": facts.batch_size,
        "epochs": [epoch.to_json() for epoch in facts.history],
    }
