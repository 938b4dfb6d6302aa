"""Tokens: worked examples, and properties over generated strings."""

import re
import unicodedata

import polars as pl
import pytest
from generated_texts import generated_strings

from textgauge.data.normal_form import normalise
from textgauge.text.tokens import is_number, number_value, tokenize


def normal_forms(*texts):
    return normalise(pl.Series(texts, dtype=pl.String)).to_list()


def tokens_of(*texts):
    return tokenize(normalise(pl.Series(texts, dtype=pl.String))).to_list()


# ---- tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("m8 bolt, 1,250.5 n.m", ["m", "8", "bolt", ",", "1,250.5", "n", ".", "m"]),
        ("1,234,567 1,250kg", ["1,234,567", "1,250", "kg"]),
        ("12,34 1234,567", ["12", ",", "34", "1234", ",", "567"]),
        ("1994,1995", ["1994", ",", "1995"]),
        ("3.14 .5 5.", ["3.14", ".", "5", "5", "."]),
        ("1.5.2", ["1.5", ".", "2"]),
        ("-40 +5", ["-", "40", "+", "5"]),
        ("1e5", ["1", "e", "5"]),
        ("don't o\u2019clock rock'n'roll", ["don't", "o\u2019clock", "rock'n'roll"]),
        ("'quoted' dogs' 'tis", ["'", "quoted", "'", "dogs", "'", "'", "tis"]),
        ("it''s", ["it", "'", "'", "s"]),
        ("snake_case a/b", ["snake", "_", "case", "a", "/", "b"]),
        ("<unk> <pad>", ["<", "unk", ">", "<", "pad", ">"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("\ufb01xing o\ufb00", ["fixing", "off"]),
        ("\uff11\uff0c\uff12\uff15\uff10\uff0e\uff15", ["1,250.5"]),
        ("½", ["1", "\u2044", "2"]),
        ("жёлтый 中文", ["жёлтый", "中文"]),
        ("٣", ["٣"]),  # other scripts' digits have no value here, but are not lost
        ("🙂🔧 ok!!", ["🙂", "🔧", "ok", "!", "!"]),
        ("", []),
        (" \t", []),
    ],
)
def test_worked_tokens(text, tokens):
    assert tokens_of(text) == [tokens]


def test_a_null_gives_null_and_lines_up():
    assert tokens_of(None, "a b", None) == [None, ["a", "b"], None]


def test_no_character_but_spaces_is_lost():
    texts = normal_forms(*generated_strings())
    joined = ["".join(tokens) for tokens in tokens_of(*texts)]
    assert joined == [text.replace(" ", "") for text in texts]


def test_tokens_equal_an_independent_scanner():
    def letter(c):
        return unicodedata.category(c)[0] in "LM"

    def scan(text):
        found, i = [], 0
        while i < len(text):
            c, end = text[i], i + 1
            if "0" <= c <= "9":
                end = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?|[0-9]+(\.[0-9]+)?").match(
                    text, i
                )
                end = end.end()
            elif letter(c):
                while end < len(text) and (
                    letter(text[end])
                    or (text[end] in "'\u2019" and end + 1 < len(text) and letter(text[end + 1]))
                ):
                    end += 1
            if c != " ":
                found.append(text[i:end])
            i = end
        return found

    texts = normal_forms(*generated_strings())
    assert tokens_of(*texts) == [scan(text) for text in texts]


def test_only_the_first_tokens_are_kept():
    texts = pl.Series(["a b c d", "a", None, ""])
    assert tokenize(texts, 3).to_list() == [["a", "b", "c"], ["a"], None, []]


# ---- numbers among the tokens


def test_numbers_are_told_from_words_and_signs():
    tokens = pl.Series(["1994", "1,250.5", "steel", "-", ".", "٣", None])
    assert is_number(tokens).to_list() == [True, True, False, False, False, False, None]


def test_worked_number_values():
    tokens = pl.Series(["1,250.5", "1994", "1,234,567", "007", "3.14", "bolt", ",", None])
    values = [1250.5, 1994.0, 1234567.0, 7.0, 3.14, None, None, None]
    assert number_value(tokens).to_list() == values


def test_every_number_token_has_a_value():
    flat = tokenize(normalise(pl.Series(list(generated_strings())))).explode().drop_nulls()
    numbers = flat.filter(is_number(flat))
    assert len(numbers) > 500
    assert number_value(numbers).to_list() == [float(n.replace(",", "")) for n in numbers]
