"""The names on disk and the format's version: what other programs rely on."""

from textgauge.bundle import files
from textgauge.bundle.carried import CODE_FOLDER


def test_the_names_on_disk_are_these():
    assert files.SETTINGS == "textgauge.json"
    assert files.VOCABULARY == "vocabulary.json"
    assert files.ONNX == "model.onnx"
    assert files.WEIGHTS == "weights.safetensors"
    assert files.CARD == "README.md"


def test_the_format_is_the_first():
    assert files.FORMAT_VERSION == 1


def test_a_saved_model_holds_these_files_and_its_code(trained):
    names = {files.SETTINGS, files.VOCABULARY, files.FILLS, files.ONNX, files.WEIGHTS, files.CARD}
    assert {path.name for path in trained.folder.iterdir()} == names | {CODE_FOLDER}
