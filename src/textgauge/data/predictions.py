"""The columns that predictions add to a table, and the rules for the table's own."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ..errors import ColumnError, TableError, did_you_mean
from .texts import column_as_texts

ADDED = {"predicted_label": pl.String, "probability": pl.Float64, "decision": pl.String}
"""The columns that scoring adds, and what they hold."""


def refuse_columns(names: Sequence[str], text: str) -> None:
    """Raise ColumnError without the column `text`, TableError with one that is to be added."""
    if text not in names:
        listed = ", ".join(repr(name) for name in names)
        raise ColumnError(
            f"the table has no column {text!r}; it has {listed}."
            f"{did_you_mean(text, names)} Pass --text NAME."
        )
    taken = [name for name in ADDED if name in names]
    if taken:
        raise TableError(f"the table already has a column {taken[0]!r}; rename or drop it first.")


def as_texts(column: pl.Series, table: str = "the table") -> pl.Series:
    """The values of a column as texts, null where one is missing; `table` is its name for people.

    Raises ColumnError where they are no single values.
    """
    try:
        return column_as_texts(column)
    except (TypeError, pl.exceptions.PolarsError):
        raise ColumnError(
            f"column {column.name!r} of {table} holds {column.dtype}, no texts. Pass --text NAME."
        ) from None


def texts_to_predict(frame: pl.DataFrame, text: str) -> pl.Series:
    """The column with the texts, as strings. Raises as `refuse_columns` and `as_texts` do."""
    refuse_columns(frame.columns, text)
    return as_texts(frame[text])


def with_predictions(
    frame: pl.DataFrame, texts: pl.Series, predicted: pl.DataFrame
) -> pl.DataFrame:
    """The table with the columns `ADDED`, which are null where the text is."""
    added = predicted.with_columns(pl.when(texts.is_not_null()).then(pl.all()))
    return pl.concat([frame, added], how="horizontal")
