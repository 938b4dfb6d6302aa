"""The exported folder: whole or not at all, pinned, and an image that could be built from it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from textgauge.bundle import export
from textgauge.bundle.export import export_bundle
from textgauge.bundle.predictor import Predictor
from textgauge.errors import StorageError


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    export_bundle(trained.folder, Predictor.load(trained.folder, cores=1), folder)
    return folder


def test_it_holds_these_files_and_nothing_is_left_beside_it(exported):
    assert sorted(path.name for path in exported.parent.iterdir()) == ["model"]
    assert sorted(path.name for path in exported.iterdir()) == [
        "Dockerfile", "README.md", "example.py", "model.json", "model.onnx", "predict.py",
        "requirements.txt",
    ]  # fmt: skip
    assert exported.stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask():
    found = os.umask(0)
    os.umask(found)
    return found


def test_requirements_are_numpy_and_onnxruntime_as_they_are_here(exported):
    assert (exported / "requirements.txt").read_text().splitlines() == [
        f"numpy=={version('numpy')}",
        f"onnxruntime=={version('onnxruntime')}",
    ]


def test_settings_hold_what_the_bundle_holds(exported, trained):
    found = json.loads((exported / "model.json").read_text())
    assert found["classes"] == list(trained.corpus.classes)
    assert found["words"] == list(trained.fitted.encoder.vocabulary.words)
    assert (found["decision_weights"], found["review_below"]) == (None, None)


def test_the_card_tells_how_to_use_what_lies_beside_it(exported, trained):
    card, before = (folder / "README.md" for folder in (exported, trained.folder))
    told, was = card.read_text(), before.read_text()
    assert 'python predict.py "a text"' in told
    assert "textgauge.load" in was
    assert "textgauge.load" not in told
    # The rest is the bundle's own.
    assert re.split(r"## Use\n.*?\n## ", told, flags=re.DOTALL) == re.split(
        r"## Use\n.*?\n## ", was, flags=re.DOTALL
    )


def test_a_bundle_without_a_card_gets_one(trained, tmp_path):
    bundle = shutil.copytree(trained.folder, tmp_path / "bundle")
    (bundle / "README.md").unlink()
    export_bundle(bundle, Predictor.load(bundle, cores=1), tmp_path / "out", notes=["a note"])
    assert "predict.py < texts.txt\n```" in (tmp_path / "out" / "README.md").read_text()
    assert "\na note\n" in (tmp_path / "out" / "README.md").read_text()


def test_what_fails_leaves_nothing(trained, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_card", full)
    predictor = Predictor.load(trained.folder, cores=1)
    with pytest.raises(StorageError, match=r"cannot be written to .*out: No space left on device"):
        export_bundle(trained.folder, predictor, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# ---- the Dockerfile, without Docker --------------------------------------------------------------


def instructions(folder):
    """Instructions of the Dockerfile: a list of (name, arguments)."""
    lines = (folder / "Dockerfile").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def test_the_image_is_built_and_runs(exported, tmp_path):
    """What its lines do, in a folder that stands for /model, by this Python.

    pip is asked whether the pins are there, and installs nothing: they come from here.
    """
    image = tmp_path / "model"
    image.mkdir()
    seen = []
    for name, arguments in instructions(exported):
        seen.append(name)
        if name == "FROM":
            assert arguments == f"python:3.{sys.version_info.minor}-slim"
        elif name == "COPY":
            *sources, target = [a for a in shlex.split(arguments) if not a.startswith("--")]
            assert target == "./"
            for source in sources:
                shutil.copy(exported / source, image / source)
        elif name == "RUN":
            command = shlex.split(arguments)
            assert command[:2] == ["pip", "install"]
            pip = [sys.executable, "-m", *command, "--no-index", "--no-deps", "--dry-run"]
            done = subprocess.run(pip, cwd=image, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("Requirement already satisfied") == 2
        elif name == "USER":
            user, group = map(int, arguments.split(":"))
            assert min(user, group) > 0, "not root"
        elif name == "ENTRYPOINT":
            program, *rest = json.loads(arguments)
            assert program == "python"
            command = [sys.executable, *rest, "iron component of 1999"]
            image.chmod(0o555)  # It writes nothing beside itself.
            done = subprocess.run(command, cwd=image, capture_output=True, check=False, env={})
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["text"] == "iron component of 1999"
            assert not done.stderr
    assert seen == ["FROM", "WORKDIR", "COPY", "RUN", "COPY", "USER", "ENTRYPOINT"]
    assert {path.name for path in image.iterdir()} == {
        path.name for path in exported.iterdir() if path.name not in ("Dockerfile", "example.py")
    }
