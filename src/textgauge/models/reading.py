"""What all architectures have in common: how token ids and numbers become vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..text.vocabulary import NUMBER, PAD
from .numbers import NumberEmbedding

if TYPE_CHECKING:
    import onnx

    from ..config import Config
    from ..text.encoder import Encoded
    from .onnx_graph import GraphBuilder


SPARSE_FROM = 2_000
"""Words from which on a step of training touches only those that its batch has. With fewer, a
whole table is through sooner."""


class Learned(NamedTuple):
    """What an architecture takes over from the training texts, which no step of training changes.

    Attributes:
        sizes: arguments of the architecture.
        tables: buffers, by their names; what is longer ends in zeros.

    """

    sizes: Mapping[str, int | float] = {}
    tables: Mapping[str, npt.NDArray[Any]] = {}


class Classifier(nn.Module):
    """A model that reads encoded texts: what the training and the bundle ask of an architecture."""

    output: nn.Linear
    """The last layer, which gives the logits."""
    takes_half = False
    """Whether training learns as well with matrix products in bfloat16."""
    looks_at_texts = False
    """Whether `learn` looks at the training texts."""
    has_vectors = True
    """Whether words have vectors, of `embedding_size`, which can start from pretrained ones."""
    effort = 1
    """What reading a token costs, in tokens of a small network: so many fewer are read for what is
    told besides the predictions (explanations, the proof)."""
    most_tokens: int | None = None
    """Tokens that are computed at once, padding included, where more would need much memory."""
    pace: Mapping[str, float] = {}
    """The learning rate of the parameters whose names begin so, as a share of the others'."""

    @staticmethod
    def sizes(config: Config) -> dict[str, int | float]:
        """The arguments that the settings decide."""
        raise NotImplementedError

    @classmethod
    def learn(cls, train: Encoded, config: Config) -> Learned:
        """Look at the training texts, before there is a model of this kind."""
        return Learned()

    def begin(self, config: Config, tables: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over the tables of `learn`, and what else stands before the training."""
        for name, table in tables.items():
            self.get_buffer(name)[: len(table)].copy_(torch.from_numpy(table))

    def prepare(
        self, encoded: Encoded, tell: Callable[[int, int], None], *, train: bool = False
    ) -> Encoded:
        """Compute what no step of the training changes, once for each text.

        Args:
            encoded: the texts.
            tell: called now and then with how many texts are done, and of how many, while it takes.
            train: whether these are the training texts, of which may be learned.

        """
        return encoded

    def set_vectors(
        self, rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32], *, freeze: bool
    ) -> None:
        """Start from pretrained word vectors, if the architecture has any of its own."""
        raise NotImplementedError

    def divide_logits(self, divisor: float) -> None:
        """Change the weights so that all logits are divided."""
        with torch.no_grad():
            self.output.weight.div_(divisor)
            self.output.bias.div_(divisor)

    def forward(self, ids: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """Logits; what stands behind a text's end changes nothing.

        Args:
            ids: Shape: (texts, tokens), int64.
            positions: on the number scale, 0 where the token is no number. Shape: as `ids`.
            lengths: tokens of each text, at least 1. Shape: (texts,), int64.

        Returns:
            Shape: (texts, outputs).

        """
        raise NotImplementedError

    def to_onnx(self) -> onnx.ModelProto:
        """The same function as an ONNX graph.

        Inputs `ids` (texts, tokens) int64, `positions` (texts, tokens) float32 and `lengths`
        (texts,) int32; output `logits` (texts, outputs). Written by hand: it takes milliseconds,
        needs no tracing, and the few nodes can be read.
        """
        raise NotImplementedError


class TextModel(Classifier):
    """A classifier that reads a vector a token: that of its word, and for a number its magnitude.

    An architecture adds what becomes of the vectors: `forward`, and `to_onnx` for the same as a
    graph.

    Args:
        vocabulary_size: known words, the special ones included.
        number_bins: bins of the number scale; 0 where numbers are words.
        embedding_size: width of the word vectors.

    """

    def __init__(self, *, vocabulary_size: int, number_bins: int, embedding_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            vocabulary_size, embedding_size, padding_idx=PAD, sparse=vocabulary_size > SPARSE_FROM
        )
        self.numbers = NumberEmbedding(number_bins, embedding_size) if number_bins else None

    def set_vectors(
        self, rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32], *, freeze: bool
    ) -> None:
        """Start from pretrained vectors. Shapes: rows (n,), vectors (n, embedding_size).

        Words without a vector start at random with the same spread. With `freeze` none is trained.
        """
        with torch.no_grad():
            self.embedding.weight.mul_(float(vectors.std()))
            self.embedding.weight[torch.from_numpy(rows)] = torch.from_numpy(vectors)
        self.embedding.weight.requires_grad_(not freeze)

    def vectors(self, ids: Tensor, positions: Tensor) -> Tensor:
        """A vector for each token.

        Args:
            ids: Shape: any, int64.
            positions: on the number scale, read where the token is a number. Shape: as `ids`.

        Returns:
            Shape: as `ids`, and `embedding_size` behind.

        """
        found: Tensor = self.embedding(ids)
        if self.numbers is None:
            return found
        numeric = ids == NUMBER
        return found.index_put(
            numeric.nonzero(as_tuple=True), self.numbers(positions[numeric]), accumulate=True
        )

    def vector_nodes(
        self,
        graph: GraphBuilder,
        ids: str = "ids",
        positions: str = "positions",
        table: Callable[[Tensor], Tensor] = lambda vectors: vectors,
    ) -> str:
        """Nodes for `vectors`; gives their name.

        Args:
            graph: to add them to.
            ids: the name of the token ids.
            positions: the name of their positions on the number scale.
            table: a linear function of vectors, which is stored in their place.

        Returns:
            Of shape (texts, tokens, width).

        """
        found = graph.node("Gather", graph.weight(table(self.embedding.weight)), ids)
        if self.numbers is None:
            return found
        return graph.node("Add", found, self.numbers.to_onnx(graph, positions, table))
