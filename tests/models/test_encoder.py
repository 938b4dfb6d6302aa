"""A pretrained encoder with its head: features, their cache, numbers, the wide part."""

import json
import sqlite3
import threading

import numpy as np
import polars as pl
import pytest
import torch
from made_encoder import add_modules, make_encoder
from made_models import make_batch
from made_models import make_model as make

from textgauge.config import Config
from textgauge.errors import SettingsError
from textgauge.models import feature_cache
from textgauge.models.encoder import EncoderClassifier
from textgauge.models.frozen import FrozenEncoder, depths_of
from textgauge.models.pretrained import PretrainedEncoder
from textgauge.text.encoder import Encoded
from textgauge.text.encoder_folder import find_encoder
from textgauge.text.learn import learn_encoder
from textgauge.text.vocabulary import NUMBER

TEXTS = pl.Series(
    ["steel bolt", "iron bolt made in 1970", "a good component of 1990, new", "zebra", ""]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return find_encoder(str(make_encoder(tmp_path_factory.mktemp("encoder"))))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGAUGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def config(folder):
    return Config(model="encoder", encoder=str(folder.path), min_texts=1)


def read(config):
    return learn_encoder(TEXTS, config).encode_normalised(TEXTS)


def counted(monkeypatch):
    """How many texts the network is asked for, call by call."""
    asked = []
    run = FrozenEncoder.run

    def counting(self, ids, lengths):
        asked.append(len(ids))
        return run(self, ids, lengths)

    monkeypatch.setattr(FrozenEncoder, "run", counting)
    return asked


def nothing(done, texts):
    """Nobody is told."""


# ---- features


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_features_are_those_of_hugging_faces_model(tmp_path, pooling, cache):
    from transformers import AutoModel

    path = make_encoder(tmp_path / "model")
    modes = {"mean": "mean_tokens", "cls": "cls_token"}
    add_modules(path, "Transformer", "Pooling", "Normalize", pooling=(modes[pooling],))
    folder = find_encoder(str(path))
    encoded = read(Config(model="encoder", encoder=str(path), numbers=False))
    found = FrozenEncoder(folder).features(encoded, nothing)
    module = AutoModel.from_pretrained(path).eval()
    for text, features in zip(np.split(encoded.ids, encoded.starts[1:]), found, strict=True):
        pieces = [2, *(1 if each == 1 else int(each) - 3 for each in text), 3]
        with torch.no_grad():
            told = module(torch.tensor([pieces]), output_hidden_states=True)
        first, second, states = (each[0] for each in told.hidden_states)
        pooled = states[0] if pooling == "cls" else states.mean(0)
        last = torch.nn.functional.normalize(pooled, dim=0)
        expected = torch.cat([first.mean(0), second.mean(0), last])
        np.testing.assert_allclose(features, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "expected"), [(0, []), (1, [0]), (2, [0, 1]), (6, [0, 2, 4]), (12, [0, 4, 8])]
)
def test_the_states_are_looked_at_evenly(tmp_path, layers, expected):
    path = make_encoder(tmp_path, layers=max(layers, 1))
    config = json.loads((path / "config.json").read_text())
    if not layers:  # A folder that does not say how many there are.
        del config["num_hidden_layers"]
        (path / "config.json").write_text(json.dumps(config))
    found = find_encoder(str(path))
    assert depths_of(found) == expected
    assert FrozenEncoder.width_of(found) == 16 * (len(expected) + 1)


def test_a_text_has_the_same_features_whatever_stands_beside_it(config, folder, cache):
    encoded = read(config)
    together = FrozenEncoder(folder).features(encoded, nothing)
    for row, (start, length) in enumerate(zip(encoded.starts, encoded.lengths, strict=True)):
        ids = encoded.ids[start : start + length]
        alone = Encoded(ids, np.zeros(length, np.float32), np.array([length], np.int32))
        for path in cache.rglob("*.sqlite"):
            path.unlink()
        assert np.array_equal(FrozenEncoder(folder).features(alone, nothing)[0], together[row])


def test_features_are_computed_once_for_texts_that_differ_in_numbers_only(
    config, folder, cache, monkeypatch
):
    asked = counted(monkeypatch)
    texts = pl.Series([f"steel bolt of {year}" for year in range(1900, 2000)])
    told = []
    encoded = learn_encoder(texts, config).encode_normalised(texts)
    found = FrozenEncoder(folder).features(encoded, lambda *each: told.append(each))
    assert asked == [2]  # A pair, of which one is wanted.
    assert told == [(0, 1), (1, 1)]
    assert (found == found[0]).all()


def test_what_was_computed_is_found_on_disk_and_equal(config, folder, cache, monkeypatch):
    asked = counted(monkeypatch)
    first = FrozenEncoder(folder).features(read(config), nothing)
    assert asked
    asked.clear()
    assert np.array_equal(FrozenEncoder(folder).features(read(config), nothing), first)
    assert not asked


@pytest.mark.parametrize("damage", ["cut", "other", "bits", "no file"])
def test_a_damaged_cache_is_ignored_and_made_again(config, folder, cache, damage):
    first = FrozenEncoder(folder).features(read(config), nothing)
    (file,) = cache.rglob("features.sqlite")
    (graph,) = cache.rglob("*.onnx")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:5_000])
        graph.write_bytes(graph.read_bytes()[:100])
    elif damage == "other":
        file.write_text("no database" * 100)
        graph.write_text("no graph")
    elif damage == "bits":
        with sqlite3.connect(file) as rows:
            rows.execute("UPDATE features SET features = zeroblob(length(features))")
        rows.close()
    else:
        file.unlink()
        file.mkdir()
    for _ in range(2):
        assert np.array_equal(FrozenEncoder(folder).features(read(config), nothing), first)
    assert len(list(cache.rglob("*.onnx"))) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(config, folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TEXTGAUGE_CACHE", str(tmp_path / "file"))
    assert FrozenEncoder(folder).features(read(config), nothing).shape == (5, 48)


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv("TEXTGAUGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert feature_cache.cache_folder() == tmp_path / "textgauge"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert feature_cache.cache_folder() == tmp_path / ".cache" / "textgauge"


def test_what_was_computed_before_an_interrupt_stays(config, folder, cache, monkeypatch):
    def stop(done, texts):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FrozenEncoder(folder).features(read(config), stop)
    asked = counted(monkeypatch)
    done = []
    FrozenEncoder(folder).features(read(config), lambda *each: done.append(each))
    assert 0 < done[-1][1] < 4
    assert asked


def test_several_that_write_at_the_same_time_lose_nothing(cache):
    def put(start):
        kept = feature_cache.FeatureCache("digest", 4)
        for at in range(start, start + 20):
            kept.put({bytes([at]): np.full(4, at, np.float32)})

    workers = [threading.Thread(target=put, args=(start,)) for start in (0, 20, 40)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    found = feature_cache.FeatureCache("digest", 4).get([bytes([at]) for at in range(60)])
    assert {key[0]: each.tolist() for key, each in found.items()} == {
        at: [float(at)] * 4 for at in range(60)
    }


# ---- the head


def test_features_are_centred_and_scaled_by_the_training_texts(config, folder, cache):
    encoded = read(config)
    learned = EncoderClassifier.learn(encoded, config)
    sizes = EncoderClassifier.sizes(config) | learned.sizes
    model = EncoderClassifier(vocabulary_size=40, outputs=1, number_bins=0, **sizes)
    model.begin(config, learned.tables)
    prepared = model.prepare(encoded, nothing, train=True)
    scaled = (prepared.features - model.mean.numpy()) / model.spread.numpy()
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
    assert np.median(scaled.std(0)) == pytest.approx(1, abs=1e-4)
    assert scaled.std(0).max() <= 1.001
    before = model.mean.clone()
    model.prepare(encoded, nothing)
    assert torch.equal(model.mean, before)
    batch = [torch.from_numpy(part) for part in encoded.padded(np.arange(len(encoded)))]
    with torch.no_grad():
        model.eval()
        torch.testing.assert_close(
            model(*batch), model(*batch, torch.from_numpy(prepared.features)), atol=1e-5, rtol=0
        )


def test_the_logits_are_those_of_both_parts():
    model = make("encoder").eval()
    ids, lengths = torch.tensor([[4, NUMBER, 5, NUMBER, NUMBER]]), torch.tensor([4])
    positions, features = torch.tensor([[0.0, 1.0, 0.0, 3.5, 6.0]]), torch.randn(1, 12)
    scaled = (features - model.mean) / model.spread
    hidden = model.hidden(scaled) + model.numbers(ids[:, :4], positions[:, :4])
    deep = model.output(torch.relu(hidden))
    wide = model.wide(ids, positions, lengths)
    torch.testing.assert_close(model(ids, positions, lengths, features), deep + wide)
    before = model(ids, positions, lengths, features)
    model.divide_logits(2.0)
    torch.testing.assert_close(model(ids, positions, lengths, features), before / 2)
    model.join(3.0, 0.5)
    torch.testing.assert_close(
        model(ids, positions, lengths, features), 3.0 * deep / 2 + 0.5 * wide / 2
    )
    model.joined = False
    torch.testing.assert_close(model(ids, positions, lengths, features), 3.0 * deep / 2)


def test_behind_what_the_encoder_reads_the_wide_part_reads_on():
    model = make("encoder").eval()
    most = 40 - 2
    ids = torch.randint(4, 20, (2, most + 3))
    ids[1] = ids[0]
    ids[0, most + 1], ids[1, most + 1] = 5, 6
    lengths, positions = torch.tensor([most + 3, most + 3]), torch.zeros(ids.shape)
    first, second = model(ids, positions, lengths)
    assert abs(first - second) > 1e-4
    model.joined = False
    first, second = model(ids, positions, lengths)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(
        model(ids[:, :most], positions[:, :most], torch.tensor([most, most])),
        model(ids, positions, lengths),
    )
    # Texts that begin alike are read once.
    encoded = Encoded(
        ids.flatten().numpy().astype(np.int32),
        np.zeros(ids.numel(), np.float32),
        lengths.numpy().astype(np.int32),
    )
    told = []
    features = model._frozen.features(encoded, lambda *each: told.append(each))
    assert np.array_equal(features[0], features[1]) and all(texts == 1 for _, texts in told)


def test_a_frozen_encoder_is_none_of_the_weights_and_a_trained_one_is(config, folder, cache):
    frozen = make("encoder")
    assert not any(name.startswith("encoder") for name in frozen.state_dict())
    tuned = EncoderClassifier(vocabulary_size=32, outputs=1, number_bins=0, embedding_size=16)
    tuned.begin(Config(model="encoder", encoder=str(folder.path), fine_tune=True), {})
    ids, positions, lengths = make_batch()
    tuned.train()(ids, positions, lengths).sum().backward()
    assert all(p.grad is not None for n, p in tuned.named_parameters() if "wide" not in n)
    assert tuned.prepare(read(config), nothing).features is None
    # It can be written as a graph while it is trained, and goes on training then.
    assert tuned.to_onnx().graph.output[0].name == "logits"
    assert tuned.training


# ---- folders that cannot be loaded


def test_weights_of_another_model_are_refused(tmp_path):
    path, other = make_encoder(tmp_path / "one"), make_encoder(tmp_path / "two", layers=1)
    (other / "model.safetensors").replace(path / "model.safetensors")
    with pytest.raises(SettingsError, match="files of different models: its weights do not fit"):
        PretrainedEncoder(find_encoder(str(path)))


def test_damaged_weights_are_refused(tmp_path):
    path = make_encoder(tmp_path / "one")
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(SettingsError, match="cannot be loaded"):
        PretrainedEncoder(find_encoder(str(path)))


@pytest.mark.parametrize("kind", ["RoBERTa", "DistilBERT", "MPNet", "ModernBERT", "ALBERT"])
def test_other_kinds_are_read_as_hugging_face_reads_them(tmp_path, kind, cache):
    import transformers

    names = {"RoBERTa": "Roberta", "DistilBERT": "DistilBert", "MPNet": "MPNet",
             "ModernBERT": "ModernBert", "ALBERT": "Albert"}  # fmt: skip
    path = make_encoder(tmp_path / "model")
    own = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
    shared = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "intermediate_size": 32, "embedding_size": 16}  # fmt: skip
    ids = {"pad_token_id": 0, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3,
           "sep_token_id": 3, "mask_token_id": 4}  # fmt: skip
    config = getattr(transformers, f"{names[kind]}Config")(
        vocab_size=30, max_position_embeddings=40, **ids,
        **(own if kind == "DistilBERT" else shared),
    )  # fmt: skip
    torch.manual_seed(1)
    module = transformers.AutoModel.from_config(config).eval()
    module.save_pretrained(path)
    assert json.loads((path / "config.json").read_text())["model_type"] == kind.lower()
    encoded = read(Config(model="encoder", encoder=str(path), numbers=False))
    found = FrozenEncoder(find_encoder(str(path))).features(encoded, nothing)
    for text, features in zip(np.split(encoded.ids, encoded.starts[1:]), found, strict=True):
        pieces = [2, *(1 if each == 1 else int(each) - 3 for each in text), 3]
        with torch.no_grad():
            expected = module(torch.tensor([pieces])).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(features[-16:], expected.numpy(), atol=1e-5)
