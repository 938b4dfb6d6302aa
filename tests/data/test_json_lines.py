"""JSON lines: keys, values and lines; the words of each error."""

import pytest
from refused_tables import refused

from textgauge.data.json_lines import json_sample, read_json_lines
from textgauge.data.tables import read_table
from textgauge.errors import ColumnError, TableError


def test_json_values_become_strings_where_asked():
    data = b'{"text":"a","label":1}\n{"text":"b","label":true}\n{"label":"01"}\n{"label":1.5}'
    rows = read_json_lines(data, "n.jsonl", ["text", "label"], as_written=True)
    assert rows.frame.rows() == [("a", "1"), ("b", "true"), (None, "01"), (None, "1.5")]
    assert rows.lines == 1


def test_json_values_keep_their_type_otherwise_and_become_strings_where_kinds_differ():
    data = b'{"n":1,"s":"x"}\n{"n":2,"s":"y"}\n'
    assert read_json_lines(data, "n.jsonl", ["n", "s"], as_written=False).frame.rows() == [
        (1, "x"),
        (2, "y"),
    ]
    mixed = b'{"n":1}\n{"n":[2]}\n'
    rows = read_json_lines(mixed, "n.jsonl", ["n"], as_written=False)
    assert rows.frame["n"].to_list() == ["1", "[2]"]


def test_blank_lines_leave_the_line_of_a_row_open():
    rows = read_json_lines(b'{"n":1}\n\n{"n":2}\n', "n.jsonl", ["n"], as_written=True)
    assert rows.frame.height == 2
    assert rows.lines is None


def test_faulty_json_lines_are_all_named():
    data = b'{"text":"a"}\n{"text":"b"\n[1]\nx\n'
    expected = (
        "n.jsonl is not JSON lines: line 2 (expecting ',' delimiter); line 3 (no object); "
        'line 4 (expecting value). Each line must be one object, such as {"text": "good condition"'
        ', "label": 0}; mend or delete these lines.'
    )
    with pytest.raises(TableError) as error:
        json_sample(data, "n.jsonl")
    assert str(error.value) == expected
    with pytest.raises(TableError) as error:
        read_json_lines(data, "n.jsonl", ["text"], as_written=True)
    assert str(error.value) == expected


def test_a_json_array_is_explained():
    with pytest.raises(TableError, match=r"holds one JSON array.*jq -c '\.\[\]' n\.json >"):
        json_sample(b'[{"text":"a"}]', "n.json")


# ---- as tables


def test_json_keys_that_come_up_late_are_found_and_missing_ones_named(write):
    lines = ['{"text":"a"}'] * 300 + ['{"text":"b","label":1}']
    table = read_table(write("\n".join(lines), "n.jsonl"))
    assert table.frame["label"].to_list()[-1] == "1"
    message = refused(write('{"text":"a","lable":1}\n', "n.jsonl"), ColumnError)
    assert message.endswith("Did you mean 'lable'? Pass --label lable.")


def test_blank_lines_between_json_lines(write):
    table = read_table(write('{"text":"a","label":1}\n\n{"text":"b","label":0}\n', "n.jsonl"))
    assert table.frame.rows() == [(1, "a", "1"), (2, "b", "0")]
    assert table.line_of_row(2) is None


def test_lists_in_json_are_refused_with_their_row(write):
    path = write('{"text":"a","label":1}\n{"text":"b","label":[1]}\n', "n.jsonl")
    assert refused(path, ColumnError) == (
        "column 'label' of n.jsonl holds a list in row 2. Make a column of plain texts or labels "
        "from it. Where a row has several labels, pass --multi-label (in Python multi_label=True)."
    )
    path = write('{"text":{"en":"a"},"label":1}\n', "n.jsonl")
    assert "column 'text' of n.jsonl holds an object in row 1." in refused(path, ColumnError)
