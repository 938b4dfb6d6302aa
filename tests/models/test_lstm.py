"""The lab's model: its steps, dropout and first weights, and a second one from the end."""

import math

import torch
from made_models import make_batch
from made_models import make_model as make

from textgauge.text.vocabulary import NUMBER


def make_model(seed=0, **sizes):
    return make("lstm", seed, **sizes)


# ---- what reaches the logits


def test_the_last_state_gives_the_logits():
    model = make_model().eval()
    ids = torch.tensor([[4, NUMBER]])
    positions, lengths = torch.tensor([[0.0, 2.5]]), torch.tensor([2])
    _, (state, _) = model.lstm(model.vectors(ids, positions).transpose(0, 1))
    torch.testing.assert_close(model(ids, positions, lengths), model.output(state[0]))


def test_both_ways_is_torchs_bidirectional_lstm_on_texts_of_one_length():
    model = make_model(bidirectional=True).eval()
    both = torch.nn.LSTM(5, 7, bidirectional=True)
    with torch.no_grad():
        for kind in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            both.get_parameter(kind).copy_(model.lstm.get_parameter(kind))
            both.get_parameter(f"{kind}_reverse").copy_(model.from_the_end.get_parameter(kind))
    ids, positions, _ = make_batch()
    _, (state, _) = both(model.vectors(ids.t(), positions.t()))
    expected = model.output(torch.cat([state[0], state[1]], 1))
    torch.testing.assert_close(model(ids, positions, torch.full((9,), 8)), expected)


# ---- dropout


def test_the_training_loop_without_dropout_equals_torchs_lstm():
    model = make_model(outputs=3, dropout=1e-9, recurrent_dropout=1e-9)
    with torch.no_grad():
        for bias in (model.lstm.bias_ih_l0, model.lstm.bias_hh_l0):
            bias.normal_()
    batch = make_batch()
    gradients = []
    for mode in (True, False):
        model.train(mode).zero_grad()
        logits = model(*batch)
        (logits * torch.arange(3.0)).sum().backward()
        gradients.append([logits, *(p.grad.clone() for p in model.parameters())])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-4)


def states_by_step(model, steps=6, texts=40):
    """State of every text after 1, 2, … equal tokens, with the same masks each time."""
    states = []
    for length in range(1, steps + 1):
        torch.manual_seed(11)
        ids = torch.full((texts, steps), 4)
        lengths = torch.full((texts,), length)
        states.append(model(ids, torch.zeros(texts, steps), lengths).detach())
    return torch.stack(states)


def open_model(**sizes):
    """A model whose gates are open and forget at once: each state is tanh(tanh(input)).

    Its output is its state; the weights that are left to set are those of the new content.
    """
    size = 8
    model = make_model(embedding_size=size, hidden_size=size, outputs=size, **sizes)
    with torch.no_grad():
        for parameter in model.lstm.parameters():
            parameter.zero_()
        into, forget, _, out = model.lstm.bias_ih_l0.chunk(4)
        into.fill_(100)
        forget.fill_(-100)
        out.fill_(100)
        model.output.weight.copy_(torch.eye(size))
        model.output.bias.zero_()
    return model


def new_content(weight_or_bias):
    return weight_or_bias.chunk(4)[2]


def test_one_input_mask_serves_all_steps_of_a_text():
    model = open_model(dropout=0.25).train()
    with torch.no_grad():
        new_content(model.lstm.weight_ih_l0).copy_(torch.eye(8))
        model.embedding.weight[4] = torch.linspace(0.1, 0.8, 8)
    states = states_by_step(model)
    torch.testing.assert_close(states, states[:1].expand_as(states))  # the same at every step
    kept = torch.tanh(torch.tanh(model.embedding.weight[4] / 0.75)).detach()
    dropped = states[0] == 0
    torch.testing.assert_close(states[0], torch.where(dropped, 0.0, kept))
    assert 0.15 < dropped.float().mean() < 0.35  # 320 draws
    assert dropped.unique(dim=0).shape[0] > 10  # every text has a mask of its own


def test_one_state_mask_serves_all_steps_of_a_text():
    model = open_model(recurrent_dropout=0.4).train()
    with torch.no_grad():
        new_content(model.lstm.weight_hh_l0).copy_(0.9 * torch.eye(8))
        new_content(model.lstm.bias_ih_l0).fill_(0.3)
    states = states_by_step(model)
    kept, dropped = [0.0], [0.0]
    for _ in range(6):
        kept.append(math.tanh(math.tanh(0.3 + 0.9 * kept[-1] / 0.6)))
        dropped.append(math.tanh(math.tanh(0.3)))
    is_dropped = (states[-1] - dropped[-1]).abs() < 1e-5
    for step in range(6):
        expected = torch.where(is_dropped, dropped[step + 1], kept[step + 1])
        torch.testing.assert_close(states[step], expected, atol=1e-5, rtol=0)
    assert 0.3 < is_dropped.float().mean() < 0.5
    assert is_dropped.unique(dim=0).shape[0] > 10


def test_inputs_and_state_have_masks_of_their_own():
    model = open_model(dropout=0.3).train()
    with torch.no_grad():
        new_content(model.lstm.weight_hh_l0).copy_(0.9 * torch.eye(8))
        new_content(model.lstm.bias_ih_l0).fill_(0.3)
    # Only the inputs, which are not looked at here, are dropped.
    assert states_by_step(model)[-1].unique().numel() == 1


# ---- first weights


def test_first_weights_are_those_of_keras():
    model = make_model(hidden_size=30, embedding_size=20)
    parameters = dict(model.lstm.named_parameters())
    bound = math.sqrt(6 / (20 + 120))
    assert bound * 0.95 < parameters["weight_ih_l0"].abs().max() <= bound
    state = parameters["weight_hh_l0"]
    torch.testing.assert_close(state.t() @ state, torch.eye(30), atol=1e-5, rtol=0)
    biases = (parameters["bias_ih_l0"] + parameters["bias_hh_l0"]).chunk(4)
    assert [b.unique().tolist() for b in biases] == [[0], [1], [0], [0]]  # an open forget gate
