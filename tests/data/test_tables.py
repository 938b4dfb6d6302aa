"""Tables from files, standard input and DataFrames; the words of each error."""

import datetime
import gzip
import io
import pickle
import subprocess
import sys
import zipfile

import pandas as pd
import polars as pl
import pytest
from refused_tables import refused

from textgauge.data.tables import Columns, read_frame, read_table
from textgauge.errors import ColumnError, SettingsError, TableError

NOTES = "text,label\ngood steel,0\nbad iron,01\n"
FRAME = pl.DataFrame({"text": ["good steel", "bad iron"], "label": ["0", "01"]})


def bytes_of(write_to, *args, **options):
    buffer = io.BytesIO()
    write_to(buffer, *args, **options)
    return buffer.getvalue()


# ---- what is read


FORMATS = {
    "notes.csv": NOTES.encode(),
    "notes.tsv": NOTES.replace(",", "\t").encode(),
    "notes.txt": NOTES.replace(",", "|").encode(),
    "notes.jsonl": bytes_of(FRAME.write_ndjson),
    "notes.ndjson": bytes_of(FRAME.write_ndjson),
    "notes.json-lines": bytes_of(FRAME.write_ndjson),
    "notes.parquet": bytes_of(FRAME.write_parquet),
    "notes.arrow": bytes_of(FRAME.write_ipc),
    "notes.feather": bytes_of(FRAME.write_ipc),
    "notes.ipc": bytes_of(FRAME.write_ipc_stream),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_gives_the_same_table(write, name, packed):
    data = FORMATS[name]
    path = write(gzip.compress(data), f"{name}.gz") if packed else write(data, name)
    table = read_table(path)
    assert table.frame.rows() == [(1, "good steel", "0"), (2, "bad iron", "01")]
    assert table.frame.schema == {"row": pl.Int64, "text": pl.String, "label": pl.String}
    assert table.name == path.name
    assert [p for p in table.problems if p.severity == "warning"] == []
    assert read_table(str(path)).frame.equals(table.frame)


@pytest.mark.parametrize("name", FORMATS)
def test_standard_input_is_told_by_its_first_bytes(monkeypatch, name):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FORMATS[name])))
    table = read_table("-")
    assert table.frame.select("text", "label").equals(FRAME)
    assert table.name == "standard input"


def test_a_pipe_is_read_once():
    script = (
        "from textgauge.data.tables import read_table; print(read_table('/dev/stdin').frame.height)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=NOTES.encode(), capture_output=True, check=True
    )
    assert done.stdout.strip() == b"2"


def test_a_polars_frame_and_a_lazy_one():
    for source in (FRAME, FRAME.lazy()):
        table = read_table(source)
        assert table.frame.select("text", "label").equals(FRAME)
        assert table.name == "DataFrame"


def test_a_frame_is_told_by_what_it_holds_and_a_misleading_name_is_reported(write):
    cases = [
        (FORMATS["notes.parquet"], "notes.csv", "the file is named .csv but holds Parquet, and"),
        (FORMATS["notes.jsonl"], "notes.csv", "the file is named .csv but holds JSON lines, and"),
        (NOTES, "notes.parquet", "the file is named .parquet but holds text, and was read so"),
    ]
    for data, name, message in cases:
        table = read_table(write(data, name))
        assert table.frame.height == 2
        assert [p.code for p in table.problems] == ["format"]
        assert table.problems[0].message.startswith(message)


def test_every_asked_for_column_comes_under_the_name_of_its_role(write):
    path = write("x,Note,Class,Key,Part,Owner,When\n9,a,b,k,test,o,3\n")
    columns = Columns("Note", "Class", "Key", "Part", "Owner", "When")
    frame = read_table(path, columns).frame
    assert frame.row(0, named=True) == {
        "row": 1,
        "text": "a",
        "label": "b",
        "id": "k",
        "split": "test",
        "group": "o",
        "time": 3,
    }


def test_one_column_may_serve_as_group_and_time(write):
    frame = read_table(
        write("text,label,year\na,1,1999\n"), Columns(group="year", time="year")
    ).frame
    assert frame.row(0) == (1, "a", "1", "1999", 1999)


def test_texts_alone(write):
    assert read_table(write("text,x\na,1\n"), Columns(label=None)).frame.columns == ["row", "text"]


def test_excel_in_german(write):
    """Semicolons, cp1252, Windows line ends: one message, then the table as it is meant."""
    path = write("text;label\r\nGerät für Öl;nicht konform\r\n".encode("cp1252"))
    assert "--encoding cp1252" in refused(path)
    table = read_table(path, encoding="cp1252")
    assert table.frame.rows() == [(1, "Gerät für Öl", "nicht konform")]
    assert [p.code for p in table.problems] == ["delimiter"]


def test_a_parquet_file_is_not_taken_into_memory_whole(write, monkeypatch):
    path = write(FORMATS["notes.parquet"], "notes.parquet")
    monkeypatch.setattr(type(path), "read_bytes", lambda _: pytest.fail("it was read whole"))
    assert read_table(path).frame.height == 2


def test_a_name_that_promises_the_delimiter_leaves_nothing_to_report(write):
    assert read_table(write(FORMATS["notes.tsv"], "notes.tsv")).problems == ()
    assert [p.code for p in read_table(write(FORMATS["notes.tsv"])).problems] == ["delimiter"]


def test_the_index_column_of_pandas(write):
    assert read_table(write(",text,label\n0,a,1\n1,b,0\n")).frame.rows() == [
        (1, "a", "1"),
        (2, "b", "0"),
    ]


def test_line_of_row(write):
    assert read_table(write(NOTES)).line_of_row(2) == 3
    table = read_table(write('text,label\n"two\nlines",1\nb,0\n'))
    assert [table.line_of_row(row) for row in (1, 2)] == [2, 4]
    assert read_table(FRAME).line_of_row(1) is None


def test_reading_problems_come_with_the_table(write):
    table = read_table(write("text;label\na;1\nb\n"))
    assert [p.code for p in table.problems] == ["delimiter", "short-rows"]


# ---- pandas


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 0], ["1", None, "0"]),
        ([True, False, None], ["true", "false", None]),
        (["A", 1, True], ["A", "1", "true"]),
        (["a", None, float("nan")], ["a", None, None]),
        (pd.array([1, None, 0], dtype="Int64"), ["1", None, "0"]),
        (pd.array(["a", None, "b"], dtype="string"), ["a", None, "b"]),
        (pd.Categorical(["a", None, "b"]), ["a", None, "b"]),
    ],
)
def test_pandas_values_become_strings(values, expected):
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": values})
    table = read_table(frame)
    assert table.frame["label"].to_list() == expected
    assert table.name == "DataFrame"


def test_pandas_columns_that_are_numbers_and_times():
    when = pd.to_datetime(["2024-01-02", None])
    frame = pd.DataFrame({0: ["a", "b"], 1: [1, 0], "when": when})
    table = read_table(frame, Columns("0", "1", time="when"))
    assert table.frame.row(0) == (1, "a", "1", datetime.datetime(2024, 1, 2))
    zoned = pd.DataFrame({"text": ["a"], "when": when[:1].tz_localize("UTC")})
    assert str(read_table(zoned, Columns(label=None, time="when")).frame["time"].dtype.time_zone)


def test_pandas_is_not_imported():
    script = (
        "import sys, polars as pl; from textgauge.data.tables import read_table;"
        "read_table(pl.DataFrame({'text': ['a'], 'label': [1]})); print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_one_column_for_two_roles(write):
    path = write(NOTES)
    assert refused(path, ColumnError, Columns(text="label")) == (
        "column 'label' was asked for twice, as text and as label. Pass another column with "
        "--text or --label."
    )
    assert "as label and as group" in refused(path, ColumnError, Columns(group="label"))


# ---- bad input


def test_a_missing_file_gets_the_nearest_name(write, tmp_path):
    write(NOTES, "notes.csv")
    assert refused(tmp_path / "note.csv") == (
        f"there is no file 'note.csv' in {tmp_path}. Did you mean 'notes.csv'?"
    )
    message = refused(tmp_path / "other.parquet")
    assert message.endswith(f"in {tmp_path}. The tables there: 'notes.csv'.")
    assert refused(tmp_path / "x" / "y.csv").startswith(f"there is no folder '{tmp_path / 'x'}'")


def test_a_missing_file_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused("n.csv").startswith("there is no file 'n.csv' in this folder.")


def test_a_folder_with_no_tables(tmp_path):
    assert refused(tmp_path / "n.csv").endswith(f"in {tmp_path}. There are no tables in it.")


def test_a_folder_is_no_table(write, tmp_path):
    assert refused(tmp_path) == f"{tmp_path} is a folder, not a table. Name a file in it."
    write(NOTES)
    assert refused(tmp_path) == (
        f"{tmp_path} is a folder, not a table. Name a file, for example {tmp_path / 'notes.csv'}."
    )


def test_a_file_that_may_not_be_read(write, monkeypatch):
    path = write(NOTES)

    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", deny)  # root may read whatever the mode says
    assert refused(path) == (
        f"{path} cannot be read: permission denied. Ask its owner, or run: chmod u+r {path}"
    )


def test_a_path_that_is_none(write):
    assert "cannot be read: " in refused(write(NOTES) / "x.csv")
    assert "cannot be read: embedded null byte." in refused("a\0b.csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "notes.csv is empty. See that it was written whole."),
        (b"\n \n", "notes.csv is empty but for 3 blank characters. See that it was written whole."),
        (b"\xef\xbb\xbf", "notes.csv is empty: it has no header and no rows."),
        (b"text,label\n", "notes.csv has a header but no rows."),
        (b"PK\x03\x04" + bytes(26) + b"xl/workbook.xml", "is an Excel workbook, not a table. Open"),
        (b"PK\x03\x04" + bytes(26) + b"word/a.xml", "is a Word document, not a table. Open it and"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "notes.csv is a PNG picture, not a table."),
        (pickle.dumps({"a": 1}), "is a Python pickle, not a table. Pickles are not read; write it"),
        (b"\xd0\xcf\x11\xe0" + bytes(50), "is an old Excel or Office file, not a table. Open it"),
        (b"\x28\xb5\x2f\xfd" + bytes(50), "is a zstd file, not a table. Unpack it first: zstd -d"),
        (b"x" * 257 + b"ustar" + bytes(250), "is a tar archive, not a table. Unpack it first: tar"),
        (b"\n<!DOCTYPE HTML><html>", "is a web page, not a table. Was a log-in or an error page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, not a table."),
        (bytes(range(256)) * 4, "is a binary file, not a table. Export the table as CSV, JSON"),
        (b"\x7fELF" + bytes(100), "is a binary file, not a table."),
        (
            b"ARROW1\0\0" + bytes(30),
            "is cut off: it begins as Arrow and has no end. Copy it again.",
        ),
    ],
)
def test_what_is_no_table_is_called_by_its_name(write, data, message):
    assert message in refused(write(data))


def test_a_zip_archive(write):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("notes.csv", NOTES)
    assert refused(write(buffer.getvalue())) == (
        "notes.csv is a zip archive, not a table. Unpack it first."
    )


def test_damaged_gzip(write):
    packed = gzip.compress(NOTES.encode() * 50)
    assert refused(write(packed[:-20], "n.csv.gz")) == (
        "n.csv.gz is cut off: its gzip data ends too early. Copy it again."
    )
    wrong = packed[:-8] + bytes(4) + packed[-4:]
    assert refused(write(wrong, "n.csv.gz")).startswith(
        "n.csv.gz is damaged gzip (CRC check failed"
    )
    assert refused(write(gzip.compress(b""), "n.csv.gz")) == (
        "n.csv.gz is empty once unpacked. See that it was written whole."
    )


def test_damaged_parquet_and_arrow(write):
    parquet = FORMATS["notes.parquet"]
    cut = "n.parquet is cut off: it begins as Parquet and has no end. Copy it again."
    assert refused(write(parquet[:-30], "n.parquet")) == cut
    assert refused(write(gzip.compress(parquet[:-30]), "n.parquet")) == cut
    spoilt = parquet[:20] + bytes(len(parquet) - 28) + parquet[-8:]
    message = refused(write(spoilt, "n.parquet"))
    assert message.startswith("n.parquet is damaged Parquet: ")
    assert message.endswith(". Copy it again, or write it again.")
    stream = FORMATS["notes.ipc"]
    assert "n.ipc is damaged Arrow stream: " in refused(write(stream[:100], "n.ipc"))


def test_a_frame_that_cannot_be_collected():
    broken = FRAME.lazy().with_columns(pl.col("text").cast(pl.Int64))
    assert refused(broken).startswith("the DataFrame cannot be collected: conversion from `str`")


def test_what_cannot_be_a_table():
    assert refused([1, 2]) == (
        "a table cannot be made of list. Pass the path of a file, '-' for standard input, or a "
        "pandas or Polars DataFrame."
    )


def test_standard_input_that_is_empty_or_a_keyboard(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert refused("-").startswith("standard input is empty.")

    class Keyboard:
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Keyboard())
    assert refused("-").startswith("nothing is sent to standard input. Send a table: textgauge")


def test_a_wrong_delimiter_option(write):
    assert "--delimiter must be one character" in refused(
        write(NOTES), SettingsError, delimiter="::"
    )


# ---- every column


def test_read_frame_keeps_every_column_as_a_string_in_delimited_text(write):
    frame = read_frame(write("id,text,n,\n007,a,1.50,x\n"))
    assert frame.rows() == [("007", "a", "1.50", "x")]
    assert frame.columns == ["id", "text", "n", "column 4"]


def test_read_frame_keeps_types_elsewhere(write):
    typed = pl.DataFrame({"text": ["a"], "n": [1], "x": [None]})
    assert read_frame(write(bytes_of(typed.write_parquet), "n.parquet")).equals(typed)
    assert read_frame(typed).equals(typed)
    assert read_frame(write('{"text":"a","n":1}\n', "n.jsonl")).row(0) == ("a", 1)
    frame = read_frame(pd.DataFrame({"text": ["a", 2], "n": [1.5, None]}))
    assert frame.rows() == [("a", 1.5), ("2", None)]


def test_read_frame_refuses_a_header_alone(write):
    with pytest.raises(TableError, match=r"^notes.csv has a header but no rows\.$"):
        read_frame(write("text,label\n"))
