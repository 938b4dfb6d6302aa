"""A corpus and a configuration in, a classifier that learned the planted rule out."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import accuracy_score

from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import build_corpus
from textgauge.errors import TableError
from textgauge.text.learn import learn_encoder
from textgauge.training.fit import fit
from textgauge.training.loop import predict_logits
from textgauge.training.progress import NoProgress

SMALL = {"hidden_size": 8, "embedding_size": 6, "epochs": 2, "lr": 0.01}


class Notes(NoProgress):
    def __init__(self):
        self.notes, self.epochs, self.steps = [], [], []

    def note(self, text):
        self.notes.append(text)

    def epoch(self, epoch):
        self.epochs.append(epoch)

    def step(self, step, steps):
        self.steps.append((step, steps))


def fitted_on(corpus, progress=None, **settings):
    config = Config(**(SMALL | settings))
    encoder = learn_encoder(corpus.train.texts, config)
    return fit(corpus, encoder, config, progress=progress)


@pytest.fixture(scope="module")
def corpus():
    return build_corpus(make_component_notes(400), seed=0, fractions=(0.6, 0.2, 0.2))


def equal_models(ours, other):
    first, second = ours.model.state_dict(), other.model.state_dict()
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


# ---- does it learn?


def test_the_planted_rule_is_learned_for_years_that_were_never_seen():
    notes = make_component_notes(60_000).select("text", "label", "year").unique(maintain_order=True)
    year = pl.col("year")
    test, val, train = (pl.lit(name) for name in ("test", "val", "train"))
    part = pl.when(year % 2 == 0).then(test).when(year % 10 == 5).then(val).otherwise(train)
    held_out = build_corpus(notes.with_columns(split=part), seed=0, fractions=(0.6, 0.2, 0.2))
    assert held_out.test_texts_in_train == 0
    fitted = fitted_on(held_out, hidden_size=24, embedding_size=16, epochs=25, patience=4)
    predicted = predict_logits(fitted.model, fitted.encode(held_out.test)).argmax(1)
    truth = held_out.test.main_label
    assert len(truth) == 1200
    assert 0.8 < truth.mean() < 0.9  # what the majority class would reach
    assert accuracy_score(truth, predicted) >= 0.98


# ---- what is built


@pytest.mark.parametrize("numbers", [True, False])
def test_the_architecture_follows_the_settings_and_the_data(corpus, numbers):
    fitted = fitted_on(
        corpus, numbers=numbers, number_bins=5, dropout=0.3, recurrent_dropout=0.1, epochs=1
    )
    assert fitted.architecture == {
        "name": "lstm",
        "vocabulary_size": len(fitted.encoder.vocabulary),
        "outputs": 1,
        "number_bins": 5 if numbers else 0,
        "embedding_size": 6,
        "hidden_size": 8,
        "dropout": 0.3,
        "recurrent_dropout": 0.1,
        "bidirectional": False,
    }
    model = fitted.model
    assert (model.dropout, model.recurrent_dropout) == (0.3, 0.1)
    assert model.embedding.weight.shape == (len(fitted.encoder.vocabulary), 6)
    assert (model.numbers is not None) is numbers
    assert fitted.vectors is None
    assert len(fitted.trained.history) == 1


def test_more_than_two_labels_get_an_output_each():
    frame = pl.DataFrame({"text": [f"note {n}" for n in range(60)], "label": ["a", "b", "c"] * 20})
    fitted = fitted_on(build_corpus(frame, seed=0, fractions=(0.6, 0.2, 0.2)), epochs=1)
    assert fitted.architecture["outputs"] == fitted.classes == 3
    assert fitted.model.output.out_features == 3


def test_the_loop_gets_every_setting(corpus, monkeypatch):
    plans = []

    def spy(model, train, val, plan, **settings):
        plans.append(plan)
        return original(model, train, val, plan, **settings)

    from textgauge.training import fit as module

    original = module.train_model
    monkeypatch.setattr(module, "train_model", spy)
    settings = {"epochs": 1, "patience": 7, "batch_size": 50, "lr": 0.02, "seed": 3}
    fitted_on(corpus, class_weights="balanced", **settings)
    fitted_on(corpus, label_smoothing=0.2, **settings)
    assert vars(plans[0]) == {**settings, "balanced": True, "smoothing": 0.0}
    assert vars(plans[1]) == {**settings, "balanced": False, "smoothing": 0.2}


def test_the_wanted_threads_are_used(corpus):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        fitted_on(corpus, epochs=1, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_texts_of_a_part_are_encoded_in_its_order(corpus):
    fitted = fitted_on(corpus, epochs=1)
    encoded = fitted.encode(corpus.test)
    expected = fitted.encoder.encode(corpus.test.texts)
    np.testing.assert_array_equal(encoded.encoded.ids, expected.ids)
    assert encoded.labelled is corpus.test
    assert encoded.classes == 2


# ---- repeatable


def test_equal_seeds_give_equal_models_and_others_do_not(corpus):
    first = fitted_on(corpus)
    torch.rand(3)
    assert equal_models(first, fitted_on(corpus))
    assert not equal_models(first, fitted_on(corpus, seed=1))


def test_a_shuffled_table_gives_an_equal_model(corpus):
    notes = make_component_notes(400)
    shuffled = notes[np.random.default_rng(0).permutation(400)]
    again = build_corpus(shuffled, seed=0, fractions=(0.6, 0.2, 0.2))
    assert equal_models(fitted_on(corpus), fitted_on(again))


def test_an_interrupted_fit_goes_on_to_the_same_model(corpus):
    config = Config(**(SMALL | {"epochs": 4}))
    encoder = learn_encoder(corpus.train.texts, config)
    checkpoints, epochs = [], []

    def stop(epoch):
        epochs.append(epoch.epoch)
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(corpus, encoder, config, on_epoch=stop, on_checkpoint=checkpoints.append)
    assert epochs == [1, 2]
    assert len(checkpoints) == 2  # that of the last epoch is there when the epoch is told
    progress = Notes()
    resumed = fit(corpus, encoder, config, progress=progress, start_from=checkpoints[-1])
    assert [epoch.epoch for epoch in progress.epochs] == [3, 4]
    assert equal_models(resumed, fit(corpus, encoder, config))


def test_progress_and_callback_hear_of_every_epoch(corpus):
    progress, epochs = Notes(), []
    config = Config(**SMALL)
    encoder = learn_encoder(corpus.train.texts, config)
    fitted = fit(corpus, encoder, config, progress=progress, on_epoch=epochs.append)
    assert tuple(progress.epochs) == tuple(epochs) == fitted.trained.history
    steps = progress.steps[0][1]
    assert progress.steps == [(n, steps) for n in range(1, steps + 1)] * 2


# ---- word vectors


@pytest.fixture
def vector_file(tmp_path):
    path = tmp_path / "vectors.txt"
    random = np.random.default_rng(0)
    words = ["steel", "iron", "plastic", "unheard-of"]
    rows = [f"{w} {' '.join(map(str, random.normal(0, 0.4, 4)))}" for w in words]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("freeze", [True, False])
def test_word_vectors_bring_their_width_and_stay_when_frozen(corpus, vector_file, freeze):
    progress = Notes()
    fitted = fitted_on(corpus, progress, vectors=str(vector_file), freeze_vectors=freeze, epochs=1)
    known = len(fitted.encoder.vocabulary)
    assert progress.notes == [
        f"word vectors: 4 wide, for 3 of {known} known words ({3 / known:.1%})"
    ]
    assert fitted.architecture["embedding_size"] == 4
    weights = fitted.model.embedding.weight.detach().numpy()[fitted.vectors.rows]
    assert np.array_equal(weights, fitted.vectors.vectors) is freeze
    np.testing.assert_allclose(weights, fitted.vectors.vectors, atol=0.2)  # a start, at least


def test_frozen_vectors_survive_an_interruption(corpus, vector_file):
    config = Config(**(SMALL | {"vectors": str(vector_file), "freeze_vectors": True, "epochs": 3}))
    encoder = learn_encoder(corpus.train.texts, config)
    checkpoints = []
    whole = fit(corpus, encoder, config, on_checkpoint=checkpoints.append)
    assert equal_models(fit(corpus, encoder, config, start_from=checkpoints[0]), whole)


def test_unreadable_word_vectors_are_refused_before_training(corpus, tmp_path):
    with pytest.raises(TableError, match="there are no word vectors at"):
        fitted_on(corpus, vectors=str(tmp_path / "none.txt"))
