"""A model's folder that would run anything but the carried predictor is refused."""

from __future__ import annotations

import compileall
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from logged_run import LoggedRun

from textgauge.errors import BundleError
from textgauge.tracking.model_contents import discard_compiled_code, refuse_foreign_contents

Change = Callable[[Path], object]


@pytest.fixture
def folder(filled_store: LoggedRun, tmp_path: Path) -> Path:
    """A model's folder as a run stored it."""
    assert filled_store.record.artifact_folder is not None
    return Path(shutil.copytree(filled_store.record.artifact_folder / "model", tmp_path / "model"))


def package(folder: Path) -> Path:
    (found,) = (folder / "code").iterdir()
    return found


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def save_arrays(folder: Path) -> None:
    with (folder / "fills.json").open("wb") as file:
        np.savez(file, a=np.arange(3))


def test_what_a_run_stored_is_taken(folder: Path) -> None:
    refuse_foreign_contents(folder)
    (folder / "registered_model_meta").write_text("model_name: bolts\n")  # MLflow's, on download
    refuse_foreign_contents(folder)


def test_weights_whose_header_s_length_begins_like_a_pickle_are_taken(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    content = weights.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end].rstrip().ljust(640)
    assert len(header) == 640
    weights.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    assert weights.read_bytes()[:3] == b"\x80\x02\0"
    refuse_foreign_contents(folder)


def test_what_python_compiled_goes_and_nothing_else_does(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    assert compileall.compile_dir(folder / "code", quiet=2)
    with pytest.raises(BundleError, match="is compiled code"):
        refuse_foreign_contents(folder)
    discard_compiled_code(folder)
    assert sorted(folder.rglob("*")) == before
    # Another file in such a folder is none of Python's.
    cache = package(folder) / "bundle" / "__pycache__"
    cache.mkdir()
    (cache / "notes.txt").write_text("")
    discard_compiled_code(folder)
    with pytest.raises(BundleError, match=r"__pycache__/notes.txt is no file of a model"):
        refuse_foreign_contents(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    {
        "pickle": (lambda f: (f / "model.pkl").write_bytes(b""), "model.pkl is a pickle"),
        "pickle under a known name": (
            lambda f: (f / "profile.json").write_bytes(pickle.dumps({})),
            "profile.json is a pickle",
        ),
        "arrays under a known name": (save_arrays, "fills.json is a pickle"),
        "more code": (
            lambda f: (f / "code" / "sitecustomize.py").write_text(""),
            "code/sitecustomize.py is no file of a model",
        ),
        "a module in the carried code": (
            lambda f: (package(f) / "more.py").write_text(""),
            "was changed: its digest is not that of its name",
        ),
        "changed code": (
            lambda f: (package(f) / "errors.py").write_text("import os\n"),
            "was changed: its digest is not that of its name",
        ),
        "no code": (lambda f: shutil.rmtree(f / "code"), "code holds 0 predictors"),
        "two predictors": (
            lambda f: shutil.copytree(package(f), f / "code" / "textgauge_predictor_0"),
            "code holds 2 predictors",
        ),
        "compiled code": (
            lambda f: (
                (package(f) / "__pycache__").mkdir(),
                (package(f) / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b""),
            ),
            r"errors.cpython-311.pyc is compiled code \(remove the folder __pycache__",
        ),
        "a link": (lambda f: (f / "weights.link").symlink_to("/etc/hosts"), "is a link"),
        "another loader": (
            lambda f: replace(f / "MLmodel", ".bundle.pyfunc", ".bundle.other"),
            "MLmodel has MLflow run something else",
        ),
        "another flavour": (
            lambda f: replace(f / "MLmodel", "flavors:", "flavors:\n  sklearn: {a: b}"),
            "MLmodel has MLflow run something else",
        ),
        "a data path": (
            lambda f: replace(f / "MLmodel", "    loader_module", "    data: x\n    loader_module"),
            "MLmodel has MLflow run something else",
        ),
        "no MLmodel": (lambda f: (f / "MLmodel").unlink(), "MLmodel cannot be read"),
        "broken MLmodel": (lambda f: (f / "MLmodel").write_text("]["), "MLmodel cannot be read"),
        "a requirement": (
            lambda f: replace(f / "requirements.txt", "numpy", "evil==1.0\nnumpy"),
            "requirements.txt asks for 'evil==1.0'",
        ),
        "a requirement in conda.yaml": (
            lambda f: replace(f / "conda.yaml", "  - numpy", "  - --index-url=http://x\n  - numpy"),
            "conda.yaml asks for",
        ),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_else_is_named(folder: Path, change: Change, told: str) -> None:
    change(folder)
    with pytest.raises(BundleError, match=told) as error:
        refuse_foreign_contents(folder)
    assert re.search(r"is not as textgauge saved it: .*It is not registered", str(error.value))
