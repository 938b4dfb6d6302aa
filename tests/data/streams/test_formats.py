"""Every format: the pieces together are the table, and the rest behind any piece is the rest."""

import gzip
import io
import itertools
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgauge.data.streams import open_stream
from textgauge.data.tables import read_frame


def bytes_of(write_to, *args, **options):
    buffer = io.BytesIO()
    write_to(buffer, *args, **options)
    return buffer.getvalue()


def joined(pieces):
    return pl.concat([piece.frame for piece in pieces])


def check_stream(source, expected, rows, **options):
    """Hold the pieces against the whole table; go on from each of them with a new stream."""
    stream = open_stream(source, rows=rows, **options)
    pieces = list(stream.pieces())
    assert joined(pieces).equals(expected)
    assert all(piece.frame.height <= rows and piece.unreadable == () for piece in pieces)
    assert {tuple(piece.frame.schema.items()) for piece in pieces} == {tuple(stream.schema.items())}
    done = [piece.done for piece in pieces]
    assert done == sorted(done)
    assert done[-1] <= 1
    for at, piece in enumerate(pieces):
        after = json.loads(json.dumps(piece.after))
        rest = list(open_stream(source, rows=rows, **options).pieces(after))
        assert [each.frame.rows() for each in rest] == [
            each.frame.rows() for each in pieces[at + 1 :]
        ]
        assert [each.after for each in rest] == [each.after for each in pieces[at + 1 :]]


FRAME = pl.DataFrame(
    {
        "text": ["good steel", 'bolt 3"', "a, b\nsecond line", None, "größer ☃", "x" * 300] * 7,
        "label": ["0", "01", None, "1", "2", ""] * 7,
    }
).with_columns(pl.col("label").replace("", None))
NUMBERS = FRAME.with_columns(pl.int_range(pl.len()).alias("n"), pl.lit(True).alias("flag"))

WRITTEN = {
    "notes.csv": bytes_of(FRAME.write_csv),
    "notes.tsv": bytes_of(FRAME.write_csv, separator="\t"),
    "notes.txt": bytes_of(FRAME.write_csv, separator="|", line_terminator="\r\n"),
    "notes.jsonl": bytes_of(FRAME.write_ndjson),
    "notes.parquet": bytes_of(NUMBERS.write_parquet),
    "groups.parquet": bytes_of(NUMBERS.write_parquet, row_group_size=5),
    "notes.arrow": bytes_of(NUMBERS.write_ipc),
    "utf16.csv": FRAME.write_csv().encode("utf-16"),
    "marked.csv": b"\xef\xbb\xbf" + bytes_of(FRAME.write_csv),
    "excel.csv": b"sep=,\n\n" + bytes_of(FRAME.write_csv, quote_style="always") + b"\n\n\x1a",
}


@pytest.mark.parametrize("rows", [1, 5, 1000])
@pytest.mark.parametrize("name", WRITTEN)
def test_the_pieces_of_a_file_are_the_file(write, name, rows):
    path = write(WRITTEN[name], name)
    check_stream(path, read_frame(path), rows)


@pytest.mark.parametrize("name", [name for name in WRITTEN if name.endswith(("csv", "jsonl"))])
def test_a_packed_file_is_unpacked_on_the_way(write, name):
    path = write(gzip.compress(WRITTEN[name]), f"{name}.gz")
    check_stream(path, read_frame(path), 5)


cells = st.text(st.sampled_from('ab ,;"\n\r|ä☃'), max_size=6).map(
    lambda cell: cell.replace("\r", "")  # a carriage return alone is a fault
)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(
    table=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=12),
    rows=st.integers(1, 7),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from(["necessary", "always", "non_numeric"]),
)
def test_any_table_that_is_written_well_is_read_as_a_whole_one(
    tmp_path_factory, table, rows, end, quoting
):
    frame = pl.DataFrame(table, schema=["text", "b", "c"], orient="row")
    path = tmp_path_factory.mktemp("any") / "any.csv"
    frame.write_csv(path, line_terminator=end, quote_style=quoting)
    check_stream(path, read_frame(path), rows)


def test_a_frame_is_cut_into_slices():
    check_stream(NUMBERS, NUMBERS, 5)
    check_stream(NUMBERS.lazy().with_columns(m="n"), NUMBERS.with_columns(m="n"), 7)
    check_stream(NUMBERS.to_pandas(), read_frame(NUMBERS.to_pandas()), 5)


def test_what_is_read_has_an_identity_that_follows_its_bytes_and_how_it_is_read(write):
    path = write("text,label\na,1\n")
    identity = open_stream(path).identity
    assert identity == open_stream(str(path)).identity
    assert open_stream(NUMBERS).identity is None
    different = [
        open_stream(path, rows=5).identity,
        open_stream(path, delimiter=";").identity,
        open_stream(path, encoding="latin-1").identity,
        open_stream(write("text,label\nab,1\n")).identity,
    ]
    assert len({identity, *different}) == 5


def test_long_texts_make_pieces_of_few_rows(write):
    frame = pl.DataFrame({"text": [letter * (9 << 20) for letter in "abcdefghijklm"]})
    buffer = bytes_of(frame.write_parquet)
    pieces = list(open_stream(write(buffer, "long.parquet")).pieces())
    assert joined(pieces).equals(frame)
    assert max(piece.frame.height for piece in pieces) <= 7
    assert list(itertools.accumulate(piece.frame.height for piece in pieces))[-1] == 13
