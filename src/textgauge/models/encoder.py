"""A pretrained Hugging Face encoder with a trained head, beside a linear model of its pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..text.encoder_folder import find_encoder
from ..text.vocabulary import PAD
from .frozen import FrozenEncoder, frozen_encoder
from .linear import LinearClassifier
from .number_context import NumberContext
from .pretrained import PretrainedEncoder
from .reading import Classifier, Learned

if TYPE_CHECKING:
    import onnx

    from ..config import Config
    from ..text.encoder import Encoded

HIDDEN = 256
"""Units of the hidden layer."""

FEATURE_DROPOUT, HIDDEN_DROPOUT = 0.2, 0.5
"""Shares of the features and of the hidden units that are dropped in training."""

TOKENS_AT_ONCE, TOKENS_AT_ONCE_ON_GPU = 2_048, 32_768
"""Of an encoder that is trained. For a small one training keeps 0.2 MB of each on a processor, and
more is no quicker; a GPU is not busy with fewer."""

LEAST_SPREAD = 0.1
"""Of the median component's: components that hardly differ between texts stay small."""


class EncoderClassifier(Classifier):
    """Ids of pieces and number positions -> logits.

    A wide and a deep part, whose logits are added up, as in Cheng et al., "Wide & Deep Learning for
    Recommender Systems" (DLRS 2016). Deep is what a pretrained encoder makes of the text, through a
    hidden layer, to which its numbers are added, each with what stands beside it. Wide is the model
    `linear` of the encoder's pieces, which tells what the encoder passes over. Unlike there, each
    learns by itself, and how much either counts is found on texts that neither has seen (`join`):
    together the wide part would soon leave the deep one nothing to learn.

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
    pace = {"numbers.": 5.0, "encoder.": 0.05}  # noqa: RUF012 - nobody changes it

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
        self.numbers = NumberContext(vocabulary_size, number_bins, HIDDEN) if number_bins else None
        self.output = nn.Linear(HIDDEN, outputs)
        self.wide = LinearClassifier(
            vocabulary_size=vocabulary_size,
            outputs=outputs,
            number_bins=number_bins,
            pairs=pairs,
            buckets=buckets,
        ).requires_grad_(False)
        self.joined = False
        self.encoder: PretrainedEncoder | None = None  # where it is trained, too
        self.longest = 0
        """Pieces of a text that the deep part reads, once it has begun; the wide one reads all."""
        self._frozen: FrozenEncoder | None = None

    @staticmethod
    def sizes(config: Config) -> dict[str, int | float]:
        """The arguments that the settings decide."""
        folder = find_encoder(config.encoder)
        width = folder.width if config.fine_tune else FrozenEncoder.width_of(folder)
        return {"embedding_size": width}

    @classmethod
    def learn(cls, train: Encoded, config: Config) -> Learned:
        """See which pairs of pieces the training texts have."""
        sizes, tables = LinearClassifier.learn(train, config)
        return Learned(sizes, {f"wide.{name}": table for name, table in tables.items()})

    def begin(self, config: Config, tables: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the encoder, too; see `Classifier.begin`."""
        super().begin(config, tables)
        folder = find_encoder(config.encoder)
        self.longest = folder.max_tokens
        on_gpu = config.device != "cpu" and torch.cuda.is_available()
        if config.fine_tune:
            self.encoder = PretrainedEncoder(folder)
            self.encoder.make_trainable()
            self.takes_half = True
            self.most_tokens = TOKENS_AT_ONCE_ON_GPU if on_gpu else TOKENS_AT_ONCE
            if folder.unit:  # Components of features of length 1 are small.
                self.spread.fill_(folder.width**-0.5)
        else:
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

    def join(self, deep: float, wide: float) -> None:
        """From now on the logits are so many times the deep ones and so many times the wide ones.

        Until then they are the deep ones alone.
        """
        with torch.no_grad():
            self.output.weight.mul_(deep)
            self.output.bias.mul_(deep)
        self.wide.multiply_logits(wide)
        self.joined = True

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
            found = self.numbers(ids.masked_fill(~inside, PAD), positions)
            hidden = hidden + found.to(hidden.dtype)
        hidden = nn.functional.dropout(torch.relu(hidden), self.dropout, self.training)
        logits: Tensor = self.output(hidden)
        return logits + self.wide(ids, positions, lengths) if self.joined else logits

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
        ids, positions, _ = graph.inside(self.numbers is not None)
        if self.numbers is not None:
            hidden = graph.node("Add", hidden, self.numbers.to_onnx(graph, ids, positions))
        deep = graph.node(
            "Gemm",
            graph.node("Relu", hidden),
            graph.weight(self.output.weight),
            graph.weight(self.output.bias),
            transB=1,
        )
        graph.node("Add", deep, self.wide.logit_nodes(graph, ids, positions), output="logits")
        return graph.model(self.output.out_features)
