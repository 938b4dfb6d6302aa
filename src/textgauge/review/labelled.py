"""A labelled table as the texts that models are judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ..data.columns import Columns
from ..data.corpus import LabelledTexts, gather_sets, gather_texts
from ..data.label_sets import LabelSets, each_label
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
    separator: str | None = None,
) -> Labelled:
    """Read the rows that a model with these classes can be judged on.

    Args:
        source: what `read_table` takes.
        columns: of the texts and the labels.
        classes: the labels that the model can give.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        separator: of a model that gives a text any number of labels: what joins them in the table.
            Rows without a label count; rows with a label that the model can't give are left out.

    Raises:
        TableError: the table can't be read, or has none of these labels.

    """
    table = read_table(source, columns, encoding=encoding, delimiter=delimiter, separator=separator)
    if separator is not None:
        return _labelled_sets(table, classes, separator)
    known = pl.Series(classes)
    labelled = table.frame.filter(pl.col("text").is_not_null() & pl.col("label").is_not_null())
    foreign = labelled.filter(~pl.col("label").is_in(known.implode()))
    judged = labelled.filter(pl.col("label").is_in(known.implode()))
    texts = gather_texts(judged, classes)
    if not len(texts):
        raise _none_of(table, classes, foreign)
    unknown = dict(foreign["label"].value_counts().sort("label").iter_rows())
    return Labelled(table, judged, texts, unknown)


def _labelled_sets(table: Table, classes: Sequence[str], separator: str) -> Labelled:
    rows = table.frame.filter(pl.col("text").is_not_null())
    single = each_label(rows.select("row", "label"), separator)
    foreign = single.filter(~pl.col("label").is_in(pl.Series(classes).implode()))
    judged = rows.filter(~pl.col("row").is_in(foreign["row"].implode()))
    if len(foreign) == len(single) or not len(judged):
        raise _none_of(table, classes, foreign)
    sets = LabelSets.of(classes, judged["label"].unique().to_list(), separator)
    unknown = dict(foreign["label"].value_counts().sort("label").iter_rows())
    return Labelled(table, judged, gather_sets(judged, sets), unknown)


def _none_of(table: Table, classes: Sequence[str], foreign: pl.DataFrame) -> TableError:
    found = ", ".join(repr(v) for v in foreign["label"].unique(maintain_order=True).head(5))
    return TableError(
        f"{table.name} has none of the model's labels ({', '.join(classes[:5])}); its label "
        f"column {table.columns.label!r} holds {found or 'nothing'}. Pass --label NAME."
    )
