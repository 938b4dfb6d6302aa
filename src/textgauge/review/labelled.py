"""A labelled table as the texts that models are judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ..data.columns import Columns
from ..data.corpus import LabelledTexts, gather_texts
from ..data.tables import Table, read_table
from ..errors import TableError


@dataclass(frozen=True)
class Labelled:
    """A table's rows with a text and a label that a model can give.

    Attributes:
        table: all of it.
        judged: these rows.
        texts: the distinct texts of these rows, with their labels.
        unknown_labels: labels that the model can't give, with their rows, which were left out.

    """

    table: Table
    judged: pl.DataFrame
    texts: LabelledTexts
    unknown_labels: dict[str, int]


def read_labelled(
    source: Any,
    columns: Columns,
    classes: Sequence[str],
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Labelled:
    """Read the rows that a model with these classes can be judged on.

    Args:
        source: what `read_table` takes.
        columns: of the texts and the labels.
        classes: the labels that the model can give.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Raises:
        TableError: the table can't be read, or has none of these labels.

    """
    table = read_table(source, columns, encoding=encoding, delimiter=delimiter)
    known = pl.Series(classes)
    labelled = table.frame.filter(pl.col("text").is_not_null() & pl.col("label").is_not_null())
    foreign = labelled.filter(~pl.col("label").is_in(known.implode()))
    judged = labelled.filter(pl.col("label").is_in(known.implode()))
    texts = gather_texts(judged, classes)
    if not len(texts):
        found = ", ".join(repr(v) for v in foreign["label"].unique(maintain_order=True).head(5))
        raise TableError(
            f"{table.name} has none of the model's labels ({', '.join(classes[:5])}); its label "
            f"column {columns.label!r} holds {found or 'nothing'}. Pass --label NAME."
        )
    unknown = dict(foreign["label"].value_counts().sort("label").iter_rows())
    return Labelled(table, judged, texts, unknown)
