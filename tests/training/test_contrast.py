"""What an encoder learns of few texts before it is asked for their labels: which are alike."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from made_encoder import make_encoder

from textgauge.config import FEW_TEXTS, Config
from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import build_corpus
from textgauge.presets import settle
from textgauge.text.learn import learn_encoder
from textgauge.training import contrast, joining
from textgauge.training import fit as fitting
from textgauge.training.adam import Adam
from textgauge.training.batches import Batch, BatchSets, EncodedTexts
from textgauge.training.contrast import contrastive_loss, learn_likeness, likeness, some_texts
from textgauge.training.fit import fit, new_model
from textgauge.training.progress import NoProgress

CPU = torch.device("cpu")


# ---- which texts are alike


def batch_of(targets, rows=None):
    """A batch with so many rows of each text with each label, or so many rows with sets of them."""
    nothing = torch.zeros(0)
    sets = None if rows is None else BatchSets(torch.tensor(rows).float(), *3 * [nothing])
    return Batch(*3 * [nothing], torch.tensor(targets).float(), sets)


def test_texts_of_one_label_are_alike_and_others_are_not():
    # Rows with each label: two texts of the first label, one of them in three rows.
    found = likeness(batch_of([[3, 0, 0], [1, 0, 0], [0, 1, 0]]))
    assert found.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    # People did not agree on the first: one row of two has the label of the second.
    found = likeness(batch_of([[1, 1], [1, 0]]))
    assert found[0, 1] == pytest.approx((1 / 2) / (1 + 1 / 2))


def test_sets_are_as_alike_as_what_they_have_in_common():
    # {a}, {a, b}, {b, c}, {} and {a, b} in each of three rows.
    found = likeness(
        batch_of([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0], [3, 3, 0]], rows=[1, 1, 1, 1, 3])
    )
    assert found[0, 1] == pytest.approx(1 / 2)
    assert found[1, 2] == pytest.approx(1 / 3)
    assert found[1, 4] == pytest.approx(1)
    assert not found[3].any() and not found[0, 2]
    assert torch.equal(found, found.T)


# ---- the loss


def test_the_loss_is_that_of_the_paper():
    torch.manual_seed(0)
    features, label = torch.randn(9, 5), [0, 1, 2, 0, 1, 0, 2, 2, 3]  # one text of label 3
    unit = (features / features.norm(dim=1, keepdim=True)).double()
    losses = []
    for anchor in range(9):
        others = [at for at in range(9) if at != anchor]
        near = {at: float(unit[anchor] @ unit[at]) / contrast.TEMPERATURE for at in others}
        total = sum(np.exp(value) for value in near.values())
        alike = [at for at in others if label[at] == label[anchor]]
        if alike:
            losses.append(-np.mean([np.log(np.exp(near[at]) / total) for at in alike]))
    alike = likeness(batch_of(np.eye(4)[label]))
    assert len(losses) == 8
    assert float(contrastive_loss(features, alike)) == pytest.approx(np.mean(losses), rel=1e-5)


def test_texts_that_are_like_none_ask_for_nothing():
    for texts in (4, 1):
        features = torch.randn(texts, 3, requires_grad=True)
        loss = contrastive_loss(features, torch.eye(texts))
        loss.backward()
        assert loss.item() == 0
        assert not features.grad.any()


# ---- the texts of a step


def test_a_step_has_so_many_texts_and_no_more_tokens_than_fit():
    random = np.random.default_rng(0)
    short = some_texts(np.full(1_000, 10, dtype=np.int32), random)
    assert len(short) == len(set(short.tolist())) == contrast.TEXTS_AT_ONCE
    assert sorted(some_texts(np.full(5, 10, dtype=np.int32), random).tolist()) == [0, 1, 2, 3, 4]
    lengths = random.integers(1, 1_000, 500).astype(np.int32)
    found = some_texts(lengths, random)
    assert 8 <= len(found) < contrast.TEXTS_AT_ONCE
    assert lengths[found].sum() <= contrast.TOKENS_AT_ONCE
    assert (np.diff(lengths[found]) >= 0).all()
    assert len(some_texts(np.full(9, 100_000, dtype=np.int32), random)) == 2


# ---- the lesson


@pytest.fixture(scope="module")
def corpus():
    """Notes whose label is whether a part is of plastic, which an encoder can see."""
    notes = make_component_notes(160, seed=1).with_columns(
        pl.col("text").str.contains("plastic").cast(pl.String).alias("label")
    )
    return build_corpus(notes, seed=0, fractions=(0.6, 0.2, 0.2))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = make_encoder(tmp_path_factory.mktemp("encoder"))
    return Config(
        model="encoder", encoder=str(folder), fine_tune=True, epochs=2, device="cpu", threads=1
    )


@pytest.fixture(scope="module")
def reader(corpus, config):
    return learn_encoder(corpus.train.texts, config)


def begun(corpus, config, reader):
    train = EncodedTexts(reader.encode_normalised(corpus.train.texts), corpus.train, 2)
    model, _, _ = new_model(reader, config, 2, NoProgress(), train.encoded)
    return model.encoder, train


@torch.no_grad()
def closeness(encoder, train):
    """How much nearer texts of one label are to each other than to others: cosines."""
    encoder.eval()
    batch = train.batch(np.arange(train.texts))
    unit = torch.nn.functional.normalize(encoder(batch.ids, batch.lengths), dim=1)
    alike = likeness(batch) > 0.5
    near = unit @ unit.T
    return float(near[alike].mean() - near[~alike].mean())


def test_texts_of_a_label_come_together(corpus, config, reader, monkeypatch):
    encoder, train = begun(corpus, config, reader)
    before, told = closeness(encoder, train), []
    monkeypatch.setattr(contrast, "LEARNING_RATE", 5e-3)  # of an encoder that knows nothing
    learn_likeness(encoder, train, 0, CPU, lambda *step: told.append(step))
    assert closeness(encoder, train) > before + 0.2
    assert told == [(step + 1, contrast.STEPS) for step in range(contrast.STEPS)]
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_the_steps_grow_and_then_shrink_to_nothing(corpus, config, reader, monkeypatch):
    shares = []

    class Told(Adam):
        def step(self, share):
            shares.append(share)
            super().step(share)

    monkeypatch.setattr(contrast, "Adam", Told)
    learn_likeness(*begun(corpus, config, reader), 0, CPU)
    top = shares.index(max(shares))
    assert top + 1 == contrast.STEPS / 10
    assert 0.8 < shares[top] <= 1
    assert np.all(np.diff(shares[: top + 1]) > 0) and np.all(np.diff(shares[top:]) < 0)
    assert 0 < shares[0] < 0.2 and 0 < shares[-1] < 0.02


def test_it_is_the_same_twice_and_another_with_another_seed(corpus, config, reader):
    found = []
    for seed in (0, 0, 1):
        encoder, train = begun(corpus, config, reader)
        learn_likeness(encoder, train, seed, CPU)
        found.append(torch.cat([each.detach().flatten() for each in encoder.parameters()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_step_read_in_parts_is_the_same_step(corpus, config, reader, monkeypatch):
    monkeypatch.setattr(contrast, "half_where_it_pays", lambda *_: nullcontext())
    monkeypatch.setattr(contrast, "STEPS", 5)
    found = []
    for tokens in (10**6, 30):
        monkeypatch.setattr(contrast, "TOKENS_OF_A_PART", tokens)
        encoder, train = begun(corpus, config, reader)
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        learn_likeness(encoder, train, 0, CPU)
        batch = train.batch(np.arange(9))
        found.append(encoder.eval()(batch.ids, batch.lengths).detach())
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=0)


# ---- where it stands in a training


@pytest.fixture
def lessons(monkeypatch):
    """How many texts each lesson has had."""
    had = []

    def learn(encoder, train, *rest):
        had.append(train.texts)
        learn_likeness(encoder, train, *rest)

    monkeypatch.setattr(fitting, "learn_likeness", learn)
    monkeypatch.setattr(contrast, "STEPS", 3)
    return had


def test_few_texts_are_learned_from_so_and_validation_texts_with_them(corpus, config, lessons):
    settled, _ = settle(config, corpus)
    assert settled.contrast and settled.refit
    reader = learn_encoder(corpus.train.texts, settled)
    stages = []

    class Told(NoProgress):
        def stage(self, name):
            stages.append(name)

    steps = []
    found = fit(corpus, reader, settled, progress=Told(), on_step=lambda: steps.append(1))
    assert lessons == [len(corpus.train), len(corpus.train) + len(corpus.val)]
    assert stages[:2] == ["learning which texts are alike", "training"]
    assert len(steps) > 2 * contrast.STEPS
    plain = fit(corpus, reader, replace(settled, contrast=False))
    assert len(lessons) == 2
    assert plain.trained.history[0].train_loss != found.trained.history[0].train_loss


def test_the_wide_part_is_expected_to_add_nothing_then(corpus, config, lessons, monkeypatch):
    monkeypatch.setattr(joining, "PRIOR", 1e6)
    reader = learn_encoder(corpus.train.texts, config)
    told = {
        contrasts: fit(corpus, reader, replace(config, contrast=contrasts, refit=False)).factors
        for contrasts in (True, False)
    }
    assert told[True].wide == 0 < told[True].deep
    assert told[False].wide > 0


def test_a_training_that_is_gone_on_with_has_had_its_lesson(corpus, config, lessons):
    config = replace(config, contrast=True, refit=False)
    reader = learn_encoder(corpus.train.texts, config)
    kept = []
    whole = fit(corpus, reader, config, on_checkpoint=kept.append)
    again = fit(corpus, reader, config, start_from=kept[0])
    assert len(lessons) == 1
    for name, value in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_the_texts_decide_what_is_not_asked_for(config):
    few, many = config.settled(FEW_TEXTS), config.settled(FEW_TEXTS + 1)
    assert few.contrast is few.refit is True
    assert many.contrast is many.refit is False
    asked = replace(config, contrast=False, refit=True)
    assert asked.settled(1) == asked.settled(10**6) == asked
    frozen = Config(model="encoder", encoder=config.encoder)
    assert frozen.settled(1) == frozen
    assert frozen.contrast is None and frozen.refit is True


def test_sets_of_labels_are_learned_from_too(config, lessons):
    notes = make_component_notes(120).with_columns(
        pl.when(pl.col("year") > 2000).then(pl.lit("new|x")).otherwise(pl.lit("")).alias("label")
    )
    corpus = build_corpus(notes, seed=0, fractions=(0.5, 0.25, 0.25), separator="|")
    sets, _ = settle(replace(config, multi_label=True), corpus)
    found = fit(corpus, learn_encoder(corpus.train.texts, sets), sets)
    assert len(lessons) == 2
    assert np.isfinite(found.calibrated.logits).all()
