"""The temperature that makes probabilities come true."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import build_corpus
from textgauge.text.learn import learn_encoder
from textgauge.training import calibration
from textgauge.training import fit as fitting
from textgauge.training.calibration import COLDEST, HOTTEST, calibrate, find_temperature
from textgauge.training.loop import predict_logits


def drawn(temperature, texts=20_000, classes=3, seed=0):
    """Logits, and a label each, drawn by their probabilities at this temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (texts, classes)).astype(np.float32)
    noise = random.gumbel(size=logits.shape)
    labels = (logits / temperature + noise).argmax(1)
    return logits, np.eye(classes, dtype=np.float32)[labels]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_labels_were_drawn_at_is_found(temperature):
    assert find_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.03)


@pytest.mark.parametrize("classes", [2, 5])
def test_it_is_the_least_loss_as_a_search_finds_it(classes):
    logits, rows = drawn(1.7, texts=300, classes=classes)
    rows[:40] *= 25  # Some texts stand for many rows.
    softened = 1 / (len(rows) + 2)
    weight = rows.sum(1, keepdims=True)
    targets = rows / weight * (1 - softened) + softened / classes

    def loss(log_temperature):
        found = log_softmax(logits.astype(float) / np.exp(log_temperature), axis=1)
        return -(weight * targets * found).sum()

    best = minimize_scalar(loss, bounds=(-2, 2), method="bounded", options={"xatol": 1e-9})
    assert find_temperature(logits, rows) == pytest.approx(np.exp(best.x), rel=1e-5)


def test_where_every_label_is_right_it_stays_within_reason():
    logits = np.array([[0.0, 6.0], [6.0, 0.0]] * 50, dtype=np.float32)
    rows = np.array([[0, 1], [1, 0]] * 50, dtype=np.float32)
    # As sure as a hundred texts without an error allow: (n + 1) / (n + 2), softened for both.
    odds = (1 - 1 / 204) / (1 / 204)
    assert find_temperature(logits, rows) == pytest.approx(6 / np.log(odds), rel=1e-6)


def test_where_nothing_is_right_it_is_as_hot_as_it_may_be():
    logits = np.array([[0.0, 6.0]] * 50, dtype=np.float32)
    rows = np.array([[1, 0]] * 50, dtype=np.float32)
    assert find_temperature(logits, rows) == pytest.approx(HOTTEST, rel=1e-6)
    tiny = np.array([[0.0, 1e-6]] * 50, dtype=np.float32)
    assert find_temperature(tiny, rows[:, ::-1]) == pytest.approx(COLDEST, rel=1e-6)
    assert find_temperature(logits[:0], rows[:0]) == 1.0


@pytest.mark.parametrize("model", ["lstm", "cnn", "bag"])
def test_a_training_divides_the_logits_of_its_last_layer(model, monkeypatch):
    corpus = build_corpus(make_component_notes(600), seed=0, fractions=(0.6, 0.2, 0.2))
    config = Config(model=model, epochs=3, hidden_size=12, embedding_size=8, filters=6, lr=0.02)
    encoder = learn_encoder(corpus.train.texts, config)
    found = fitting.fit(corpus, encoder, config)
    assert found.calibrated.temperature != 1
    monkeypatch.setattr(fitting, "calibrate", lambda *given: 1.0)
    without = fitting.fit(corpus, encoder, config)
    hot, cold = (predict_logits(each.model, each.encode(corpus.test)) for each in (without, found))
    np.testing.assert_allclose(hot / found.calibrated.temperature, cold, rtol=1e-4, atol=1e-5)
    assert (hot.argmax(1) == cold.argmax(1)).all()
    # A second time there is nothing left to do.
    again = calibrate(found.model, found.encode(corpus.val))
    assert again.temperature == pytest.approx(1.0, rel=1e-4)
    np.testing.assert_allclose(again.logits, found.calibrated.logits, atol=1e-4)


def test_of_very_many_labels_some_texts_tell_the_temperature(monkeypatch):
    random = np.random.default_rng(0)
    logits = random.normal(scale=4.0, size=(4_000, 20)).astype(np.float32)
    powers = np.exp(logits / 2)  # They come true as at a temperature of 2.
    chance = powers / powers.sum(1, keepdims=True)
    label = (chance.cumsum(1) > random.random((4_000, 1))).argmax(1)
    rows = np.eye(20, dtype=np.float32)[label]
    every = find_temperature(logits, rows)
    monkeypatch.setattr(calibration, "CELLS", 1)
    some = find_temperature(logits, rows)
    assert some == find_temperature(logits[::8], rows[::8])  # 500 texts at least.
    assert (every, some) == (pytest.approx(2, rel=0.05), pytest.approx(2, rel=0.15))
