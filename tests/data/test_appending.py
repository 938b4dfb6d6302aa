"""Pieces written one behind the other are the table written at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from textgauge.data.appending import FORMATS

TABLE = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 5],
        "text": ['3" hose, new', None, "two\nlines", "", "Maß"],
        "worn": [True, False, None, True, True],
    }
)
READERS: dict[str, Callable[[Any], pl.DataFrame]] = {
    ".csv": pl.read_csv,
    ".tsv": lambda data: pl.read_csv(data, separator="\t"),
    ".jsonl": pl.read_ndjson,
    ".ndjson": pl.read_ndjson,
    ".parquet": pl.read_parquet,
}


def written(ending: str, pieces: list[pl.DataFrame], *, anew: bool = False) -> bytes:
    """The pieces in one file; with `anew` each is written by another process, as it were."""
    form = FORMATS[ending]()
    out, told = bytearray(form.head(TABLE.clear())), []
    for piece in pieces:
        form = FORMATS[ending]() if anew else form
        rows, footer = form.rows(piece)
        told.append((len(out), footer))
        out += rows
    return bytes(out) + form.tail(told, TABLE.clear())


@pytest.mark.parametrize("ending", FORMATS)
def test_the_pieces_are_the_table(ending: str) -> None:
    data = written(ending, [TABLE[:2], TABLE[2:3], TABLE[3:]])
    assert READERS[ending](io.BytesIO(data)).equals(TABLE)
    assert written(ending, [TABLE[:2], TABLE[2:3], TABLE[3:]], anew=True) == data


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_text_is_what_polars_writes_at_once(ending: str) -> None:
    out = io.BytesIO()
    if ending == ".jsonl":
        TABLE.write_ndjson(out)
    else:
        TABLE.write_csv(out, separator="," if ending == ".csv" else "\t")
    assert written(ending, [TABLE[:4], TABLE[4:]]) == out.getvalue()


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_a_table_without_rows_has_its_columns(ending: str) -> None:
    assert READERS[ending](io.BytesIO(written(ending, []))).columns == TABLE.columns


def test_columns_are_added_behind_the_keys_of_json_lines() -> None:
    added = pl.DataFrame({"label": ['a "b"\n', None, "c", "d"], "p": [0.5, None, 1.0, 0.0]})
    lines = pl.Series(
        ['{"n": 5, "o": {"a": [1.0]}}', ' {"n":1e2 , "n": "}"\t} \r', "{ }", "{}\x1a"]
    )
    written, _ = FORMATS[".jsonl"]().rows(added, lines)
    assert written.decode().split("\n") == [
        r'{"n": 5, "o": {"a": [1.0]},"label":"a \"b\"\n","p":0.5}',
        '{"n":1e2 , "n": "}","label":null,"p":null}',
        '{"label":"c","p":1.0}',
        '{"label":"d","p":0.0}',
        "",
    ]
    assert FORMATS[".jsonl"]().rows(added.clear(), lines.clear()) == (b"", "")
