"""Text files: delimiters, quotes, ragged rows; the words of each error."""

import csv
import io
import random

import pytest

from textgauge.data import text_files
from textgauge.data.text_files import delimiter_named, find_layout, read_delimited
from textgauge.errors import SettingsError, TableError


def read(text, names=("text", "label"), *, delimiter=None, usual=","):
    data = text if isinstance(text, bytes) else text.encode()
    layout = find_layout(data, "notes.csv", wanted=names, usual=usual, delimiter=delimiter)
    return read_delimited(data, "notes.csv", layout, names)


def layout_of(text, *, wanted=("text", "label"), usual=",", delimiter=None):
    return find_layout(text.encode(), "notes.csv", wanted=wanted, usual=usual, delimiter=delimiter)


# ---- layout


@pytest.mark.parametrize(
    ("delimiter", "word"), [(",", None), (";", "semicolon"), ("\t", "tab"), ("|", "pipe")]
)
def test_the_delimiter_is_found_and_an_unusual_one_is_reported(delimiter, word):
    layout = layout_of(f"id{delimiter}text{delimiter}label\n1{delimiter}a, b; c{delimiter}0\n")
    assert layout.delimiter == delimiter
    assert [(p.severity, p.message) for p in layout.problems] == (
        [("warning", f"the columns are separated by {word}, not by comma; the file was read so")]
        if word
        else []
    )


def test_a_delimiter_is_a_note_where_the_name_promises_none():
    layout = layout_of("text|label\na|1\n", usual=None)
    assert [(p.severity, p.message) for p in layout.problems] == [
        ("note", "the columns are separated by pipe")
    ]


def test_the_wanted_names_outweigh_the_number_of_cells():
    assert layout_of("text;label\na, b, c, d;1\n").delimiter == ";"
    assert layout_of("a,b,c;text;label\nx,y,z;b;1\n").delimiter == ";"


def test_without_known_names_the_delimiter_that_agrees_in_every_line_wins():
    text = "note;class\na, b;1\nc;0\nd, e, f;1\n"
    assert layout_of(text, wanted=()).delimiter == ";"


def test_a_single_column_has_no_delimiter_to_report():
    layout = layout_of("text\nabc, def\nxyz\n", wanted=("text",))
    assert layout.header == ("text",)
    assert layout.problems == ()
    assert read("text\nabc, def\nxyz\n", ("text",)).frame["text"].to_list() == ["abc, def", "xyz"]


def test_a_given_delimiter_wins_and_is_not_reported():
    layout = layout_of("text,label;x\na,1;2\n", delimiter=";")
    assert layout.header == ("text,label", "x")
    assert layout.problems == ()


def test_excels_sep_line_names_the_delimiter():
    layout = layout_of("sep=;\r\ntext;label\r\na, b;1\r\n")
    assert (layout.delimiter, layout.header, layout.skipped) == (";", ("text", "label"), 1)
    rows = read("sep=;\r\ntext;label\r\na, b;1\r\n")
    assert rows.frame.rows() == [("a, b", "1")]
    assert rows.lines == 3
    assert layout_of("sep=^\n\ntext^label\na^1\n").header == ("text", "label")


def test_a_line_that_the_sample_cuts_is_no_record():
    assert layout_of(f"text,label\n{'x' * 70_000},1\n").sample == ()
    assert layout_of(f"text,label\n{'x' * 60_000},1\n").sample == (("x" * 60_000, "1"),)


def test_header_names_lose_stray_spaces_and_quotes_and_empty_ones_get_a_number():
    assert layout_of(" 'text' ,\"label\"\n").header == ("text", "label")
    assert layout_of(",text,label,\n").header == ("column 1", "text", "label", "column 4")


def test_spaces_after_each_delimiter_are_no_part_of_the_cells():
    rows = read('"text", "label"\n"a, b", "01"\nc,  1\n')
    assert rows.frame.rows() == [("a, b", "01"), ("c", "1")]
    assert read("text, label\na, 1\n").frame.rows() == [("a", "1")]
    assert read("text,label\na, 1\n").frame.rows() == [("a", " 1")]


def test_a_header_with_a_space_behind_a_quote_is_read_leniently():
    assert read('"text" ,"label"\na,1\n').frame.rows() == [("a", "1")]


def test_nothing_but_blank_lines_is_empty():
    with pytest.raises(TableError, match=r"^notes.csv is empty: it has no header and no rows\.$"):
        layout_of("\n \n")


@pytest.mark.parametrize(
    ("option", "character"), [("tab", "\t"), ("\\t", "\t"), ("Comma", ","), ("^", "^")]
)
def test_delimiters_can_be_named(option, character):
    assert delimiter_named(option) == character


@pytest.mark.parametrize("option", ["::", '"', "§", "\n"])
def test_a_delimiter_that_is_no_single_byte_is_refused(option):
    with pytest.raises(
        SettingsError, match="must be one character, or comma, semicolon, tab, pipe"
    ):
        delimiter_named(option)


# ---- records


def test_every_cell_stays_as_it_is_written():
    rows = read("text,label\n 01 ,01\n1e3,true\n")
    assert rows.frame.rows() == [(" 01 ", "01"), ("1e3", "true")]


def test_columns_come_in_the_order_asked_for():
    assert read("label,x,text\n1,2,a\n").frame.rows() == [("a", "1")]


def test_windows_line_ends_quotes_and_the_end_of_dos_files():
    rows = read('text,label\r\n"say ""x"", y",1\r\nb,0\r\n\r\n\x1a')
    assert rows.frame.rows() == [('say "x", y', "1"), ("b", "0")]
    assert rows.lines == 2


@pytest.mark.parametrize("text", ["text,label", "text,label\n", "text,label\r\n\r\n"])
def test_a_header_alone_gives_no_rows(text):
    assert read(text).frame.shape == (0, 2)


def test_inches_are_no_quotes():
    rows = read('text,label\n3" hose,1\nok,0\n4" pipe,1\n')
    assert rows.frame.rows() == [('3" hose', "1"), ("ok", "0"), ('4" pipe', "1")]


def test_cells_of_several_lines_and_blank_lines_keep_row_and_line_apart():
    rows = read('text,label\n"two\nlines",1\n\n"x, y",0\nz,\n')
    assert rows.frame.rows() == [("two\nlines", "1"), ("x, y", "0"), ("z", None)]
    assert rows.lines.to_list() == [2, 5, 6]


def test_blank_lines_in_a_single_column():
    rows = read('text\nab\n\n""\ncd\n', ("text",))
    assert rows.frame["text"].to_list() == ["ab", None, "cd"]
    assert rows.lines.to_list() == [2, 4, 5]
    assert read("text\r\nab\r\n\r\ncd\r\n", ("text",)).frame["text"].to_list() == ["ab", "cd"]


def test_a_cell_of_a_megabyte_is_read_on_both_ways():
    cell = "word " * 210_000
    assert read(f"text,label\n{cell},1\n").frame["text"][0] == cell
    assert read(f'text,label\n"{cell}\n",1\n').frame["text"][0] == f"{cell}\n"
    assert csv.field_size_limit() == 131_072  # the process-wide limit is put back


def test_pieces_do_not_cut_lines(monkeypatch):
    monkeypatch.setattr(text_files, "PIECE", 4)
    rows = read("\ntext,label\nGerät,1\nÖl,0\n")
    assert rows.frame.rows() == [("Gerät", "1"), ("Öl", "0")]
    assert rows.lines == 3


def test_rows_that_polars_would_lose_are_read_with_care(monkeypatch):
    whole = text_files.pl.read_csv
    monkeypatch.setattr(text_files.pl, "read_csv", lambda *a, **k: whole(*a, **k).head(1))
    assert read("text,label\na,1\nb,0\n").frame.rows() == [("a", "1"), ("b", "0")]


def test_many_rows_with_care():
    text = "text,label\n" + '"a\nb",1\n' * 120_000
    rows = read(text)
    assert rows.frame.height == 120_000
    assert rows.lines[-1] == 2 * 120_000


def test_rows_with_too_many_cells_are_named_all_together():
    with pytest.raises(TableError) as error:
        read("text,label\na, b,1\nc,0\n\n" + "d, e, f,1\n" * 6)
    assert str(error.value) == (
        "notes.csv: 7 rows with more cells than the header, which has 2: row 1 (line 2) has 3; "
        "row 3 (line 5) has 4; row 4 (line 6) has 4; row 5 (line 7) has 4; row 6 (line 8) has 4; "
        "and 2 more. Put cells that contain ',' in double quotes, or check --delimiter."
    )


def test_empty_cells_beyond_the_header_do_no_harm():
    assert read("text,label\na,1,\nb,0,,\n").frame.rows() == [("a", "1"), ("b", "0")]


def test_rows_with_too_few_cells_are_read_with_a_warning():
    rows = read("text,label\na,1\nc\nb,0\n")
    assert rows.frame.rows() == [("a", "1"), ("c", None), ("b", "0")]
    (problem,) = rows.problems
    assert (problem.severity, problem.code) == ("warning", "short-rows")
    assert problem.message == "the row has fewer cells than the header, which has 2"
    assert (problem.rows, problem.count) == ((2,), 1)


def test_a_quote_that_is_never_closed():
    with pytest.raises(TableError) as error:
        read('text,label\na,1\n"broken,1\n' + "c,0\n" * 3000)
    assert str(error.value) == (
        "notes.csv: line 3 opens a quote that is never closed. Put quotes around whole cells only, "
        'and write a quote inside a quoted cell twice ("").'
    )


def test_a_quote_that_the_next_quoted_cell_seems_to_close():
    with pytest.raises(
        TableError, match="line 3 opens a quote that is not closed before the one on"
    ):
        read('text,label\n"a",1\n"broken,1\n"c",0\n"d",1\n')


def test_quotes_are_reported_together_with_long_rows():
    with pytest.raises(TableError) as error:
        read('text,label\n"5" pipe",1\na,b,c\n')
    assert "line 2 has a quoted cell with text after its closing quote." in str(error.value)
    assert "1 row with more cells than the header, which has 2: row 2 (line 3) has 3." in str(
        error.value
    )


def test_a_quote_that_swallows_thousands_of_rows_is_an_error_even_if_it_closes():
    text = 'text,label\na,1\n"broken,1\n' + "x,1\n" * 1500 + 'y",0\n'
    with pytest.raises(TableError, match="line 3 opens a quote that closes 1,501 lines further on"):
        read(text)


def test_a_quote_that_swallows_some_rows_is_a_warning():
    rows = read('text,label\na,1\n"broken,1\n' + "x,1\n" * 20 + 'y",0\n')
    assert [(p.severity, p.code, p.rows) for p in rows.problems] == [
        ("warning", "open-quote", (2,))
    ]


def test_a_long_cell_of_prose_is_no_open_quote():
    cell = "\n".join(["a line of prose"] * 2000)
    assert read(f'text,label\n"{cell}",1\n').problems == ()
    assert read(f'text\n"{cell}"\n', ("text",)).problems == ()


def test_a_carriage_return_in_the_middle_of_a_line():
    with pytest.raises(TableError) as error:
        read("text,label\na,1\rb,0\nc,1\n")
    assert str(error.value) == (
        "notes.csv: line 2 has a carriage return in the middle. End every line in the same way."
    )


def test_a_table_wider_than_the_regular_expression_is_read_with_care():
    names = [f"c{n}" for n in range(300)]
    rows = read(f"{','.join(names)}\n{','.join('1' for _ in names)}\n", ("c0", "c299"))
    assert rows.frame.rows() == [("1", "1")]


def test_both_ways_of_reading_agree_with_the_csv_module():
    """Random tables, written by the csv module: the quick way, the careful way and csv agree."""
    seeded = random.Random(20)
    quick = 0
    for _ in range(300):
        letters = seeded.choice(["ab ", "ab, ", 'ab,"', 'abé,"\n', "ab;|\t"])
        width = seeded.choice([1, 2, 3])
        records = [
            ["".join(seeded.choices(letters, k=seeded.randint(0, 5))) for _ in range(width)]
            for _ in range(seeded.randint(0, 6))
        ]
        names = ["text", "label", "id"][:width]
        written = io.StringIO()
        quoting = seeded.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        writer = csv.writer(written, lineterminator=seeded.choice(["\n", "\r\n"]), quoting=quoting)
        writer.writerows([names, *records])
        data = written.getvalue().encode()
        layout = find_layout(data, "x", wanted=names, usual=",", delimiter=None)
        rows = read_delimited(data, "x", layout, names)
        careful = text_files._read_with_care(data, "x", layout, names)
        expected = [[cell or None for cell in record] for record in records]
        assert [[cell or None for cell in row] for row in rows.frame.rows()] == expected
        assert [list(row) for row in careful.frame.rows()] == expected
        if isinstance(rows.lines, int):
            quick += 1
            assert careful.lines.to_list() == list(range(2, 2 + len(records)))
    assert 100 < quick < 300
