"""What the checks ask of rows in memory."""

from __future__ import annotations

import polars as pl

from textgauge.data.rows import Found, RowsOfFrame

FRAME = pl.DataFrame(
    {
        "row": range(1, 9),
        "text": ["a", None, "bb", "a", "ccc", "a", None, "a"],
        "label": ["1", "0", None, "0", "1", "1", "1", "1"],
    }
)


def test_rows_are_found_with_the_first_numbers_and_an_example() -> None:
    found = RowsOfFrame(FRAME).find(pl.col("text") == "a")
    assert found == Found(4, (1, 4, 6, 8), {"text": "a", "label": "1"})
    many = RowsOfFrame(FRAME).find(pl.col("row") > 1)
    assert (many.count, many.rows) == (7, (2, 3, 4, 5, 6))
    assert many.example == {"text": None, "label": "0"}
    assert RowsOfFrame(FRAME).find(pl.col("text") == "z") == Found()


def test_values_and_lengths_are_counted() -> None:
    rows = RowsOfFrame(FRAME)
    assert rows.height == 8
    assert rows.values("label", pl.col("text").is_not_null()) == {"1": 4, "0": 1, None: 1}
    assert rows.histogram(pl.col("text").str.len_chars()) == {1: 4, 2: 1, 3: 1}
