"""The lab's model: embedding, one LSTM with dropout on input and recurrence, one linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..text.vocabulary import NUMBER, PAD
from .numbers import NumberEmbedding

if TYPE_CHECKING:
    import onnx

    from .onnx_graph import GraphBuilder


class LSTMClassifier(nn.Module):
    """Token ids and number positions -> logits.

    Dropout follows Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in
    Recurrent Neural Networks" (NIPS 2016), as Keras' `LSTM(dropout, recurrent_dropout)` does: one
    mask a text for the inputs and one for the state, the same at every step.

    Args:
        vocabulary_size: known words, the special ones included.
        outputs: logits: 1 for two labels, else one a label.
        number_bins: bins of the number scale; 0 where numbers are words.
        embedding_size: width of the word vectors.
        hidden_size: width of the state.
        dropout: share of the inputs dropped in training.
        recurrent_dropout: share of the state dropped in training.

    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        outputs: int,
        number_bins: int,
        embedding_size: int,
        hidden_size: int,
        dropout: float,
        recurrent_dropout: float,
    ) -> None:
        super().__init__()
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=PAD)
        self.numbers = NumberEmbedding(number_bins, embedding_size) if number_bins else None
        self.lstm = nn.LSTM(embedding_size, hidden_size)
        self.output = nn.Linear(hidden_size, outputs)
        # Glorot and orthogonal first weights, and an open forget gate, are Keras' choices; torch's
        # own uniform ones learn more slowly in the first epochs.
        input_weight, state_weight, input_bias, state_bias = self._lstm_weights()
        nn.init.xavier_uniform_(input_weight)
        nn.init.orthogonal_(state_weight)
        nn.init.zeros_(input_bias)
        nn.init.zeros_(state_bias)
        with torch.no_grad():
            input_bias[hidden_size : 2 * hidden_size] = 1.0

    def _lstm_weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights of input and state (4 hidden, width), biases of both (4 hidden,)."""
        weight = self.lstm.get_parameter
        return (
            weight("weight_ih_l0"),
            weight("weight_hh_l0"),
            weight("bias_ih_l0"),
            weight("bias_hh_l0"),
        )

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

    def forward(self, ids: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """Logits; what stands behind a text's end changes nothing.

        Args:
            ids: Shape: (texts, tokens), int64.
            positions: on the number scale, 0 where the token is no number. Shape: as `ids`.
            lengths: tokens of each text, at least 1. Shape: (texts,), int64.

        Returns:
            Shape: (texts, outputs).

        """
        inputs = self.embedding(ids.t())  # (tokens, texts, embedding)
        if self.numbers is not None:
            numeric = ids.t() == NUMBER
            inputs = inputs.index_put(
                numeric.nonzero(as_tuple=True),
                self.numbers(positions.t()[numeric]),
                accumulate=True,
            )
        if self.training and (self.dropout or self.recurrent_dropout):
            states = self._steps_with_dropout(inputs)
        else:
            states, _ = self.lstm(inputs)
        last = states[lengths - 1, torch.arange(len(lengths), device=states.device)]
        logits: Tensor = self.output(last)
        return logits

    def _steps_with_dropout(self, inputs: Tensor) -> Tensor:
        """All states. Shape: (tokens, texts, embedding) -> (tokens, texts, hidden)."""
        tokens, texts, width = inputs.shape
        inputs = inputs * _mask(inputs, (texts, width), self.dropout)
        input_weight, state_weight, input_bias, state_bias = self._lstm_weights()
        projected = torch.addmm(
            input_bias + state_bias, inputs.reshape(tokens * texts, width), input_weight.t()
        ).view(tokens, texts, -1)
        state = cell = inputs.new_zeros(texts, self.lstm.hidden_size)
        mask = _mask(inputs, (texts, self.lstm.hidden_size), self.recurrent_dropout)
        states = []
        for step in projected.unbind(0):
            gates = torch.addmm(step, state * mask, state_weight.t())
            into, forget, new, out = gates.chunk(4, 1)  # torch's order
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(new)
            state = torch.sigmoid(out) * torch.tanh(cell)
            states.append(state)
        return torch.stack(states)

    def to_onnx(self) -> onnx.ModelProto:
        """The same function as an ONNX graph (opset 17, the operators Gather and LSTM).

        Inputs `ids` (texts, tokens) int64, `positions` (texts, tokens) float32 and `lengths`
        (texts,) int32; output `logits` (texts, outputs). Written by hand: it takes milliseconds,
        needs no tracing, and the few nodes can be read.
        """
        from .onnx_graph import GraphBuilder

        graph = GraphBuilder()
        vectors = graph.node("Gather", graph.weight(self.embedding.weight), "ids")
        if self.numbers is not None:
            vectors = graph.node("Add", vectors, self._number_nodes(graph))
        *weights, input_bias, state_bias = self._lstm_weights()
        both_biases = torch.cat([_onnx_gates(input_bias), _onnx_gates(state_bias)])
        _, last = graph.nodes(
            "LSTM",
            graph.node("Transpose", vectors, perm=[1, 0, 2]),
            *[graph.weight(_onnx_gates(weight).unsqueeze(0)) for weight in weights],
            graph.weight(both_biases.unsqueeze(0)),
            "lengths",
            outputs=2,
            hidden_size=self.lstm.hidden_size,
        )
        state = graph.node("Squeeze", last, graph.integers([0]))
        graph.node(
            "Gemm",
            state,
            graph.weight(self.output.weight),
            graph.weight(self.output.bias),
            transB=1,
            output="logits",
        )
        return graph.model(self.output.out_features)

    def _number_nodes(self, graph: GraphBuilder) -> str:
        """Interpolation between knots; position 0 gives the zero vector, so words get nothing."""
        assert self.numbers is not None
        knots = graph.weight(self.numbers.knots())
        last = graph.numbers([len(self.numbers.weight) - 1.0])
        below = graph.node("Min", graph.node("Floor", "positions"), last)
        index = graph.node("Cast", below, to=graph.INT64)
        fraction = graph.node(
            "Unsqueeze", graph.node("Sub", "positions", below), graph.integers([-1])
        )
        low = graph.node("Gather", knots, index)
        high = graph.node("Gather", knots, graph.node("Add", index, graph.integers([1])))
        rise = graph.node("Mul", graph.node("Sub", high, low), fraction)
        return graph.node("Add", low, rise)


def _mask(like: Tensor, shape: tuple[int, int], dropout: float) -> Tensor:
    """Zeros for what is dropped, and 1 / (1 - dropout) for the rest."""
    keep = 1.0 - dropout
    return like.new_empty(shape).bernoulli_(keep).div_(keep)


def _onnx_gates(weight: Tensor) -> Tensor:
    """Reorder the gates from torch's (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    into, forget, new, out = weight.detach().chunk(4, 0)
    return torch.cat([into, out, forget, new])
