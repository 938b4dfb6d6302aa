"""How numbers are written: decimal commas and apostrophes, where the training texts have them."""

import json
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgauge.data.normal_form import normalise
from textgauge.text.encoder import TextEncoder
from textgauge.text.notation import PLAIN, Notation, count_written, learn_notation, notation_by
from textgauge.text.reader import notation_of, reader_from_json
from textgauge.text.tokens import is_number, number_value, tokenize, value_of

COMMA = Notation(signed=True, decimal_comma=True)
GERMAN = pl.Series(["spaltmaß 0,35 mm", "bei 1.200,5 u/min", "bei 950 u/min", "am 12.05.2024"])
ENGLISH = pl.Series(["a gap of 0.35 mm", "at 1,200.5 rpm", "at 950 rpm", "on 12.05.2024"])


def read(text, notation):
    """The numbers of a text: as they stand, and their values."""
    tokens = tokenize(normalise(pl.Series([text])), notation=notation)[0]
    numbers = tokens.filter(is_number(tokens))
    values = number_value(numbers, notation).to_list()
    assert [value_of(number, notation) for number in numbers] == values
    return values


def learned(texts, *, numbers=True):
    return TextEncoder.learn(
        texts, read_numbers=numbers, number_bins=64, min_texts=1, max_words=100, max_tokens=20
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Spaltmaß 0,35 mm, Spiel 0,350", [0.35, 0.35]),
        ("1.200,5 U/min; 1.200U/min; 1.234.567", [1200.5, 1200.0, 1234567.0]),
        ("-0,5 bis \u22121.200,25 °C, 5-10,5 mm", [-0.5, -1200.25, 5.0, 10.5]),
        ("0.35 0.350 1.5 1234.567 012.345", [0.35, 0.35, 1.5, 1234.567, 12.345]),  # no thousands
        ("3.14159", [3.14159]),
        ("12.05.2024", [12.05, 2024.0]),
        ("Version 1.2.3, Teile 1, 2, 3.", [1.2, 3.0, 1.0, 2.0, 3.0]),
        ("1'200,5", [1.0, 200.5]),
    ],
)
def test_decimal_commas(text, values):
    assert read(text, COMMA) == values


@pytest.mark.parametrize(
    ("text", "decimal_comma", "values"),
    [
        ("1'200.5 10\u2019000hr -1'234'567", False, [1200.5, 10000, -1234567]),
        ("1'200,5 1'200.5 1.200,5", True, [1200.5, 1200.5, 1200.5]),
        ("5'6 rock'n'roll 1,200", False, [5, 6, 1200]),
    ],
)
def test_apostrophes_between_thousands(text, decimal_comma, values):
    assert read(text, Notation(True, decimal_comma, apostrophes=True)) == values


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    value=st.decimals(-9_999_999, 9_999_999, allow_nan=False, places=3),
    digits=st.integers(0, 3),
    thousands=st.sampled_from([".", "'", ""]),
    behind=st.sampled_from(["", " mm", "mm", ", dann", "."]),
)
def test_what_is_written_with_a_comma_is_read_back(value, digits, thousands, behind):
    written = f"{value:,.{digits}f}"
    expected = float(written.replace(",", "")) or 0.0
    written = written.replace(".", ";").replace(",", thousands).replace(";", ",")
    assert read(f"bei {written}{behind}", Notation(True, True, True)) == [expected]


# ---- learned


@pytest.mark.parametrize(
    ("texts", "decimal_comma"),
    [
        (GERMAN, True),
        (ENGLISH, False),
        (["0,350 kg", "1,250 kg", "12,500 kg"], True),
        (["0.350 kg", "1.250 kg", "12.500 kg"], False),
        (["1.200 u/min"], False),  # It may be either.
        (["1,200 rpm"] * 11 + ["bolts 3,4"], False),  # So few are an accident.
        (["1.125 in"] * 11 + ["a 3,4"], False),
        (["bolts 1,2,3", "bolts 3,4"], False),
        (["1,234,567", "rooms 3,4"], False),
        (["1994,1995", "may 20,2021", "20,2021."], False),
        (["0,35 mm", "0.35 mm"], False),  # As many cannot be.
        (["0,35 mm", "am 24.12.", "am 6.1. 0,40", "seit 5.2024", "12.05.2024", "v 1.2.3"], True),
        (["kosten: 1.200,50 eur.", "12,5-fach"], True),
        (["", None, "5"], False),
    ],
)
def test_whether_a_comma_is_the_decimal_sign_is_learned(texts, decimal_comma):
    texts = pl.Series(texts, dtype=pl.String)
    assert learn_notation(texts).decimal_comma is decimal_comma
    # Parts of a column can be counted one by one.
    parts = pl.concat([count_written(texts.slice(at, 1)) for at in range(len(texts))])
    counts = parts.group_by("kind").agg(pl.col("n").sum())
    assert notation_by(dict(counts.iter_rows())) == learn_notation(texts)


def test_a_reader_of_decimal_commas():
    encoder = learned(GERMAN)
    assert notation_of(encoder) == Notation(decimal_comma=True)
    assert encoder.numbers.edges.tolist() == [0.35, 12.05, 950.0, 1200.5, 2024.0]
    assert "," not in encoder.vocabulary.words
    found = encoder.describe("Spaltmaß 6,20")[1]
    assert found == {
        "token": "6,20", "id": 2, "known_as": "<num>", "value": 6.2, "position": 0.5,
    }  # fmt: skip
    assert encoder.encode(pl.Series(["1.200,5 0,1"])).outside.tolist() == [False, True]
    assert notation_of(learned(GERMAN, numbers=False)) == PLAIN
    assert notation_of(learned(pl.Series(["10'000 hr", "5 hr"]))) == Notation(apostrophes=True)


def test_a_reader_is_saved_with_its_notation_and_else_as_it_always_was():
    german, english = learned(GERMAN).to_json(), learned(ENGLISH).to_json()
    assert german["notation"] == {"decimal_comma": True}
    assert "notation" not in english
    again = reader_from_json(json.loads(json.dumps(german)))
    assert again.numbers.notation == Notation(decimal_comma=True)
    assert again.describe("1.200,5")[0]["value"] == 1200.5
    before = reader_from_json({name: german[name] for name in german if name != "notation"})
    assert [row["value"] for row in before.describe("1.200,5")] == [1.2, None, 5.0]
    for wrong in ({"decimal_comma": 1}, {"roman": True}):
        with pytest.raises(TypeError):
            reader_from_json({**german, "notation": wrong})


def test_the_patterns_mean_the_same_to_python_and_polars():
    """Both read with them; nothing in them may depend on which."""
    texts = [each for series in (GERMAN, ENGLISH) for each in series]
    texts += ["1'200,5 1.2345 0.350 1.234.567,89 -1.200 a-5 12,34,56 1,2.3'456", "\u22121\u2019000"]
    for flags in range(8):
        notation = Notation(bool(flags & 1), bool(flags & 2), bool(flags & 4))
        found = pl.Series(texts).str.extract_all(notation.number).to_list()
        assert found == [re.findall(notation.number, text) for text in texts]
