"""Several labels a text: what the labels are, how a row's set of them is read, and how it is cut.

The decision what the classes are is made here alone. A row has a *set* of labels, which may be
empty; their order plays no role. Between reading and training a set travels as one string, its
labels in alphabetical order joined by the separator ("" for the empty set), so that whatever works
with one label a row (distinct texts, contradictions, the split, the digest) works with one set a
row without knowing it. `LabelSets` tells of such strings which labels they hold; who needs labels
asks `LabelledTexts.cells`.

    table ─▶ set as a string ─▶ distinct texts, sets ─▶ rows with each label ─▶ a sigmoid a label
             `as_written`       `LabelledTexts`         its `cells`             `training.loss`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import ColumnError
from .columns import strings
from .problems import Problem

SEPARATORS = ("|", ";", ",")
"""That a column of single labels is looked through for, in this order."""

OWN_STRATUM = 10
"""Texts from which on a set is cut by itself; the texts of rarer sets are cut by their rarest
label."""

JOINED_ROWS = 0.05
"""Share of the rows with a separator from which on a column looks like one of sets."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelSets:
    """The labels of a table whose rows have several, and the sets of them that occur.

    Attributes:
        labels: all labels, in the order of the classes.
        sets: the different sets as `as_written` writes them, in alphabetical order.
        separator: between the labels of a set.

    """

    labels: tuple[str, ...]
    sets: tuple[str, ...]
    separator: str

    @classmethod
    def of(cls, labels: Sequence[str], sets: Sequence[str], separator: str) -> LabelSets:
        """From what a column holds, in any order."""
        return cls(tuple(labels), tuple(sorted(set(sets))), separator)

    @cached_property
    def _members(self) -> tuple[Ints, Ints]:
        """Where the labels of each set begin, one more entry for the end; and all their indices."""
        place = {label: index for index, label in enumerate(self.labels)}
        found = [sorted(place[label] for label in labels_in(one, self.separator))
                 for one in self.sets]  # fmt: skip
        begins = np.concatenate(([0], np.cumsum([len(each) for each in found]))).astype(np.int64)
        return begins, np.array([label for each in found for label in each], dtype=np.int64)

    def members(self, sets: Ints) -> tuple[Ints, Ints]:
        """The labels of some sets, by their indices.

        Returns:
            For each label of each set the place in `sets`, rising, and the index of the label.

        """
        begins, labels = self._members
        sizes = begins[sets + 1] - begins[sets]
        place = np.repeat(np.arange(len(sets)), sizes)
        first = np.cumsum(sizes) - sizes
        at = np.arange(int(sizes.sum())) - np.repeat(first - begins[sets], sizes)
        return place, labels[at]

    def matrix(self, sets: Ints) -> npt.NDArray[np.bool_]:
        """Which labels each set holds. Shape: (sets,) -> (sets, labels)."""
        found = np.zeros((len(sets), len(self.labels)), dtype=np.bool_)
        found[self.members(sets)] = True
        return found

    def codes(self, written: pl.Series) -> Ints:
        """The index of each set. All must be known. Shape: (n,) -> (n,)."""
        known = {one: index for index, one in enumerate(self.sets)}
        return written.replace_strict(known, return_dtype=pl.Int64).to_numpy()


def labels_in(written: str, separator: str) -> list[str]:
    """The labels of a set as `as_written` writes it.

    >>> labels_in("a|b", "|"), labels_in("", "|")
    (['a', 'b'], [])
    """
    return written.split(separator) if written else []


def as_written(column: pl.Series, name: str, separator: str) -> tuple[pl.Series, list[Problem]]:
    """The set of each row as one string: its labels in alphabetical order, joined.

    White space around a label is taken off, empty parts are left out, and what stands twice counts
    once. A cell that is null or blank is the empty set, "".

    Args:
        column: texts with labels joined by `separator`, or lists of single values.
        name: of the table, for messages.
        separator: between the labels.

    Raises:
        ColumnError: the values are lists of lists or objects, or a label of a list holds the
            separator.

    """
    problems = []
    listed = isinstance(column.dtype, pl.List | pl.Array)
    if listed:
        inner = column.dtype.inner  # type: ignore[attr-defined]
        if inner.is_nested() or inner == pl.Object:
            raise ColumnError(
                f"column {column.name!r} of {name} holds {column.dtype}: lists of lists or of "
                "objects. Make each cell a list of labels."
            )
        parts = column.cast(pl.List(inner)).to_frame("part").with_row_index("at").explode("part")
        gaps = parts.filter(pl.col("part").is_null() & column.gather(parts["at"]).list.len().gt(0))
        if gaps.height:
            rows = tuple(gaps["at"].unique(maintain_order=True).head(5).cast(pl.Int64) + 1)
            problems.append(
                Problem(
                    "warning",
                    "null-in-list",
                    f"lists in column {column.name!r} hold null in the place of a label",
                    rows,
                    gaps["at"].n_unique(),
                    "Fill these in or take them out; training leaves them out.",
                )
            )
        parts = parts.with_columns(strings(parts["part"].rename(column.name), name).alias("part"))
    else:
        texts = strings(column, name)
        # Each different cell once: few are.
        distinct = texts.drop_nulls().unique()
        parts = (
            distinct.to_frame("cell")
            .with_columns(part=pl.col("cell").str.split(separator))
            .explode("part")
        )
    parts = parts.with_columns(pl.col("part").str.strip_chars()).filter(pl.col("part") != "")
    if (
        listed
        and (held := parts.filter(pl.col("part").str.contains(separator, literal=True))).height
    ):
        raise ColumnError(
            f"column {column.name!r} of {name} has a label with {separator!r} in it, which stands "
            f"between the labels of a row: {held['part'][0]!r} in row {held['at'][0] + 1:,}. Pass "
            "--label-separator with what no label holds."
        )
    key = "at" if listed else "cell"
    sets = (
        parts.unique([key, "part"])
        .sort(key, "part")
        .group_by(key, maintain_order=True)
        .agg(pl.col("part").str.join(separator).alias("set"))
    )
    cells = pl.DataFrame({"at": range(len(column))}, schema={"at": pl.get_index_type()})
    if not listed:
        cells = texts.to_frame("cell")
    found = cells.join(sets, on=key, how="left", maintain_order="left")["set"]
    return found.fill_null("").alias(column.name), problems


def labels_of_sets(sets: pl.Series, separator: str) -> pl.Series:
    """The different labels of sets as `as_written` writes them, in alphabetical order."""
    labels = sets.drop_nulls().unique().str.split(separator).explode().unique().sort()
    return labels.filter(labels != "")


def each_label(pairs: pl.DataFrame, separator: str) -> pl.DataFrame:
    """A row for each label in the column `label` of sets; the empty set has none."""
    split = pairs.with_columns(pl.col("label").str.split(separator)).explode("label")
    return split.filter(pl.col("label") != "")


def strata(rows: pl.DataFrame, separator: str) -> pl.Series:
    """What the split keeps in equal shares: a frequent set, or the rarest label of a rare one.

    So that no label lacks in a part that could have it: of a label in rare sets only, those texts
    in which no other is rarer are divided by themselves.

    Args:
        rows: columns `key` (the text) and `label` (the set).
        separator: between the labels of a set.

    Returns:
        A name for each row's stratum. Shape: (rows,), String.

    """
    pairs = rows.select("key", "label").unique()
    texts = pairs.group_by("label").agg(pl.len().alias("texts"))
    labels = each_label(pairs.rename({"label": "set"}).with_columns(label="set"), separator)
    counted = labels.group_by("label").agg(pl.col("key").n_unique().alias("of_label"))
    rarest = (
        labels.select("set", "label")
        .unique()
        .join(counted, on="label")
        .sort("set", "of_label", "label")
        .unique("set", keep="first", maintain_order=True)
        .select(label="set", rarest="label")
    )
    named = (
        texts.join(rarest, on="label", how="left")
        .with_columns(
            stratum=pl.when((pl.col("texts") >= OWN_STRATUM) | pl.col("rarest").is_null())
            .then(pl.lit("set ") + pl.col("label"))
            .otherwise(pl.lit("label ") + pl.col("rarest"))
        )
        .select("label", "stratum")
    )
    return rows.select("label").join(named, on="label", how="left", maintain_order="left")[
        "stratum"
    ]


def separator_in(labels: pl.DataFrame) -> tuple[str, int, str] | None:
    """The character by which values that are taken for single labels look joined.

    That is so where it stands in many rows, and nearly all that it separates are labels elsewhere:
    "joy|anger" beside "joy" and "anger". Prose such as "Smith, John" does not look so.

    Args:
        labels: columns `label` and `rows`.

    Returns:
        The character, the rows that have it, and the most frequent value with it; None for none.

    """
    total = int(labels["rows"].sum())
    for mark in SEPARATORS:
        with_it = labels.filter(pl.col("label").str.contains(mark, literal=True))
        rows = int(with_it["rows"].sum())
        if not with_it.height or rows < JOINED_ROWS * total:
            continue
        part = pl.col("part")
        parts = (
            labels.with_columns(at=pl.int_range(pl.len()), part=pl.col("label").str.split(mark))
            .explode("part")
            .with_columns(part.str.strip_chars())
            .filter(part != "")
            .unique(["at", "part"])
        )
        seen = parts.group_by("part").agg(pl.len().alias("values"))
        joined = parts.filter(pl.col("label").str.contains(mark, literal=True)).join(
            seen, on="part"
        )
        again = int(joined.filter(pl.col("values") > 1)["rows"].sum())
        if seen.height < labels.height and again >= 0.9 * int(joined["rows"].sum()):
            return mark, rows, str(with_it.sort("rows", "label", descending=True)["label"][0])
    return None
