"""Numbers together with what stands beside them: the 12 of "bay 12" is none of "12 °C"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..text.vocabulary import NUMBER, PAD
from .numbers import NumberEmbedding
from .reading import SPARSE_FROM

if TYPE_CHECKING:
    from .onnx_graph import GraphBuilder

BESIDE = (-2, -1, 1, 2)
"""Where the tokens stand that a number is read with, counted from it."""

UNITS = 48
"""Rectified units, each of which may heed some magnitudes beside some tokens."""

CONTEXT = 16
"""Width of the vectors of tokens that stand beside a number."""


class NumberContext(nn.Module):
    """Token ids and number positions -> what a text's numbers say, added up.

    Each number goes through one hidden layer, into which its magnitude goes, and the vectors of the
    tokens that stand beside it.

    Args:
        vocabulary_size: ids, the special ones included.
        bins: of the number scale.
        width: of what is given.

    """

    def __init__(self, vocabulary_size: int, bins: int, width: int) -> None:
        super().__init__()
        self.magnitudes = NumberEmbedding(bins, UNITS)
        self.tokens = nn.Embedding(
            vocabulary_size, CONTEXT, padding_idx=PAD, sparse=vocabulary_size > SPARSE_FROM
        )
        self.hidden = nn.Linear(len(BESIDE) * CONTEXT, UNITS)
        self.output = nn.Linear(UNITS, width, bias=False)

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        """What to add for each text; zero where it has no number.

        Args:
            ids: `PAD` behind a text's end. Shape: (texts, tokens), int64.
            positions: on the number scale. Shape: as `ids`.

        Returns:
            Shape: (texts, width).

        """
        numeric = ids == NUMBER
        text, column = numeric.nonzero(as_tuple=True)
        far = max(BESIDE)
        padded = nn.functional.pad(ids, (far, far), value=PAD)
        beside = torch.stack([padded[text, column + far + step] for step in BESIDE], 1)
        around = self.hidden(self.tokens(beside).flatten(1))
        read = torch.relu(around + self.magnitudes(positions[numeric]))
        found = read.new_zeros(len(ids), UNITS).index_add(0, text, read)
        result: Tensor = self.output(found)
        return result

    def to_onnx(self, graph: GraphBuilder, ids: str, positions: str) -> str:
        """Nodes for `forward`; gives the name of what to add."""
        far = max(BESIDE)
        numeric = graph.node(
            "Cast", graph.node("Equal", ids, graph.integers([NUMBER])), to=graph.FLOAT
        )
        padded = graph.node("Pad", ids, graph.integers([0, far, 0, far]))
        beside = [
            graph.node(
                "Gather",
                graph.weight(self.tokens.weight),
                graph.node(
                    "Slice",
                    padded,
                    graph.integers([far + step]),
                    graph.node(
                        "Add", graph.node("Shape", ids, start=1), graph.integers([far + step])
                    ),
                    graph.integers([1]),
                ),
            )
            for step in BESIDE
        ]
        around = graph.node(
            "Add",
            graph.node(
                "MatMul",
                graph.node("Concat", *beside, axis=2),
                graph.weight(self.hidden.weight.t()),
            ),
            graph.weight(self.hidden.bias),
        )
        magnitudes = self.magnitudes.to_onnx(graph, graph.node("Mul", positions, numeric))
        read = graph.node("Relu", graph.node("Add", around, magnitudes))
        # Ones at a text's numbers times all units: (texts, 1, tokens) x (texts, tokens, units)
        row = graph.node("Unsqueeze", numeric, graph.integers([1]))
        total = graph.node("Squeeze", graph.node("MatMul", row, read), graph.integers([1]))
        return graph.node("MatMul", total, graph.weight(self.output.weight.t()))
