"""The mean of words and pairs: which pairs have a vector, and what the logits are."""

import numpy as np
import pytest
import torch
from made_models import make_batch
from made_models import make_model as make

from textgauge.config import Config
from textgauge.models.bag import BagClassifier
from textgauge.models.pairs import FACTORS
from textgauge.text.encoder import Encoded
from textgauge.text.vocabulary import NUMBER


def encoded(*texts):
    ids = np.concatenate([np.array(text, dtype=np.int32) for text in texts])
    lengths = np.array([len(text) for text in texts], dtype=np.int32)
    return Encoded(ids, np.zeros(len(ids), dtype=np.float32), lengths)


def learned(train, min_texts=2):
    """A bag for these texts, all vectors drawn at random; made as a training makes it."""
    config = Config(model="bag", min_texts=min_texts)
    sizes, tables = BagClassifier.learn(train, config)
    torch.manual_seed(0)
    model = BagClassifier(vocabulary_size=20, outputs=3, number_bins=4, embedding_size=5, **sizes)
    model.begin(config, tables)
    with torch.no_grad():
        model.pairs.weight[1:].normal_()
    return model


def row_of(model, left, right):
    return int(model.place[(left * FACTORS[0] + right * FACTORS[1]) % len(model.place)])


def test_pairs_of_enough_texts_have_a_vector_and_others_none():
    train = encoded([3, 4, 5], [9, 3, 4], [4, 5], [5, 4], [6, 7, 6, 7])
    model = learned(train)
    assert len(model.pairs.weight) == 1 + 2
    assert {row_of(model, 3, 4), row_of(model, 4, 5)} == {1, 2}
    # In one text alone, twice in one text, and across the end of a text.
    for pair in ((5, 4), (6, 7), (5, 9), (4, 4)):
        assert row_of(model, *pair) == 0
    every = learned(train, min_texts=1)
    assert len(every.pairs.weight) == 1 + 6
    assert row_of(every, 6, 7) and row_of(every, 7, 6)


def test_the_logits_are_a_linear_layer_on_the_mean():
    train = encoded([3, 4, 5], [3, 4, 8], [NUMBER, 4], [NUMBER, 4])
    model = learned(train).eval()
    ids = torch.tensor([[3, 4, NUMBER, 4, 7, 9]])
    positions = torch.tensor([[0.0, 0.0, 2.5, 0.0, 0.0, 0.0]])
    words = [model.embedding.weight[i] for i in (3, 4, NUMBER, 4)]
    number = model.numbers(torch.tensor([2.5]))[0]
    pairs = [model.pairs.weight[row_of(model, *pair)] for pair in ((3, 4), (NUMBER, 4))]
    expected = model.output((sum(words) + number + sum(pairs)) / 6)
    torch.testing.assert_close(model(ids, positions, torch.tensor([4]))[0], expected)


def test_a_step_has_gradients_for_the_rows_of_its_batch_alone():
    model = make("bag", vocabulary_size=5_000)
    ids, positions, lengths = make_batch()
    model(ids, positions, lengths).sum().backward()
    inside = torch.arange(ids.shape[1]) < lengths.unsqueeze(1)
    touched = model.embedding.weight.grad.coalesce()
    rows = set(touched.indices()[0].tolist())
    assert rows - {0} == set(ids[inside].tolist())
    assert model.pairs.weight.grad.is_sparse


def test_without_pairs_it_is_the_mean_of_the_words():
    model = learned(encoded([3, 4], [5, 6]))
    assert len(model.pairs.weight) == 1
    ids = torch.tensor([[3, 4]])
    expected = model.output(model.embedding(ids[0]).mean(0))
    torch.testing.assert_close(model(ids, torch.zeros(1, 2), torch.tensor([2]))[0], expected)


@pytest.mark.parametrize("texts", [1, 40])
def test_a_text_of_one_word_and_none_in_common_can_be_learned_from(texts):
    train = encoded(*([i % 17 + 3] for i in range(texts)))
    model = learned(train)
    assert model(torch.tensor([[3]]), torch.zeros(1, 1), torch.tensor([1])).shape == (1, 3)
