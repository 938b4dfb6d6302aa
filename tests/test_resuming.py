"""What a checkpoint belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from textgauge.config import Config
from textgauge.resuming import identity_of, run_id_of
from textgauge.tracking.open import open_tracker
from textgauge.tracking.protocol import RunPlan


@pytest.mark.parametrize(
    "setting", [{"epochs": 99}, {"patience": 99}, {"slice_column": "plant"}], ids=str
)
def test_what_shapes_no_weight_keeps_a_checkpoint_good(
    trained: Any, setting: dict[str, Any]
) -> None:
    assert identity_of(Config(**setting), trained.corpus) == identity_of(Config(), trained.corpus)


def test_other_settings_make_another_training(trained: Any) -> None:
    assert identity_of(Config(lr=0.5), trained.corpus) != identity_of(Config(), trained.corpus)


def test_the_id_of_a_run_is_waited_for(tmp_path: Path) -> None:
    with open_tracker(f"sqlite:///{tmp_path / 'mlflow.db'}") as tracker:
        assert run_id_of(tracker, 60) is None, "it was not started yet"
        tracker.start(RunPlan(name="a run"))
        # Its worker has yet to import MLflow.
        assert run_id_of(tracker) is None
        run_id = run_id_of(tracker, 60)
        assert run_id is not None
        assert run_id == tracker.end().run_id
