"""What is written, that it is written whole or not at all, and that none of it is a pickle."""

import copy
import errno
import inspect
import json
import pickletools
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from textgauge.bundle import files
from textgauge.bundle.card import model_card
from textgauge.bundle.decision import DecisionRule
from textgauge.bundle.predictor import Predictor
from textgauge.bundle.proof import carried_code
from textgauge.bundle.save import save_bundle
from textgauge.errors import StorageError
from textgauge.models import build_model
from textgauge.text.encoder import TextEncoder
from textgauge.text.fills import learn_fills
from textgauge.text.notation import Notation
from textgauge.text.numbers import NumberScale

CONTENT = (files.SETTINGS, files.VOCABULARY, files.FILLS, files.ONNX, files.WEIGHTS, files.CARD)


@pytest.fixture
def save(trained):
    """Save the trained model into a folder."""

    def save_it(folder, settings=None):
        save_bundle(
            folder,
            trained.fitted.model,
            trained.fitted.encoder,
            learn_fills(trained.corpus.train.texts, trained.fitted.encoder),
            settings=settings or trained.settings,
            card="# card: né\n",
        )

    return save_it


def content_of(folder):
    """The bytes of every file below a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def failing(monkeypatch, file, error):
    """Let the write of one file fail after some bytes, as a full disk does."""
    for method in ("write_text", "write_bytes"):
        real = getattr(Path, method)

        def write(path, data, *args, real=real, **options):
            if file in path.name:
                real(path, data[: len(data) // 2], *args, **options)
                raise error
            return real(path, data, *args, **options)

        monkeypatch.setattr(Path, method, write)


# ---- what is written


def test_the_settings_come_back_with_the_formats_version_first(trained):
    values = json.loads((trained.folder / files.SETTINGS).read_text("utf-8"))
    assert next(iter(values.items())) == ("format_version", files.FORMAT_VERSION)
    assert values == {"format_version": files.FORMAT_VERSION, **trained.settings}


def test_a_rule_of_decision_makes_the_bundle_one_that_older_readers_refuse(trained, tmp_path):
    settings = {**trained.settings, "decision": DecisionRule(review_below=0.9).to_json()}
    fills = learn_fills(trained.corpus.train.texts, trained.fitted.encoder)
    model, encoder = trained.fitted.model, trained.fitted.encoder
    save_bundle(tmp_path / "model", model, encoder, fills, settings=settings, card="")
    values = json.loads((tmp_path / "model" / files.SETTINGS).read_text("utf-8"))
    assert values["format_version"] == files.DECIDING_VERSION == 2
    assert Predictor.load(tmp_path / "model").rule == DecisionRule(review_below=0.9)


@pytest.mark.parametrize(
    ("notation", "version"),
    [({}, files.FORMAT_VERSION), ({"decimal_comma": True}, 6), ({"apostrophes": True}, 6)],
)
def test_another_notation_makes_the_bundle_one_that_older_readers_refuse(
    trained, tmp_path, notation, version
):
    scale = NumberScale(trained.fitted.encoder.numbers.edges, Notation(**notation))
    encoder = replace(trained.fitted.encoder, numbers=scale)
    fills = learn_fills(trained.corpus.train.texts, encoder)
    model, settings = trained.fitted.model, trained.settings
    save_bundle(tmp_path / "model", model, encoder, fills, settings=settings, card="")
    values = json.loads((tmp_path / "model" / files.SETTINGS).read_text("utf-8"))
    assert values["format_version"] == version
    assert Predictor.load(tmp_path / "model").encoder.numbers.notation == Notation(**notation)


def test_the_encoder_comes_back(trained):
    values = json.loads((trained.folder / files.VOCABULARY).read_text("utf-8"))
    encoder = TextEncoder.from_json(values)
    texts = trained.corpus.test.texts
    expected = trained.fitted.encoder.encode(texts)
    found = encoder.encode(texts)
    for name in ("ids", "positions", "lengths"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_the_weights_are_the_models_bit_for_bit(trained):
    weights = load_file(trained.folder / files.WEIGHTS)
    expected = trained.fitted.model.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_weights_and_the_settings_make_the_model_again(trained):
    sizes = dict(trained.settings["architecture"])
    model = build_model(sizes.pop("name"), sizes)
    model.load_state_dict(load_file(trained.folder / files.WEIGHTS))
    model.eval()
    ids, positions, lengths = map(
        torch.from_numpy,
        trained.fitted.encoder.encode(trained.corpus.test.texts).padded(np.arange(4)),
    )
    trained.fitted.model.eval()
    with torch.no_grad():
        expected = trained.fitted.model(ids, positions, lengths)
        assert torch.equal(model(ids, positions, lengths), expected)


def test_the_network_is_whole_and_valid(trained):
    onnx.checker.check_model(onnx.load(trained.folder / files.ONNX), full_check=True)


def test_the_card_is_written_as_it_was_given(trained, save, tmp_path):
    save(tmp_path / "model")
    assert (tmp_path / "model" / files.CARD).read_bytes() == "# card: né\n".encode()
    assert (trained.folder / files.CARD).read_text("utf-8") == model_card(trained.settings)


def test_saving_twice_gives_the_same_bytes(save, tmp_path):
    save(tmp_path / "one")
    save(tmp_path / "two")
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")


def test_no_file_is_a_pickle_or_holds_one(trained):
    for path in (path for path in trained.folder.rglob("*") if path.is_file()):
        assert not zipfile.is_zipfile(path), path
        with pytest.raises(ValueError):
            list(pickletools.genops(path.read_bytes()))


def test_the_code_that_predicts_is_taken_along(trained):
    folder, package = carried_code(trained.folder)
    assert folder == trained.folder / "code"
    carried = (folder / package / "bundle" / "predictor.py").read_bytes()
    assert carried == Path(inspect.getsourcefile(Predictor)).read_bytes()


# ---- whole or not at all


def test_the_folders_above_are_made(save, tmp_path):
    save(tmp_path / "a" / "b" / "model")
    assert len(Predictor.load(tmp_path / "a" / "b" / "model").predict(["steel"])) == 1


def test_an_empty_folder_is_filled(save, tmp_path):
    (tmp_path / "model").mkdir()
    save(tmp_path / "model")
    assert content_of(tmp_path / "model").keys() > set(CONTENT)


def test_a_folder_that_holds_something_is_left_as_it_was(save, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"saved in .*model: Directory not empty"):
        save(folder)
    assert content_of(folder) == {"mine.txt": b"mine"}
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", [*CONTENT, "predictor.py"])
def test_a_disk_that_fills_up_leaves_nothing(save, tmp_path, monkeypatch, name):
    failing(monkeypatch, name, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StorageError) as error:
        save(tmp_path / "model")
    assert str(error.value) == (
        f"the model cannot be saved in {tmp_path / 'model'}: No space left on device. "
        "Make room or give another folder with --out."
    )
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(save, tmp_path, monkeypatch):
    failing(monkeypatch, files.CARD, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_is_no_number_is_not_written(trained, save, tmp_path):
    settings = copy.deepcopy(trained.settings)
    settings["figures"]["LSTM, epoch 2"]["rows"]["loss"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(tmp_path / "model", settings)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_wanted_is_told(save, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be saved in .*: .* --out\."):
        save(tmp_path / "file" / "model")
    with pytest.raises(StorageError, match="cannot be saved in"):
        save(tmp_path / "file")
    assert content_of(tmp_path) == {"file": b""}


def test_what_a_killed_process_left_is_no_hindrance(save, tmp_path):
    partial = tmp_path / "model.partial"
    partial.mkdir()
    (partial / files.ONNX).write_bytes(b"half")
    save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert len(Predictor.load(tmp_path / "model").predict(["steel"])) == 1
