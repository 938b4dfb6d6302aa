"""The learned side of numbers as magnitudes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .onnx_graph import GraphBuilder


class NumberEmbedding(nn.Module):
    """A vector for a position on the number scale.

    A linear layer without bias on the piecewise-linear encoding (`textgauge.text.numbers`),
    applied as interpolation between the running sums of its columns, which is the same sum with the
    zeros left out.

    Attributes:
        weight: Shape: (bins, width).

    """

    def __init__(self, bins: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(bins, width))
        nn.init.uniform_(self.weight, -1.0 / bins, 1.0 / bins)
        # A threshold between two neighbouring numbers is carried by one column alone, and Adam
        # moves each weight by about the learning rate a step: scaled up, it is found several times
        # faster.
        self.scale = bins**0.5

    def knots(self) -> Tensor:
        """The vector at each bin edge, the first one zero. Shape: (bins + 1, width)."""
        first = self.weight.new_zeros(1, self.weight.shape[1])
        return torch.cat([first, self.scale * self.weight.cumsum(0)])

    def forward(self, positions: Tensor) -> Tensor:
        """Positions in [0, bins] -> vectors. Shape: (n,) -> (n, width)."""
        below = positions.floor().clamp_(0, len(self.weight) - 1)
        fraction = (positions - below).unsqueeze(-1)
        index, knots = below.long(), self.knots()
        return torch.lerp(knots[index], knots[index + 1], fraction)

    def to_onnx(
        self,
        graph: GraphBuilder,
        positions: str,
        table: Callable[[Tensor], Tensor] = lambda vectors: vectors,
    ) -> str:
        """Nodes for the vectors of positions; at position 0 it is the zero vector.

        Args:
            graph: to add them to.
            positions: the name of the positions.
            table: a linear function of vectors, which is stored in their place.

        Returns:
            The name of the vectors, of shape (..., width).

        """
        knots = graph.weight(table(self.knots()))
        last = graph.numbers([len(self.weight) - 1.0])
        below = graph.node("Min", graph.node("Floor", positions), last)
        index = graph.node("Cast", below, to=graph.INT64)
        fraction = graph.node(
            "Unsqueeze", graph.node("Sub", positions, below), graph.integers([-1])
        )
        low = graph.node("Gather", knots, index)
        high = graph.node("Gather", knots, graph.node("Add", index, graph.integers([1])))
        rise = graph.node("Mul", graph.node("Sub", high, low), fraction)
        return graph.node("Add", low, rise)
