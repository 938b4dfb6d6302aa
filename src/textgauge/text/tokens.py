"""The normal form of a text, and its tokens, for whole columns at a time.

Two texts with the same normal form are the same text everywhere in textgauge: they are counted
once, never straddle a split, and get the same prediction. The model sees nothing but the normal
form, so a difference it drops (case, width, spacing) can't leak from train into test.
"""

from __future__ import annotations

import polars as pl

NUMBER = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?"
"""A decimal number, with optional commas between thousands. A sign is a token of its own."""

WORD = r"[\p{L}\p{M}]+(?:['\x{2019}][\p{L}\p{M}]+)*"
"""A run of letters in any script, straight and curly apostrophes inside it included (don't)."""

SYMBOL = r"[^\s\p{L}\p{M}0-9]"
"""Any other single character: punctuation and signs carry meaning too."""

TOKEN = f"{NUMBER}|{WORD}|{SYMBOL}"

_SPACES_TO_FOLD = r"^\s|\s$|\s\s|[^\S ]"


def normalise(texts: pl.Series) -> pl.Series:
    r"""Give the normal form of each text: Unicode NFKC, lower case, single spaces, no outer spaces.

    Nulls stay null. Shape: as `texts`. The costly steps run only on the texts that need them
    (NFKC where there are non-ASCII characters, folding where there are odd spaces).

    >>> normalise(pl.Series(["  Steel\tCOMPONENT ", "ﬁne", None])).to_list()
    ['steel component', 'fine', None]
    """
    text = pl.col("text")
    frame = pl.DataFrame({"text": texts.cast(pl.String)}).with_columns(
        foreign=text.str.len_bytes() != text.str.len_chars()
    )
    if frame["foreign"].any():
        frame = _rewrite_where(frame, pl.col("foreign"), text.str.normalize("NFKC"))
    # Lower-casing can decompose a letter (İ), so texts with such letters are composed once more.
    frame = frame.with_columns(text.str.to_lowercase())
    if frame["foreign"].any():
        frame = _rewrite_where(frame, pl.col("foreign"), text.str.normalize("NFKC"))
    frame = frame.with_columns(untidy=text.str.contains(_SPACES_TO_FOLD))
    if frame["untidy"].any():
        folded = text.str.replace_all(r"\s+", " ").str.strip_chars(" ")
        frame = _rewrite_where(frame, pl.col("untidy"), folded)
    return frame["text"].rename(texts.name)


def _rewrite_where(frame: pl.DataFrame, mask: pl.Expr, expression: pl.Expr) -> pl.DataFrame:
    """Apply a costly expression to the masked rows alone (`when` would run it on every row)."""
    chosen = mask.fill_null(value=False)
    rows = frame.select(pl.arg_where(chosen)).to_series()
    rewritten = frame.filter(chosen).select(expression).to_series()
    return frame.with_columns(frame["text"].scatter(rows, rewritten))


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
