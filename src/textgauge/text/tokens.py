"""The tokens of a text in normal form, for whole columns at a time."""

from __future__ import annotations

import polars as pl

NUMBER = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?"
"""A decimal number, with optional commas between thousands. A sign is a token of its own."""

WORD = r"[\p{L}\p{M}]+(?:['\x{2019}][\p{L}\p{M}]+)*"
"""A run of letters in any script, straight and curly apostrophes inside it included (don't)."""

SYMBOL = r"[^\s\p{L}\p{M}0-9]"
"""Any other single character: punctuation and signs carry meaning too."""

TOKEN = f"{NUMBER}|{WORD}|{SYMBOL}"


def tokenize(normalised: pl.Series, max_tokens: int | None = None) -> pl.Series:
    """The tokens of each normalised text, in order, as a column of lists of strings.

    With `max_tokens` only that many first tokens are kept. A null gives a null.

    >>> tokenize(pl.Series(["m8 bolt, 1,250.5 n.m"])).to_list()
    [['m', '8', 'bolt', ',', '1,250.5', 'n', '.', 'm']]
    """
    tokens = normalised.str.extract_all(TOKEN)
    return tokens if max_tokens is None else tokens.list.head(max_tokens)


def is_number(tokens: pl.Series) -> pl.Series:
    """Whether each token is a number. Shape: as `tokens`, booleans."""
    return tokens.str.contains(r"^[0-9]")


def number_value(tokens: pl.Series) -> pl.Series:
    """The value of each token that is a number, null for the others. Shape: as `tokens`.

    >>> number_value(pl.Series(["1,250.5", "1994", "bolt"])).to_list()
    [1250.5, 1994.0, None]
    """
    return tokens.str.replace_all(",", "", literal=True).cast(pl.Float64, strict=False)
