"""Probabilities against what came true, in bins."""

import numpy as np
import pytest

from textgauge.review.calibration import BINS, reliability


def test_bins_hold_what_falls_into_them():
    found = reliability(
        np.array([0.95, 0.97, 0.5]), np.array([True, False, True]), np.array([3, 1, 4])
    )
    assert found.weight.tolist() == [4, 4]
    assert found.confidence == pytest.approx([0.5, (3 * 0.95 + 0.97) / 4])
    assert found.accuracy == pytest.approx([1.0, 0.75])
    assert found.error == pytest.approx(0.5 * 0.5 + 0.5 * abs((3 * 0.95 + 0.97) / 4 - 0.75))


def test_an_edge_belongs_to_the_bin_below():
    edge = 10 / BINS
    found = reliability(np.array([edge, edge + 1e-6]), np.array([True, False]), np.array([1, 1]))
    assert len(found.weight) == 2


def test_all_rows_are_in_one_bin_or_another():
    random = np.random.default_rng(0)
    sure, weight = random.random(1000), random.integers(1, 9, 1000)
    found = reliability(sure, random.random(1000) < sure, weight)
    assert found.weight.sum() == weight.sum()
    assert len(found.weight) == BINS
    assert np.abs(found.confidence - found.accuracy).max() < 0.2
