"""Globs, folders, standard input, frames, Arrow streams: which files are one table, and errors."""

import gzip
import io
import json
import os
import subprocess
import sys

import polars as pl
import pytest

from textgauge.data.streams import open_stream
from textgauge.data.tables import read_frame
from textgauge.errors import ColumnError, SettingsError, TableError

FRAME = pl.DataFrame({"text": ["a", "b", "c"], "n": [1, 2, 3]})


def rows_of(source, **options):
    stream = open_stream(source, **options)
    frames = [piece.frame for piece in stream.pieces()]
    assert {tuple(frame.schema.items()) for frame in frames} == {tuple(stream.schema.items())}
    return pl.concat(frames).rows()


def refused(source, kind=TableError, **options):
    with pytest.raises(TableError) as error:
        list(open_stream(source, **options).pieces())
    assert type(error.value) is kind
    return str(error.value)


# ---- folders and globs


def test_the_tables_of_a_folder_are_one_table_in_the_order_of_their_names(tmp_path):
    FRAME.write_parquet(tmp_path / "2.parquet")
    FRAME.with_columns(pl.col("n").cast(pl.Int32) + 10).select("n", "text").write_parquet(
        tmp_path / "1.parquet"
    )
    for passed_over in ("_SUCCESS", ".2.parquet.crc", "_last.parquet", "README.md"):
        (tmp_path / passed_over).write_text("x")
    expected = [(11, "a"), (12, "b"), (13, "c"), (1, "a"), (2, "b"), (3, "c")]
    stream = open_stream(tmp_path)
    assert stream.schema == {"n": pl.Int64, "text": pl.String}
    assert stream.name == f"2 files in {tmp_path.name}"
    assert rows_of(tmp_path) == rows_of(f"{tmp_path}/*.parquet", rows=2) == expected
    assert open_stream(f"{tmp_path}/1.*").name == "1.parquet"


def test_a_position_holds_over_the_ends_of_files(tmp_path):
    for number in range(5):
        FRAME.with_columns(pl.col("n") + 10 * number).write_csv(tmp_path / f"{number}.csv")
    (tmp_path / "empty.csv").touch()
    FRAME.head(0).write_csv(tmp_path / "header_only.csv")
    pieces = list(open_stream(tmp_path, rows=4).pieces())
    assert [piece.frame.height for piece in pieces] == [3] * 5
    assert len(list(open_stream(tmp_path, rows=7).pieces())) == 3
    for at, piece in enumerate(pieces):
        after = json.loads(json.dumps(piece.after))
        rest = list(open_stream(tmp_path, rows=4).pieces(after))
        assert [p.frame.rows() for p in rest] == [p.frame.rows() for p in pieces[at + 1 :]]
        assert [p.done for p in rest] == [p.done for p in pieces[at + 1 :]]


def test_broken_rows_name_their_file(tmp_path):
    (tmp_path / "a.csv").write_text("text,n\na,1\n")
    (tmp_path / "b.csv").write_text("text,n\nb,1,2\nc,2\n")
    (piece,) = open_stream(tmp_path).pieces()
    assert piece.frame.height == 2
    assert [(each.source, each.line) for each in piece.unreadable] == [("b.csv", 2)]


def test_what_the_folders_of_partitions_tell_are_columns(tmp_path):
    for folder in ("year=2023/place=a%20b", "year=2024/place=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / folder).mkdir(parents=True)
        FRAME.head(1).write_parquet(tmp_path / folder / "part-0.parquet")
    assert rows_of(tmp_path) == [("a", 1, 2023, "a b"), ("a", 1, 2024, None)]
    assert open_stream(tmp_path).schema["year"] == pl.Int64


def test_files_whose_columns_differ_are_refused_before_a_row_is_read(tmp_path):
    FRAME.write_csv(tmp_path / "a.csv")
    FRAME.rename({"text": "txt"}).write_csv(tmp_path / "b.csv")
    with pytest.raises(ColumnError) as error:
        open_stream(tmp_path)
    assert str(error.value) == (
        "b.csv has no column 'text', which a.csv has. Did you mean 'txt'? It has a column 'txt' "
        "instead. All files of one table must have the same columns: rename them, or score the "
        "files one by one."
    )
    FRAME.with_columns(more=1, other=2).write_csv(tmp_path / "b.csv")
    with pytest.raises(ColumnError, match=r"^b.csv has the columns 'more', 'other', which a.csv"):
        open_stream(tmp_path)


def test_types_that_hold_no_common_values_are_refused(tmp_path):
    FRAME.write_parquet(tmp_path / "a.parquet")
    FRAME.with_columns(n=pl.lit(None)).write_parquet(tmp_path / "b.parquet")
    assert rows_of(tmp_path)[3:] == [("a", None), ("b", None), ("c", None)]
    FRAME.with_columns(pl.col("n").cast(pl.String)).write_parquet(tmp_path / "c.parquet")
    with pytest.raises(ColumnError, match=r"^column 'n' is String in c.parquet, and Int64 in a"):
        open_stream(tmp_path)


def test_text_and_typed_files_are_not_one_table(tmp_path):
    FRAME.write_csv(tmp_path / "a.csv")
    FRAME.write_ndjson(tmp_path / "b.jsonl")
    assert rows_of(tmp_path) == [("a", "1"), ("b", "2"), ("c", "3")] * 2
    FRAME.write_parquet(tmp_path / "c.parquet")
    assert "hold text (a.csv) and tables with types (c.parquet)" in refused(tmp_path)


def test_a_damaged_file_is_named_among_many(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        FRAME.write_parquet(tmp_path / name)
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[:-7])
    assert refused(tmp_path).startswith("b.parquet is cut off: it begins as Parquet and has no end")
    (tmp_path / "b.parquet").write_bytes(whole[:4] + bytes(40) + whole[44:])
    assert refused(tmp_path).startswith("b.parquet is damaged Parquet: ")


def test_there_is_no_such_file_or_folder(tmp_path):
    assert refused(tmp_path) == (
        f"the folder {tmp_path} is empty. Name a folder of .csv, .tsv, .jsonl, .parquet or .arrow "
        "files."
    )
    (tmp_path / "notes.md").touch()
    assert f"the folder {tmp_path} holds 'notes.md', no table." in refused(tmp_path)
    assert refused(f"{tmp_path}/*.csv") == (
        f"no file matches '{tmp_path}/*.csv'. Check the path, and put it in quotes on a command "
        "line."
    )
    FRAME.write_csv(tmp_path / "notes.csv")
    assert "Did you mean 'notes.csv'?" in refused(tmp_path / "note.csv")
    for name in ("a.csv", "notes.csv"):
        (tmp_path / name).write_bytes(b"")
    assert "are empty, all of them" in refused(tmp_path)


def test_a_name_with_brackets_is_a_name(tmp_path):
    for name in ("notes[1].csv", "notes[1].parquet", "notes[1].arrow"):
        writer = {"csv": "write_csv", "parquet": "write_parquet", "arrow": "write_ipc"}
        getattr(FRAME, writer[name.rpartition(".")[2]])(tmp_path / name)
        assert len(rows_of(tmp_path / name)) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read(write):
    path = write("text,n\na,1\n")
    path.chmod(0)
    assert "permission denied. Ask its owner, or run: chmod u+r" in refused(path)


# ---- standard input


def bytes_of(write_to):
    buffer = io.BytesIO()
    write_to(buffer)
    return buffer.getvalue()


SENT = {
    "csv": bytes_of(FRAME.write_csv),
    "csv, packed": gzip.compress(bytes_of(FRAME.write_csv)),
    "json": bytes_of(FRAME.write_ndjson),
    "utf-16": FRAME.write_csv().encode("utf-16"),
    "parquet": bytes_of(FRAME.write_parquet),
    "arrow stream": bytes_of(FRAME.write_ipc_stream),
}


@pytest.mark.parametrize("kind", SENT)
def test_standard_input_is_read_once(monkeypatch, kind):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SENT[kind])))
    stream = open_stream("-", rows=2)
    assert (stream.name, stream.identity) == ("standard input", None)
    frame = pl.concat(piece.frame for piece in stream.pieces())
    assert frame.cast(pl.String).equals(FRAME.cast(pl.String))
    if not kind.startswith(("parquet", "arrow")):
        with pytest.raises(TableError, match=r"^standard input can be read only once"):
            list(stream.pieces())


def test_a_pipe_gives_its_rows_before_it_ends():
    """A pipe is not waited for as a whole: what was sent is given while more is to come."""
    script = (
        "from textgauge.data.streams import open_stream\n"
        "rows = 0\n"
        "for piece in open_stream('/dev/stdin', rows=1000).pieces():\n"
        "    rows += piece.frame.height\n"
        "    print(rows, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"text,n\n" + b"a note,1\n" * 150_000)
        process.stdin.flush()
        assert process.stdout.readline() == b"1000\n"
        process.stdin.write(b"a note,2\n" * 500)
        process.stdin.close()
        assert process.stdout.read().splitlines()[-1] == b"150500"
    assert process.returncode == 0


# ---- frames, Arrow streams, packed tables


def test_frames_that_cannot_be_collected_or_are_none():
    assert "cannot be collected" in refused(FRAME.lazy().select(pl.col("x")))
    assert "a table cannot be made of int" in refused(3)
    with pytest.raises(SettingsError, match="--query is for the address of a database"):
        open_stream("notes.csv", query="SELECT 1")


def test_an_arrow_stream_is_read_batch_by_batch(write):
    pyarrow = pytest.importorskip("pyarrow")
    table = FRAME.with_columns(pl.col("text").cast(pl.Categorical).alias("kind")).to_arrow()
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        for _ in range(4):
            writer.write_table(table)
    path = write(sink.getvalue(), "notes.arrows")
    expected = pl.read_ipc_stream(sink.getvalue())
    for rows in (1, 2, 100):
        pieces = list(open_stream(path, rows=rows).pieces())
        assert pl.concat(piece.frame for piece in pieces).equals(expected)
        for at, piece in enumerate(pieces):
            rest = list(open_stream(path, rows=rows).pieces(piece.after))
            assert [p.frame.rows() for p in rest] == [p.frame.rows() for p in pieces[at + 1 :]]
    for cut in (12, 200, 700, len(sink.getvalue()) - 30):
        path.write_bytes(sink.getvalue()[:cut])
        message = refused(path)
        assert message.startswith(("notes.arrows is cut off:", "notes.arrows is damaged Arrow"))


def test_a_packed_parquet_file_is_unpacked_first(write):
    path = write(gzip.compress(SENT["parquet"]), "notes.parquet.gz")
    assert rows_of(path, rows=2) == FRAME.rows()
    assert open_stream(path).identity == open_stream(path).identity
    assert read_frame(path).rows() == FRAME.rows()
