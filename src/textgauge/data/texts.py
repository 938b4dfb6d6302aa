"""Which values are texts: strings, and numbers, truths, dates and times as they are written.

The same for a column of a table and for a list in Python. Saved models take this file along.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

_WRITTEN = (bool, int, float, Decimal, datetime.date, datetime.time, np.number, np.bool_)
_NO_SEQUENCE = (bytes, bytearray, memoryview, Mapping, set, frozenset)
_MISSING = ("NoneType", "NAType", "NaTType")  # pandas' two by their names: it may not be there.


def column_as_texts(column: pl.Series) -> pl.Series:
    """The values of a column as texts, null where one is missing or NaN.

    Raises TypeError or polars' errors where they are no single values.
    """
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise TypeError(f"texts must be texts or numbers, was a column of {column.dtype}.")
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column.cast(pl.String)


def as_texts(texts: Any) -> pl.Series:
    """A sequence, or a Polars, pandas or NumPy column, as texts. Shape: (texts,), String.

    Null where one is None, NaN or missing in pandas.

    Raises:
        ValueError: `texts` is a single string.
        TypeError: it is no sequence, or holds bytes, lists or other values that are no texts.

    """
    if isinstance(texts, str):
        raise ValueError("texts must be a sequence of texts, was a single string; pass [text].")
    if hasattr(texts, "columns"):
        raise TypeError("texts must be a sequence of texts, was a table; pass one of its columns.")
    if isinstance(texts, _NO_SEQUENCE) or not isinstance(texts, Iterable):
        raise TypeError(f"texts must be a sequence of texts, was {type(texts).__name__}.")
    if not isinstance(texts, pl.Series | np.ndarray) and hasattr(texts, "to_numpy"):
        texts = texts.to_numpy()
    if isinstance(texts, np.ndarray):
        if texts.ndim != 1:
            raise TypeError(f"texts must have one dimension, had the shape {texts.shape}.")
        # NumPy's numbers have one type, as those of a column have; others are taken one by one.
        texts = pl.Series(texts) if texts.dtype.kind in "biufM" else texts.tolist()
    if isinstance(texts, pl.Series):
        try:
            return column_as_texts(texts).rename("text")
        except pl.exceptions.PolarsError:
            raise TypeError(
                f"texts must be texts or numbers, was a column of {texts.dtype}."
            ) from None
    texts = list(texts)
    if not all(text is None or isinstance(text, str) for text in texts):
        texts = _written(texts)
    return pl.Series("text", texts, dtype=pl.String)


def _written(values: list[Any]) -> list[str | None]:
    """Each value as Polars writes it in a column of such values."""
    texts: list[str | None] = [None] * len(values)
    others: dict[type, list[int]] = {}
    for place, value in enumerate(values):
        if isinstance(value, str):
            texts[place] = value
        elif type(value).__name__ not in _MISSING:
            others.setdefault(type(value), []).append(place)
    for kind, places in others.items():
        first = values[places[0]]
        if not issubclass(kind, _WRITTEN):
            raise TypeError(
                f"texts must be texts or numbers; texts[{places[0]}] is of the type "
                f"{kind.__name__}: {first!r:.60}."
            )
        found = [values[place] for place in places]
        if kind is int:  # Of any size.
            written: list[Any] = [str(value) for value in found]
        else:
            written = column_as_texts(pl.Series(found)).to_list()
        for place, text in zip(places, written, strict=True):
            texts[place] = text
    return texts
