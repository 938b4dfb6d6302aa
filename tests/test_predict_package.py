"""`textgauge-predict`: what predicting needs and no more, installed into an empty environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from e2e import FinishedRun
from packaging.requirements import Requirement
from served import Served

import textgauge
from textgauge.scoring import load_predictor

pytest_plugins = ["e2e_fixtures"]

ROOT = Path(__file__).parents[1]
SLIM = ROOT / "packages" / "predict"
MOST_MEGABYTES = 300
"""Of all files in the environment's site-packages, bytecode included; pip itself is not in it."""

WHOLE_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROJECT = tomllib.loads((SLIM / "pyproject.toml").read_text())["project"]


# ---- what it says it needs


def ranges(lines: list[str]) -> dict[str, set[str]]:
    found = [Requirement(line) for line in lines]
    return {each.name: {str(part) for part in each.specifier} for each in found}


def test_it_is_the_same_version_for_the_same_pythons() -> None:
    for name in ("version", "requires-python", "license", "scripts"):
        assert PROJECT[name] == WHOLE_PROJECT[name], name


def test_it_needs_a_part_of_what_the_whole_needs_in_ranges_within_its_ranges() -> None:
    optional = WHOLE_PROJECT["optional-dependencies"]
    whole = ranges(
        [*WHOLE_PROJECT["dependencies"], *(line for e in optional.values() for line in e)]
    )
    extras = PROJECT["optional-dependencies"]
    slim = ranges([*PROJECT["dependencies"], *(line for e in extras.values() for line in e)])
    assert slim.keys() < whole.keys()
    narrower = {name for name, parts in slim.items() if parts != whole[name]}
    assert narrower == {"polars"}, "the others exactly alike"
    assert slim["polars"] > whole["polars"]  # The same bounds, and one more.  # fmt: skip


def test_its_licence_is_the_packages() -> None:
    assert (SLIM / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


# ---- in an empty environment


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of an environment that holds nothing else."""
    place = tmp_path_factory.mktemp("slim")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    # All but the package whose range is narrower at what is tested with.
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    (place / "pins.txt").write_text("\n".join(p for p in pins if not p.startswith("polars")))
    # The tree as it is given to pip is not written to: a build leaves files in it.
    shutil.copytree(SLIM, place / "clone" / "packages" / "predict")
    ours = Path(textgauge.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ours, place / "clone" / "src" / "textgauge", ignore=ignored)
    python = place / "venv" / "bin" / "python"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
            *("--disable-pip-version-check", "-c", place / "pins.txt"),
            place / "clone" / "packages" / "predict",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(f"textgauge-predict cannot be installed:\n{done.stderr}")
        pytest.skip(f"no package index to install from: {done.stderr.strip().splitlines()[-1]}")
    return python.parent


@pytest.fixture(scope="module")
def extras(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `[mlflow,serve]` brings besides, for PYTHONPATH.

    It holds links to the files that are installed here at the versions that are tested with, of
    those packages alone that the extras need: to install them once more would take long.
    """
    place = tmp_path_factory.mktemp("extras")
    (packages,) = environment.parent.glob("lib/python*/site-packages")
    there = {each.name.lower() for each in distributions(path=[str(packages)])}
    wanted = [Requirement(line) for e in PROJECT["optional-dependencies"].values() for line in e]
    seen: set[tuple[str, str]] = set()
    while wanted:
        needed = wanted.pop()
        name = needed.name.lower()
        for extra in needed.extras or {""}:
            if name in there or (name, extra) in seen:
                continue
            seen.add((name, extra))
            found = distribution(name)
            for line in found.requires or ():
                each = Requirement(line)
                if each.marker is None or each.marker.evaluate({"extra": extra}):
                    wanted.append(each)
            for file in found.files or ():
                target = place / file
                if ".." not in file.parts and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.symlink_to(Path(str(found.locate_file(file))))
    return place


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Any:
    """Run a program of that environment in an empty folder."""

    def run(
        program: str, *arguments: object, status: int = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MLFLOW"))}
        done = subprocess.run(
            [environment / program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**kept, **variables},
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_it_is_small_and_brings_nothing_that_only_training_needs(environment: Path) -> None:
    (packages,) = environment.parent.glob("lib/python*/site-packages")
    names = {re.split(r"[-.]", path.name)[0].lower() for path in packages.iterdir()}
    heavy = {"torch", "sklearn", "scipy", "matplotlib", "mlflow", "pandas", "onnx", "sqlalchemy"}
    assert not names & heavy
    assert {"textgauge", "numpy", "polars", "onnxruntime"} <= names
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    assert size <= MOST_MEGABYTES * 1e6, f"{size / 1e6:.0f} MB"


def test_its_commands_work_on_a_saved_model(run: Any, trained: Any, tmp_path: Path) -> None:
    texts = trained.corpus.test.texts
    labels = [trained.corpus.classes[each] for each in trained.corpus.test.main_label]
    pl.DataFrame({"text": texts, "label": labels}).write_csv(tmp_path / "notes.csv")
    assert run("textgauge", "--version").stdout == f"textgauge {PROJECT['version']}\n"
    expected = load_predictor(trained.folder).predict(texts.to_list())
    for out, read in (("s.csv", pl.read_csv), ("s.jsonl", pl.read_ndjson), ("s.parquet", None)):
        run("textgauge", "score", trained.folder, "notes.csv", "--out", out)
        found = (read or pl.read_parquet)(tmp_path / out)  # type: ignore[operator]
        assert [str(each) for each in found["predicted_label"]] == expected.labels
        assert (found["probability"] - pl.Series(expected.probability)).abs().max() <= 1e-6
    told = run("textgauge", "explain", trained.folder, "iron component of 1979", "--json")
    assert {"words", "contributions"} & json.loads(told.stdout).keys()
    told = run("textgauge", "evaluate", trained.folder, "notes.csv", "--json")
    assert json.loads(told.stdout)["rows"] == len(texts)
    run("textgauge", "export", trained.folder, "out")
    told = run("python", "out/predict.py", "iron component of 1979")
    assert json.loads(told.stdout)["predicted_label"] in trained.corpus.classes
    run("textgauge", "explain", trained.folder, "iron component of 1979")
    run("textgauge", "evaluate", trained.folder, "notes.csv")


def test_with_its_extras_it_registers_exports_and_serves(
    run: Any, extras: Path, environment: Path, finished: FinishedRun, tmp_path: Path
) -> None:
    text = "iron component manufactured in 1979 in poor condition"
    shutil.copy(finished.store, tmp_path / "mlflow.db")
    more, python = {"PYTHONPATH": str(extras)}, environment / "python"
    registered = run("textgauge", "register", finished.run_id, "notes", "--json", **more)
    assert json.loads(registered.stdout)["registered"]
    run("textgauge", "export", "models:/notes@champion", "out", **more)
    told = json.loads(run("python", "out/predict.py", text).stdout)
    served = Served("models:/notes@champion", cwd=tmp_path, python=python, **more)
    try:
        answer = httpx.post(f"{served.url}/predict", json={"text": text, "explain": True})
        page = httpx.get(served.url)
    finally:
        assert served.end() == 0, served.err
    (found,) = answer.json()["predictions"]
    assert "<h1" in page.text
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    expected = load_predictor("models:/notes@champion", store).predict([text])
    for label, probability, decision in (
        (told["predicted_label"], told["probability"], told["decision"]),
        (found["label"], found["probability"], found["decision"]),
    ):
        assert (label, decision) == (expected.labels[0], expected.decision[0])
        assert probability == pytest.approx(float(expected.probability[0]), abs=1e-6)


def test_without_an_extra_it_says_which_to_install(
    run: Any, trained: Any, finished: FinishedRun, tmp_path: Path
) -> None:
    shutil.copy(finished.store, tmp_path / "mlflow.db")
    for extra, *command in (
        ("serve", "serve", trained.folder),
        ("mlflow", "register", finished.run_id, "notes"),
        ("mlflow", "score", "models:/notes@champion", "notes.csv", "--out", "scored.csv"),
    ):
        told = run("textgauge", *command, status=1).stderr
        assert f"pip install 'textgauge-predict[{extra}]'" in told


def test_training_says_in_a_sentence_what_to_install(run: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("text,label\niron nut,1\nsteel nut,0\n")
    done = run("textgauge", "train", "notes.csv", status=1)
    last = done.stderr.strip().splitlines()[-1]
    assert "textgauge-predict only predicts: install the package textgauge in its place" in last
    assert [path.name for path in tmp_path.iterdir()] == ["notes.csv"]
