"""A pretrained Hugging Face encoder with a trained head: a hidden layer beside a bag of pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..text.encoder_folder import find_encoder
from ..text.vocabulary import NUMBER
from .frozen import FrozenEncoder, frozen_encoder
from .numbers import NumberEmbedding
from .pretrained import PretrainedEncoder
from .reading import Classifier, Learned
from .wide import WidePart

if TYPE_CHECKING:
    import onnx

    from ..config import Config
    from ..text.encoder import Encoded
    from .onnx_graph import GraphBuilder

HIDDEN = 256
"""Units of the hidden layer."""

FEATURE_DROPOUT, HIDDEN_DROPOUT = 0.2, 0.5
"""Shares of the features and of the hidden units that are dropped in training."""

LEAST_SPREAD = 0.1
"""Of the median component's: components that hardly differ between texts stay small."""


class EncoderClassifier(Classifier):
    """Ids of pieces and number positions -> logits.

    A wide and a deep part, whose logits are added up (Cheng et al., "Wide & Deep Learning for
    Recommender Systems", DLRS 2016): what a pretrained encoder makes of the text, through a hidden
    layer, to which the mean magnitude of the text's numbers is added; and its pieces and their
    pairs by themselves, which tell what the encoder passes over.

    Args:
        vocabulary_size: ids, the special ones included.
        outputs: logits: 1 for two labels, else one a label.
        number_bins: bins of the number scale; 0 where numbers are words.
        embedding_size: width of what the encoder gives.
        pairs: pairs of pieces that have a vector.
        buckets: that pairs are hashed to.
        dropout: share of the hidden units dropped in training.
        feature_dropout: share of the encoder's features dropped in training.

    """

    looks_at_texts = True
    has_vectors = False
    effort = 100
    pace = {"wide.": 20.0, "numbers.": 5.0, "encoder.": 0.05}  # noqa: RUF012 - nobody changes it

    def __init__(
        self,
        *,
        vocabulary_size: int,
        outputs: int,
        number_bins: int,
        embedding_size: int,
        pairs: int = 0,
        buckets: int = 1,
        dropout: float = HIDDEN_DROPOUT,
        feature_dropout: float = FEATURE_DROPOUT,
    ) -> None:
        super().__init__()
        self.dropout, self.feature_dropout = dropout, feature_dropout
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(embedding_size))
        self.register_buffer("spread", torch.ones(embedding_size))
        self.hidden = nn.Linear(embedding_size, HIDDEN)
        self.numbers = NumberEmbedding(number_bins, HIDDEN) if number_bins else None
        self.output = nn.Linear(HIDDEN, outputs)
        self.wide = WidePart(
            vocabulary_size=vocabulary_size, outputs=outputs, pairs=pairs, buckets=buckets
        )
        self.encoder: PretrainedEncoder | None = None  # where it is trained, too
        self._frozen: FrozenEncoder | None = None

    @staticmethod
    def sizes(config: Config) -> dict[str, int | float]:
        """The arguments that the settings decide."""
        return {"embedding_size": find_encoder(config.encoder).width}

    @classmethod
    def learn(cls, train: Encoded, config: Config) -> Learned:
        """See which pieces and pairs the training texts have."""
        sizes, tables = WidePart.learn(train, config.limits.min_texts)
        return Learned(sizes, {f"wide.{name}": table for name, table in tables.items()})

    def begin(self, config: Config, tables: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the encoder, too; see `Classifier.begin`."""
        super().begin(config, tables)
        folder = find_encoder(config.encoder)
        if config.fine_tune:
            self.encoder = PretrainedEncoder(folder)
            self.encoder.make_trainable()
            self.takes_half = True
            if folder.unit:  # Components of features of length 1 are small.
                self.spread.fill_(folder.width**-0.5)
        else:
            on_gpu = config.device != "cpu" and torch.cuda.is_available()
            self.freeze(frozen_encoder(folder, cuda=on_gpu))

    def freeze(self, encoder: FrozenEncoder) -> None:
        """Take the features from `encoder`, which is none of this module's parameters."""
        self._frozen = encoder

    def prepare(
        self, encoded: Encoded, tell: Callable[[int, int], None], *, train: bool = False
    ) -> Encoded:
        """Compute the features of a frozen encoder; see `Classifier.prepare`."""
        if self._frozen is None:
            return encoded
        found = self._frozen.features(encoded, tell)
        if train:
            values = torch.from_numpy(found).double()
            spread = values.std(0, correction=0)
            least = (LEAST_SPREAD * spread.median()).clamp(min=1e-6)
            self.mean.copy_(values.mean(0))
            self.spread.copy_(spread.clamp(min=least))
        return replace(encoded, features=found)

    def divide_logits(self, divisor: float) -> None:
        """See `Classifier.divide_logits`."""
        super().divide_logits(divisor)
        self.wide.divide_logits(divisor)

    def forward(
        self, ids: Tensor, positions: Tensor, lengths: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """See `Classifier.forward`.

        Args:
            ids: Shape: (texts, tokens), int64.
            positions: Shape: as `ids`.
            lengths: Shape: (texts,), int64.
            features: of a frozen encoder, as far as they are known. Shape: (texts, width).

        """
        if features is None:
            features = self._features(ids, lengths)
        scaled = (features.float() - self.mean) / self.spread
        hidden = self.hidden(nn.functional.dropout(scaled, self.feature_dropout, self.training))
        if self.numbers is not None:
            inside = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
            numeric = (ids == NUMBER) & inside
            text = numeric.nonzero()[:, 0]
            found = self.numbers(positions[numeric]) / numeric.sum(1)[text].unsqueeze(1)
            hidden = hidden.index_add(0, text, found.to(hidden.dtype))
        hidden = nn.functional.dropout(torch.relu(hidden), self.dropout, self.training)
        logits: Tensor = self.output(hidden) + self.wide(ids, lengths)
        return logits

    def _features(self, ids: Tensor, lengths: Tensor) -> Tensor:
        if self.encoder is not None:
            found: Tensor = self.encoder(ids, lengths)
            return found
        assert self._frozen is not None
        read = self._frozen.run(ids.cpu().numpy(), lengths.cpu().numpy())
        return torch.from_numpy(read).to(ids.device)

    def to_onnx(self) -> onnx.ModelProto:
        """See `Classifier.to_onnx`; the encoder's part is traced."""
        import onnx as onnx_package

        from .onnx_graph import GraphBuilder

        if self.encoder is not None:
            encoder = self.encoder.to_onnx()
        else:
            assert self._frozen is not None
            encoder = self._frozen.graph
        graph = GraphBuilder()
        features = graph.include(onnx_package.load_from_string(encoder))
        hidden = graph.node(
            "Gemm",
            graph.node(
                "Div",
                graph.node("Sub", features, graph.weight(self.mean)),
                graph.weight(self.spread),
            ),
            graph.weight(self.hidden.weight),
            graph.weight(self.hidden.bias),
            transB=1,
        )
        index = graph.node("Range", graph.integer(0), graph.columns("ids"), graph.integer(1))
        ends = graph.node(
            "Unsqueeze", graph.node("Cast", "lengths", to=graph.INT64), graph.integers([1])
        )
        inside = graph.node("Cast", graph.node("Less", index, ends), to=graph.INT64)
        if self.numbers is not None:
            hidden = graph.node("Add", hidden, _number_nodes(graph, self.numbers, inside))
        deep = graph.node(
            "Gemm",
            graph.node("Relu", hidden),
            graph.weight(self.output.weight),
            graph.weight(self.output.bias),
            transB=1,
        )
        graph.node("Add", deep, self.wide.to_onnx(graph, inside), output="logits")
        return graph.model(self.output.out_features)


def _number_nodes(graph: GraphBuilder, numbers: NumberEmbedding, inside: str) -> str:
    """Nodes for the mean vector of the numbers of a text, zero without any."""
    is_number = graph.node("Equal", graph.node("Mul", "ids", inside), graph.integers([NUMBER]))
    numeric = graph.node("Cast", is_number, to=graph.FLOAT)
    vectors = numbers.to_onnx(graph, graph.node("Mul", "positions", numeric))
    over_tokens = graph.integers([1])
    count = graph.node("ReduceSum", numeric, over_tokens, keepdims=1)
    total = graph.node("ReduceSum", vectors, over_tokens, keepdims=0)
    return graph.node("Div", total, graph.node("Max", count, graph.numbers([1.0])))
