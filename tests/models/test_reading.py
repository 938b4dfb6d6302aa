"""What holds for every architecture: padding, numbers, word vectors, the order of texts."""

import numpy as np
import pytest
import torch
from made_models import DROPPING, OWN, WITH_VECTORS, make_batch, make_model, table_of
from torch import nn

from textgauge.models import MODELS
from textgauge.models.reading import Classifier
from textgauge.text.vocabulary import NUMBER, PAD

of_each = pytest.mark.parametrize("name", list(OWN))
of_those_with_vectors = pytest.mark.parametrize("name", WITH_VECTORS)


@of_each
def test_every_architecture_is_looked_at(name):
    assert {each.partition(",")[0] for each in OWN} == set(MODELS)
    assert isinstance(make_model(name), Classifier)


@of_each
def test_equal_seeds_give_equal_weights(name):
    for one, other in zip(
        make_model(name, 5).parameters(), make_model(name, 5).parameters(), strict=True
    ):
        assert torch.equal(one, other)


# ---- what reaches the logits


@of_each
@pytest.mark.parametrize("outputs", [1, 4])
def test_logits_have_a_row_a_text_and_a_column_an_output(name, outputs):
    assert make_model(name, outputs=outputs).eval()(*make_batch()).shape == (9, outputs)


@of_each
@pytest.mark.parametrize("dropping", [False, True])
def test_padding_does_not_change_the_logits(name, dropping):
    # With dropout, however small, the training mode of an LSTM goes its own way through the steps.
    dropout = {"dropout": 1e-9} if dropping and name in DROPPING else {}
    model = make_model(name, outputs=3, **dropout).train()
    ids, positions, lengths = make_batch()
    together = model(ids, positions, lengths)
    wider = [torch.cat([part, part.flip(1)], 1) for part in (ids, positions)]
    torch.testing.assert_close(model(*wider, lengths), together, atol=1e-6, rtol=0)
    for row, length in enumerate(lengths):
        alone = model(ids[row : row + 1, :length], positions[row : row + 1, :length], length[None])
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=0)


@of_each
def test_tokens_up_to_the_end_change_the_logits(name):
    model = make_model(name).eval()
    ids, positions, lengths = make_batch()
    before = model(ids, positions, lengths)
    changed, tried = 0, 0
    for row, length in enumerate(lengths):
        for column in range(length):
            other = ids.clone()
            other[row, column] = 19 if ids[row, column] != 19 else 18
            after = model(other, positions, lengths)
            changed, tried = changed + int(after[row] != before[row]), tried + 1
            after[row] = before[row]
            # A product of matrices with another number of rows may add up in another order.
            atol = 1e-6 if name == "encoder" else 0.0
            torch.testing.assert_close(after, before, atol=atol, rtol=0, msg="another text changed")
    # A maximum over time does not hear every single token.
    assert changed == tried if name != "cnn" else changed > 0.8 * tried


@of_each
def test_the_order_of_the_texts_plays_no_role(name):
    model = make_model(name).eval()
    batch = make_batch()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        model(*(part[order] for part in batch)), model(*batch)[order], atol=1e-6, rtol=0
    )


@of_each
def test_a_number_adds_its_vector_to_that_of_its_token(name):
    if name == "encoder":
        pytest.skip("it reads a number with what stands beside it, which has a test of its own")
    model = make_model(name)
    ids = torch.tensor([[4, NUMBER]])
    found = model.vectors(ids, torch.tensor([[0.0, 2.5]]))
    torch.testing.assert_close(
        found[0],
        torch.stack(
            [
                model.embedding.weight[4],
                model.embedding.weight[NUMBER] + model.numbers(torch.tensor([2.5]))[0],
            ]
        ),
    )


@of_each
def test_positions_of_words_and_of_models_without_numbers_are_not_read(name):
    ids, positions, lengths = make_batch()
    noise = torch.rand(positions.shape)
    model = make_model(name).eval()
    noisy = torch.where(ids == NUMBER, positions, noise)
    torch.testing.assert_close(model(ids, noisy, lengths), model(ids, positions, lengths))
    model = make_model(name, number_bins=0).eval()
    assert model.numbers is None
    torch.testing.assert_close(model(ids, noise, lengths), model(ids, positions, lengths))


@of_each
def test_texts_without_any_number_can_be_read_and_learned_from(name):
    model = make_model(name, **DROPPING.get(name, {})).train()
    ids = torch.tensor([[4, 5], [6, 7]])
    model(ids, torch.zeros(2, 2), torch.tensor([2, 2])).sum().backward()
    learns = model.hidden if name == "encoder" else table_of(model)
    assert learns.weight.grad.to_dense()[4:8].abs().sum() > 0


@of_each
def test_nothing_is_dropped_outside_training(name):
    if name not in DROPPING:
        assert "dropout" not in OWN[name]
        return
    model = make_model(name, **DROPPING[name])
    batch = make_batch()
    assert not torch.equal(model.train()(*batch), model(*batch))
    assert torch.equal(model.eval()(*batch), model(*batch))


@of_each
def test_what_fills_a_short_text_has_no_vector(name):
    assert not table_of(make_model(name)).weight[PAD].any()


# ---- word vectors


@of_those_with_vectors
def test_word_vectors_stand_in_their_rows_and_the_others_keep_their_spread(name):
    model = make_model(name, vocabulary_size=2000)
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


@of_those_with_vectors
@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_vectors_are_not_trained(name, freeze):
    model = make_model(name)
    vectors = np.ones((20, 5), dtype=np.float32) * np.arange(20, dtype=np.float32)[:, None]
    model.set_vectors(np.arange(20), vectors, freeze=freeze)
    before = model.embedding.weight.detach().clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    nn.functional.softplus(model.train()(*make_batch())).sum().backward()
    optimizer.step()
    assert torch.equal(model.embedding.weight, before) is freeze
    assert model.numbers.weight.grad.abs().sum() > 0
