"""Scoring a table that does not fit into the memory that it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from textgauge.data.component_notes import make_component_notes

ROWS = 1_000_000
LENGTH = 600

SCRIPT = r"""
import re, sys
from pathlib import Path
from textgauge.scoring import score_model

def peak():
    # Not `ru_maxrss`, which begins with that of the process that started this one.
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10

model, few, table, out = sys.argv[1:]
score_model(model, few, out, cores=1)
before = peak()
rows = score_model(model, table, out, cores=1, overwrite=True).rows
print(rows, peak() - before)
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A few component notes; and 600 MB of them, each with a number and many letters."""
    folder = tmp_path_factory.mktemp("tables")
    number = pl.int_range(ROWS, eager=True)
    notes = make_component_notes(1_000)["text"]
    frame = pl.DataFrame(
        {
            "text": notes.gather(number % len(notes)),
            "more": number.cast(pl.String).str.pad_start(LENGTH, "x"),
        }
    )
    few, large = folder / "few.parquet", folder / "large.parquet"
    frame.head(1_000).write_parquet(few)
    frame.write_parquet(large, row_group_size=50_000)
    return few, large


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "arrow"])
def test_memory_is_bounded(
    trained: Any,
    tables: tuple[Path, Path],
    tmp_path: Path,
    fresh_python: Callable[..., str],
    ending: str,
) -> None:
    out = tmp_path / f"scored.{ending}"
    rows, megabytes = map(int, fresh_python(SCRIPT, trained.folder, *tables, out).split())
    assert rows == ROWS
    assert megabytes < 500
