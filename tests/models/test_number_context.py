"""Numbers read with what stands beside them."""

import numpy as np
import onnxruntime
import pytest
import torch

from textgauge.models.number_context import BESIDE, NumberContext
from textgauge.models.onnx_graph import GraphBuilder
from textgauge.text.vocabulary import NUMBER, PAD
from textgauge.training.adam import Adam

IDS = torch.tensor([[4, NUMBER, 5, 6], [NUMBER, 7, NUMBER, PAD], [4, 5, PAD, PAD]])
POSITIONS = torch.tensor([[0.0, 1.5, 0.0, 0.0], [0.5, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def made(width=3):
    torch.manual_seed(0)
    return NumberContext(vocabulary_size=9, bins=4, width=width)


def test_a_texts_numbers_are_added_up_each_with_its_neighbours():
    module = made()

    def of_one(position, *beside):
        vectors = torch.cat([module.tokens.weight[each] for each in beside])
        units = module.hidden(vectors) + module.magnitudes(torch.tensor([position]))[0]
        return module.output(torch.relu(units))

    expected = torch.stack(
        [
            of_one(1.5, PAD, 4, 5, 6),
            of_one(0.5, PAD, PAD, 7, NUMBER) + of_one(3.0, NUMBER, 7, PAD, PAD),
            torch.zeros(3),
        ]
    )
    assert BESIDE == (-2, -1, 1, 2)
    torch.testing.assert_close(module(IDS, POSITIONS), expected)


def test_texts_without_numbers_add_nothing():
    module = made()
    words = torch.tensor([[4, 5]])
    assert not module(words, torch.ones(1, 2)).any()
    module(words, torch.ones(1, 2)).sum().backward()


@pytest.mark.parametrize("texts", [1, 3])
def test_onnxruntime_gives_the_same(texts):
    module, graph = made(), GraphBuilder()
    found = module.to_onnx(graph, "ids", "positions")
    graph.node("Identity", found, output="logits")
    session = onnxruntime.InferenceSession(graph.model(3).SerializeToString())
    feed = {"ids": IDS[:texts].numpy(), "positions": POSITIONS[:texts].numpy()}
    (result,) = session.run(["logits"], feed)
    with torch.no_grad():
        expected = module(IDS[:texts], POSITIONS[:texts]).numpy()
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_it_learns_that_a_bound_holds_beside_one_word_alone():
    """Above 2 beside 5, and never beside 6: no sum of a word's and a number's parts says so."""
    torch.manual_seed(1)
    module = NumberContext(vocabulary_size=9, bins=4, width=1)
    word = torch.randint(5, 7, (400,))
    ids = torch.stack([torch.full((400,), 4), torch.full((400,), NUMBER), word], 1)
    positions = torch.rand(400, 1) * 4 * torch.tensor([[0.0, 1.0, 0.0]])
    above = ((word == 5) & (positions[:, 1] > 2)).float()
    bias = torch.nn.Parameter(torch.zeros(1))
    optimizer = Adam({**dict(module.named_parameters()), "bias": bias}, lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        logits = module(ids, positions)[:, 0] + bias
        torch.nn.functional.binary_cross_entropy_with_logits(logits, above).backward()
        optimizer.step()
    assert ((logits > 0) == above.bool()).float().mean() > 0.97
