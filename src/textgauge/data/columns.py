"""Columns by name: which are wanted, a helpful refusal where they are not there, and their values.

Values become strings, null where there is nothing to read, or times.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ..errors import ColumnError, TableError, nearest
from .problems import some

ROLES = {  # option, what the column holds
    "text": ("--text", "texts"),
    "label": ("--label", "labels"),
    "id": ("--id", "ids"),
    "split": ("--split-column", "split"),
    "group": ("--group-column", "groups"),
    "time": ("--time-column", "times"),
    "slice": ("--slice", "slices"),
}


@dataclass(frozen=True)
class Columns:
    """The names that the columns have in the table; None for a column that is not wanted."""

    text: str = "text"
    label: str | None = "label"
    id: str | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    slice: str | None = None

    def wanted(self) -> dict[str, str]:
        """Return the role and the name of each wanted column."""
        return {role: name for role in ROLES if (name := getattr(self, role)) is not None}


def demand(
    wanted: Mapping[str, str],
    names: list[str],
    source: str,
    first_rows: Sequence[Sequence[str]] = (),
) -> None:
    """Raise ColumnError unless each wanted column is there exactly once; name all that are not.

    `wanted` maps roles to columns, `names` are the columns that `source` has, and `first_rows` are
    those of a delimited file, to tell a missing header.
    """
    for column in wanted.values():
        if names.count(column) > 1:
            places = [str(at) for at, name in enumerate(names, 1) if name == column]
            raise ColumnError(
                f"{source} has more than one column {column!r} (columns "
                f"{' and '.join(places)}). Rename one of them."
            )
    missing = {role: column for role, column in wanted.items() if column not in names}
    if not missing:
        return
    if len(missing) == len(wanted) and _looks_like_data(names, first_rows):
        raise ColumnError(
            f"{source} seems to have no header: its first line is {listed(names)}. "
            "Put a line with the names of the columns above it, such as "
            f"{','.join(wanted.values())}"
        )
    message = (
        f"{source} has no column{'s' if len(missing) > 1 else ''} "
        f"{' and '.join(map(repr, missing.values()))}; it has "
        f"{'only ' if len(names) == 1 else ''}{listed(names) or 'none'}."
    )
    if mark := _hidden_delimiter(names, list(missing.values())):
        raise ColumnError(
            f"{message} Are its columns separated by {mark!r}? Pass --delimiter {mark!r}."
        )
    free = [name for name in names if name not in wanted.values()]
    for role, column in missing.items():
        option, holds = ROLES[role]
        close = nearest(column, free) or (free[0] if len(free) == len(missing) == 1 else None)
        if close is None:
            message += f" Pass {option} with the name of the column that holds the {holds}."
        else:
            subject = f"For {column!r} did" if len(missing) > 1 else "Did"
            message += f" {subject} you mean {close!r}? Pass {option} {shlex.quote(close)}."
    raise ColumnError(message)


def listed(names: Sequence[str]) -> str:
    """Name the first twelve, in quotes and not at any length, and say how many more there are."""
    more = f" and {len(names) - 12:,} more" if len(names) > 12 else ""
    shown = (name if len(name) <= 60 else f"{name[:59]}…" for name in names[:12])
    return ", ".join(map(repr, shown)) + more


def _looks_like_data(names: Sequence[str], first_rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the names of a delimited file's columns are more likely its first row."""
    for at, name in enumerate(names):
        below = {row[at] for row in first_rows if len(row) > at}
        if name in below or re.fullmatch(r"[-+]?[\d.]+", name) or len(name.split()) > 5:
            return True
    return False


def _hidden_delimiter(names: list[str], missing: list[str]) -> str | None:
    """Find the character between the wanted names where they stand in one column's name."""
    if len(names) != 1 or len(missing) < 2:
        return None
    pair = sorted(missing[:2], key=names[0].find)
    found = re.search(rf"{re.escape(pair[0])}[\"']?(\W)[\"']?{re.escape(pair[1])}", names[0])
    return found[1] if found else None


def strings(column: pl.Series, name: str) -> pl.Series:
    """Return the values as strings, null where a value is missing, empty or blank."""
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise ColumnError(
            f"column {column.name!r} of {name} holds {column.dtype}, not single values. Make a "
            "column of plain texts or labels from it."
        )
    if column.dtype.is_float():
        column = column.fill_nan(None)
        if ((column == column.round()) & (column.abs() < 2**53)).all():
            column = column.cast(pl.Int64)
    try:
        strings = column.cast(pl.String)
    except pl.exceptions.PolarsError:
        raise TableError(
            f"column {column.name!r} of {name} holds bytes that are not UTF-8. Write it as strings."
        ) from None
    blank = strings.str.strip_chars() == ""
    return strings.set(blank, None) if blank.any() else strings


def times(column: pl.Series, name: str) -> pl.Series:
    """Return numbers, dates or datetimes; strings that all are one of these become so."""
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        return column
    texts = strings(column, name).str.strip_chars()
    best, best_left = texts, texts.is_not_null()
    for reading in _readings(texts):
        left = texts.is_not_null() & reading.is_null()
        if best is texts or left.sum() < best_left.sum():
            best, best_left = reading, left
        if not left.any():
            break
    advice = "Write times as 2024-05-31, as 2024-05-31 14:00 or as numbers."
    if best_left.any():
        rows = best_left.arg_true().to_list()
        shown = some(f"{texts[row]!r} in row {row + 1:,}" for row in rows)
        raise ColumnError(
            f"column {column.name!r} of {name} does not hold times: {shown}. {advice}"
        )
    if texts.str.contains("/").any():
        other = texts.str.to_date("%m/%d/%Y", strict=False)
        if other.null_count() == texts.null_count() and not other.equals(best):
            raise ColumnError(
                f"column {column.name!r} of {name} can be read with the day first or the month "
                f"first ({texts.drop_nulls()[0]!r}). {advice}"
            )
    return best


def _readings(texts: pl.Series) -> Iterator[pl.Series]:
    """Yield the texts read as numbers, then in each form that times are commonly written in."""
    yield texts.cast(pl.Int64, strict=False)
    yield texts.cast(pl.Float64, strict=False)
    plain = texts.str.replace(r"^(\d{4}-\d\d-\d\d)T", "$1 ").str.replace(r"Z$", "+00:00")
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y"):
        yield plain.str.to_date(form, strict=False)
    for form in ("%Y-%m-%d", "%d.%m.%Y"):
        for clock in (" %H:%M", " %H:%M:%S%.f", " %H:%M%#z", " %H:%M:%S%.f%#z"):
            yield plain.str.to_datetime(form + clock, strict=False)
