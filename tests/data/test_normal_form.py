"""The normal form of a text: worked examples, and properties over generated strings."""

import re
import unicodedata

import polars as pl
import pytest
from generated_texts import SPACES, generated_strings

from textgauge.data.normal_form import normalise
from textgauge.text.tokens import tokenize


def normal_forms(*texts):
    return normalise(pl.Series(texts, dtype=pl.String)).to_list()


def tokens_of(*texts):
    return tokenize(normalise(pl.Series(texts, dtype=pl.String))).to_list()


# ---- the normal form


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("Steel COMPONENT", "steel component"),
        ("  two\t\tspaces \n", "two spaces"),
        ("no\u00a0break\u2003em\u3000wide", "no break em wide"),
        ("line\u2028and\u0085next", "line and next"),
        ("\ufb01ne o\ufb03ce", "fine office"),
        ("\uff11\uff19\uff19\uff14", "1994"),
        ("\uff33teel\uff0c", "steel,"),
        ("m\u00b2 \u2122", "m2 tm"),
        ("\u00bd", "1\u20442"),
        ("e\u0301", "\u00e9"),
        ("STRASSE Straße", "strasse straße"),
        ("", ""),
        (" \u3000\t", ""),
        ("zero\u200bwidth", "zero\u200bwidth"),  # no white space in Unicode's sense
        ("nul\x00byte", "nul\x00byte"),
    ],
)
def test_worked_normal_forms(raw, normal):
    assert normal_forms(raw) == [normal]


def test_dotted_capital_i_is_composed_again_after_lower_casing():
    assert normal_forms("İ") == ["i\u0307"]
    # Lower-cased, its dot stands before the cedilla; composed again, behind it.
    assert normal_forms("\u0130\u0327") == normal_forms("i\u0307\u0327") == ["i\u0327\u0307"]


def test_nulls_stay_null_and_lines_up():
    assert normal_forms(None, " A", None, "Ä", None) == [None, "a", None, "ä", None]
    assert normal_forms(None, None) == [None, None]
    assert normalise(pl.Series([None, None])).to_list() == [None, None]
    assert normal_forms() == []


def test_the_name_of_the_column_is_kept():
    assert normalise(pl.Series("note", ["A"])).name == "note"


def test_the_normal_form_is_its_own_normal_form():
    texts = list(generated_strings())
    once = normal_forms(*texts)
    assert normal_forms(*once) == once


def test_every_character_alone_and_inside_words_has_a_stable_normal_form():
    characters = [chr(c) for c in range(0x3000) if not 0xD800 <= c < 0xE000]
    for frame in ("{}", "a{}b", " {}\u0323\u0307"):
        once = normal_forms(*(frame.format(c) for c in characters))
        assert normal_forms(*once) == once


def test_the_normal_form_equals_an_independent_one():
    def by_hand(text):
        text = unicodedata.normalize("NFKC", text).lower()
        text = unicodedata.normalize("NFKC", text)
        return re.sub(f"[{SPACES}]+", " ", text).strip(" ")

    texts = [t for t in generated_strings() if "Σ" not in t]  # Σ: final forms, tested below
    assert normal_forms(*texts) == [by_hand(t) for t in texts]


def test_a_capital_sigma_at_the_end_of_a_word_is_read_as_the_final_form():
    assert normal_forms("ΟΔΟΣ ΣΑΣ") == ["οδος σας"]


def test_a_text_is_read_alike_alone_and_among_others():
    texts = list(generated_strings(300))
    assert normal_forms(*texts) == [normal_forms(text)[0] for text in texts]


def test_variants_in_case_width_composition_and_spacing_are_one_text():
    def variants(text):
        yield text
        yield text.upper()
        yield text.title()
        yield unicodedata.normalize("NFD", text)
        yield "\u3000" + text.replace(" ", " \u00a0\t") + "\n"
        yield "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)

    for text in ("fan belt é 1,250.5", "жёлтый кабель №", "m8 bolt, don't (see §4)"):
        assert len(set(normal_forms(*variants(text)))) == 1
        read = tokens_of(*variants(text))
        assert read == [read[0]] * len(read)
