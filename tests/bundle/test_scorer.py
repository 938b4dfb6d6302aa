"""A predictor that remembers: the same predictions, each text computed once, bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from textgauge.bundle.predictor import Predictor
from textgauge.bundle.scorer import Scorer
from textgauge.data.component_notes import make_component_notes
from textgauge.data.normal_form import normalise
from textgauge.data.predictions import ADDED

SMALL = 120_000
"""Bytes of memory for a few hundred texts."""


@pytest.fixture(scope="module")
def predictor(deciding: Any) -> Predictor:
    return Predictor.load(deciding.folder, cores=1)


@pytest.fixture(scope="module")
def catalogue() -> pl.Series:
    """Many texts several times, some missing, some that differ in case and spaces only."""
    notes = make_component_notes(2_000, seed=5)["text"]
    odd = pl.Series("text", [None, "", "STEEL  component", "steel component", "bolt of 9999"])
    return pl.concat([notes, odd, notes.str.to_uppercase().head(500), odd])


class Counting:
    """The predictor, and the texts that it was asked."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor, self.classes = predictor, predictor.classes
        self.asked: list[list[str]] = []

    def predict_normalised(self, texts: pl.Series) -> Any:
        self.asked.append(texts.to_list())
        return self._predictor.predict_normalised(texts)


def in_pieces(scorer: Scorer, texts: pl.Series, rows: int) -> list[Any]:
    pieces = [texts.slice(begin, rows) for begin in range(0, len(texts), rows)]
    return [scorer.score(piece) for piece in pieces]


def test_pieces_are_predicted_as_the_whole(predictor: Predictor, catalogue: pl.Series) -> None:
    found = in_pieces(Scorer(predictor), catalogue, 170)
    expected = predictor.predict_frame(catalogue).with_columns(
        pl.when(catalogue.is_not_null()).then(pl.all())
    )
    frame = pl.concat([frame for frame, _ in found])
    assert frame.schema == pl.Schema(ADDED)
    assert frame.drop("probability").equals(expected.drop("probability"))
    # Other batches, other roundings.
    np.testing.assert_allclose(frame["probability"], expected["probability"], atol=1e-6)
    assert set(frame["decision"].drop_nulls()) == {"0", "1", "review"}


def test_what_was_seen_adds_up(predictor: Predictor, catalogue: pl.Series) -> None:
    found = in_pieces(Scorer(predictor, SMALL), catalogue, 300)
    tally = found[0][1]
    for _, more in found[1:]:
        tally = tally.plus(more)
    assert tally.rows == len(catalogue)
    assert tally.texts == normalise(catalogue.drop_nulls()).n_unique()
    rows = catalogue.is_not_null().to_numpy()
    assert tally.read == predictor.predict(catalogue).reading.summed(rows)
    assert tally.read.outside >= 2


def test_without_remembering_the_same_is_predicted_and_seen(
    predictor: Predictor, catalogue: pl.Series
) -> None:
    scorer = Scorer(predictor)
    frame, tally = scorer.score(catalogue, remember=False)
    expected, seen = Scorer(predictor).score(catalogue)
    assert frame.equals(expected)
    assert (tally.rows, tally.texts, tally.read) == (seen.rows, seen.texts, seen.read)
    assert len(scorer) == 0
    nothing, tally = scorer.score(pl.Series([None], dtype=pl.String), remember=False)
    assert (nothing.null_count().row(0), tally.rows, tally.texts) == ((1, 1, 1), 1, 0)


def test_a_text_is_computed_once(predictor: Predictor, catalogue: pl.Series) -> None:
    counting: Any = Counting(predictor)
    scorer = Scorer(counting)
    for _ in range(2):
        in_pieces(scorer, catalogue, 100)
    asked = [text for texts in counting.asked for text in texts]
    assert sorted(asked) == sorted(normalise(catalogue.drop_nulls().unique()))
    assert len(scorer) == len(asked)


def test_what_is_remembered_is_bounded(predictor: Predictor, catalogue: pl.Series) -> None:
    scorer = Scorer(predictor, SMALL)
    largest = 0
    expected = in_pieces(Scorer(predictor), catalogue, 100)
    for begin, (frame, _) in zip(range(0, len(catalogue), 100), expected, strict=True):
        found, _ = scorer.score(catalogue.slice(begin, 100))
        assert found.drop("probability").equals(frame.drop("probability"))
        largest = max(largest, len(scorer))
    assert scorer.forgotten > 1
    assert largest < SMALL / 250


def test_what_a_piece_needed_last_is_kept(predictor: Predictor, catalogue: pl.Series) -> None:
    counting: Any = Counting(predictor)
    scorer = Scorer(counting, memory=1)
    scorer.score(catalogue.head(100))
    scorer.score(catalogue.head(50))
    scorer.score(catalogue.head(50))
    assert len(counting.asked) == 1
    assert len(scorer) == catalogue.head(50).n_unique()


def test_another_process_goes_on_bit_for_bit(predictor: Predictor, catalogue: pl.Series) -> None:
    """Texts that are predicted in other batches come out different in the last bits."""
    rows = 200
    for memory in (10**9, SMALL):
        expected = in_pieces(Scorer(predictor, memory), catalogue, rows)
        first, second = Scorer(predictor, memory), Scorer(predictor, memory)
        in_pieces(first, catalogue.head(5 * rows), rows)
        second.remember(first.remembered(0))
        found = in_pieces(second, catalogue.slice(5 * rows), rows)
        assert len(found) == len(expected) - 5
        for (frame, tally), (wanted, seen) in zip(found, expected[5:], strict=True):
            assert frame.equals(wanted)
            assert tally.read == seen.read


def test_what_was_learned_since_is_told(predictor: Predictor, catalogue: pl.Series) -> None:
    scorer, other = Scorer(predictor), Scorer(predictor)
    scorer.score(catalogue.head(300))
    begin = len(scorer)
    other.remember(scorer.remembered())
    scorer.score(catalogue.tail(300))
    other.remember(scorer.remembered(begin))
    assert other.remembered().equals(scorer.remembered())


def test_texts_that_are_all_missing_ask_no_model(predictor: Predictor) -> None:
    counting: Any = Counting(predictor)
    frame, tally = Scorer(counting).score(pl.Series([None, None], dtype=pl.String))
    assert frame.schema == pl.Schema(ADDED)
    assert frame.null_count().row(0) == (2, 2, 2)
    assert (tally.rows, tally.texts, counting.asked) == (2, 0, [])
