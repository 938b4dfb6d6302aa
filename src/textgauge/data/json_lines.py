"""JSON lines: which keys there are, and their values as columns; each fault with its line."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import polars as pl

from ..errors import ColumnError, TableError
from .problems import some
from .text_files import Rows


def find_keys(data: bytes, name: str, wanted: Sequence[str]) -> list[str]:
    """Return the keys of the first 200 objects, and those of `wanted` that come up further down.

    Raises TableError as `json_sample` does, and ColumnError where one of those objects has a list
    or an object under a wanted key.
    """
    sample = json_sample(data, name)
    for row, record in enumerate(sample, 1):
        for column in wanted:
            if isinstance(record.get(column), list | dict):
                kind = "a list" if isinstance(record[column], list) else "an object"
                raise ColumnError(
                    f"column {column!r} of {name} holds {kind} in row {row:,}. Make a column of "
                    "plain texts or labels from it."
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
