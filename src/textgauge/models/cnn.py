"""Convolutions of several widths over the words, and for each the strongest answer in the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .reading import TextModel

if TYPE_CHECKING:
    import onnx

    from ..config import Config
    from .onnx_graph import GraphBuilder

WIDTHS = (3, 4, 5)
"""Words that a filter sees at a time."""


class CNNClassifier(TextModel):
    """Token ids and number positions -> logits.

    Kim, "Convolutional Neural Networks for Sentence Classification" (EMNLP 2014), section 2: the
    maximum over time of filters of several widths, dropout on these maxima, a linear layer. Each
    text has zeros on both sides, so that a filter sees its first and last words alone, too, and one
    of a single word can be read.

    Args:
        vocabulary_size: known words, the special ones included.
        outputs: logits: 1 for two labels, else one a label.
        number_bins: bins of the number scale; 0 where numbers are words.
        embedding_size: width of the word vectors.
        filters: of each width.
        dropout: share of the maxima dropped in training.

    """

    takes_half = True

    def __init__(
        self,
        *,
        vocabulary_size: int,
        outputs: int,
        number_bins: int,
        embedding_size: int,
        filters: int,
        dropout: float,
    ) -> None:
        super().__init__(
            vocabulary_size=vocabulary_size, number_bins=number_bins, embedding_size=embedding_size
        )
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_size, filters, width, padding=width - 1) for width in WIDTHS
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters * len(WIDTHS), outputs)

    @staticmethod
    def sizes(config: Config) -> dict[str, int | float]:
        """The arguments that the settings decide."""
        return {"filters": config.filters, "dropout": config.filter_dropout}

    def forward(self, ids: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """See `TextModel.forward`."""
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
        inputs = self.vectors(ids, positions) * inside.unsqueeze(2)
        strongest = [
            _over_time(convolution(inputs.transpose(1, 2)), lengths + width - 1)
            for width, convolution in zip(WIDTHS, self.convolutions, strict=True)
        ]
        logits: Tensor = self.output(self.dropout(torch.cat(strongest, 1)))
        return logits

    def to_onnx(self) -> onnx.ModelProto:
        """See `TextModel.to_onnx`; the work is done by ONNX's operator Conv."""
        from .onnx_graph import GraphBuilder

        graph = GraphBuilder()
        tokens = graph.columns("ids")
        lengths = graph.node("Cast", "lengths", to=graph.INT64)
        inside = _inside(graph, tokens, lengths, more=0)
        inputs = graph.node(
            "Mul",
            graph.node("Transpose", self.vector_nodes(graph), perm=[0, 2, 1]),
            graph.node("Unsqueeze", inside, graph.integers([1])),
        )
        strongest = []
        for width, each in zip(WIDTHS, self.convolutions, strict=True):
            found = graph.node(
                "Conv",
                inputs,
                graph.weight(each.get_parameter("weight")),
                graph.weight(each.get_parameter("bias")),
                pads=[width - 1, width - 1],
            )
            mask = graph.node(
                "Unsqueeze", _inside(graph, tokens, lengths, more=width - 1), graph.integers([1])
            )
            masked = graph.node("Mul", graph.node("Relu", found), mask)
            strongest.append(graph.node("ReduceMax", masked, axes=[2], keepdims=0))
        graph.node(
            "Gemm",
            graph.node("Concat", *strongest, axis=1),
            graph.weight(self.output.weight),
            graph.weight(self.output.bias),
            transB=1,
            output="logits",
        )
        return graph.model(self.output.out_features)


def _over_time(found: Tensor, lengths: Tensor) -> Tensor:
    """The strongest answer of each filter, 0 where none is positive.

    Shapes: (texts, filters, places), (texts,) -> (texts, filters).
    """
    inside = torch.arange(found.shape[2], device=found.device) < lengths.unsqueeze(1)
    return (torch.relu(found) * inside.unsqueeze(1)).amax(2)


def _inside(graph: GraphBuilder, tokens: str, lengths: str, *, more: int) -> str:
    """1 at the places of a text and at `more` behind it, 0 at others. Shape: (texts, places)."""
    places = graph.node("Add", tokens, graph.integer(more))
    index = graph.node("Range", graph.integer(0), places, graph.integer(1))
    ends = graph.node("Add", lengths, graph.integer(more))
    inside = graph.node("Less", index, graph.node("Unsqueeze", ends, graph.integers([1])))
    return graph.node("Cast", inside, to=graph.FLOAT)
