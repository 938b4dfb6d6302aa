"""Columns by name, and their values as strings and times; the words of each error."""

import datetime

import polars as pl
import pytest
from refused_tables import refused

from textgauge.data.tables import Columns, read_frame, read_table
from textgauge.errors import ColumnError

NOTES = "text,label\ngood steel,0\nbad iron,01\n"


# ---- by name


def test_a_missing_column_gets_the_nearest_name(write):
    path = write("id,text,labels\n1,a,1\n")
    assert refused(path, ColumnError) == (
        "notes.csv has no column 'label'; it has 'id', 'text', 'labels'. Did you mean 'labels'? "
        "Pass --label labels."
    )


def test_all_missing_columns_are_named_at_once(write):
    path = write("note,kind\na,1\n")
    assert refused(path, ColumnError) == (
        "notes.csv has no columns 'text' and 'label'; it has 'note', 'kind'. Pass --text with the "
        "name of the column that holds the texts. Pass --label with the name of the column that "
        "holds the labels."
    )


def test_names_in_another_case_are_suggested(write):
    message = refused(write("Text,LABEL\na,1\n"), ColumnError)
    assert "For 'text' did you mean 'Text'? Pass --text Text." in message
    assert "For 'label' did you mean 'LABEL'? Pass --label LABEL." in message


def test_the_only_other_column_is_suggested_and_quoted_for_the_shell(write):
    message = refused(write("text,is it good\na,1\n"), ColumnError)
    assert message.endswith("Did you mean 'is it good'? Pass --label 'is it good'.")


def test_the_option_of_each_role_is_named(write):
    columns = Columns(id="i", split="s", group="g", time="t")
    message = refused(write("text,label\na,1\n"), ColumnError, columns)
    assert "no columns 'i' and 's' and 'g' and 't'; it has 'text', 'label'." in message
    for option in ("--id", "--split-column", "--group-column", "--time-column"):
        assert f"Pass {option} with the name of the column" in message


def test_only_some_of_many_columns_are_listed(write):
    names = [f"c{n}" for n in range(20)]
    message = refused(write(f"text,{','.join(names)}\na{',1' * 20}\n"), ColumnError)
    assert "'c10' and 9 more." in message


def test_a_table_without_a_header_is_recognised(write):
    path = write("good steel component,1\nbad iron,0\n")
    assert refused(path, ColumnError) == (
        "notes.csv seems to have no header: its first line is 'good steel component', '1'. Put a "
        "line with the names of the columns above it, such as text,label"
    )
    assert "seems to have no header" in refused(write("good,yes\nbad,no\nfine,yes\n"), ColumnError)


def test_a_delimiter_that_nobody_guesses_is_pointed_out(write):
    path = write("text^label\na^1\n")
    assert refused(path, ColumnError) == (
        "notes.csv has no columns 'text' and 'label'; it has only 'text^label'. Are its columns "
        "separated by '^'? Pass --delimiter '^'."
    )
    assert read_table(path, delimiter="^").frame.row(0) == (1, "a", "1")
    message = refused(write(NOTES), ColumnError, delimiter=";")
    assert message.endswith("Are its columns separated by ','? Pass --delimiter ','.")


def test_a_single_column_that_is_neither(write):
    message = refused(write("note\nabc\n"), ColumnError)
    assert message.startswith(
        "notes.csv has no columns 'text' and 'label'; it has only 'note'. Pass"
    )


def test_duplicate_column_names(write):
    path = write("text,label,text\na,1,b\n")
    assert refused(path, ColumnError) == (
        "notes.csv has more than one column 'text' (columns 1 and 3). Rename one of them."
    )
    with pytest.raises(ColumnError, match="more than one column 'x'"):
        read_frame(write("text,label,x,x\na,1,b,c\n"))
    assert read_table(write("text,label,x,x\na,1,b,c\n")).frame.height == 1


# ---- as strings


def test_missing_empty_and_blank_values_are_null(write):
    frame = read_table(write('text,label\n,1\n"",\n"  \u00a0",0\nb," "\n')).frame
    assert frame["text"].to_list() == [None, None, None, "b"]
    assert frame["label"].to_list() == ["1", None, "0", None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0, None], ["1", "0", None]),
        ([True, False, None], ["true", "false", None]),
        ([1.0, 0.0, None], ["1", "0", None]),
        ([1.0, float("nan"), 0.0], ["1", None, "0"]),
        ([1.5, 2.0, None], ["1.5", "2.0", None]),
        ([datetime.date(2024, 5, 1), None, None], ["2024-05-01", None, None]),
        ([b"a", b"b", None], ["a", "b", None]),
        ([None, None, None], [None, None, None]),
    ],
)
def test_values_become_strings(values, expected):
    frame = pl.DataFrame({"text": ["a", "b", "c"], "label": values})
    assert read_table(frame).frame["label"].to_list() == expected


def test_categories_become_strings():
    frame = pl.DataFrame({"text": ["a", "b"], "label": pl.Series(["x", "y"], dtype=pl.Categorical)})
    assert read_table(frame).frame["label"].to_list() == ["x", "y"]


def test_nested_values_are_refused():
    message = refused(pl.DataFrame({"text": ["a"], "label": [[1, 2]]}), ColumnError)
    assert message == (
        "column 'label' of DataFrame holds List(Int64), not single values. Make a column of plain "
        "texts or labels from it. Where a row has several labels, pass --multi-label (in Python "
        "multi_label=True)."
    )


def test_bytes_that_are_no_text_are_refused():
    message = refused(pl.DataFrame({"text": [b"\xff"], "label": [1]}))
    assert (
        message == "column 'text' of DataFrame holds bytes that are not UTF-8. Write it as strings."
    )


# ---- as times


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1999", "2001"], [1999, 2001]),
        (["1.5", "2"], [1.5, 2.0]),
        (["2024-01-02", ""], [datetime.date(2024, 1, 2), None]),
        (
            ["2024-01-02T10:00", "2024-01-03 11:30"],
            [datetime.datetime(2024, 1, 2, 10), datetime.datetime(2024, 1, 3, 11, 30)],
        ),
        (["2024-01-02 10:00:01.5"], [datetime.datetime(2024, 1, 2, 10, 0, 1, 500_000)]),
        (
            ["2024-01-02T10:00:00Z", "2024-01-02T10:00:00+02:00"],
            [
                datetime.datetime(2024, 1, 2, 10, tzinfo=datetime.UTC),
                datetime.datetime(2024, 1, 2, 8, tzinfo=datetime.UTC),
            ],
        ),
        (["31.01.2024"], [datetime.date(2024, 1, 31)]),
        (["31.01.2024 10:00"], [datetime.datetime(2024, 1, 31, 10)]),
        (["31/01/2024", "01/02/2024"], [datetime.date(2024, 1, 31), datetime.date(2024, 2, 1)]),
        (["01/31/2024", "01/02/2024"], [datetime.date(2024, 1, 31), datetime.date(2024, 1, 2)]),
        (["05/05/2024"], [datetime.date(2024, 5, 5)]),
    ],
)
def test_times_are_understood(values, expected):
    frame = pl.DataFrame({"text": values, "when": values})
    assert read_table(frame, Columns(label=None, time="when")).frame["time"].to_list() == expected


def test_times_that_have_a_type_keep_it():
    frame = pl.DataFrame({"text": ["a"], "when": [datetime.date(2024, 1, 2)]})
    assert read_table(frame, Columns(label=None, time="when")).frame["time"].dtype == pl.Date
    exact = frame.with_columns(pl.col("when").cast(pl.Datetime("ns")))
    time = read_table(exact, Columns(label=None, time="when")).frame["time"]
    assert time.dtype == pl.Datetime("ns")


def test_a_column_without_any_time_is_left_to_the_checks():
    frame = pl.DataFrame({"text": ["a", "b"], "when": ["", None]})
    table = read_table(frame, Columns(label=None, time="when"))
    assert table.frame["time"].to_list() == [None, None]


def test_what_is_no_time_is_named_with_its_row(write):
    path = write("text,label,when\na,1,2024-01-02\nb,0,soon\nc,0,\nd,0,2024-01-04\n")
    assert refused(path, ColumnError, Columns(time="when")) == (
        "column 'when' of notes.csv does not hold times: 'soon' in row 2. Write times as "
        "2024-05-31, as 2024-05-31 14:00 or as numbers."
    )


def test_days_and_months_that_could_be_swapped_are_refused(write):
    path = write("text,label,when\na,1,01/02/2024\nb,0,03/04/2024\n")
    message = refused(path, ColumnError, Columns(time="when"))
    assert "can be read with the day first or the month first ('01/02/2024')" in message
