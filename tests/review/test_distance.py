"""How far distributions lie apart: by hand, and held against SciPy."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from textgauge.review.distance import CHANCE, LARGE, Difference, chi_squared_p, difference


def test_the_distance_is_the_share_of_rows_that_would_have_to_change():
    found = difference(*map(np.array, ([50, 50, 0], [20, 30, 50], [5, 5, 0], [5, 5, 5])))
    assert found.distance == pytest.approx(0.5)
    same = difference(*map(np.array, ([5, 5], [50, 50], [5, 5], [50, 50])))
    assert (same.distance, same.p_value) == (0.0, 1.0)


@pytest.mark.parametrize("seed", range(20))
def test_chance_is_what_scipy_says(seed):
    random = np.random.default_rng(seed)
    cells = int(random.integers(2, 12))
    shares = random.dirichlet(np.full(cells, 20.0))
    counts = np.stack([random.multinomial(n, shares) for n in (700, 900)])
    assert (counts >= 10).all()
    expected = chi2_contingency(counts, correction=False).pvalue
    assert chi_squared_p(counts) == pytest.approx(expected, abs=0.005)


def test_cells_with_few_texts_are_taken_together():
    counts = np.array([[90, 3, 2, 4, 1], [80, 4, 7, 4, 5]])
    together = np.array([[90, 10], [80, 20]])
    assert chi_squared_p(counts) == chi_squared_p(together)
    assert chi_squared_p(np.array([[1, 2], [3, 0]])) == 1.0  # too few to say anything
    assert chi_squared_p(np.array([[0, 0], [3, 9]])) == 1.0


def test_only_what_is_large_and_more_than_chance_matters():
    assert Difference(LARGE, CHANCE / 2).matters
    assert not Difference(LARGE - 0.01, 0.0).matters
    assert not Difference(0.9, CHANCE).matters
    assert not Difference(0.3, 0.0, normal=0.25).matters
