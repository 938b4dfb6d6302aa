"""Regular lines: what the fast ways say is what csv's strict reader says of each line."""

import csv
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgauge.data.regular_lines import regular_lines
from textgauge.data.streams.records import leading_records


def is_regular(line, width):
    """One record of that many cells, as csv's strict reader takes it, with no quote inside one."""
    line = line.removesuffix("\r")
    if not line or "\r" in re.sub('"[^"]*"', "", line):  # a carriage return outside of quotes
        return False
    try:
        records = list(csv.reader([line], strict=True))
    except csv.Error:
        return False
    cells = records[0] if records else []
    if len(records) != 1 or len(cells) != width:
        return False
    # A quote within a cell that is not quoted is none that csv minds, but Polars does.
    written = [cell.replace('"', '""') for cell in cells]
    return all(
        f'"{quoted}"' in line or '"' not in cell
        for cell, quoted in zip(cells, written, strict=True)
    )


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    text=st.text(st.sampled_from('a",\n\r\x1fé'), min_size=1, max_size=30), width=st.integers(1, 3)
)
def test_a_line_is_regular_if_it_is_a_record_by_itself(text, width):
    found = regular_lines(text.encode(), ",", width)
    assert found.to_list() == [is_regular(line, width) for line in text.split("\n")]


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(text=st.text(st.sampled_from('a",\n\né'), min_size=1, max_size=40), width=st.integers(2, 3))
def test_records_end_where_those_of_csvs_reader_do(text, width):
    """Also where cells go on over lines: each record read alone has its cells."""
    data = text.encode()
    begin = 0
    for end in leading_records(data, ",", width, whole=True).tolist():
        record = data[begin:end].decode()
        (cells,) = csv.reader(record.splitlines(keepends=True), strict=True)
        assert len(cells) == width
        begin = end + 1
    rest = data[begin:].decode().split("\n")[0]
    assert begin > len(data) or not is_regular(rest, width)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ('a,b\n"c\nd",e\nf', [3, 11]),
        ('a,b\n"c\nd,e\nf,g', [3]),
        ('a,b"\nc,d\n', []),
        ('"a""b",c\n\nd,e\n', [8]),
    ],
)
def test_worked_examples(text, ends):
    assert leading_records(text.encode(), ",", 2, whole=False).tolist() == ends
