"""The thirty lines that people read first do what the program beside them does."""

import subprocess
import sys
from dataclasses import replace

import pytest

from textgauge.bundle.export import export_bundle
from textgauge.bundle.predictor import Predictor
from textgauge.text.notation import Notation
from textgauge.text.numbers import NumberScale

TEXTS = [
    "poor condition iron component manufactured in 2010",
    "STEEL  Component, don\u2019t use: 1,250.5 mm of 1979 \ufb01ne",
    "\u921b\u90e8\u54c1 \U0001f527 \u043c\u0435\u0442\u0430\u043b\u043b",
    "",
    "steel " * 300 + "1999",
    "7" * 400,
]


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("example") / "model"
    predictor = Predictor.load(trained.folder, cores=1)
    export_bundle(trained.folder, predictor, folder)
    return folder, predictor


def test_it_gives_the_label_and_the_probability_of_the_predictor(exported):
    folder, predictor = exported
    blocked = ("textgauge", "polars", "torch", "pandas", "sklearn", "mlflow", "onnx")
    script = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({blocked!r}));"
        "path, *texts = sys.argv[1:]\n"
        "for text in texts: sys.argv = [path, text]; runpy.run_path(path)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-W", "error", "-c", script, folder / "example.py", *TEXTS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = predictor.predict(TEXTS)
    found = [line.split() for line in done.stdout.splitlines()]
    assert [label for label, _ in found] == expected.labels
    for (_, probability), wanted in zip(found, expected.probability, strict=True):
        assert float(probability) == pytest.approx(wanted, abs=1e-6)


def test_it_reads_decimal_commas(exported, trained, tmp_path):
    _, predictor = exported
    scale = NumberScale([-40.0, 0.35, 1990.0, 2010.5], Notation(False, True, True))
    encoder = replace(predictor.encoder, numbers=scale)
    other = Predictor(predictor.settings, encoder, predictor._session)
    export_bundle(trained.folder, other, tmp_path / "model")
    text = "iron \u22120,5 1.200,25 0.35 1'200,5 2.010"
    done = subprocess.run(
        [sys.executable, "-I", "-B", tmp_path / "model" / "example.py", text],
        capture_output=True,
        text=True,
        check=True,
    )
    label, probability = done.stdout.split()
    expected = other.predict([text])
    assert label == expected.labels[0]
    assert float(probability) == pytest.approx(expected.probability[0], abs=1e-6)


@pytest.mark.parametrize("arguments", [[], ["steel", "nut"]])
def test_without_its_one_text_it_says_how_to_call_it(exported, arguments):
    done = subprocess.run(
        [sys.executable, "-I", "-B", exported[0] / "example.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'Say which text: python example.py "a text"\n'


def test_it_is_short_enough_to_read(exported):
    lines = (exported[0] / "example.py").read_text().split("\n")
    assert sum(line != "" for line in lines) <= 32
