"""Tables as text: aligned, and no wider than they need to be."""

import pytest

from textgauge.terminal.tables import table


def test_the_first_column_stands_left_and_the_others_right():
    assert table(["name", "n"], [["a", "1,000"], ["longer", "2"]]).splitlines() == [
        "name         n",
        "──────   ─────",
        "a        1,000",
        "longer       2",
    ]


def test_no_line_ends_in_spaces():
    shown = table(["a", "b", "c"], [["1", "", ""], ["", "2", ""]])
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_a_table_without_rows_is_its_header():
    assert table(["one", "two"], []).splitlines() == ["one   two", "───   ───"]


def test_rows_of_another_width_are_an_error():
    with pytest.raises((ValueError, IndexError)):
        table(["a", "b"], [["1", "2", "3"]])
