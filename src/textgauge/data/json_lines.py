"""JSON lines: which keys there are, and their values as columns; each fault with its line."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import polars as pl

from ..errors import ColumnError, TableError
from .problems import some
from .text_files import Rows

SEVERAL_LABELS = "Where a row has several labels, pass --multi-label (in Python multi_label=True)."
"""What else a list in the column of the labels may mean."""


def find_keys(
    data: bytes, name: str, wanted: Sequence[str], label: str | None = None, *, lists: bool = False
) -> list[str]:
    """Return the keys of the first 200 objects, and those of `wanted` that come up further down.

    Raises TableError as `json_sample` does, and ColumnError where one of those objects has a list
    or an object under a wanted key; under `label` lists are allowed with `lists`.
    """
    sample = json_sample(data, name)
    for row, record in enumerate(sample, 1):
        for column in wanted:
            value = record.get(column)
            listed = isinstance(value, list) and column == label
            if isinstance(value, list | dict) and not (lists and listed):
                kind = "a list" if isinstance(value, list) else "an object"
                raise ColumnError(
                    f"column {column!r} of {name} holds {kind} in row {row:,}. Make a column of "
                    f"plain texts or labels from it.{f' {SEVERAL_LABELS}' if listed else ''}"
                )
    names = list(dict.fromkeys(key for record in sample for key in record))
    rest = [column for column in wanted if column not in names]
    if rest:  # a key may come up for the first time far down
        late = read_json_lines(data, name, rest, as_written=True).frame
        names += [column for column in rest if late[column].null_count() < late.height]
    return names


def json_sample(data: bytes, name: str) -> list[dict[str, object]]:
    """Return the first 200 objects. Raises TableError for what is not one JSON object a line."""
    if data.lstrip()[:1] == b"[":
        raise TableError(
            f"{name} holds one JSON array, not one object a line. "
            f"Turn it into JSON lines: jq -c '.[]' {name} > table.jsonl"
        )
    sample = []
    for line, _ in zip(io.BytesIO(data), range(200), strict=False):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                raise _bad_json(name, _faults(data))
            sample.append(value)
    return sample


def read_json_lines(data: bytes, name: str, names: Sequence[str], *, as_written: bool) -> Rows:
    """Return the keys `names` of JSON lines; with `as_written` all are Strings (true, 1, 1.5).

    Raises TableError that names the lines that are no JSON objects.
    """
    strings = dict.fromkeys(names, pl.String)
    try:
        if as_written:
            frame = pl.read_ndjson(data, schema=strings)
        else:
            try:
                frame = pl.read_ndjson(data, infer_schema_length=None)
            except pl.exceptions.SchemaError:  # the values of one key differ in kind
                frame = pl.read_ndjson(data, schema=strings)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise _bad_json(name, _faults(data)) from None
    if has_empty_row(frame) and (faults := _faults(data)):
        raise _bad_json(name, faults)
    one_each = frame.height == data.rstrip().count(b"\n") + 1
    return Rows(frame, 1 if one_each else None)


def read_label_lists(data: bytes, name: str, label: str) -> pl.Series:
    """The values under `label`, a list in some object at least: each as a list of Strings.

    Raises ColumnError where a list holds a list or an object.
    """
    cells: list[list[str | None] | None] = []
    for row, line in enumerate(filter(None, map(bytes.strip, io.BytesIO(data))), 1):
        value = json.loads(line).get(label)
        items = value if value is None or isinstance(value, list) else [value]
        if isinstance(value, dict) or any(isinstance(each, list | dict) for each in items or ()):
            raise ColumnError(
                f"column {label!r} of {name} holds lists of lists or objects in row {row:,}. Make "
                "each value a list of labels."
            )
        cells.append(
            items and [
                each if each is None or isinstance(each, str) else json.dumps(each)
                for each in items
            ]
        )  # fmt: skip
    return pl.Series(label, cells, dtype=pl.List(pl.String))


def holds_lists(data: bytes, name: str, label: str) -> bool:
    """Whether a list stands under `label` in one of the first 200 objects."""
    return any(isinstance(each.get(label), list) for each in json_sample(data, name))


def has_empty_row(frame: pl.DataFrame) -> bool:
    """Whether all values of some row are null: Polars 1.31 makes such rows of broken lines, too."""
    if not frame.width:
        return False
    return bool(frame.select(pl.all_horizontal(pl.all().is_null()).any()).item())


def _faults(data: bytes) -> list[str]:
    """The lines that are no objects, and why."""
    faults = []
    for number, line in enumerate(io.BytesIO(data), 1):
        try:
            if line.strip() and not isinstance(json.loads(line), dict):
                faults.append(f"line {number:,} (no object)")
        except ValueError as error:
            faults.append(f"line {number:,} ({str(error).split(':')[0].lower()})")
    return faults


def _bad_json(name: str, faults: list[str]) -> TableError:
    return TableError(
        f"{name} is not JSON lines: {some(faults) or 'a value is out of range'}. Each line must be "
        'one object, such as {"text": "good condition", "label": 0}; mend or delete these lines.'
    )
