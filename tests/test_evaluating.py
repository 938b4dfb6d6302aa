"""A saved model judged on a table: by what it decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from textgauge.bundle.predictor import Predictor
from textgauge.data.component_notes import make_component_notes
from textgauge.evaluating import evaluate_table


@pytest.mark.parametrize("which", ["trained", "deciding"])
def test_slices_are_of_what_is_decided(which: str, request: pytest.FixtureRequest) -> None:
    bundle: Any = request.getfixturevalue(which)
    predictor = Predictor.load(bundle.folder, cores=1)
    notes = make_component_notes(400, seed=5).select(
        "text", pl.col("label").cast(pl.String), plant=pl.col("text").str.slice(0, 1)
    )
    found = evaluate_table(predictor, notes, slice_by="plant")
    predicted = predictor.predict(notes["text"])
    truth = notes["label"].cast(pl.Int64).to_numpy()
    decided = float((predicted.decided.label == truth).mean())
    probable = float((predicted.label_index == truth).mean())
    assert (decided == probable) is (which == "trained")
    assert found.evaluation.rows.accuracy == pytest.approx(probable)
    assert found.decided.accuracy == pytest.approx(decided)
    assert found.slices is not None
    for slices in (found.slices, *(group.slices for group in found.groups)):
        whole = np.average([s.accuracy for s in slices], weights=[s.rows for s in slices])
        assert whole == pytest.approx(decided)
