"""A bundle as an MLflow model: what is added, what is carried, and that it predicts raw texts."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from logged_run import LoggedRun

import textgauge
from textgauge.bundle.carried import CARRIED_FILES, carry_code
from textgauge.tracking.model_folder import REQUIREMENTS, TOKENIZERS, make_model_folder

SOURCE = Path(textgauge.__file__).parent
ENTRY = "bundle/pyfunc.py"


@pytest.fixture
def folder(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "model"))


def imported(path: Path) -> tuple[set[str], set[str]]:
    """The files of the package that a file imports, and the other packages' names."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse((SOURCE / path).read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] / str(node.module or "").replace(".", "/")
            if (SOURCE / base.with_suffix(".py")).is_file():
                ours.add(base.with_suffix(".py").as_posix())
            else:
                ours |= {(base / f"{alias.name}.py").as_posix() for alias in node.names}
    return ours, others


def test_exactly_the_code_that_the_loader_reaches_is_carried() -> None:
    reached, todo, others = set(), {ENTRY}, set()
    while todo:
        name = todo.pop()
        reached.add(name)
        ours, theirs = imported(Path(name))
        others |= theirs
        todo |= ours - reached
    assert sorted(reached) == sorted(CARRIED_FILES), "adapt CARRIED_FILES in bundle/carried.py"
    foreign = others - set(sys.stdlib_module_names) - {"__future__"}
    assert foreign <= {*REQUIREMENTS, TOKENIZERS}, "adapt REQUIREMENTS in model_folder.py"


def test_the_carried_code_needs_no_textgauge(folder: Path) -> None:
    package = carry_code(folder)
    script = (
        "import sys, importlib\n"
        "sys.modules['textgauge'] = None\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "module = importlib.import_module(sys.argv[2] + '.bundle.pyfunc')\n"
        "assert callable(module._load_pyfunc)\n"
        "print([m for m in ('torch', 'sklearn', 'mlflow') if m in sys.modules])"
    )
    out = subprocess.check_output(
        [sys.executable, "-I", "-c", script, str(folder / "code"), package], text=True
    )
    assert out.strip() == "[]"


def test_the_packages_name_follows_its_contents(stand_in: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(stand_in, tmp_path / "textgauge"))
    first = carry_code(tmp_path, source)
    assert carry_code(tmp_path, source) == first
    with (source / "errors.py").open("a") as file:
        file.write("# changed\n")
    second = carry_code(tmp_path, source)
    assert second != first
    assert [path.name for path in (tmp_path / "code").iterdir()] == [second]
    assert second.startswith("textgauge_predictor_")
    assert len(second.removeprefix("textgauge_predictor_")) == 8


def test_the_bundles_own_files_stay_as_they_are(filled_store: LoggedRun, bundle: Path) -> None:
    for path in bundle.iterdir():
        assert (filled_store.bundle / path.name).read_bytes() == path.read_bytes()


def test_the_model_is_described_as_mlflow_itself_would(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns about its own type hints
        import mlflow.pyfunc
        from mlflow.models import Model, ModelSignature
        from mlflow.types import ColSpec, Schema
    make_model_folder(folder, run_id="ab12", artifact_path="model", example=["M6 bolt"])
    written = yaml.safe_load((folder / "MLmodel").read_text())
    (package,) = (path.name for path in (folder / "code").iterdir())
    expected = Model(
        run_id="ab12",
        artifact_path="model",
        utc_time_created=written["utc_time_created"],
        model_uuid=written["model_uuid"],
        signature=ModelSignature(
            Schema([ColSpec("string")]),
            Schema(
                [
                    ColSpec("string", "predicted_label"),
                    ColSpec("double", "probability"),
                    ColSpec("string", "decision"),
                ]
            ),
        ),
        saved_input_example_info={
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "json_object",
        },
    )
    mlflow.pyfunc.add_to_model(
        expected,
        loader_module=f"{package}.bundle.pyfunc",
        code="code",
        conda_env="conda.yaml",
        python_env="python_env.yaml",
    )
    described = expected.to_dict()
    for key in ("is_signature_from_type_hint", "type_hint_from_example"):
        assert described.pop(key) is False
    assert written == described
    loaded = Model.load(str(folder / "MLmodel"))
    assert loaded.signature == expected.signature
    assert loaded.load_input_example(str(folder)) == ["M6 bolt"]


def test_the_environment_is_pinned_to_what_is_installed(folder: Path) -> None:
    make_model_folder(folder)
    pinned = [f"{name}=={version(name)}" for name in REQUIREMENTS]
    assert (folder / "requirements.txt").read_text().split() == pinned
    conda = yaml.safe_load((folder / "conda.yaml").read_text())
    assert conda["dependencies"][-1] == {"pip": pinned}
    python = yaml.safe_load((folder / "python_env.yaml").read_text())
    assert python["dependencies"] == ["-r requirements.txt"]
    assert python["python"] == sys.version.partition(" ")[0]


def test_nothing_is_pickled(folder: Path) -> None:
    make_model_folder(folder)
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes <= {"", ".json", ".py", ".safetensors", ".txt", ".yaml"}
    assert "cloudpickle" not in (folder / "MLmodel").read_text()


LOADS_AND_PREDICTS = """
import json, sys
sys.modules["textgauge"] = None
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
texts = ["a sound bolt", "a faulty bolt", ""]
def rows(answer):
    assert list(answer.columns) == ["predicted_label", "probability", "decision"], answer.columns
    return answer.values.tolist()
table = pd.DataFrame({"note": texts})
print(json.dumps({
    "list": rows(model.predict(texts)),
    "one": rows(model.predict("a faulty bolt")),
    "series": rows(model.predict(pd.Series(texts))),
    "table": rows(model.predict(table)),
    "index": model.predict(table.set_index(pd.Index([7, 8, 9]))).index.tolist(),
    "missing": rows(model.predict(pd.DataFrame({"text": [None, "faulty"]}))),
    "columns": rows(model._model_impl.predict(pd.DataFrame(
        {"id": ["1", "2"], "text": ["sound", "sound"], "note": ["faulty", "sound"]}
    ))),
    "first": rows(model.predict(pd.DataFrame({"note": texts, "id": ["1", "2", "3"]}))),
    "example": rows(model.predict(model.input_example)),
    "types": [str(kind) for kind in model.predict(texts).dtypes],
}))
for table in (pd.DataFrame({"id": ["1"], "note": ["2"]}), pd.Series(["1"], name="id")):
    try:
        model.predict(table)
    except ValueError as error:
        print(error)
"""


def test_a_logged_model_predicts_raw_texts_without_textgauge(
    filled_store: LoggedRun, stand_in: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(filled_store.bundle, tmp_path / "model"))
    make_model_folder(model, example=["faulty"], source=stand_in)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOADS_AND_PREDICTS, f"sqlite:///{filled_store.store}", str(model)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *complaints = done.stdout.strip().splitlines()
    got: dict[str, Any] = json.loads(first)
    sound, faulty = ["ok", 0.75, "ok"], ["faulty", 0.875, "faulty"]
    assert got["list"] == got["series"] == got["table"] == [sound, faulty, sound]
    assert got["first"] == got["list"]
    assert got["one"] == [faulty]
    assert got["index"] == [7, 8, 9]
    assert got["missing"] == [sound, faulty]
    assert got["columns"] == [faulty, sound]
    assert got["example"] == [faulty]
    assert got["types"] == ["object", "float64", "object"]
    assert complaints == 2 * [
        "the model reads the column 'note', and was given ['id']; pass a list of texts, or "
        "table[['note']] (MLflow hands over the first column alone)."
    ]


PREDICTS_THROUGH_MLFLOW = """
import json, sys
sys.modules["textgauge"] = None
import mlflow.pyfunc
answer = mlflow.pyfunc.load_model(sys.argv[1]).predict(json.load(sys.stdin))
json.dump(answer.to_dict("list"), sys.stdout)
"""


def test_a_trained_model_predicts_through_mlflow_what_it_predicted(
    trained: Any, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "model"))
    make_model_folder(folder)
    out = subprocess.check_output(
        [sys.executable, "-W", "ignore", "-c", PREDICTS_THROUGH_MLFLOW, str(folder)],
        input=json.dumps(trained.corpus.test.texts.to_list()).encode(),
    )
    got = json.loads(out)
    classes = trained.settings["classes"]
    chosen = trained.probabilities.argmax(1)
    assert got["probability"] == pytest.approx(trained.probabilities.max(1).tolist(), abs=1e-4)
    sure = [p > 0.501 for p in got["probability"]]
    expected = [classes[index] for index in chosen]
    assert [a for a, s in zip(got["predicted_label"], sure, strict=True) if s] == [
        b for b, s in zip(expected, sure, strict=True) if s
    ]
