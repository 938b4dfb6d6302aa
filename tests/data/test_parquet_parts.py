"""Parquet files put together from parts: every reader reads them as one file."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from textgauge.data.parquet_parts import MAGIC, join_footers, take_apart

ROWS = 100
FRAME = pl.DataFrame(
    {
        "id": range(ROWS),
        "text": [f"note {n % 7}" for n in range(ROWS)],
        "parts": [[n, None] for n in range(ROWS)],
        "worn": [n % 2 == 0 for n in range(ROWS)],
        "gap": [n / 3 for n in range(ROWS)],
        "day": [datetime.date(2020, 1, 1)] * ROWS,
        "nothing": [None] * ROWS,
        "place": [{"hall": n} for n in range(ROWS)],
    }
)


def written(frame: pl.DataFrame, **how: object) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, **how)  # type: ignore[arg-type]
    return out.getvalue()


def joined(files: list[bytes]) -> bytes:
    out, parts = bytearray(MAGIC), []
    for file in files:
        part = take_apart(file)
        parts.append((len(out), part.footer))
        out += part.rows
    return bytes(out) + join_footers(parts)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": "snappy", "row_group_size": 7},
        {"compression": "uncompressed", "statistics": "full", "data_page_size": 64},
    ],
    ids=str,
)
def test_parts_make_one_file_for_every_reader(tmp_path: Path, how: dict[str, object]) -> None:
    parts = [FRAME[:33], FRAME[33:34], FRAME[34:]]
    path = tmp_path / "joined.parquet"
    path.write_bytes(joined([written(part, **how) for part in parts]))
    assert pl.read_parquet(path).equals(FRAME)
    late = pl.scan_parquet(path).filter(pl.col("id") >= 60).collect()
    assert late.equals(FRAME[60:])
    file = pq.ParquetFile(path)
    assert pl.from_arrow(file.read()).equals(FRAME)  # type: ignore[union-attr]
    groups = sum(pq.ParquetFile(io.BytesIO(written(part, **how))).num_row_groups for part in parts)
    assert (file.metadata.num_rows, file.num_row_groups) == (ROWS, groups)
    last = pl.from_arrow(file.read_row_group(groups - 1))
    assert last["id"][-1] == ROWS - 1  # type: ignore[index, call-overload]


def test_what_arrow_wrote_with_page_indexes_is_put_together_too(tmp_path: Path) -> None:
    files = []
    for part in (FRAME[:50], FRAME[50:]):
        out = io.BytesIO()
        table = part.drop("nothing").to_arrow()
        pq.write_table(table, out, write_page_index=True, row_group_size=9)
        files.append(out.getvalue())
    path = tmp_path / "joined.parquet"
    path.write_bytes(joined(files))
    file = pq.ParquetFile(path)
    assert pl.from_arrow(file.read()).equals(FRAME.drop("nothing"))  # type: ignore[union-attr]
    assert file.metadata.row_group(11).column(0).has_offset_index
    assert pl.scan_parquet(path).filter(pl.col("id") == 77).collect()["id"].to_list() == [77]


def test_a_part_without_rows_gives_a_table_with_columns(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    path.write_bytes(joined([written(FRAME.clear())]))
    assert pl.read_parquet(path).equals(FRAME.clear())


def test_more_parts_than_a_short_list_has_room_for(tmp_path: Path) -> None:
    path = tmp_path / "joined.parquet"
    path.write_bytes(joined([written(FRAME[at : at + 5]) for at in range(0, ROWS, 5)]))
    assert pl.read_parquet(path).equals(FRAME)


def test_parts_of_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="different schemas"):
        joined([written(FRAME), written(FRAME.drop("gap"))])


@pytest.mark.parametrize(
    "file", [b"", b"text,label\n", MAGIC + b"\xff\xff\x00\x00" + MAGIC], ids=len
)
def test_what_is_no_parquet_is_refused(file: bytes) -> None:
    with pytest.raises(ValueError, match="no Parquet file"):
        take_apart(file)
