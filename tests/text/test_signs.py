"""Negative numbers: a minus is read with its number where training texts have such numbers."""

import json

import numpy as np
import polars as pl
import pytest

from textgauge.data.normal_form import normalise
from textgauge.text.encoder import TextEncoder
from textgauge.text.few import FewTexts
from textgauge.text.notation import SIGNED
from textgauge.text.reader import notation_of, reader_from_json
from textgauge.text.tokens import number_value, tokenize

NOTES = pl.Series(["valve at -40 c", "valve at -12.5 c", "valve at 20 c", "pump 1,200 rpm"])
WITHOUT = pl.Series(["valve of 2024-06-28", "5-10 mm at valve-12", "valve at 20 c"])


def learned(texts, *, numbers=True):
    return TextEncoder.learn(
        texts, read_numbers=numbers, number_bins=64, min_texts=1, max_words=100, max_tokens=20
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("-12 °C", [-12.0]),
        ("\u221212.5°C", [-12.5]),
        ("between -5 and (-1,250.5)", [-5.0, -1250.5]),
        ("t=-3", [-3.0]),
        ("2024-06-28", [2024.0, 6.0, 28.0]),
        ("5-10 mm, P/N 4711-02", [5.0, 10.0, 4711.0, 2.0]),
        ("valve-12", [12.0]),
        ("5 - 10", [5.0, 10.0]),
        ("\u00b15", [5.0]),
        ("0.35mm", [0.35]),
        ("1,200rpm", [1200.0]),
    ],
)
def test_a_minus_counts_where_it_is_one(text, values):
    tokens = tokenize(normalise(pl.Series([text])), notation=SIGNED)[0]
    assert number_value(tokens).drop_nulls().to_list() == values


def test_a_reader_of_negative_numbers_tells_them_from_positive_ones():
    encoder = learned(NOTES)
    assert notation_of(encoder).signed
    assert encoder.numbers.edges.tolist() == [-40.0, -12.5, 20.0, 1200.0]
    assert "-" not in encoder.vocabulary.words
    found = encoder.encode(pl.Series(["at -40", "at \u221226.25", "at 20"]))
    assert found.positions.tolist() == [0.0, 0.0, 0.0, 0.5, 0.0, 2.0]
    assert encoder.describe("-26.25")[0] | {"id": 0} == {
        "token": "-26.25", "id": 0, "known_as": "<num>", "value": -26.25, "position": 0.5,
    }  # fmt: skip
    again = reader_from_json(json.loads(json.dumps(encoder.to_json())))
    np.testing.assert_array_equal(again.encode(NOTES).positions, encoder.encode(NOTES).positions)


def test_few_texts_are_read_alike():
    encoder = learned(NOTES)
    texts = ["at -40 c", "5-10 (-12.5)", "a-7 --7", "-", "-1,200"]
    few, many = FewTexts(encoder).encode(texts), encoder.encode(pl.Series(texts))
    assert few.ids.tolist() == many.ids.tolist()
    assert few.positions.tolist() == many.positions.tolist()


@pytest.mark.parametrize("encoder", [learned(WITHOUT), learned(NOTES, numbers=False)])
def test_without_negative_numbers_in_training_a_sign_stays_a_word(encoder):
    assert not notation_of(encoder).signed
    assert "-" in encoder.vocabulary.words
    (words,) = encoder.words(pl.Series(["at -20"]))
    assert [word for word, _ in words] == ["at", "-", "20"]
