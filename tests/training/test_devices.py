"""Where a training computes, and that a GPU gives the same model where there is one."""

import numpy as np
import polars as pl
import pytest
import torch

from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import build_corpus
from textgauge.errors import SettingsError
from textgauge.text.learn import learn_encoder
from textgauge.training import devices
from textgauge.training.devices import CPU, device_named, half_where_it_pays
from textgauge.training.fit import fit
from textgauge.training.loop import predict_logits

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


def test_a_gpu_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_named("cpu") == device_named("auto") == CPU
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(SettingsError, match=r"built without CUDA: install .* pass --device cpu"):
        device_named("cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(SettingsError, match=r"built for CUDA 13.0 and sees no GPU: look at its dr"):
        device_named("cuda")


@pytest.mark.parametrize("halves", [False, True])
def test_half_precision_is_for_models_and_hardware_that_can_take_it(halves, monkeypatch):
    monkeypatch.setattr(devices, "_multiplies_halves", lambda: halves)

    def kind(device, mixed):
        with half_where_it_pays(torch.device(device), mixed):
            return torch.is_autocast_enabled("cuda"), torch.is_autocast_enabled("cpu")

    assert kind("cpu", False) == kind("cuda", False) == (False, False)
    assert kind("cpu", True) == (False, halves)


@GPU
@pytest.mark.parametrize("model", ["lstm", "cnn", "bag"])
def test_a_gpu_trains_as_well_as_the_processor(model):
    corpus = build_corpus(make_component_notes(20_000), seed=0, fractions=(0.6, 0.2, 0.2))
    assert half_where_it_pays(torch.device("cuda"), True).fast_dtype is torch.bfloat16
    losses, logits = {}, {}
    for device in ("cpu", "cuda", "cuda again"):
        config = Config(
            model=model, epochs=8, lr=0.02 if model == "bag" else 0.005, device=device.split()[0]
        )
        fitted = fit(corpus, learn_encoder(corpus.train.texts, config), config)
        assert {p.device.type for p in fitted.model.parameters()} == {"cpu"}
        losses[device] = min(epoch.val_loss for epoch in fitted.trained.history)
        logits[device] = predict_logits(fitted.model, fitted.encode(corpus.test))
    truth = corpus.test.main_label
    for found in logits.values():
        assert (found.argmax(1) == truth).mean() > 0.97
    assert losses["cuda"] == pytest.approx(losses["cpu"], abs=0.05)
    # Two runs with one seed on one machine.
    np.testing.assert_array_equal(logits["cuda"], logits["cuda again"])


@GPU
@pytest.mark.parametrize("model", ["lstm", "cnn", "bag"])
def test_many_words_give_the_same_weights_twice_on_a_gpu(model):
    """Where steps touch only the rows of their batch, the GPU adds up in no order of its own."""
    random = np.random.default_rng(0)
    words = random.integers(0, 3_000, (4_000, 12))
    letters = [chr(97 + i) for i in range(26)]
    names = ["w" + a + b + c for a in letters for b in letters for c in letters]
    texts = [" ".join(names[i] for i in row) for row in words.tolist()]
    labels = ["b" if row.sum() > 18_000 else "a" for row in words]
    frame = pl.DataFrame({"text": texts, "label": labels})
    corpus = build_corpus(frame, seed=0, fractions=(0.6, 0.2, 0.2))
    config = Config(model=model, epochs=2, device="cuda")
    encoder = learn_encoder(corpus.train.texts, config)
    first, second = (fit(corpus, encoder, config) for _ in range(2))
    assert first.model.embedding.sparse
    for name, weights in first.model.state_dict().items():
        assert torch.equal(weights, second.model.state_dict()[name]), name
