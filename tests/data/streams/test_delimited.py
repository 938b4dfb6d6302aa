"""Delimited text in pieces: broken rows are told and passed over, and nothing else is lost."""

import csv
import gzip
import io

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textgauge.data.streams import careful, delimited, open_stream
from textgauge.data.tables import read_frame
from textgauge.errors import TableError

HEADER = "text,label\n"


def read(path, *, after=None, **options):
    """All rows, and the line, the reason and the content of each broken one."""
    pieces = list(open_stream(path, **options).pieces(after))
    rows = [row for piece in pieces for row in piece.frame.rows()]
    return rows, [
        (each.line, each.reason, each.content) for piece in pieces for each in piece.unreadable
    ]


BROKEN = {
    "too many cells": (
        "b,2,3\n",
        (3, "the row has 3 cells, and the header has 2", "b,2,3"),
    ),
    "text behind a quote": (
        '"b"x,2\n',
        (3, "line 3 has a quoted cell with text after its closing quote", '"b"x,2'),
    ),
    "a cell of several lines, and text behind its quote": (
        '"b\nmore text\nstill"x,2\n',
        (
            3,
            "line 3 opens a quote that is not closed before the one on line 5",
            '"b\nmore text\nstill"x,2',
        ),
    ),
    "a carriage return": (
        "b\rx,2\n",
        (3, "line 3 has a carriage return in the middle", "b\rx,2"),
    ),
    "bytes that are no text": (
        b"b\xe9\xe9,2\n",
        (3, "the row has the byte 0xE9, which is not UTF-8", r"b\xe9\xe9,2"),
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_row_is_told_and_the_others_are_read(write, kind):
    row, told = BROKEN[kind]
    row = row.encode() if isinstance(row, str) else row
    before, behind = b"a,1\n", b'c,4\n"d, e",5\n'
    path = write(HEADER.encode() + before + row + behind)
    assert read(path) == ([("a", "1"), ("c", "4"), ("d, e", "5")], [told])
    many = [("x", "0")] * 1000
    path = write(HEADER.encode() + b"x,0\n" * 1000 + row + b"x,0\n" * 1000)
    rows, (found,) = read(path)
    assert rows == many * 2
    assert found[0] == 1002
    assert found[2] == told[2]


@pytest.mark.parametrize(
    "behind",
    [
        "c,4\nd,5\n",
        'c,4\n"d, e",5\n',
        '"d, e",5\n',
        "".join(f"row {number},1\n" for number in range(30)) + 'x",1\nz,3\n',
        "".join(f"row {number},1\n" for number in range(1200)) + "z,3\n",
    ],
    ids=["to the end", "to a quoted cell", "to the next row", "to a stray quote", "for 1,200 rows"],
)
def test_a_quote_that_is_never_closed_costs_its_own_line_only(write, behind):
    rows, broken = read(write(f'{HEADER}a,1\n"b,2\n{behind}'))
    expected = list(csv.reader(io.StringIO(f"a,1\n{behind}")))
    assert rows == [tuple(row) for row in expected]
    assert [(line, content) for line, _, content in broken] == [(3, '"b,2')]
    assert "opens a quote that" in broken[0][1]


def test_a_quote_does_not_swallow_the_memory(write, monkeypatch):
    monkeypatch.setattr(careful, "_LONGEST", 1 << 17)
    monkeypatch.setattr(careful, "_AHEAD", 1 << 10)
    monkeypatch.setattr(delimited, "_BLOCK", 1 << 16)
    prose = "no rows but prose\n" * 20_000  # it does not look like rows of two cells
    rows, broken = read(write(f'{HEADER}a,1\n"b,2\n{prose}c,3\n'))
    assert rows[0] == ("a", "1")
    assert rows[-1] == ("c", "3")
    assert broken == [(3, "line 3 opens a quote that is not closed in the lines behind it", '"b,2')]
    rows, broken = read(write(f"{HEADER}a,1\n{'b' * 200_000},2\nc,3\n"))
    assert rows == [("a", "1"), ("c", "3")]
    assert [(line, len(content)) for line, _, content in broken] == [(3, 1000)]
    assert "line 3 is longer than" in broken[0][1]


def test_a_cell_of_many_lines_is_a_cell(write):
    prose = "".join(f"line {number} of a long report\n" for number in range(300))
    assert read(write(f'{HEADER}a,1\n"{prose}",2\nc,3\n')) == (
        [("a", "1"), (prose, "2"), ("c", "3")],
        [],
    )


def test_rows_with_fewer_cells_are_kept_and_blank_lines_are_no_rows(write):
    path = write(f"{HEADER}a\n\nb,\n,c\n\n\nd,e\n\n")
    assert read(path) == ([("a", None), ("b", None), (None, "c"), ("d", "e")], [])
    assert read(path)[0] == read_frame(path).rows()


def test_a_given_encoding_names_the_byte_that_is_not_in_it(write):
    path = write("text,label\na\xe9,1\nb\x81,2\n".encode("latin-1"))
    assert read(path, encoding="cp1252") == (
        [("aé", "1")],
        [(3, "the row has the byte 0x81, which is not cp1252", r"b\x81,2")],
    )


def test_a_file_in_another_encoding_is_refused_as_for_a_whole_table(write):
    path = write("text,label\nGerät,1\nÖl,2\nx,3\n".encode("cp1252"))
    with pytest.raises(TableError, match=r"pass --encoding cp1252, or save the file as UTF-8"):
        open_stream(path)
    path = write("text,größe\na,1\n".encode("cp1252"))
    with pytest.raises(TableError, match=r"is not valid UTF-8: line 1 has the byte"):
        open_stream(path)


def test_the_end_of_a_file_of_old_systems(write):
    assert read(write(b"text,label\ra,1\rb,2\r"))[0] == [("a", "1"), ("b", "2")]
    assert read(write(b"text,label\r\na,1\r\nb,2\r\n\x1a"))[0] == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"^notes.csv is empty\. See that it was written whole\.$"),
        ("\n \n", r"^notes.csv is empty but for 3 blank characters"),
        (HEADER, r"^notes.csv has a header but no rows\.$"),
        ("text,text\na,1\n", r"^notes.csv has more than one column 'text' \(columns 1 and 2\)"),
        (
            'text,"label\na,1\nb,2\n',
            r"^notes.csv: line 1 opens a quote that is never closed\. Put quotes around whole",
        ),
        (b"\x80\x04\x95\x06\x00\x00\x00", r"^notes.csv is a Python pickle, not a table\."),
        (b"PK\x03\x04 xl/workbook", r"^notes.csv is an Excel workbook, not a table\."),
        (
            gzip.compress(HEADER.encode() * 9, mtime=0)[:-9],
            r"^notes.csv is cut off: its gzip data ends",
        ),
    ],
)
def test_what_is_wrong_with_a_file_as_a_whole(write, content, message):
    with pytest.raises(TableError, match=message):
        list(open_stream(write(content)).pieces())


def test_packed_data_that_is_cut_off_gives_what_stands_before(write):
    rows = "".join(f"note {number} {hash(str(number))},1\n" for number in range(20_000))
    data = gzip.compress(f"{HEADER}{rows}".encode())
    stream = open_stream(write(data[: len(data) - 4000], "notes.csv.gz"), rows=1000)
    read_rows = 0
    with pytest.raises(TableError, match=r"notes.csv.gz is cut off: its gzip data ends too early"):
        for piece in stream.pieces():
            read_rows += piece.frame.height
    assert read_rows % 1000 == 0


def test_a_file_that_changes_is_not_read_on(write):
    path = write(HEADER + "a,1\n" * 10)
    stream = open_stream(path, rows=2)
    path.write_text(HEADER + "b,1\n" * 11)
    with pytest.raises(TableError, match=r"^notes.csv was changed while it was read"):
        next(stream.pieces())


messy = st.text(st.sampled_from('ab,,,\n\n""\r;é'), max_size=80)


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(body=messy, rows=st.integers(1, 7), padded=st.booleans())
@example('"",\n"""a""",b\na"b,"c\nd,e\n"x\ny",z\n', 2, False)
@example('"a\n\r"",b\n', 1, True)
def test_blocks_and_single_records_agree_on_any_text(tmp_path_factory, body, rows, padded):
    """What Polars reads in a block is what csv's strict reader reads, whatever stands there."""
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(f"text,{' ' * padded}label\n{body}\nlast,row\n".encode())
    found = []
    ways = ((1, ()), (200, ()), (200, ("_regular",)), (200, ("_regular", "_lines")))
    for few, without in ways:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delimited, "_FEW", few)
            for name in without:
                patch.setattr(delimited.Delimited, name, lambda *_: None)
            found.append(read(path, rows=rows))
            pieces = list(open_stream(path, rows=rows).pieces())
            for number, piece in enumerate(pieces):
                rest = list(open_stream(path, rows=rows).pieces(piece.after))
                assert [p.frame.rows() for p in rest] == [
                    p.frame.rows() for p in pieces[number + 1 :]
                ]
                assert [p.unreadable for p in rest] == [p.unreadable for p in pieces[number + 1 :]]
    assert all(each == found[0] for each in found)
    try:
        whole = read_frame(path)
    except TableError:
        assert found[0][1]
    else:
        assert (found[0][0], found[0][1]) == (whole.rows(), [])


def test_blocks_are_put_together_without_a_seam(write, monkeypatch):
    frame = pl.DataFrame(
        {
            "text": [f'note {n}, "quoted"\nof two lines' if n % 3 else f"{n}" for n in range(2000)],
            "label": ["é" * (n % 5) for n in range(2000)],
        }
    ).with_columns(pl.col("label").replace("", None))
    path = write(frame.write_csv())
    for block in (200, 1000, 4096, 65536):
        monkeypatch.setattr(delimited, "_BLOCK", block)
        found = pl.concat(piece.frame for piece in open_stream(path).pieces())
        assert found.equals(frame)
