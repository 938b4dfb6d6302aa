"""Weights of words, pairs of neighbouring words and pieces of words, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..text.vocabulary import PAD
from .pairs import learn_pairs, pair_row_nodes, pair_rows
from .reading import Learned, TextModel

if TYPE_CHECKING:
    import onnx

    from ..config import Config
    from ..text.encoder import Encoded
    from .onnx_graph import GraphBuilder

TINY = 1e-12
"""Below this a size is that of a text without any known part."""


MIN_TEXTS_OF_PAIRS = 2
"""In how many distinct training texts a pair must stand to be known: most stand in one alone, and
would double the size of the model."""

AT_ONCE = 2**15
"""Tokens that are looked up at once: each has two columns a label."""


class LinearClassifier(TextModel):
    """Token ids and number positions -> logits.

    A text is the sum of its tokens' and pairs' features, divided by their size, and beside it the
    sum of the features of its words' pieces, divided by theirs (`training.linear` says which they
    are and finds the weights). Since the logits are linear in both sums, what is stored for each
    token is no feature but what it adds: to each logit by itself and by its pieces, and to the
    squares of the two sizes.

    Args:
        vocabulary_size: known words, the special ones included.
        outputs: logits: 1 for two labels, else one a label.
        number_bins: bins of the number scale; 0 where numbers are words.
        pairs: that are known.
        buckets: that pairs are hashed to.

    """

    looks_at_texts = True
    has_vectors = False
    most_tokens = AT_ONCE

    def __init__(
        self, *, vocabulary_size: int, outputs: int, number_bins: int, pairs: int, buckets: int
    ) -> None:
        super().__init__(
            vocabulary_size=vocabulary_size,
            number_bins=number_bins,
            embedding_size=2 * (outputs + 1),
        )
        self.outputs = outputs
        self.pairs = nn.Embedding(1 + pairs, outputs + 1, padding_idx=0)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.place: Tensor
        self.register_buffer("place", torch.zeros(buckets, dtype=torch.int32))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    @staticmethod
    def sizes(config: Config) -> dict[str, int | float]:
        """The arguments that the settings decide."""
        return {}

    @classmethod
    def learn(cls, train: Encoded, config: Config) -> Learned:
        """Know the pairs of the training texts, but the rarest."""
        pairs, place = learn_pairs(train, MIN_TEXTS_OF_PAIRS)
        return Learned({"pairs": pairs, "buckets": len(place)}, {"place": place})

    def divide_logits(self, divisor: float) -> None:
        """See `TextModel.divide_logits`."""
        self.multiply_logits(1 / divisor)

    def multiply_logits(self, factor: float) -> None:
        """Change the weights so that all logits are multiplied."""
        with torch.no_grad():
            for table in (self.embedding.weight, self.pairs.weight, self._number_weights()):
                for part in (slice(0, self.outputs), slice(self.outputs + 1, -1)):
                    table[:, part].mul_(factor)
            self.bias.mul_(factor)

    def _number_weights(self) -> Tensor:
        return self.bias.new_zeros(0, 2) if self.numbers is None else self.numbers.weight

    def forward(self, ids: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """See `TextModel.forward`."""
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
        ids = ids.masked_fill(~inside, PAD)
        both = self.vectors(ids, positions).sum(1)
        whole, pieces = both.tensor_split(2, dim=1)
        whole = whole + self.pairs(pair_rows(ids, self.place)).sum(1)
        return self._divided(whole) + self._divided(pieces) + self.bias

    def _divided(self, total: Tensor) -> Tensor:
        """Logits by their size: the root of the last column."""
        return total[:, :-1] / total[:, -1:].clamp(min=TINY).sqrt()

    def to_onnx(self) -> onnx.ModelProto:
        """See `TextModel.to_onnx`."""
        from .onnx_graph import GraphBuilder

        graph = GraphBuilder()
        ids, positions, _ = graph.inside(self.numbers is not None)
        self.logit_nodes(graph, ids, positions, output="logits")
        return graph.model(self.outputs)

    def logit_nodes(self, graph: GraphBuilder, ids: str, positions: str, output: str = "") -> str:
        """Nodes for the logits; gives their name.

        Args:
            graph: to add them to.
            ids: the name of the token ids, zero behind a text's end. Shape: (texts, tokens).
            positions: the name of their positions on the number scale, likewise.
            output: the name to give, if any.

        """
        over_tokens = graph.integers([1])
        tokens = self.vector_nodes(graph, ids, positions)
        both = graph.node("ReduceSum", tokens, over_tokens, keepdims=0)
        whole, pieces = graph.nodes("Split", both, outputs=2, axis=1)
        rows = pair_row_nodes(graph, ids, self.place)
        pairs = graph.node("Gather", graph.weight(self.pairs.weight), rows)
        pairs = graph.node("ReduceSum", pairs, over_tokens, keepdims=0)
        whole = graph.node("Add", whole, pairs)
        logits = graph.node("Add", self._divided_nodes(graph, whole), graph.weight(self.bias))
        return graph.node("Add", logits, self._divided_nodes(graph, pieces), output=output)

    def _divided_nodes(self, graph: GraphBuilder, total: str) -> str:
        sizes = graph.integers([self.outputs, 1])
        logits, square = graph.nodes("Split", total, sizes, outputs=2, axis=1)
        size = graph.node("Sqrt", graph.node("Max", square, graph.numbers([TINY])))
        return graph.node("Div", logits, size)
