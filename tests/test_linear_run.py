"""A run with the linear model, which reads words that it does not know in pieces."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from textgauge.bundle import files
from textgauge.bundle.predictor import Predictor
from textgauge.config import Config
from textgauge.errors import BundleError
from textgauge.explaining import explain_model
from textgauge.exporting import export_model
from textgauge.result import TrainResult
from textgauge.run import train
from textgauge.serving.model import ServedModel

SAID = {
    "rust": ("rusty", "rusted", "rust", "rusting"),
    "leak": ("leaky", "leaked", "leak", "leaking"),
    "wear": ("worn", "wearing", "wear", "wears"),
}
UNSEEN = [
    "rustiest pump 7",
    "The frame LEAKS, xyzzy",
    "",
    "wearable 1,250.5 rustproof pump",
    "pump",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """Three labels, which the words' stems tell apart."""
    rows = [
        (f"{word} {part} {number}", label)
        for label, words in SAID.items()
        for word in words
        for part in ("pump", "frame", "seal of the pump", "bolt")
        for number in (3, 7, 12)
    ]
    table = pl.DataFrame(rows, schema=["text", "label"], orient="row")
    config = Config(model="linear", label="label")
    return train(table, config, out=tmp_path_factory.mktemp("linear") / "run")


@pytest.fixture(scope="module")
def predictor(finished: TrainResult) -> Predictor:
    return Predictor.load(finished.bundle, cores=1)


def test_unknown_words_are_told_and_decided_by_their_pieces(predictor: Predictor) -> None:
    assert predictor.predict(UNSEEN).labels[:2] == ["rust", "leak"]
    # Each word counts once, in however many pieces it is read.
    read = predictor.encoder.encode(pl.Series(UNSEEN)).reading()
    assert read.tokens.tolist() == [3, 5, 0, 4, 1]
    assert read.unknown.tolist() == [1, 3, 0, 2, 0]
    assert predictor.settings["format_version"] == files.PIECES_VERSION


def test_one_text_is_decided_as_many_are(finished: TrainResult, predictor: Predictor) -> None:
    together = predictor.predict(UNSEEN).probabilities
    served = ServedModel.load(finished.bundle)
    for text, expected in zip(UNSEEN, together, strict=True):
        (answer,) = served.answer([text])
        assert answer.probability == pytest.approx(expected.max(), abs=1e-6)


def test_the_exported_program_predicts_the_same(
    finished: TrainResult, predictor: Predictor, tmp_path: Path
) -> None:
    folder = export_model(finished.bundle, tmp_path / "out").folder
    assert not (folder / "example.py").exists()  # It would read whole words alone.
    spec = importlib.util.spec_from_file_location("of_a_linear_model", folder / "predict.py")
    assert spec is not None and spec.loader is not None
    program: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    found = program.Model(folder).probabilities(UNSEEN)
    np.testing.assert_allclose(found, predictor.predict(UNSEEN).probabilities, atol=1e-6)


def test_a_word_in_pieces_is_explained_as_one_word(finished: TrainResult) -> None:
    (told,) = explain_model(finished.bundle, UNSEEN[0]).explanations
    assert told.words == ("rustiest", "pump", "7")
    assert np.argmax(told.contributions) == 0
    assert told.contributions.sum() == pytest.approx(told.probability - told.reference, abs=1e-6)


def test_pieces_that_are_none_are_refused(finished: TrainResult, tmp_path: Path) -> None:
    import shutil

    from textgauge.bundle.stored import write_digests

    for damage, words in ((["<rus", "<rus"], "distinct"), ("<rus", "list of texts")):
        folder = Path(shutil.copytree(finished.bundle, tmp_path / words))
        values = json.loads((folder / files.VOCABULARY).read_text("utf-8"))
        (folder / files.VOCABULARY).write_text(json.dumps(values | {"pieces": damage}))
        write_digests(folder, files.DIGESTED)
        with pytest.raises(BundleError, match=words):
            Predictor.load(folder)
