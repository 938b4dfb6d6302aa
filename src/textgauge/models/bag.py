"""The mean of the vectors of words and of pairs of neighbouring words, and one linear layer."""

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


class BagClassifier(TextModel):
    """Token ids and number positions -> logits.

    Joulin et al., "Bag of Tricks for Efficient Text Classification" (EACL 2017): the mean of word
    vectors and vectors of hashed pairs, a linear layer. Unlike there, only pairs of the training
    texts have a vector; others count for nothing.

    Args:
        vocabulary_size: known words, the special ones included.
        outputs: logits: 1 for two labels, else one a label.
        number_bins: bins of the number scale; 0 where numbers are words.
        embedding_size: width of the vectors.
        pairs: that have a vector; 0 where only words do.
        buckets: that pairs are hashed to.

    """

    looks_at_texts = True

    def __init__(
        self,
        *,
        vocabulary_size: int,
        outputs: int,
        number_bins: int,
        embedding_size: int,
        pairs: int = 0,
        buckets: int = 1,
    ) -> None:
        super().__init__(
            vocabulary_size=vocabulary_size, number_bins=number_bins, embedding_size=embedding_size
        )
        # One more: the row of pairs that are not known, which is zero.
        self.pairs = nn.Embedding(1 + pairs, embedding_size, padding_idx=0, sparse=True)
        nn.init.zeros_(self.pairs.weight)
        self.output = nn.Linear(embedding_size, outputs)
        self.place: Tensor
        self.register_buffer("place", torch.zeros(buckets, dtype=torch.int32))

    @staticmethod
    def sizes(config: Config) -> dict[str, int | float]:
        """The arguments that the settings decide."""
        return {}

    @classmethod
    def learn(cls, train: Encoded, config: Config) -> Learned:
        """Give each pair of the training texts a vector of its own, but the rarest."""
        pairs, place = learn_pairs(train, config.limits.min_texts)
        return Learned({"pairs": pairs, "buckets": len(place)}, {"place": place})

    def forward(self, ids: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """See `TextModel.forward`."""
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
        ids = ids.masked_fill(~inside, PAD)
        rows = pair_rows(ids, self.place)
        found = self.vectors(ids, positions).sum(1) + self.pairs(rows).sum(1)
        logits: Tensor = self.output(found / (lengths + (rows != 0).sum(1)).unsqueeze(1))
        return logits

    def to_onnx(self) -> onnx.ModelProto:
        """See `TextModel.to_onnx`.

        With few labels the linear layer is worked into the vectors, which are as narrow then.
        """
        from .onnx_graph import GraphBuilder

        graph, narrow = GraphBuilder(), self.output.out_features <= self.output.in_features

        def table(vectors: Tensor) -> Tensor:
            return nn.functional.linear(vectors, self.output.weight) if narrow else vectors

        ids, positions, lengths = graph.inside(self.numbers is not None)
        words = self.vector_nodes(graph, ids, positions, table)
        rows = pair_row_nodes(graph, ids, self.place)
        pairs = graph.node("Gather", graph.weight(table(self.pairs.weight)), rows)
        over_words = graph.integers([1])
        total = graph.node(
            "Add",
            graph.node("ReduceSum", words, over_words, keepdims=0),
            graph.node("ReduceSum", pairs, over_words, keepdims=0),
        )
        known = graph.node("Min", rows, graph.integers([1]))
        count = graph.node("Add", lengths, graph.node("ReduceSum", known, over_words, keepdims=1))
        mean = graph.node("Div", total, graph.node("Cast", count, to=graph.FLOAT))
        bias = graph.weight(self.output.bias)
        if narrow:
            graph.node("Add", mean, bias, output="logits")
        else:
            weight = graph.weight(self.output.weight)
            graph.node("Gemm", mean, weight, bias, transB=1, output="logits")
        return graph.model(self.output.out_features)
