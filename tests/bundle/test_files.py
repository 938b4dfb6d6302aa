"""The names on disk and the format's version: what other programs rely on."""

from textgauge.bundle import files
from textgauge.bundle.carried import CODE_FOLDER


def test_the_names_on_disk_are_these():
    assert files.SETTINGS == "textgauge.json"
    assert files.VOCABULARY == "vocabulary.json"
    assert files.PROFILE == "profile.json"
    assert files.ONNX == "model.onnx"
    assert files.WEIGHTS == "weights.safetensors"
    assert files.CARD == "README.md"
    assert files.DIGESTS == "digests.json"


def test_the_format_is_the_first():
    assert files.FORMAT_VERSION == 1
    assert files.DECIDING_VERSION == 2


def test_a_saved_model_holds_these_files_and_its_code(trained):
    names = {files.SETTINGS, files.VOCABULARY, files.FILLS, files.PROFILE, files.ONNX}
    names |= {files.WEIGHTS, files.CARD, files.DIGESTS}
    assert {path.name for path in trained.folder.iterdir()} == names | {CODE_FOLDER}
