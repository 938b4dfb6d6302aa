"""The tokens of a text in normal form, for whole columns at a time."""

from __future__ import annotations

import polars as pl

NUMBER = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?"
"""A decimal number, with optional commas between thousands."""

MINUS = "\u2212"
"""The sign itself; most texts have a hyphen in its place."""

SIGNED = rf"(?:\B[-{MINUS}])?(?:{NUMBER})"
"""A number with its minus: a sign that stands right before it and not right behind a letter or a
digit, as in "-12 °C", but not in "2024-06-28", "5-10 mm" or "valve-12"."""

WORD = r"[\p{L}\p{M}]+(?:['\x{2019}][\p{L}\p{M}]+)*"
"""A run of letters in any script, straight and curly apostrophes inside it included (don't)."""

SYMBOL = r"[^\s\p{L}\p{M}0-9]"
"""Any other single character: punctuation and signs carry meaning too."""

_OTHERS = f"{WORD}|{SYMBOL}"

STARTS_LIKE_A_NUMBER = f"^[-{MINUS}]?[0-9]"
"""Of a token: that it is a number."""


def number_pattern(*, signed: bool) -> str:
    """What matches a number, with its minus if `signed`."""
    return SIGNED if signed else NUMBER


def tokenize(
    normalised: pl.Series, max_tokens: int | None = None, *, signed: bool = False
) -> pl.Series:
    """The tokens of each normalised text, in order, as a column of lists of strings.

    With `max_tokens` only that many first tokens are kept. A null gives a null. A minus is part of
    its number if `signed`, else a token of its own.

    >>> tokenize(pl.Series(["m8 bolt, 1,250.5 n.m"])).to_list()
    [['m', '8', 'bolt', ',', '1,250.5', 'n', '.', 'm']]
    >>> tokenize(pl.Series(["-5 to -1, not 5-1"]), signed=True).to_list()
    [['-5', 'to', '-1', ',', 'not', '5', '-', '1']]
    """
    tokens = normalised.str.extract_all(f"{number_pattern(signed=signed)}|{_OTHERS}")
    return tokens if max_tokens is None else tokens.list.head(max_tokens)


def is_number(tokens: pl.Series) -> pl.Series:
    """Whether each token is a number. Shape: as `tokens`, booleans."""
    return tokens.str.contains(STARTS_LIKE_A_NUMBER)


def number_value(tokens: pl.Series) -> pl.Series:
    """The value of each token that is a number, null for the others. Shape: as `tokens`.

    >>> number_value(pl.Series(["1,250.5", "-12", "bolt"])).to_list()
    [1250.5, -12.0, None]
    """
    plain = tokens.str.replace_all(",", "", literal=True).str.replace(MINUS, "-", literal=True)
    return plain.cast(pl.Float64, strict=False)


def value_of(number: str) -> float:
    """The value of one token that is a number.

    >>> value_of("-1,250.5")
    -1250.5
    """
    return float(number.replace(",", "").replace(MINUS, "-"))
