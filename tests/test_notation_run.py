"""A run with a German table, whose numbers have decimal commas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from textgauge import preview
from textgauge.bundle import files
from textgauge.bundle.predictor import Predictor
from textgauge.bundle.proof import start_proof
from textgauge.config import Config
from textgauge.drifting import drift_of_table
from textgauge.errors import BundleError
from textgauge.registering import _made_up
from textgauge.result import TrainResult
from textgauge.review.rules import Split
from textgauge.run import train
from textgauge.serving.model import ServedModel

PLACES = ("am Lager", "an der Pumpe", "am Getriebe", "am Scharnier")


def notes(gaps: range) -> Iterator[tuple[str, str]]:
    """Gaps in hundredths of a millimetre, written with two digits or three; 0,30 is the bound."""
    for gap in gaps:
        for at, place in enumerate(PLACES):
            written = f"{gap / 100:.{2 + (gap + at) % 2}f}".replace(".", ",")
            hours = f"{1_000 + 37 * gap + 500 * at:,}".replace(",", ".")
            yield f"Spalt {written} mm {place}, {hours} Stunden", "zu weit" if gap > 30 else "gut"


TABLE = pl.DataFrame(list(notes(range(3, 80, 2))), schema=["text", "label"], orient="row")
UNSEEN = pl.DataFrame(list(notes(range(4, 80, 2))), schema=["text", "label"], orient="row")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    config = Config(model="linear", label="label")
    return train(TABLE, config, out=tmp_path_factory.mktemp("german") / "run")


@pytest.fixture(scope="module")
def predictor(finished: TrainResult) -> Predictor:
    return Predictor.load(finished.bundle, cores=1)


def test_a_bound_on_decimal_commas_holds_for_values_never_seen(predictor: Predictor) -> None:
    right = np.array(predictor.predict(UNSEEN["text"]).labels) == UNSEEN["label"].to_numpy()
    # Beside the bound nothing was seen.
    beside = UNSEEN["text"].str.contains("0,(?:28|30|32)").to_numpy()
    assert right[~beside].mean() > 0.99
    assert right.mean() > 0.95


def test_the_rules_that_imitate_it_have_the_bound(finished: TrainResult) -> None:
    assert finished.rules is not None
    rule = finished.rules.rule
    assert isinstance(rule, Split)
    assert rule.condition.number == "first number"
    assert rule.condition.below == pytest.approx(0.3, abs=0.03)
    assert finished.rules.agreement.rows > 0.9


def test_older_versions_refuse_it(
    finished: TrainResult, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predictor.settings["format_version"] == files.NOTATION_VERSION
    monkeypatch.setattr(files, "VERSIONS", files.VERSIONS[:-1])
    with pytest.raises(BundleError, match="format 6, this textgauge reads up to 5"):
        Predictor.load(finished.bundle)


def test_it_reads_alike_whichever_way(finished: TrainResult, predictor: Predictor) -> None:
    texts = [*UNSEEN["text"].head(5), "Spalt -0,5 0.35 1.200,5 1,2,3", *_made_up(predictor)][:40]
    assert any("," in text for text in texts[6:])
    together = predictor.predict(texts).probabilities
    served = ServedModel.load(finished.bundle)
    for text, expected in zip(texts, together, strict=True):
        (answer,) = served.answer([text])
        assert answer.probability == pytest.approx(expected.max(), abs=1e-6)
    # By the code that the model carries along.
    proof = start_proof(finished.bundle, pl.Series("text", texts), together, rule=predictor.rule)
    try:
        assert proof.wait().largest_difference < 1e-6
    finally:
        proof.stop()


def test_its_own_table_has_the_numbers_that_it_knows(finished: TrainResult) -> None:
    found = drift_of_table(TABLE, finished.bundle)
    assert found.number_range is not None
    assert found.number_range[0] == pytest.approx(0.03)
    assert found.number_range[1] > 4_000


def test_check_shows_the_values() -> None:
    shown = preview(TABLE, label="label").encoding("Spalt 0,35 mm")
    assert shown["token"].to_list() == ["spalt", "0,35", "mm"]
    assert shown["value"].to_list() == [None, 0.35, None]
