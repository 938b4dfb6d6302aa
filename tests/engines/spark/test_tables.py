"""Tables that Spark reads: what is found by which name, and what is told where it cannot be."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from textgauge.data.tables import read_frame
from textgauge.engines.spark.failures import explain
from textgauge.engines.spark.tables import UNREADABLE, open_table
from textgauge.errors import ColumnError, SettingsError, TableError

ROWS = pl.DataFrame(
    {
        "id": ["007", "2", "3"],
        "text": ['3" hose, "as new"', "two\nlines; and ü", " spaces "],
        "label": ["1", "0", None],
    }
)


def rows_of(spark, source: Any, **how: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in open_table(spark, source, **how).rows().collect()]


def refusal(spark, source: Any, **how: Any) -> str:
    """What is told where a table cannot be opened, or its rows not be read."""
    with pytest.raises(TableError) as error:
        rows = open_table(spark, source, **how).rows()
        try:
            rows.collect()
        except Exception as failure:
            raise explain(failure, "the table") from None
    return str(error.value)


# ---- what can be read ----------------------------------------------------------------------------


def test_a_csv_file_is_read_as_this_process_reads_it(spark, tmp_path):
    ROWS.write_csv(tmp_path / "notes.csv")
    table = open_table(spark, tmp_path / "notes.csv")
    assert (table.name, table.columns) == ("notes.csv", ["id", "text", "label"])
    assert rows_of(spark, tmp_path / "notes.csv") == read_frame(tmp_path / "notes.csv").rows()
    assert rows_of(spark, tmp_path / "notes.csv") == ROWS.rows()


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ";"), ("a.tsv", "\t"), ("a.csv", "|"), ("a.tab", "\t")]
)
def test_the_delimiter_is_found_out(spark, tmp_path, name, separator):
    ROWS.write_csv(tmp_path / name, separator=separator)
    assert rows_of(spark, tmp_path / name, wanted=("text",)) == ROWS.rows()


def test_delimiter_and_encoding_can_be_given(spark, tmp_path):
    (tmp_path / "a.csv").write_bytes("text~maß\nstéel~1\n".encode("latin-1"))
    table = open_table(spark, tmp_path / "a.csv", delimiter="~", encoding="latin-1")
    assert table.columns == ["text", "maß"]
    assert [tuple(row) for row in table.rows().collect()] == [("stéel", "1")]


def test_an_encoding_that_spark_does_not_read_is_told(spark, tmp_path):
    (tmp_path / "a.csv").write_text("text\nsteel\n")
    for name in ("cp1252", "klingon"):
        with pytest.raises(
            SettingsError, match=f"does not read text files in --encoding {name}; it"
        ):
            open_table(spark, tmp_path / "a.csv", encoding=name)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_marks_and_line_ends_of_windows_are_no_part_of_a_cell(spark, tmp_path, end, mark):
    content = f"text,label{end}steel,1{end}iron,0{end}".encode()
    (tmp_path / "a.csv").write_bytes(mark + content)
    assert open_table(spark, tmp_path / "a.csv").columns == ["text", "label"]
    assert rows_of(spark, tmp_path / "a.csv") == [("steel", "1"), ("iron", "0")]


def test_packed_files_are_read(spark, tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(ROWS.write_csv().encode()))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(ROWS.write_ndjson().encode()))
    assert rows_of(spark, tmp_path / "a.csv.gz") == ROWS.rows()
    found = open_table(spark, tmp_path / "b.jsonl.gz").rows().select(*ROWS.columns).collect()
    assert [tuple(row) for row in found] == ROWS.rows()


def test_types_of_parquet_and_json_are_kept(spark, tmp_path):
    frame = pl.DataFrame({"text": ["a"], "n": [7], "x": [0.5], "day": ["2024-05-01"]})
    frame.with_columns(pl.col("day").str.to_date()).write_parquet(tmp_path / "a.parquet")
    types = dict(open_table(spark, tmp_path / "a.parquet").rows().dtypes)
    assert types == {"text": "string", "n": "bigint", "x": "double", "day": "date"}
    frame.write_ndjson(tmp_path / "a.jsonl")
    types = dict(open_table(spark, tmp_path / "a.jsonl").rows().dtypes)
    assert types == {"text": "string", "n": "bigint", "x": "double", "day": "string"}


def test_folders_and_globs_are_one_table(spark, tmp_path):
    for n in range(3):
        (tmp_path / f"part-{n}.csv").write_text(f"text\nsteel {n}\n")
    (tmp_path / "_SUCCESS").touch()
    expected = [(f"steel {n}",) for n in range(3)]
    assert sorted(rows_of(spark, tmp_path)) == expected
    assert sorted(rows_of(spark, f"{tmp_path}/*.csv")) == expected
    assert sorted(rows_of(spark, f"{tmp_path}/part-[12].csv")) == expected[1:]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(spark, tmp_path):
    (tmp_path / "a[1].csv").write_text("text\nright\n")
    (tmp_path / "a1.csv").write_text("text\nwrong\n")
    assert rows_of(spark, tmp_path / "a[1].csv") == [("right",)]


def test_relative_paths_lie_in_the_working_folder(spark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text\nsteel\n")
    assert rows_of(spark, "a.csv") == [("steel",)]


def test_what_spark_writes_can_be_read_again(spark, tmp_path):
    frame = spark.createDataFrame([("steel", 1)], "text string, n bigint").repartition(2)
    frame.write.parquet(str(tmp_path / "a.parquet"))
    frame.write.partitionBy("n").parquet(str(tmp_path / "b"))
    assert rows_of(spark, tmp_path / "a.parquet") == [("steel", 1)]
    assert rows_of(spark, tmp_path / "b") == [("steel", 1)]


def test_tables_views_and_dataframes_are_read(spark):
    frame = spark.createDataFrame([("steel", 1)], "text string, n bigint")
    frame.createOrReplaceTempView("notes_view")
    frame.write.mode("overwrite").saveAsTable("notes_table")
    assert open_table(spark, frame).name == "DataFrame"
    assert open_table(spark, "notes_view").name == "notes_view"
    for source in (frame, "notes_view", "notes_table", "default.notes_table"):
        assert rows_of(spark, source) == [("steel", 1)]


# ---- rows that cannot be read --------------------------------------------------------------------


def test_rows_of_another_width_are_kept_apart(spark, tmp_path):
    (tmp_path / "a.csv").write_text('text,label\nsteel,1\niron\nbrass,1,2\ncopper,"0"\n')
    table = open_table(spark, tmp_path / "a.csv")
    assert [tuple(row) for row in table.rows().collect()] == [("steel", "1"), ("copper", "0")]
    bad = table.frame.filter(table.frame[UNREADABLE].isNotNull()).collect()
    assert [row[UNREADABLE] for row in bad] == ["iron", "brass,1,2"]


def test_lines_that_are_no_json_are_kept_apart(spark, tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"text": "steel"}\n{"text": \n\n{"text": "iron"}\nnonsense\n'
    )
    table = open_table(spark, tmp_path / "a.jsonl")
    assert table.columns == ["text"]
    assert [tuple(row) for row in table.rows().collect()] == [("steel",), ("iron",)]
    bad = table.frame.filter(table.frame[UNREADABLE].isNotNull()).collect()
    assert [row[UNREADABLE].strip() for row in bad] == ['{"text":', "nonsense"]


def test_files_with_columns_in_another_order_are_told(spark, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nsteel,1\n")
    (tmp_path / "b.csv").write_text("label,text\n1,steel\n")
    assert refusal(spark, tmp_path) == (
        "the files of the table differ in their columns: b.csv has others, or in another order "
        "(label, text instead of text, label). Give all of them one header."
    )


# ---- what cannot be read -------------------------------------------------------------------------


def test_a_file_that_is_not_there_names_the_nearest(spark, tmp_path):
    (tmp_path / "notes.csv").write_text("text\n")
    assert refusal(spark, tmp_path / "note.csv") == (
        f"there is no file 'note.csv' in {tmp_path}. Did you mean 'notes.csv'?"
    )
    assert "The tables there: 'notes.csv'." in refusal(spark, tmp_path / "zzzzzz.parquet")
    assert "there is no folder" in refusal(spark, tmp_path / "no" / "a.csv")
    assert refusal(spark, f"{tmp_path}/*.parquet").startswith("no file matches")


def test_a_table_that_is_not_there_names_the_nearest(spark):
    spark.range(1).createOrReplaceTempView("notes_of_2024")
    message = refusal(spark, "notes_of_2023")
    assert message.startswith(
        "Spark knows no table 'notes_of_2023', and there is no file or folder of that name. Did "
        "you mean 'notes_of_2024'?"
    )
    assert "Spark knows no table 'main.lab.notes'" in refusal(spark, "main.lab.notes")


def test_standard_input_and_foreign_things_are_told(spark):
    assert refusal(spark, "-").startswith("Spark does not read standard input.")
    assert refusal(spark, [1, 2]).startswith("Spark cannot make a table of list.")


def test_files_of_an_unknown_or_of_several_kinds_are_told(spark, tmp_path):
    (tmp_path / "a.xlsx").write_text("x")
    assert "tells them by their endings; found 'a.xlsx'." in refusal(spark, tmp_path / "a.xlsx")
    assert "holds 'a.xlsx', no files of a known kind" in refusal(spark, tmp_path)
    (tmp_path / "a.csv").write_text("text\nsteel\n")
    (tmp_path / "b.jsonl").write_text('{"text": "steel"}\n')
    assert "files of several kinds (csv, json)" in refusal(spark, tmp_path)
    (tmp_path / "empty").mkdir()
    assert "is empty. Spark reads" in refusal(spark, tmp_path / "empty")


def test_empty_and_damaged_files_are_told(spark, tmp_path):
    (tmp_path / "a.csv").touch()
    assert refusal(spark, tmp_path / "a.csv") == "a.csv is empty. See that it was written whole."
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and then nothing good PAR2")
    assert refusal(spark, tmp_path / "a.parquet").startswith(
        f"{tmp_path / 'a.parquet'} cannot be read: "
    )
    (tmp_path / "a.jsonl").write_text("no\njson\n")
    assert "a.jsonl holds no JSON lines" in refusal(spark, tmp_path / "a.jsonl")


def test_a_delta_table_without_its_package_is_told(spark, tmp_path):
    (tmp_path / "notes" / "_delta_log").mkdir(parents=True)
    assert refusal(spark, tmp_path / "notes").startswith(
        "notes is a Delta table, and this Spark has no package for it."
    )


def test_columns_that_differ_in_case_alone_are_told(spark):
    frame = spark.createDataFrame([("a", "b")], "text string, Text string")
    with pytest.raises(ColumnError, match="DataFrame has more than one column 'text'"):
        open_table(spark, frame)
