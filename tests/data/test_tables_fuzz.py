"""Whatever a file holds: it is a table, or refused with a message; nothing else is raised."""

from __future__ import annotations

import gzip
import io

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgauge.data.tables import Columns, read_frame, read_table
from textgauge.errors import SettingsError, TableError

BUDGET = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

SUFFIXES = (
    *(".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather"),
    *(".csv.gz", ".tsv.gz", ".jsonl.gz", ".txt", ".xyz", ""),
)

TABLE = pl.DataFrame(
    {
        "text": ["steel bolt", 'say "no"', "two\nlines", None, "für; alt", ""] * 3,
        "label": ["a", "b", "a", "b", None, "a"] * 3,
        "number": [1, 2, None, 4, 5, 6] * 3,
    }
)


def written(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


VALID = {
    ".csv": TABLE.write_csv().encode(),
    ".tsv": TABLE.write_csv(separator="\t").encode(),
    ".jsonl": written(TABLE.write_ndjson),
    ".parquet": written(TABLE.write_parquet),
    ".arrow": written(TABLE.write_ipc),
    ".csv.gz": gzip.compress(TABLE.write_csv().encode()),
}

CHANGED = [suffix for suffix in VALID if suffix != ".parquet"]
"""Of a Parquet file with some other bits, Polars 2.1 ends the whole process ("memory allocation of
… bytes failed"), which nobody can catch: those are tried cut, and as any bytes, alone."""

PIECES = st.sampled_from(
    [
        *(b'"', b",", b"\n", b"\r", b"\r\n", b"\0", b"\t", b";", b"{", b"}", b"[", b"]", b"\\u"),
        *(b"text", b"label", b'{"text": "a", "label": "b"}\n', b'{"text": 1}', b"null", b"1e999"),
        *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xe4", b"\xed\xa0\x80"),
        *(b"\x1f\x8b", b"PAR1", b"ARROW1", b"PK\x03\x04"),
    ]
)
CONTENT = (
    st.binary(max_size=60)
    | st.lists(PIECES, max_size=12).map(b"".join)
    | st.text(max_size=40).map(lambda text: text.encode("utf-16", "surrogatepass"))
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzzed")


def read(path):
    """Read it as `score` and as `train` do; a fault of the file is told, in a line or two."""
    for reading in (
        lambda: read_frame(path),
        lambda: read_table(path, Columns("text", "label")).frame,
        lambda: read_table(path, Columns("text", None)).frame,
    ):
        try:
            frame = reading()
        except (TableError, SettingsError) as error:
            assert len(str(error)) < 2_000
        else:
            assert isinstance(frame, pl.DataFrame)
            frame.write_ndjson()


@pytest.mark.parametrize("suffix", SUFFIXES)
@BUDGET
@given(content=CONTENT)
def test_any_bytes_are_a_table_or_refused(place, suffix, content):
    path = place / f"table{suffix}"
    path.write_bytes(content)
    read(path)


@pytest.mark.parametrize("suffix", CHANGED)
@BUDGET
@given(at=st.floats(0, 1, exclude_max=True), size=st.integers(0, 40), new=CONTENT)
def test_a_changed_table_is_a_table_or_refused(place, suffix, at, size, new):
    content = VALID[suffix]
    begin = int(at * len(VALID[suffix]))
    path = place / f"changed{suffix}"
    path.write_bytes(content[:begin] + new + content[begin + size :])
    read(path)


@pytest.mark.parametrize("suffix", CHANGED)
@BUDGET
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_a_table_or_is_refused(place, suffix, at, bit):
    content = bytearray(VALID[suffix])
    content[int(at * len(VALID[suffix]))] ^= 1 << bit
    path = place / f"flipped{suffix}"
    path.write_bytes(content)
    read(path)


@pytest.mark.parametrize("suffix", VALID)
@BUDGET
@given(at=st.floats(0, 1, exclude_max=True))
def test_a_table_that_was_cut_is_a_table_or_refused(place, suffix, at):
    path = place / f"cut{suffix}"
    path.write_bytes(VALID[suffix][: int(at * len(VALID[suffix]))])
    read(path)


@pytest.mark.parametrize("content", [b"\x1a\r", b"\n\x1a", b"\x1a"])
def test_end_marks_alone_are_no_table(place, content):
    path = place / "ends.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"has a header but no rows|is empty"):
        read_frame(path)
