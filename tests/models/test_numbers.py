"""The number embedding is the paper's linear layer, forwards and backwards."""

import numpy as np
import pytest
import torch
from torch import nn

from textgauge.models.numbers import NumberEmbedding
from textgauge.text.numbers import NumberScale


@pytest.mark.parametrize("bins", [1, 2, 9, 64])
def test_interpolation_equals_a_linear_layer_on_the_papers_vectors(bins):
    torch.manual_seed(bins)
    random = np.random.default_rng(bins)
    scale = NumberScale(np.unique(random.normal(1990, 20, bins + 1)))
    values = np.concatenate([random.uniform(1900, 2100, 200), scale.edges, [np.nan]])
    ours = NumberEmbedding(bins, 5)
    linear = nn.Linear(bins, 5, bias=False)
    with torch.no_grad():
        linear.weight.copy_(ours.weight.t())
    positions = torch.from_numpy(scale.positions(values))
    by_interpolation = ours(positions)
    by_product = ours.scale * linear(torch.from_numpy(scale.encode(values)))
    torch.testing.assert_close(by_interpolation, by_product, atol=1e-5, rtol=1e-5)

    direction = torch.randn_like(by_product)
    (by_interpolation * direction).sum().backward()
    (by_product * direction).sum().backward()
    torch.testing.assert_close(ours.weight.grad, linear.weight.grad.t(), atol=1e-3, rtol=1e-4)


def test_a_worked_interpolation():
    numbers = NumberEmbedding(4, 1)
    with torch.no_grad():
        numbers.weight.copy_(torch.tensor([[1.0], [10.0], [100.0], [1000.0]]))
    assert numbers.scale == 2
    assert numbers.knots().flatten().tolist() == [0, 2, 22, 222, 2222]
    positions = torch.tensor([0, 0.5, 1, 1.25, 4, 3.5])
    assert numbers(positions).flatten().tolist() == [0, 1, 2, 7, 2222, 1222]


def test_first_weights_are_small_and_follow_the_seed():
    torch.manual_seed(3)
    first = NumberEmbedding(10, 50).weight
    assert first.abs().max() <= 0.1
    assert first.abs().max() > 0.09
    torch.manual_seed(3)
    torch.testing.assert_close(NumberEmbedding(10, 50).weight, first, atol=0, rtol=0)


def test_no_numbers_give_no_vectors():
    assert NumberEmbedding(3, 5)(torch.empty(0)).shape == (0, 5)
