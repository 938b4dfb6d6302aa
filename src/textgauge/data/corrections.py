"""Corrected labels: what a person wrote beside the labels in doubt, put into the table.

A file of corrections has the columns `text`, `corrected_label` and, if only the rows with a certain
label are meant, `label`. Texts are compared in their normal form, labels as they are. Where
`corrected_label` is empty, all stays as it is; `(drop)` takes the rows out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ..errors import ColumnError, StorageError, TableError, did_you_mean, nearest
from .columns import demand, listed, strings
from .normal_form import normalise
from .output import write_whole, writer_for
from .problems import counted, some
from .tables import read_frame

CORRECTED = "corrected_label"
"""The column that a person fills in."""

DROP = "(drop)"
"""The corrected label of rows that shall not stay."""

SHOWN = 10
"""Corrections that matched nothing, which are listed."""

_COMPUTED = r"^'*[=+\-@\t\r]"
_HARMLESS = r"^(?:.|[+-]?[\d.,]+(?:[eE][+-]?\d+)?)$"


def guarded(value: pl.Expr) -> pl.Expr:
    """Put an apostrophe before what a spreadsheet would take for a formula; numbers stay.

    `unguarded` takes it away again. Such a value could do harm to whoever opens the file (OWASP,
    CSV Injection).

    >>> pl.select(guarded(pl.Series(["=1+1", "-1", "- rust", "steel"]))).to_series().to_list()
    ["'=1+1", '-1', "'- rust", 'steel']
    """
    risky = value.str.contains(_COMPUTED) & ~value.str.contains(_HARMLESS)
    return pl.when(risky).then(pl.concat_str(pl.lit("'"), value)).otherwise(value)


def unguarded(value: pl.Expr) -> pl.Expr:
    """What `guarded` was given."""
    return pl.when(value.str.contains(r"^'+[=+\-@\t\r]")).then(value.str.slice(1)).otherwise(value)


@dataclass(frozen=True)
class Corrected:
    """What the corrections changed.

    Attributes:
        rows: of the table that was read.
        changed: rows that have another label now.
        dropped: rows that were taken out.
        unmatched: text and label (None: any) of the corrections that no row matches; the first
            `SHOWN`.
        unmatched_count: all of them.
        new_labels: labels that the table did not have, each with the nearest one that it has.
        out: the file.

    """

    rows: int
    changed: int
    dropped: int
    unmatched: tuple[tuple[str, str | None], ...]
    unmatched_count: int
    new_labels: dict[str, str | None]
    out: Path

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "rows": self.rows,
            "changed": self.changed,
            "dropped": self.dropped,
            "unmatched": self.unmatched_count,
            "unmatched_corrections": [list(each) for each in self.unmatched],
            "new_labels": list(self.new_labels),
            "out": str(self.out),
        }


def correct_table(
    source: Any,
    corrections: Path | str,
    out: Path | str,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Corrected:
    """Write the table with corrected labels and all its columns, whole or not at all.

    Args:
        source: what `read_frame` takes.
        corrections: a table in any of its formats.
        out: a file; its ending names the format.
        text: the table's column with the texts.
        label: the table's column with the labels.
        encoding: of `source`, where it is a text file that is not UTF-8.
        delimiter: of `source`, where it should not be guessed.

    Raises:
        TableError: a table cannot be read, holds no correction, or corrections contradict each
            other.
        ColumnError: a column is missing, or cannot hold the corrected labels.
        StorageError: `out` is one of the files that are read, or cannot be written.

    """
    out = Path(out)
    write = writer_for(out, "check --fix")
    for path in (source, corrections):
        if isinstance(path, str | Path) and _same_file(out, Path(path)):
            raise StorageError(
                f"{out} is a file that is read here; it would be lost. Give another name with "
                "--out, and rename it once you have seen the result."
            )
    wanted = _read_corrections(corrections)
    frame = read_frame(source, encoding=encoding, delimiter=delimiter)
    name = Path(source).name if isinstance(source, str | Path) else "the table"
    demand({"text": text, "label": label}, frame.columns, name)
    rows = pl.DataFrame(
        {
            "key": normalise(strings(frame[text], name)),
            "given": strings(frame[label], name),
        }
    )
    wanted = _as_the_table_has_them(wanted, rows["key"])
    _refuse_contradictions(wanted, Path(corrections).name)
    wanted = wanted.unique(["key", "given"], keep="first", maintain_order=True)
    exact = wanted.filter(pl.col("given").is_not_null()).rename({"to": "exact"})
    general = wanted.filter(pl.col("given").is_null()).select("key", general="to")
    found = rows.join(
        exact.select("key", "given", "exact"), on=["key", "given"], how="left",
        maintain_order="left",
    ).join(general, on="key", how="left", maintain_order="left")  # fmt: skip
    both = found.filter(pl.col("exact") != pl.col("general"))
    if len(both):
        raise TableError(
            f"{Path(corrections).name} contradicts itself: {both['key'][0]!r} with the label "
            f"{both['given'][0]!r} shall be {both['exact'][0]!r}, and with any label "
            f"{both['general'][0]!r}. Keep one of the two."
        )
    to = found.select(pl.coalesce("exact", "general")).to_series()
    known = rows["given"].drop_nulls().unique()
    if DROP in known:
        raise TableError(
            f"{name} has a label {DROP!r}, by which corrections say that rows shall not stay. "
            "Rename that label first."
        )
    dropped = (to == DROP).fill_null(value=False)
    changed = (to.is_not_null() & ~dropped & to.ne_missing(rows["given"])).fill_null(value=False)
    fixed = frame.with_columns(_relabelled(frame[label], to, changed, name)).filter(~dropped)
    if not len(fixed):
        raise TableError(f"{Path(corrections).name} drops every row of {name}.")
    # With any label: where the text is not there. Null is equal to nothing in a join.
    unmatched = wanted.join(rows, on=["key", "given"], how="anti").filter(
        pl.col("given").is_not_null() | ~pl.col("key").is_in(rows["key"].unique().implode())
    )
    new = to.filter(changed).unique().sort()
    new = new.filter(~new.is_in(known.implode()))
    write_whole(fixed, out, write)
    return Corrected(
        rows=len(frame),
        changed=int(changed.sum()),
        dropped=int(dropped.sum()),
        unmatched=tuple(unmatched.head(SHOWN).select("text", "given").iter_rows()),
        unmatched_count=len(unmatched),
        new_labels={each: nearest(each, known.to_list()) for each in new},
        out=out,
    )


def _read_corrections(path: Path | str) -> pl.DataFrame:
    """The corrections that say something: place, text, key, given, to."""
    name = Path(path).name
    frame = read_frame(path)
    for column in ("text", CORRECTED):
        if column not in frame.columns:
            raise ColumnError(
                f"{name} has no column {column!r}; it has {listed(frame.columns)}."
                f"{did_you_mean(column, frame.columns)} Corrections stand in the columns 'text', "
                f"'label' and {CORRECTED!r}."
            )
    columns = {"text": "text", "given": "label", "to": CORRECTED}
    read = pl.DataFrame(
        [
            strings(frame[column], name).alias(role)
            if column in frame.columns
            else pl.Series(role, [None] * len(frame), dtype=pl.String)
            for role, column in columns.items()
        ]
    )
    said = (
        read.with_row_index("place", 1)
        .filter(pl.col("to").is_not_null())
        .with_columns(pl.col("to").str.strip_chars())
    )
    if not len(said):
        raise TableError(
            f"{name} corrects nothing: its column {CORRECTED!r} is empty in all "
            f"{counted(len(read), 'row')}. Put the right label there, or {DROP} for rows that "
            "shall not stay."
        )
    lacking = said.filter(pl.col("text").is_null())["place"]
    if len(lacking):
        raise TableError(
            f"{name} has corrections without a text: "
            f"{some(f'row {place:,}' for place in lacking)}. Fill in the text, or empty "
            f"{CORRECTED!r} there."
        )
    return said


def _as_the_table_has_them(wanted: pl.DataFrame, keys: pl.Series) -> pl.DataFrame:
    """With the normal form of each text, and without the apostrophes of `guarded`.

    An apostrophe that the table's own text begins with stays.
    """
    plain = wanted.with_columns(
        key=normalise(wanted.select(unguarded(pl.col("text"))).to_series()),
        raw=normalise(wanted["text"]),
        given=unguarded(pl.col("given")),
        to=unguarded(pl.col("to")),
    )
    there = keys.unique().implode()
    own = ~pl.col("key").is_in(there) & pl.col("raw").is_in(there)
    return plain.with_columns(key=pl.when(own).then("raw").otherwise("key")).drop("raw")


def _refuse_contradictions(wanted: pl.DataFrame, name: str) -> None:
    several = (
        wanted.group_by("key", "given", maintain_order=True)
        .agg("place", pl.col("to").unique(maintain_order=True))
        .filter(pl.col("to").list.len() > 1)
    )
    if len(several):
        told = some(
            f"{shortened(key)!r} shall be {' and '.join(map(repr, to))} "
            f"(rows {', '.join(f'{place:,}' for place in places[:5])})"
            for key, _, places, to in several.iter_rows()
        )
        raise TableError(f"{name} contradicts itself: {told}. Keep one of them.")


def _relabelled(labels: pl.Series, to: pl.Series, changed: pl.Series, name: str) -> pl.Series:
    """The labels with those of `to` where `changed`, of the kind that the column has."""
    if not changed.any():
        return labels
    if isinstance(labels.dtype, pl.Categorical | pl.Enum):
        labels = labels.cast(pl.String)
    new = to.filter(changed)
    try:
        cast = _cast(new, labels.dtype)
    except pl.exceptions.PolarsError:
        wrong = next(v for v in new if not _fits(v, labels.dtype))
        raise ColumnError(
            f"column {labels.name!r} of {name} holds {labels.dtype}, and {wrong!r} is none. "
            f"Correct {CORRECTED!r}, or make the column one of strings."
        ) from None
    return labels.scatter(changed.arg_true(), cast)


def _cast(values: pl.Series, kind: pl.DataType) -> pl.Series:
    if kind == pl.Boolean:
        return values.str.to_lowercase().replace_strict(
            {"true": True, "false": False}, return_dtype=pl.Boolean
        )
    return values.cast(kind)


def _fits(value: str, kind: pl.DataType) -> bool:
    try:
        _cast(pl.Series([value]), kind)
    except pl.exceptions.PolarsError:
        return False
    return True


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return os.path.abspath(one) == os.path.abspath(other)  # noqa: PTH100 - links stay links


def shortened(text: str, most: int = 60) -> str:
    """The text, or its beginning."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
