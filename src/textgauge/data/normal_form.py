"""The normal form of a text: when two texts are the same text.

Texts with the same normal form are counted once, never straddle a split, and get the same
prediction. The model sees nothing but the normal form, so a difference that it drops (case, width,
spacing) can't leak from train into test.
"""

from __future__ import annotations

import polars as pl

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
