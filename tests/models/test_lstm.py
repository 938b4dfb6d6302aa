"""The lab's model: padding, numbers, dropout and first weights."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from textgauge.models import build_model
from textgauge.models.lstm import LSTMClassifier
from textgauge.text.vocabulary import NUMBER, PAD

SIZES = {
    "vocabulary_size": 20,
    "outputs": 1,
    "number_bins": 6,
    "embedding_size": 5,
    "hidden_size": 7,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
}


def make_model(seed=0, **sizes):
    torch.manual_seed(seed)
    return LSTMClassifier(**(SIZES | sizes))


def make_batch(texts=9, longest=8, seed=0):
    """Ids, positions and lengths with numbers inside; rubbish behind the ends."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest + 1, texts)
    lengths[0], lengths[1] = longest, 1
    ids = random.integers(1, 20, (texts, longest))
    ids[:, 0] = NUMBER
    positions = np.where(ids == NUMBER, random.uniform(0, 6, ids.shape), 0)
    return (
        torch.from_numpy(ids),
        torch.from_numpy(positions.astype(np.float32)),
        torch.from_numpy(lengths),
    )


# ---- what reaches the logits


@pytest.mark.parametrize("outputs", [1, 4])
def test_logits_have_a_row_a_text_and_a_column_an_output(outputs):
    assert make_model(outputs=outputs).eval()(*make_batch()).shape == (9, outputs)


@pytest.mark.parametrize("dropout", [0.0, 1e-9])
def test_padding_does_not_change_the_logits(dropout):
    # With dropout, however small, the training mode goes its own way through the steps.
    model = make_model(outputs=3, dropout=dropout).train()
    ids, positions, lengths = make_batch()
    together = model(ids, positions, lengths)
    wider = [torch.cat([part, part.flip(1)], 1) for part in (ids, positions)]
    torch.testing.assert_close(model(*wider, lengths), together, atol=1e-6, rtol=0)
    for row, length in enumerate(lengths):
        alone = model(ids[row : row + 1, :length], positions[row : row + 1, :length], length[None])
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=0)


def test_every_token_up_to_the_end_changes_the_logits():
    model = make_model().eval()
    ids, positions, lengths = make_batch()
    before = model(ids, positions, lengths)
    for row, length in enumerate(lengths):
        for column in range(length):
            changed = ids.clone()
            changed[row, column] = 19 if ids[row, column] != 19 else 18
            assert model(changed, positions, lengths)[row] != before[row]


def test_the_order_of_the_texts_plays_no_role():
    model = make_model().eval()
    batch = make_batch()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        model(*(part[order] for part in batch)), model(*batch)[order], atol=1e-6, rtol=0
    )


def test_a_number_adds_its_vector_to_that_of_its_token():
    model = make_model().eval()
    ids = torch.tensor([[4, NUMBER]])
    positions, lengths = torch.tensor([[0.0, 2.5]]), torch.tensor([2])
    inputs = torch.stack(
        [
            model.embedding.weight[4],
            model.embedding.weight[NUMBER] + model.numbers(torch.tensor([2.5]))[0],
        ]
    )
    _, (state, _) = model.lstm(inputs[:, None])
    torch.testing.assert_close(model(ids, positions, lengths), model.output(state[0]))


def test_positions_of_words_and_of_models_without_numbers_are_not_read():
    ids, positions, lengths = make_batch()
    noise = torch.rand(positions.shape)
    model = make_model().eval()
    noisy = torch.where(ids == NUMBER, positions, noise)
    torch.testing.assert_close(model(ids, noisy, lengths), model(ids, positions, lengths))
    model = make_model(number_bins=0).eval()
    assert model.numbers is None
    torch.testing.assert_close(model(ids, noise, lengths), model(ids, positions, lengths))


def test_texts_without_any_number_can_be_read_and_learned_from():
    model = make_model(dropout=0.2).train()
    ids = torch.tensor([[4, 5], [6, 7]])
    model(ids, torch.zeros(2, 2), torch.tensor([2, 2])).sum().backward()
    assert model.embedding.weight.grad[4:8].abs().sum() > 0


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


def test_nothing_is_dropped_outside_training():
    model = make_model(dropout=0.5, recurrent_dropout=0.5)
    batch = make_batch()
    assert not torch.equal(model.train()(*batch), model(*batch))
    assert torch.equal(model.eval()(*batch), model(*batch))


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
    assert not model.embedding.weight[PAD].any()


def test_a_model_is_built_by_name_from_its_sizes():
    torch.manual_seed(5)
    model = build_model("lstm", SIZES)
    assert isinstance(model, LSTMClassifier)
    for ours, theirs in zip(model.parameters(), make_model(5).parameters(), strict=True):
        assert torch.equal(ours, theirs)


# ---- word vectors


def test_word_vectors_stand_in_their_rows_and_the_others_keep_their_spread():
    model = make_model(vocabulary_size=2000)
    before = model.embedding.weight.detach().clone()
    vectors = np.random.default_rng(0).normal(0, 0.3, (3, 5)).astype(np.float32)
    rows = np.array([5, 3, 1999])
    model.set_vectors(rows, vectors, freeze=False)
    after = model.embedding.weight
    torch.testing.assert_close(after[torch.from_numpy(rows)], torch.from_numpy(vectors))
    others = np.setdiff1d(np.arange(2000), rows)
    torch.testing.assert_close(after[others], before[others] * float(vectors.std()))
    assert not after[PAD].any()
    assert after.requires_grad


@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_vectors_are_not_trained(freeze):
    model = make_model(dropout=0.2)
    vectors = np.ones((20, 5), dtype=np.float32) * np.arange(20, dtype=np.float32)[:, None]
    model.set_vectors(np.arange(20), vectors, freeze=freeze)
    before = model.embedding.weight.detach().clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    nn.functional.softplus(model.train()(*make_batch())).sum().backward()
    optimizer.step()
    assert torch.equal(model.embedding.weight, before) is freeze
    assert model.numbers.weight.grad.abs().sum() > 0
