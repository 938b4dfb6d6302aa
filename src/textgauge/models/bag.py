"""The mean of the vectors of words and of pairs of neighbouring words, and one linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor, nn

from ..text.vocabulary import PAD
from .reading import TextModel

if TYPE_CHECKING:
    import onnx

    from ..config import Config
    from ..text.encoder import Encoded

FACTORS = (2_654_435_761, 40_503)
"""Two odd numbers (Knuth, "The Art of Computer Programming" 3, section 6.4): of the ids of two
neighbours they make one number. With ids below 2**31 it stays within 64 bits."""

BUCKETS_A_PAIR = 8
"""Buckets for each pair that train has: of eight pairs one shares its bucket with another, and of
eight that train does not have one finds a bucket that is taken."""

LEAST_BUCKETS = 1_024
"""With few pairs more cost nothing."""


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
    def learned_sizes(cls, train: Encoded, config: Config) -> dict[str, int | float]:
        """The arguments that the training texts decide, besides vocabulary and numbers."""
        found = len(_pairs_of(train, config.min_texts))
        # Odd: of a power of two the low bits of the ids alone would choose.
        buckets = max(BUCKETS_A_PAIR * found, LEAST_BUCKETS) | 1
        return {"pairs": found, "buckets": buckets}

    def learn_from(self, train: Encoded, config: Config) -> None:
        """Give each pair of the training texts a vector of its own, but the rarest."""
        found = _pairs_of(train, config.min_texts)
        place = np.zeros(len(self.place), dtype=np.int32)
        place[found % len(place)] = np.arange(1, 1 + len(found))
        self.place.copy_(torch.from_numpy(place))

    def forward(self, ids: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """See `TextModel.forward`."""
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
        ids = ids.masked_fill(~inside, PAD)
        left = nn.functional.pad(ids, (1, 0), value=PAD)[:, :-1]
        hashed = (left * FACTORS[0] + ids * FACTORS[1]) % len(self.place)
        rows = self.place[hashed].long() * ((left != PAD) & (ids != PAD))
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

        index = graph.node("Range", graph.integer(0), graph.columns("ids"), graph.integer(1))
        lengths = graph.node(
            "Unsqueeze", graph.node("Cast", "lengths", to=graph.INT64), graph.integers([1])
        )
        inside = graph.node("Less", index, lengths)
        ids = graph.node("Mul", "ids", graph.node("Cast", inside, to=graph.INT64))
        positions = "positions"
        if self.numbers is not None:
            positions = graph.node("Mul", positions, graph.node("Cast", inside, to=graph.FLOAT))
        words = self.vector_nodes(graph, ids, positions, table)
        # A column of nothing before the first word, so that each word has a left neighbour.
        left = graph.node(
            "Slice",
            graph.node("Pad", ids, graph.integers([0, 1, 0, 0])),
            *(graph.integers([at]) for at in (0, -1, 1)),
        )
        hashed = graph.node(
            "Mod",
            graph.node(
                "Add",
                graph.node("Mul", left, graph.integers([FACTORS[0]])),
                graph.node("Mul", ids, graph.integers([FACTORS[1]])),
            ),
            graph.integers([len(self.place)]),
        )
        both = graph.node("Min", left, ids, graph.integers([1]))  # PAD is 0
        rows = graph.node(
            "Mul",
            graph.node(
                "Cast", graph.node("Gather", graph.weight(self.place), hashed), to=graph.INT64
            ),
            both,
        )
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


def _pairs_of(train: Encoded, min_texts: int) -> npt.NDArray[np.int64]:
    """The hashes of the pairs that stand in so many texts at least, rising. Shape: (pairs,)."""
    text = np.repeat(np.arange(len(train), dtype=np.int32), train.lengths)
    neighbours = np.flatnonzero(text[1:] == text[:-1])
    ids = train.ids.astype(np.int64)
    pair = ids[neighbours] * FACTORS[0] + ids[neighbours + 1] * FACTORS[1]
    counted = pl.DataFrame({"pair": pair, "text": text[neighbours]}).unique().group_by("pair").len()
    found: npt.NDArray[np.int64] = (
        counted.filter(pl.col("len") >= min_texts)["pair"].sort().to_numpy()
    )
    return found
