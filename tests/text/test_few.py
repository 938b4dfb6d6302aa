"""Few texts are encoded as many are, bit for bit."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgauge.text.encoder import TextEncoder
from textgauge.text.few import FewTexts
from textgauge.text.notation import Notation
from textgauge.text.numbers import NumberScale
from textgauge.text.vocabulary import SPECIAL, Vocabulary

WORDS = ("a", "bolt", "don't", "m", "12", "1,000", "-", "'", ".", ",", "\x1c", "in")
VOCABULARY = Vocabulary([*SPECIAL, *WORDS])
ENCODERS = [
    TextEncoder(VOCABULARY, NumberScale([1.0, 1970.0, 2000.0]), 6),
    TextEncoder(VOCABULARY, None, 256),
    TextEncoder(VOCABULARY, NumberScale([1.0, 1970.0]), 6, ("<bol", "bolt", "on't", "<12>")),
    TextEncoder(VOCABULARY, None, 6, ("bolt", "<1,2", "999>")),
    TextEncoder(VOCABULARY, NumberScale([-1.0, 1970.0], Notation(decimal_comma=True)), 9),
    TextEncoder(VOCABULARY, NumberScale([-1.0, 1970.0], Notation(apostrophes=True)), 9),
    TextEncoder(VOCABULARY, NumberScale([1.0, 1970.0], Notation(False, True, True)), 9),
]
PIECES = st.sampled_from(
    [
        *WORDS,
        "BOLT",
        " ",
        "  ",
        "\t",
        "\n",
        "\v",
        "\r",
        "\x00",
        "1999",
        "1,2345",
        "3.5.1",
        "0,35",
        "1.200,5",
        "1'200",
        "-0.350",
        "9" * 400,
    ]
)
TEXTS = st.lists(
    st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(st.characters(codec="ascii"))),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    "encoder",
    ENCODERS,
    ids=["numbers", "words", "pieces", "pieces of digits", "commas", "apostrophes", "both"],
)
@settings(max_examples=150, derandomize=True, deadline=None)
@given(texts=TEXTS)
def test_few_texts_are_encoded_as_many_are(encoder, texts):
    few, many = FewTexts(encoder).encode(texts), encoder.encode(pl.Series(texts, dtype=pl.String))
    for name in ("ids", "positions", "lengths", "outside", "found"):
        here, there = getattr(few, name), getattr(many, name)
        assert here.dtype == there.dtype
        np.testing.assert_array_equal(here, there, err_msg=name)
    np.testing.assert_array_equal(few.reading().unknown, many.reading().unknown)


def test_other_letters_are_left_to_polars():
    with pytest.raises(ValueError, match="ASCII"):
        FewTexts(ENCODERS[0]).encode(["steel", "\ufb01ne"])
