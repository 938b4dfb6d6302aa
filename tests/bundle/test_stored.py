"""What a bundle may hold, and that a changed file is found."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import zipfile

import pytest

from textgauge.bundle import files
from textgauge.bundle.predictor import Predictor
from textgauge.bundle.stored import StoredFiles, strict_json, write_digests
from textgauge.errors import BundleError

TEXTS = ["steel bolt of 1979", ""]


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained.folder, tmp_path / "model")


def refused(folder):
    with pytest.raises(BundleError) as error:
        Predictor.load(folder)
    assert type(error.value) is BundleError
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- digests


def test_the_digests_are_those_of_the_files(trained):
    found = json.loads((trained.folder / files.DIGESTS).read_text())["sha256"]
    assert sorted(found) == sorted(files.DIGESTED)
    for name, digest in found.items():
        assert hashlib.sha256((trained.folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", [files.SETTINGS, files.VOCABULARY, files.ONNX, files.PROFILE])
def test_a_file_that_was_changed_is_refused_however_sound_it_looks(copied, name):
    path = copied / name
    content = path.read_bytes()
    path.write_bytes(content + b"\n" if name != files.ONNX else content[:-1] + b"x")
    assert refused(copied) == (
        f"{path} is damaged (it is not what was saved, says digests.json); copy the model again or "
        "train again."
    )
    if name != files.ONNX:
        write_digests(copied, files.DIGESTED)
        assert len(Predictor.load(copied).predict(TEXTS)) == 2


def test_a_file_that_was_added_is_refused(copied):
    path = copied / files.DIGESTS
    found = json.loads(path.read_text())["sha256"]
    del found[files.PROFILE]
    path.write_text(json.dumps({"sha256": found}))
    assert "profile.json is damaged (digests.json does not know it)" in refused(copied)


def test_the_card_may_be_edited_and_a_bundle_of_before_has_no_digests(copied):
    (copied / files.CARD).write_text("# Ours\n")
    assert len(Predictor.load(copied).predict(TEXTS)) == 2
    (copied / files.DIGESTS).unlink()
    assert len(Predictor.load(copied).predict(TEXTS)) == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sha256": 1}', '{"sha256": {"a": 1}}', "["])
def test_digests_that_are_none_are_told(copied, content):
    (copied / files.DIGESTS).write_text(content)
    assert refused(copied).startswith(f"{copied / files.DIGESTS} is damaged (")


# ---- what is no data


@pytest.mark.parametrize(
    "name",
    ["a.pkl", "a.PICKLE", "pytorch_model.bin", "b.pt", "c.joblib", "data/deep/a.pth", "d.npz"],
)
def test_a_file_named_like_a_pickle_is_refused(copied, name):
    (copied / name).parent.mkdir(parents=True, exist_ok=True)
    (copied / name).write_bytes(b"anything")
    assert refused(copied).startswith(f"{copied / name} is a pickle, which runs code when it is")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_known_by_its_first_bytes(copied, protocol):
    path = copied / "code" / "notes.txt"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=protocol))
    assert refused(copied).startswith(f"{path} is a pickle")


def test_an_archive_with_a_pickle_is_refused_and_another_is_not(copied):
    path = copied / "weights.data"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "a")
    Predictor.load(copied)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", "a")
    assert refused(copied).startswith(f"{path} is a pickle")


def test_weights_whose_length_looks_like_a_pickle_are_none(copied):
    content = (copied / files.WEIGHTS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip().ljust(0x0480)  # b"\x80\x04\0\0..."
    (copied / files.WEIGHTS).write_bytes(
        len(header).to_bytes(8, "little") + header + content[8 + length :]
    )
    assert (copied / files.WEIGHTS).read_bytes()[:2] == b"\x80\x04"
    Predictor.load(copied)


@pytest.mark.parametrize("name", [files.ONNX, "notes", "further"])
def test_a_link_that_leaves_the_folder_is_refused(copied, tmp_path, name):
    outside = tmp_path / "outside"
    if name == "further":
        outside.mkdir()
    else:
        shutil.copy(copied / files.ONNX, outside)
    (copied / name).unlink(missing_ok=True)
    (copied / name).symlink_to(outside)
    assert refused(copied).startswith(f"{copied / name} is a link that leaves the folder, to ")


def test_links_within_the_folder_and_to_it_are_followed(copied, tmp_path):
    (copied / "data").mkdir()
    (copied / files.ONNX).rename(copied / "data" / "1")
    (copied / files.ONNX).symlink_to("data/1")
    (tmp_path / "link").symlink_to(copied)
    assert len(Predictor.load(tmp_path / "link").predict(TEXTS)) == 2


def test_a_link_to_itself_and_a_pipe_are_no_files(copied):
    (copied / "code" / "loop").symlink_to("loop")
    os.mkfifo(copied / "code" / "pipe")
    assert len(Predictor.load(copied).predict(TEXTS)) == 2
    (copied / files.ONNX).unlink()
    os.mkfifo(copied / files.ONNX)
    assert "it has no model.onnx" in refused(copied)


# ---- JSON


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "it has 'c' twice"),
        ('{"a": NaN}', "it holds NaN"),
        ('{"a": [-Infinity]}', "it holds -Infinity"),
        ('{"a": 1e999}', "it holds the number 1e999"),
        ('{"a": "\\udfff"}', "surrogates not allowed"),
        ('{"\\ud800": 1}', "surrogates not allowed"),
        ("[1]", "expected an object"),
        ('{"a": ' + "9" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_json_is_read_strictly(content, reason):
    with pytest.raises((TypeError, ValueError), match=reason):
        strict_json(content.encode())


def test_json_that_is_nested_deeply_is_refused(copied):
    path = copied / files.SETTINGS
    (copied / files.DIGESTS).unlink()
    path.write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert refused(copied).startswith(f"{path} is damaged (")
    path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    assert refused(copied).startswith(f"{path} is damaged (")


def test_whole_pairs_of_surrogates_are_text():
    assert strict_json(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_a_file_that_is_asked_for_and_not_there_is_told(copied):
    stored = StoredFiles(copied)
    assert not stored.has("other.json")
    with pytest.raises(BundleError, match=r"it has no other\.json"):
        stored.read("other.json")
