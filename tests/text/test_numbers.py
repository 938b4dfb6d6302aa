"""The piecewise-linear encoding: against the paper's formula, and at its outer edges."""

import itertools

import numpy as np
import pytest

from textgauge.text.numbers import NumberScale


def paper_vector(x, edges):
    """Equation 1 of Gorishniy et al. (2022), component by component."""
    bins = len(edges) - 1
    vector = []
    for t in range(1, bins + 1):
        low, high = edges[t - 1], edges[t]
        if x < low and t > 1:
            vector.append(0.0)
        elif x >= high and t < bins:
            vector.append(1.0)
        else:
            vector.append((x - low) / (high - low))
    return vector


@pytest.mark.parametrize("bins", [1, 2, 7, 64])
def test_encoding_equals_the_papers_formula_inside_the_range(bins):
    random = np.random.default_rng(bins)
    edges = np.unique(random.normal(0, 50, bins + 1).round(3))
    scale = NumberScale(edges)
    inside = np.concatenate([random.uniform(edges[0], edges[-1], 200), edges])
    expected = [paper_vector(x, edges) for x in inside]
    assert scale.encode(inside).shape == (len(inside), bins)
    np.testing.assert_allclose(scale.encode(inside), expected, atol=1e-5)


def test_a_worked_encoding():
    scale = NumberScale([1970, 1990, 2000])
    np.testing.assert_array_equal(
        scale.encode(np.array([1970.0, 1980.0, 1990.0, 1995.0, 2000.0])),
        [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]],
    )


def test_values_outside_the_range_are_read_as_the_nearest_edge():
    scale = NumberScale([10, 20, 40])
    outside = np.array([-1e300, 9.9, 40.1, 9_999_999_999.0, np.inf, -np.inf])
    np.testing.assert_array_equal(scale.positions(outside), [0, 0, 2, 2, 2, 0])
    np.testing.assert_array_equal(scale.encode(outside[:4]), [[0, 0], [0, 0], [1, 1], [1, 1]])


def test_a_missing_value_stands_at_the_first_edge():
    np.testing.assert_array_equal(NumberScale([10, 20]).positions(np.array([np.nan, 20.0])), [0, 1])


def test_the_position_counts_passed_bins_and_the_fraction():
    scale = NumberScale([0, 1, 10, 100])
    values = np.random.default_rng(0).uniform(0, 100, 300)
    np.testing.assert_allclose(scale.positions(values), scale.encode(values).sum(1), atol=1e-6)


def test_positions_keep_the_order_of_the_values():
    random = np.random.default_rng(1)
    scale = NumberScale.learn(random.lognormal(3, 2, 1000), 16)
    positions = scale.positions(np.sort(random.lognormal(3, 2, 500)))
    assert positions.dtype == np.float32
    assert (np.diff(positions) >= 0).all()


# ---- learning the edges


def test_few_distinct_values_are_all_edges():
    values = np.array([5.0, 1.0, 3.0, 3.0, 5.0, 2.0])
    np.testing.assert_array_equal(NumberScale.learn(values, 4).edges, [1, 2, 3, 5])
    np.testing.assert_array_equal(NumberScale.learn(values, 3).edges, [1, 2, 3, 5])  # 4 edges


def test_many_distinct_values_are_cut_at_their_quantiles():
    values = np.arange(101.0)
    np.testing.assert_allclose(NumberScale.learn(values, 4).edges, [0, 25, 50, 75, 100])


def test_quantiles_count_how_often_a_value_occurs():
    values = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [1, 1, 96, 1, 1])
    np.testing.assert_array_equal(NumberScale.learn(values, 2).edges, [1, 3, 5])
    # Quantiles that fall together are one edge.
    np.testing.assert_array_equal(NumberScale.learn(values, 3).edges, [1, 3, 5])


def test_infinite_and_missing_values_are_not_learned_from():
    values = np.array([1.0, np.inf, 2.0, np.nan, -np.inf])
    np.testing.assert_array_equal(NumberScale.learn(values, 8).edges, [1, 2])


@pytest.mark.parametrize("values", [[], [7.0], [7.0, 7.0], [7.0, np.inf], [np.nan, np.nan]])
def test_no_scale_without_two_different_values(values):
    assert NumberScale.learn(np.array(values), 8) is None


@pytest.mark.parametrize("edges", [[], [1], [1, 1], [2, 1], [[1, 2]], [1, np.nan]])
def test_edges_that_do_not_rise_are_refused(edges):
    with pytest.raises(ValueError, match="edges must be two or more rising numbers, were "):
        NumberScale(edges)


def test_counted_values_give_the_edges_of_the_repeated_ones():
    random = np.random.default_rng(0)
    for values in (random.normal(size=400), random.integers(1900, 2025, 900).astype(float)):
        counts = random.integers(1, 9, len(values))
        repeated = np.repeat(values, counts)
        for bins in (1, 7, 64):
            edges = NumberScale.learn(values, bins, counts).edges
            expected = np.unique(np.quantile(repeated, np.linspace(0, 1, bins + 1)))
            np.testing.assert_array_equal(edges, expected)


def test_values_that_come_piece_by_piece_give_the_same_edges():
    random = np.random.default_rng(0)
    values = np.unique(random.normal(size=300))
    counts = random.integers(1, 9, len(values))
    for cuts in ([], [1], [0, 150, 151], sorted(random.integers(0, len(values), 40))):
        bounds = [0, *cuts, len(values)]
        pieces = [
            (values[begin:end], counts[begin:end])
            for begin, end in itertools.pairwise(bounds)
            if begin < end
        ]
        for bins in (1, 7, 64, 1_000):
            found = NumberScale.learn_rising(pieces, bins, len(values), int(counts.sum()))
            expected = NumberScale.learn(values, bins, counts)
            np.testing.assert_array_equal(found.edges, expected.edges)
