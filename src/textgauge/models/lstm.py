"""The lab's model: embedding, one LSTM with dropout on input and recurrence, one linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .reading import TextModel

if TYPE_CHECKING:
    import onnx

    from ..config import Config


class LSTMClassifier(TextModel):
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
        bidirectional: a second LSTM reads each text from its end; both last states are used.

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
        bidirectional: bool = False,
    ) -> None:
        super().__init__(
            vocabulary_size=vocabulary_size, number_bins=number_bins, embedding_size=embedding_size
        )
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.lstm = nn.LSTM(embedding_size, hidden_size)
        self.output = nn.Linear(hidden_size * (1 + bidirectional), outputs)
        _first_weights(self.lstm)
        self.from_the_end = nn.LSTM(embedding_size, hidden_size) if bidirectional else None
        if self.from_the_end is not None:
            _first_weights(self.from_the_end)

    @staticmethod
    def sizes(config: Config) -> dict[str, int | float]:
        """The arguments that the settings decide."""
        return {
            "hidden_size": config.hidden_size,
            "dropout": config.dropout,
            "recurrent_dropout": config.recurrent_dropout,
            "bidirectional": config.bidirectional,
        }

    def forward(self, ids: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """See `TextModel.forward`."""
        inputs = self.vectors(ids.t(), positions.t())  # (tokens, texts, embedding)
        last = self._last_states(self.lstm, inputs, lengths)
        if self.from_the_end is not None:
            backwards = self._last_states(self.from_the_end, _reversed(inputs, lengths), lengths)
            last = torch.cat([last, backwards], 1)
        logits: Tensor = self.output(last)
        return logits

    def _last_states(self, lstm: nn.LSTM, inputs: Tensor, lengths: Tensor) -> Tensor:
        """The state after each text's last token. Shape: (texts, hidden)."""
        if self.training and (self.dropout or self.recurrent_dropout):
            states = self._steps_with_dropout(lstm, inputs)
        else:
            states, _ = lstm(inputs)
        return states[lengths - 1, torch.arange(len(lengths), device=states.device)]

    def _steps_with_dropout(self, lstm: nn.LSTM, inputs: Tensor) -> Tensor:
        """All states. Shape: (tokens, texts, embedding) -> (tokens, texts, hidden)."""
        tokens, texts, width = inputs.shape
        inputs = inputs * _mask(inputs, (texts, width), self.dropout)
        input_weight, state_weight, input_bias, state_bias = _weights(lstm)
        projected = torch.addmm(
            input_bias + state_bias, inputs.reshape(tokens * texts, width), input_weight.t()
        ).view(tokens, texts, -1)
        state = cell = inputs.new_zeros(texts, lstm.hidden_size)
        mask = _mask(inputs, (texts, lstm.hidden_size), self.recurrent_dropout)
        states = []
        for step in projected.unbind(0):
            gates = torch.addmm(step, state * mask, state_weight.t())
            into, forget, new, out = gates.chunk(4, 1)  # torch's order
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(new)
            state = torch.sigmoid(out) * torch.tanh(cell)
            states.append(state)
        return torch.stack(states)

    def to_onnx(self) -> onnx.ModelProto:
        """See `TextModel.to_onnx`; the work is done by ONNX's operator LSTM."""
        from .onnx_graph import GraphBuilder

        graph = GraphBuilder()
        directions = [each for each in (self.lstm, self.from_the_end) if each is not None]
        inputs, states, biases = zip(*map(_onnx_weights, directions), strict=True)
        _, last = graph.nodes(
            "LSTM",
            graph.node("Transpose", self.vector_nodes(graph), perm=[1, 0, 2]),
            graph.weight(torch.stack(inputs)),
            graph.weight(torch.stack(states)),
            graph.weight(torch.stack(biases)),
            "lengths",
            outputs=2,
            hidden_size=self.lstm.hidden_size,
            direction="forward" if len(directions) == 1 else "bidirectional",
        )
        if len(directions) == 1:
            state = graph.node("Squeeze", last, graph.integers([0]))
        else:  # (directions, texts, hidden) -> (texts, directions * hidden)
            by_text = graph.node("Transpose", last, perm=[1, 0, 2])
            state = graph.node("Flatten", by_text, axis=1)
        graph.node(
            "Gemm",
            state,
            graph.weight(self.output.weight),
            graph.weight(self.output.bias),
            transB=1,
            output="logits",
        )
        return graph.model(self.output.out_features)


def _weights(lstm: nn.LSTM) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of input and state (4 hidden, width), biases of both (4 hidden,)."""
    weight = lstm.get_parameter
    return (
        weight("weight_ih_l0"),
        weight("weight_hh_l0"),
        weight("bias_ih_l0"),
        weight("bias_hh_l0"),
    )


def _first_weights(lstm: nn.LSTM) -> None:
    """Glorot and orthogonal first weights, and an open forget gate, as Keras chooses them.

    torch's own uniform ones learn more slowly in the first epochs.
    """
    input_weight, state_weight, input_bias, state_bias = _weights(lstm)
    nn.init.xavier_uniform_(input_weight)
    nn.init.orthogonal_(state_weight)
    nn.init.zeros_(input_bias)
    nn.init.zeros_(state_bias)
    with torch.no_grad():
        input_bias[lstm.hidden_size : 2 * lstm.hidden_size] = 1.0


def _reversed(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Each text from its last token to its first; what stands behind the end is of no use.

    Shape: (tokens, texts, width), as `inputs`.
    """
    tokens = torch.arange(len(inputs), device=inputs.device).unsqueeze(1)
    place = (lengths.unsqueeze(0) - 1 - tokens).clamp(min=0)  # (tokens, texts)
    return inputs.gather(0, place.unsqueeze(2).expand_as(inputs))


def _mask(like: Tensor, shape: tuple[int, int], dropout: float) -> Tensor:
    """Zeros for what is dropped, and 1 / (1 - dropout) for the rest."""
    keep = 1.0 - dropout
    return like.new_empty(shape).bernoulli_(keep).div_(keep)


def _onnx_weights(lstm: nn.LSTM) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of input and state, and both biases behind each other, in ONNX's order."""
    input_weight, state_weight, input_bias, state_bias = map(_onnx_gates, _weights(lstm))
    return input_weight, state_weight, torch.cat([input_bias, state_bias])


def _onnx_gates(weight: Tensor) -> Tensor:
    """Reorder the gates from torch's (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    into, forget, new, out = weight.detach().chunk(4, 0)
    return torch.cat([into, out, forget, new])
