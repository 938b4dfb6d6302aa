"""The tokens of a text in normal form, for whole columns at a time."""

from __future__ import annotations

import re

import polars as pl

from .notation import APOSTROPHES, MINUS, PLAIN, Notation

WORD = r"[\p{L}\p{M}]+(?:['\x{2019}][\p{L}\p{M}]+)*"
"""A run of letters in any script, straight and curly apostrophes inside it included (don't)."""

SYMBOL = r"[^\s\p{L}\p{M}0-9]"
"""Any other single character: punctuation and signs carry meaning too."""

_OTHERS = f"{WORD}|{SYMBOL}"

STARTS_LIKE_A_NUMBER = f"^[-{MINUS}]?[0-9]"
"""Of a token: that it is a number."""


def tokenize(
    normalised: pl.Series, max_tokens: int | None = None, *, notation: Notation = PLAIN
) -> pl.Series:
    """The tokens of each normalised text, in order, as a column of lists of strings.

    With `max_tokens` only that many first tokens are kept. A null gives a null.

    >>> tokenize(pl.Series(["m8 bolt, 1,250.5 n.m"])).to_list()
    [['m', '8', 'bolt', ',', '1,250.5', 'n', '.', 'm']]
    >>> tokenize(pl.Series(["-5 to -1, not 5-1"]), notation=Notation(signed=True)).to_list()
    [['-5', 'to', '-1', ',', 'not', '5', '-', '1']]
    """
    tokens = normalised.str.extract_all(f"{notation.number}|{_OTHERS}")
    return tokens if max_tokens is None else tokens.list.head(max_tokens)


def is_number(tokens: pl.Series) -> pl.Series:
    """Whether each token is a number. Shape: as `tokens`, booleans."""
    return tokens.str.contains(STARTS_LIKE_A_NUMBER)


def number_value(tokens: pl.Series, notation: Notation = PLAIN) -> pl.Series:
    """The value of each token that is a number, null for the others. Shape: as `tokens`.

    >>> number_value(pl.Series(["1,250.5", "-12", "bolt"])).to_list()
    [1250.5, -12.0, None]
    >>> number_value(pl.Series(["1.250,5", "0.5"]), Notation(decimal_comma=True)).to_list()
    [1250.5, 0.5]
    """
    if notation.apostrophes:
        tokens = tokens.str.replace_all(APOSTROPHES, "")
    plain = tokens.str.replace_all(notation.thousands, "", literal=True)
    if notation.grouped:
        plain = plain.zip_with(tokens.str.contains(notation.grouped), tokens)
    if notation.decimal != ".":
        plain = plain.str.replace(notation.decimal, ".", literal=True)
    return plain.str.replace(MINUS, "-", literal=True).cast(pl.Float64, strict=False)


def value_of(number: str, notation: Notation = PLAIN) -> float:
    """The value of one token that is a number.

    >>> value_of("-1,250.5")
    -1250.5
    """
    plain = re.sub(APOSTROPHES, "", number) if notation.apostrophes else number
    if re.search(notation.grouped, plain):
        plain = plain.replace(notation.thousands, "")
    return float(plain.replace(notation.decimal, ".").replace(MINUS, "-"))
