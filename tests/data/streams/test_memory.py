"""A table that does not fit into the memory that is given streams all the same."""

import polars as pl
import pytest

ROWS = 400_000
LENGTH = 500

SCRIPT = """
import resource, sys
from textgauge.data.streams import open_stream

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

before, rows, texts = peak(), 0, 0
for piece in open_stream(sys.argv[1]).pieces():
    rows += piece.frame.height
    texts = max(texts, piece.frame["text"].str.len_bytes().sum())
print(rows, texts, peak() - before)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """200 MB of texts as CSV and as Parquet."""
    folder = tmp_path_factory.mktemp("large")
    number = pl.int_range(ROWS, eager=True)
    texts = number.cast(pl.String).str.pad_start(LENGTH, "x")
    frame = pl.DataFrame({"text": texts, "n": number})
    frame.write_csv(folder / "large.csv")
    frame.write_parquet(folder / "large.parquet", compression="uncompressed", row_group_size=50_000)
    return folder


@pytest.mark.parametrize("name", ["large.csv", "large.parquet"])
def test_memory_is_bounded(large, name, fresh_python):
    rows, texts, megabytes = map(int, fresh_python(SCRIPT, large / name).split())
    assert (large / name).stat().st_size > 200_000_000
    assert rows == ROWS
    assert texts <= 64 << 20
    assert megabytes < 190
