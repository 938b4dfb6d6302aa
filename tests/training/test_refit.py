"""Learning from the validation texts, too: what is learned then, and what must not know of it."""

import numpy as np
import polars as pl
import pytest
import torch

from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import build_corpus
from textgauge.models import MODELS
from textgauge.text.learn import learn_encoder
from textgauge.training.fit import fit, new_model
from textgauge.training.linear import Weighed, train_linear
from textgauge.training.loop import TrainingPlan, evaluate, train_model
from textgauge.training.progress import NoProgress

CORPUS = build_corpus(make_component_notes(400), seed=0, fractions=(0.5, 0.25, 0.25))


def fitted(model, **settings):
    config = Config(model=model, epochs=3, **settings)
    return fit(CORPUS, learn_encoder(CORPUS.train.texts, config), config)


@pytest.mark.parametrize("model", ["bag", "linear", "lstm"])
def test_it_learns_from_all_texts_as_often_and_nothing_else_changes(model):
    plain, again = fitted(model, refit=False), fitted(model, refit=True)
    assert [vars(each) | {"seconds": 0} for each in plain.trained.history] == [
        vars(each) | {"seconds": 0} for each in again.trained.history
    ]
    # Thresholds and bands are found by what a model says that has not seen these texts.
    np.testing.assert_array_equal(plain.calibrated.logits, again.calibrated.logits)
    assert plain.calibrated.temperature == again.calibrated.temperature
    before, after = (evaluate(each.model, each.encode(CORPUS.val))[0] for each in (plain, again))
    assert after < before


def test_the_weights_of_a_linear_model_are_found_from_all_texts_weighed_as_those_of_train():
    config = Config(model="linear")
    encoder = learn_encoder(CORPUS.train.texts, config)
    found = fit(CORPUS, encoder, config)
    train, val = found.encode(CORPUS.train), found.encode(CORPUS.val)
    expected, _, _ = new_model(encoder, config, train.classes, NoProgress(), train.encoded)
    _, weighed = train_linear(expected, encoder, train, val, config, None)
    both = weighed.joined(val)
    assert both.rows.shape[0] == both.texts.texts == len(CORPUS.train) + len(CORPUS.val)
    assert (both.rows[: train.texts] != weighed.rows).nnz == 0
    labels = np.concatenate([CORPUS.train.main_label, CORPUS.val.main_label])
    assert both.texts.targets().argmax(1).tolist() == labels.tolist()
    learned = [Weighed.learn(expected, encoder, part).features for part in (train, val)]
    assert np.array_equal(both.features.of_words, learned[0].of_words)
    assert not np.array_equal(both.features.of_words, learned[1].of_words)
    both.give_weights(expected, config, None)
    expected.divide_logits(found.calibrated.temperature)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[name], value)


def test_without_texts_to_stop_by_all_epochs_are_trained_and_the_last_weights_kept():
    config = Config(model="bag")
    encoder = learn_encoder(CORPUS.train.texts, config)
    train = fitted("bag").encode(CORPUS.train)
    plan = TrainingPlan(epochs=6, patience=1, batch_size=16, lr=0.5, balanced=False, seed=0)
    states = []
    model, _, _ = new_model(encoder, config, 2, NoProgress(), train.encoded)
    found = train_model(
        model, train, None, plan, on_checkpoint=lambda checkpoint: states.append(checkpoint.weights)
    )
    assert len(found.history) == len(states) == 6
    for name, value in states[-1].items():
        torch.testing.assert_close(model.state_dict()[name], value)


def test_it_is_the_habit_of_those_that_learn_quickly():
    assert [name for name in MODELS if Config(model=name).refit] == ["encoder", "linear"]
    assert not Config(model="encoder", fine_tune=True).refit
    assert not Config(model="encoder", refit=False).refit


def test_sets_of_labels_are_joined_too():
    notes = make_component_notes(300).with_columns(
        pl.when(pl.col("year") > 2000).then(pl.lit("new|x")).otherwise(pl.lit("old")).alias("label")
    )
    corpus = build_corpus(notes, seed=0, fractions=(0.5, 0.25, 0.25), separator="|")
    config = Config(model="bag", multi_label=True, epochs=2, refit=True)
    found = fit(corpus, learn_encoder(corpus.train.texts, config), config)
    both = found.encode(corpus.train).joined(found.encode(corpus.val))
    expected = corpus.train.label_rows(3) + corpus.val.label_rows(3)
    np.testing.assert_array_equal(both.label_rows, expected)
    assert both.targets().sum(0).tolist() == expected.tolist()
