"""What a run's record gives."""

from __future__ import annotations

import subprocess
import sys

from textgauge.tracking.protocol import RunRecord


def test_the_models_address_is_that_of_the_run() -> None:
    record = RunRecord("ab12", "7", "notes", "http://mlflow.example", "http://page")
    assert record.model_address == "runs:/ab12/model"
    assert (record.journal_run_id, record.missing, record.artifact_folder) == (None, None, None)


def test_the_training_knows_no_server() -> None:
    """`textgauge.run` imports this file: nothing of a client may come with it."""
    script = (
        "import sys, textgauge.tracking.protocol\n"
        "print(sorted(m for m in sys.modules if m.startswith('textgauge.tracking.')))"
    )
    found = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert found.strip() == "['textgauge.tracking.protocol']"
