"""The two parts of an encoder's model, and how much each counts."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from made_encoder import make_encoder
from scipy.special import log_softmax

from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import build_corpus
from textgauge.text.learn import learn_encoder
from textgauge.training import joining
from textgauge.training.batches import EncodedTexts
from textgauge.training.calibration import temperature_of
from textgauge.training.fit import fit
from textgauge.training.joining import find_factors
from textgauge.training.loop import predict_logits


@pytest.fixture(scope="module")
def corpus():
    frame = make_component_notes(500, seed=1).select("text", pl.col("label").cast(pl.String))
    frame = frame.with_row_index("row", 1)
    return build_corpus(frame, seed=0, fractions=(0.6, 0.2, 0.2))


@pytest.fixture(scope="module")
def val(corpus):
    encoder = learn_encoder(corpus.train.texts, Config())
    return EncodedTexts(encoder.encode_normalised(corpus.val.texts), corpus.val, 2)


def logits_of(val, right, size, seed):
    """Logits by which so large a share of the texts is decided rightly."""
    random = np.random.default_rng(seed)
    sign = np.where(val.targets().argmax(1) == 1, 1, -1)
    sign = np.where(random.random(len(sign)) < right, sign, -sign)
    found = np.zeros((len(sign), 2), dtype=np.float32)
    found[:, 1] = sign * size * random.random(len(sign))
    return found


def test_the_better_part_counts_more_whatever_its_scale(val):
    good, bad = logits_of(val, 0.95, 1.0, 0), logits_of(val, 0.6, 30.0, 1)
    deep, wide = find_factors(good, bad, val)
    assert deep * np.abs(good).mean() > 3 * wide * np.abs(bad).mean()
    again = find_factors(bad, good, val)
    assert again == pytest.approx((wide, deep), rel=0.05)
    # Twice the logits, half the factor.
    assert find_factors(2 * good, bad, val).deep == pytest.approx(deep / 2, rel=1e-4)


def test_two_parts_that_err_elsewhere_are_better_together(val):
    one, other = logits_of(val, 0.8, 4.0, 2), logits_of(val, 0.8, 4.0, 3)
    deep, wide = find_factors(one, other, val)

    def loss(logits):
        return -(val.targets() * log_softmax(logits, axis=1)).sum() / val.rows

    both = loss(deep * one + wide * other)
    assert both < loss(deep * one) and both < loss(wide * other)
    assert 0.3 < deep / (deep + wide) < 0.7


def test_few_texts_are_doubted_that_want_one_part_alone(val, monkeypatch):
    perfect, noise = logits_of(val, 1.0, 5.0, 4), logits_of(val, 0.5, 5.0, 5)
    alone = find_factors(perfect, noise, val)
    assert alone.wide < 0.1
    monkeypatch.setattr(joining, "PRIOR", 1000.0 * val.rows)
    doubted = find_factors(perfect, noise, val)
    of_both = [temperature_of(each, val) for each in (perfect, noise)]
    assert doubted == pytest.approx((0.5 / of_both[0], 0.5 / of_both[1]))


def test_what_is_expected_is_what_few_texts_are_pulled_to(val, monkeypatch):
    one, other = logits_of(val, 0.8, 4.0, 2), logits_of(val, 0.8, 4.0, 3)
    monkeypatch.setattr(joining, "PRIOR", 1000.0 * val.rows)
    alone = find_factors(one, other, val, expected=0.0)
    assert alone == pytest.approx((1 / temperature_of(one, val), 0.0))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = make_encoder(tmp_path_factory.mktemp("encoder"))
    return Config(model="encoder", encoder=str(folder), epochs=3, refit=False)


@pytest.fixture(scope="module")
def fitted(corpus, config, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTGAUGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return fit(corpus, learn_encoder(corpus.train.texts, config), config)


def test_a_training_finds_the_wide_part_and_joins_it(corpus, fitted):
    model, val = fitted.model, fitted.encode(corpus.val)
    assert model.joined
    assert model.wide.embedding.weight.any() and model.wide.numbers.weight.any()
    both = predict_logits(model, val)
    np.testing.assert_allclose(both, fitted.calibrated.logits, atol=1e-4)
    model.joined = False
    deep = predict_logits(model, val)
    model.joined = True
    assert np.abs(both - deep).max() > 0.1
    # What the loop reports is of the deep part alone: no step of it changes the wide one.
    assert not any(p.requires_grad for p in model.wide.parameters())


def test_a_refitted_model_has_its_parts_in_the_same_measure(corpus, config, fitted, monkeypatch):
    from textgauge.training import fit as fitting

    joined = []
    join = fitting.EncoderClassifier.join
    monkeypatch.setattr(
        fitting.EncoderClassifier,
        "join",
        lambda self, *factors: (joined.append(factors), join(self, *factors)),
    )
    again = fit(corpus, fitted.encoder, replace(config, refit=True))
    first, second = joined
    assert first == second
    np.testing.assert_array_equal(again.calibrated.logits, fitted.calibrated.logits)
    assert not torch.equal(again.model.wide.bias, fitted.model.wide.bias)


def test_parts_of_a_model_of_label_sets_are_joined_label_by_label(config, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGAUGE_CACHE", str(tmp_path))
    random = np.random.default_rng(0)
    words = {"iron": "metal", "plastic": "polymer", "steel": "metal", "new": "age"}
    rows = []
    for _ in range(300):
        some = random.choice(list(words), random.integers(0, 4), replace=False)
        rows.append((" ".join(["bolt", *some]), "|".join(sorted({words[each] for each in some}))))
    rows += [(f"{text}, fair {n}", labels) for n, (text, labels) in enumerate(rows)]
    frame = pl.DataFrame(rows, schema=["text", "label"], orient="row")
    corpus = build_corpus(frame, seed=0, fractions=(0.6, 0.2, 0.2), separator="|")
    sets = replace(config, multi_label=True)
    fitted = fit(corpus, learn_encoder(corpus.train.texts, sets), sets)
    assert fitted.model.joined and min(fitted.factors) >= 0 and fitted.factors.wide > 0
    logits, part = predict_logits(fitted.model, fitted.encode(corpus.test)), corpus.test
    exact = ((logits >= 0) == part.sets.matrix(part.main_label)).all(1)
    assert (exact * part.text_rows).sum() / part.rows > 0.9
