"""The wide part of an encoder's head: a weight a label for each piece and each pair of pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..text.vocabulary import PAD
from .pairs import learn_pairs, pair_row_nodes, pair_rows
from .reading import Learned

if TYPE_CHECKING:
    from ..text.encoder import Encoded
    from .onnx_graph import GraphBuilder


class WidePart(nn.Module):
    """Ids -> what their pieces and pairs add to the logits.

    A linear classifier on TF-IDF: each counts by how rare it is in the training texts (its inverse
    document frequency, as scikit-learn smooths it), and a text's counts are scaled to length 1.
    What the training texts do not have adds nothing.

    Args:
        vocabulary_size: ids, the special ones included.
        outputs: logits.
        pairs: that have a weight.
        buckets: that pairs are hashed to.

    """

    def __init__(self, *, vocabulary_size: int, outputs: int, pairs: int, buckets: int) -> None:
        super().__init__()
        self.pieces = nn.Embedding(vocabulary_size, outputs, padding_idx=PAD, sparse=True)
        self.pairs = nn.Embedding(1 + pairs, outputs, padding_idx=0, sparse=True)
        nn.init.zeros_(self.pieces.weight)
        nn.init.zeros_(self.pairs.weight)
        self.place: Tensor
        self.piece_rarity: Tensor
        self.pair_rarity: Tensor
        self.register_buffer("place", torch.zeros(buckets, dtype=torch.int32))
        self.register_buffer("piece_rarity", torch.zeros(vocabulary_size))
        self.register_buffer("pair_rarity", torch.zeros(1 + pairs))

    @staticmethod
    def learn(train: Encoded, min_texts: int) -> Learned:
        """Give each pair of the training texts a row of its own, and count how rare all are."""
        known, place = learn_pairs(train, min_texts)
        text = np.repeat(np.arange(len(train)), train.lengths)
        line = torch.from_numpy(train.ids.astype(np.int64))
        # All texts as one, with a gap behind each.
        gapped = torch.full((len(line) + len(train),), PAD)
        gapped[torch.from_numpy(np.arange(len(line)) + text)] = line
        rows = pair_rows(gapped.unsqueeze(0), torch.from_numpy(place))[0][gapped != PAD].numpy()
        tables: dict[str, npt.NDArray[Any]] = {"place": place}
        for name, found in (("piece_rarity", train.ids), ("pair_rarity", rows)):
            once = np.unique(found.astype(np.int64) * len(train) + text) // len(train)
            texts = np.bincount(once)
            tables[name] = np.where(texts > 0, np.log((1 + len(train)) / (1 + texts)) + 1, 0.0)
            tables[name][0] = 0.0
        return Learned({"pairs": known, "buckets": len(place)}, tables)

    def divide_logits(self, divisor: float) -> None:
        """Change the weights so that what is added is divided."""
        with torch.no_grad():
            self.pieces.weight.div_(divisor)
            self.pairs.weight.div_(divisor)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """What to add to the logits. Shapes: (texts, tokens), (texts,) -> (texts, outputs)."""
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
        ids = ids.masked_fill(~inside, PAD)
        rows = pair_rows(ids, self.place)
        rare, rare_pair = self.piece_rarity[ids], self.pair_rarity[rows]
        length = (rare.square().sum(1) + rare_pair.square().sum(1)).sqrt().clamp(min=1e-6)
        pieces = (self.pieces(ids) * rare.unsqueeze(2)).sum(1)
        pairs = (self.pairs(rows) * rare_pair.unsqueeze(2)).sum(1)
        added: Tensor = (pieces + pairs) / length.unsqueeze(1)
        return added

    def to_onnx(self, graph: GraphBuilder, inside: str) -> str:
        """Nodes for `forward`; gives the name of what to add.

        Args:
            graph: to add them to.
            inside: the name of what is 1 at the tokens of a text and 0 behind, int64. Shape:
                (texts, tokens).

        """
        ids = graph.node("Mul", "ids", inside)
        rows = pair_row_nodes(graph, ids, self.place)
        sums, squares = [], []
        for at, rarity, weights in (
            (ids, self.piece_rarity, self.pieces.weight),
            (rows, self.pair_rarity, self.pairs.weight),
        ):
            rare = graph.node("Gather", graph.weight(rarity), at)
            # A text's row times its matrix of weights: (texts, 1, tokens) x (texts, tokens, labels)
            row = graph.node("Unsqueeze", rare, graph.integers([1]))
            sums.append(graph.node("MatMul", row, graph.node("Gather", graph.weight(weights), at)))
            squares.append(
                graph.node("ReduceSum", graph.node("Mul", rare, rare), graph.integers([1]))
            )
        length = graph.node("Sqrt", graph.node("Add", *squares))
        total = graph.node("Squeeze", graph.node("Add", *sums), graph.integers([1]))
        return graph.node("Div", total, graph.node("Max", length, graph.numbers([1e-6])))
