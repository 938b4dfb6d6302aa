"""Scoring on Spark gives what scoring in this process gives, wherever the rows lie."""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from textgauge.bundle.predictor import Predictor
from textgauge.data.component_notes import make_component_notes
from textgauge.engines.spark import scoring
from textgauge.engines.spark.scoring import pieces_for, rows_of_partitions, score_on_spark
from textgauge.errors import BundleError, ColumnError, StorageError, TableError
from textgauge.scoring import score_model, score_table

ADDED = ["predicted_label", "probability", "decision"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def parquet(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(f"{folder}/*.parquet").sort("id")


@pytest.fixture(scope="module")
def local(trained, predictor, catalogue, tmp_path_factory) -> pl.DataFrame:
    """The catalogue, scored in this process."""
    out = tmp_path_factory.mktemp("local") / "scored.parquet"
    score_table(predictor, catalogue, out)
    return pl.read_parquet(out).sort("id")


# ---- equal to this process -----------------------------------------------------------------------


def pieces(frame: pl.DataFrame, sizes: list[int], folder: Path) -> Path:
    """The frame as a folder of Parquet files with so many rows."""
    folder.mkdir()
    begin = 0
    for n, size in enumerate(sizes):
        frame.slice(begin, size).write_parquet(folder / f"{n:03}.parquet")
        begin += size
    assert begin == len(frame)
    return folder


@pytest.mark.parametrize(
    "sizes", [[3_000], [1_500, 1_500], [2_700, 0, 100, 0, 200], [0, 0, 3_000, 0]]
)
def test_predictions_are_those_of_this_process_bit_for_bit(
    sizes, spark, trained, catalogue, local, tmp_path, monkeypatch
):
    monkeypatch.setattr(scoring, "WORTH_SPREADING", 0)
    # Each file a partition of its own.
    spark.conf.set("spark.sql.files.openCostInBytes", "134217728")
    source = pieces(catalogue, sizes, tmp_path / "notes")
    try:
        done = score_on_spark(spark, trained.folder, source, tmp_path / "scored.parquet")
    finally:
        spark.conf.unset("spark.sql.files.openCostInBytes")
    found = parquet(tmp_path / "scored.parquet")
    assert found.equals(local)
    assert found.schema == local.schema
    assert (done.rows, done.unreadable_rows, done.unreadable) == (3_000, 0, None)
    assert not done.estimated
    from textgauge.data.normal_form import normalise

    assert done.unique_texts == normalise(catalogue["text"].drop_nulls()).n_unique()
    assert names_in(tmp_path) == ["notes", "scored.parquet"]
    here = score_table(Predictor.load(trained.folder), catalogue, tmp_path / "here.parquet")
    assert (done.read, done.reads_numbers, done.warnings) == (here.read, True, here.warnings)


@pytest.mark.parametrize("partitions", [1, 7])
def test_a_spark_dataframe_is_scored(partitions, spark, trained, catalogue, local, tmp_path):
    frame = spark.createDataFrame(catalogue.to_pandas()).repartition(partitions)
    score_on_spark(spark, trained.folder, frame, tmp_path / "scored.parquet")
    assert parquet(tmp_path / "scored.parquet").equals(local)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"])
def test_every_format_holds_every_row_and_column(
    suffix, spark, trained, catalogue, local, tmp_path
):
    catalogue.write_parquet(tmp_path / "notes.parquet")
    out = tmp_path / f"scored{suffix}"
    score_on_spark(spark, trained.folder, tmp_path / "notes.parquet", out)
    read = {
        ".csv": lambda path: pl.read_csv(path, schema=local.schema),
        ".tsv": lambda path: pl.read_csv(path, schema=local.schema, separator="\t"),
        ".parquet": pl.read_parquet,
    }.get(suffix, lambda path: pl.read_ndjson(path, schema=local.schema))
    (part,) = out.glob("part-*")
    rows = read(part).sort("id").rows()
    assert rows == local.rows()


def test_the_order_of_the_rows_is_kept_where_they_are_not_moved(
    spark, trained, catalogue, tmp_path
):
    catalogue.write_parquet(tmp_path / "notes.parquet")
    score_on_spark(spark, trained.folder, tmp_path / "notes.parquet", tmp_path / "scored.parquet")
    found = pl.read_parquet(f"{tmp_path}/scored.parquet/*.parquet")
    assert found["id"].equals(catalogue["id"])


def test_columns_of_every_type_come_through_unchanged(spark, trained, tmp_path):
    day = datetime.date(2024, 5, 1)
    row: dict[str, Any] = {
        "text": "steel component",
        "whole": 7,
        "real": 0.1,
        "exact": decimal.Decimal("12.34"),
        "yes": True,
        "day": day,
        "moment": datetime.datetime(2024, 5, 1, 12, 30, 1, 250),
        "bytes": bytearray(b"\x00\xff"),
        "many": ["a", None],
        "pairs": {"a": 1},
        "inner": {"n": 1, "s": "x"},
    }
    schema = (
        "text string, whole int, real float, exact decimal(10,2), yes boolean, day date, "
        "moment timestamp, bytes binary, many array<string>, pairs map<string,int>, "
        "inner struct<n:bigint,s:string>"
    )
    empty = dict.fromkeys(row)
    frame = spark.createDataFrame([row, empty], schema)
    score_on_spark(spark, trained.folder, frame, tmp_path / "scored.parquet")
    found = spark.read.parquet(str(tmp_path / "scored.parquet"))
    assert found.columns == [*frame.columns, *ADDED]
    assert found.select(frame.columns).schema == frame.schema
    key = lambda each: each["text"] is None  # noqa: E731
    assert sorted(found.select(frame.columns).collect(), key=key) == frame.collect()
    assert dict(found.dtypes)["probability"] == "double"


def test_numbers_are_scored_as_the_texts_that_this_process_makes_of_them(
    spark, trained, predictor, tmp_path
):
    frame = pl.DataFrame({"id": [1, 2, 3], "text": [1979.0, None, 0.5]})
    frame.write_parquet(tmp_path / "notes.parquet")
    score_on_spark(spark, trained.folder, tmp_path / "notes.parquet", tmp_path / "scored.parquet")
    score_table(predictor, frame, tmp_path / "local.parquet")
    assert parquet(tmp_path / "scored.parquet").equals(pl.read_parquet(tmp_path / "local.parquet"))


def test_the_text_column_can_be_named_and_is_the_models_by_default(
    spark, trained, predictor, tmp_path
):
    (tmp_path / "a.csv").write_text("note;text\nsteel;iron\n")
    score_on_spark(spark, trained.folder, tmp_path / "a.csv", tmp_path / "a.jsonl", text="note")
    score_on_spark(spark, trained.folder, tmp_path / "a.csv", tmp_path / "b.jsonl")
    for name, text in (("a", "steel"), ("b", "iron")):
        (row,) = pl.read_ndjson(f"{tmp_path}/{name}.jsonl/*.json").rows(named=True)
        assert row["probability"] == predictor.predict_frame([text])["probability"][0]


# ---- where the rows lie --------------------------------------------------------------------------


def test_rows_are_spread_only_where_that_makes_the_work_shorter():
    assert pieces_for([1_000_000] * 4, slots=2) is None
    assert pieces_for([10, 10], slots=2) is None  # too few to be worth it
    assert pieces_for([4_000_000], slots=1) is None  # nobody to share with
    assert pieces_for([1_000_000], slots=4) == 12
    assert pieces_for([900_000, *[10_000] * 10], slots=2) == 6
    assert pieces_for([1_000_000, 400_000, 400_000, 200_000], slots=2) is None
    assert pieces_for([10_000_000, 1], slots=2) == 42
    assert pieces_for([], slots=2) is None


def test_a_partition_with_most_of_the_rows_is_spread_over_all_slots(
    spark, trained, catalogue, local, tmp_path, monkeypatch
):
    monkeypatch.setattr(scoring, "WORTH_SPREADING", 0)
    frame = spark.createDataFrame(catalogue.to_pandas())
    crooked = frame.filter("id < 2900").coalesce(1).union(frame.filter("id >= 2900").coalesce(2))
    assert max(rows_of_partitions(crooked)) == 2_900
    score_on_spark(spark, trained.folder, crooked, tmp_path / "scored.parquet")
    sizes = [len(pl.read_parquet(path)) for path in (tmp_path / "scored.parquet").glob("*.parquet")]
    assert (len(sizes), sum(sizes)) == (6, 3_000)
    assert max(sizes) < 700
    assert parquet(tmp_path / "scored.parquet").equals(local)


# ---- rows that cannot be read --------------------------------------------------------------------


def test_unreadable_rows_are_kept_aside_and_counted(spark, trained, tmp_path):
    (tmp_path / "a.csv").write_text("text,n\nsteel,1\niron\nbrass,1,2\ncopper,2\n")
    out = tmp_path / "scored.parquet"
    done = score_on_spark(spark, trained.folder, tmp_path / "a.csv", out)
    assert (done.rows, done.unique_texts, done.unreadable_rows) == (2, 2, 2)
    assert done.unreadable == f"{out}-unreadable"
    assert pl.read_parquet(f"{out}/*.parquet")["text"].to_list() == ["steel", "copper"]
    lines = [
        json.loads(line)
        for path in sorted(Path(done.unreadable).glob("part-*"))
        for line in path.read_text().splitlines()
    ]
    assert [line["record"] for line in lines] == ["iron", "brass,1,2"]
    assert all(line["file"].endswith("/a.csv") for line in lines)
    assert lines[0]["as_read"]["text"] == "iron"
    (tmp_path / "a.csv").write_text("text,n\nsteel,1\n")
    again = score_on_spark(spark, trained.folder, tmp_path / "a.csv", out)
    assert (again.unreadable_rows, again.unreadable) == (0, None)
    assert names_in(tmp_path) == ["a.csv", "scored.parquet"]


def test_a_table_without_a_readable_row_is_refused(spark, trained, tmp_path):
    (tmp_path / "a.csv").write_text("text,n\nsteel\n")
    with pytest.raises(TableError, match=r"not one row of a\.csv can be read"):
        score_on_spark(spark, trained.folder, tmp_path / "a.csv", tmp_path / "scored.parquet")
    (tmp_path / "a.csv").write_text("text,n\n")
    with pytest.raises(TableError, match=r"a\.csv has no rows\."):
        score_on_spark(spark, trained.folder, tmp_path / "a.csv", tmp_path / "scored.parquet")
    assert names_in(tmp_path) == ["a.csv"]


# ---- whole or not at all -------------------------------------------------------------------------


def test_an_earlier_result_is_replaced(spark, trained, tmp_path):
    out = tmp_path / "scored.csv"
    out.write_text("earlier")
    for text in ("steel", "iron"):
        (tmp_path / "a.csv").write_text(f"text\n{text}\n")
        score_on_spark(spark, trained.folder, tmp_path / "a.csv", out)
        assert pl.read_csv(f"{out}/*.csv")["text"].to_list() == [text]
    assert names_in(tmp_path) == ["a.csv", "scored.csv"]


def test_a_failure_in_the_middle_leaves_the_earlier_result_and_nothing_else(
    spark, trained, tmp_path
):
    from pyspark.sql import functions as F  # noqa: N812

    out = tmp_path / "scored.parquet"
    good = spark.createDataFrame([("steel",)], "text string")
    score_on_spark(spark, trained.folder, good, out)
    before = names_in(out)
    made = make_component_notes(2_000).select("text").with_columns(n=pl.int_range(2_000))
    rows = spark.createDataFrame(made.to_pandas()).repartition(4)
    # The rows' text fails, but not while they are only counted.
    broken = rows.withColumn(
        "text", F.when(F.col("n") == 1_999, F.raise_error("a broken row")).otherwise(F.col("text"))
    )
    with pytest.raises(Exception, match="a broken row"):
        score_on_spark(spark, trained.folder, broken, out)
    assert names_in(out) == before
    assert names_in(tmp_path) == ["scored.parquet"]


def test_a_folder_that_holds_something_else_is_not_replaced(spark, trained, tmp_path):
    out = tmp_path / "scored.parquet"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    frame = spark.createDataFrame([("steel",)], "text string")
    with pytest.raises(StorageError, match=r"holds something else \(thesis\.txt\)"):
        score_on_spark(spark, trained.folder, frame, out)
    assert names_in(out) == ["thesis.txt"]


def test_where_nothing_can_be_written_it_is_told(spark, trained, tmp_path):
    (tmp_path / "file").touch()
    frame = spark.createDataFrame([("steel",)], "text string")
    out = tmp_path / "file" / "scored.parquet"
    with pytest.raises(StorageError) as error:
        score_on_spark(spark, trained.folder, frame, out)
    assert str(error.value).startswith(f"{out} cannot be written: ")
    assert "\n" not in str(error.value)


def test_what_a_format_cannot_hold_is_told(spark, trained, tmp_path):
    frame = spark.createDataFrame([("steel", ["a"])], "text string, many array<string>")
    with pytest.raises(StorageError) as error:
        score_on_spark(spark, trained.folder, frame, tmp_path / "scored.csv")
    assert str(error.value).startswith(f"{tmp_path / 'scored.csv'} cannot be written: ")
    assert names_in(tmp_path) == []


def test_an_unknown_ending_is_told(spark, trained, tmp_path):
    frame = spark.createDataFrame([("steel",)], "text string")
    with pytest.raises(StorageError, match=r"score writes folders that end in \.parquet, \.csv"):
        score_on_spark(spark, trained.folder, frame, tmp_path / "scored.xlsx")


def test_a_table_is_written_and_replaced_whole(spark, trained):
    for text in ("steel", "iron"):
        frame = spark.createDataFrame([(text,)], "text string")
        done = score_on_spark(spark, trained.folder, frame, "scored_notes")
        assert done.out == "scored_notes"
        assert [row.text for row in spark.table("scored_notes").collect()] == [text]
    names = [table.name for table in spark.catalog.listTables() if "scored_notes" in table.name]
    assert names == ["scored_notes"]
    with pytest.raises(StorageError, match=r"the table no_such_schema\.a cannot be written"):
        score_on_spark(spark, trained.folder, frame, "no_such_schema.a")


# ---- what cannot be scored -----------------------------------------------------------------------


def test_columns_that_do_not_fit_are_told_as_in_this_process(spark, trained, tmp_path):
    out = tmp_path / "scored.parquet"
    frame = spark.createDataFrame(
        [("a", 1, ["x"])], "texts string, Decision int, words array<string>"
    )
    with pytest.raises(ColumnError) as error:
        score_on_spark(spark, trained.folder, frame.drop("Decision"), out)
    assert str(error.value) == (
        "DataFrame has no column 'text'; it has 'texts', 'words'. Did you mean 'texts'? "
        "Pass --text texts."
    )
    with pytest.raises(TableError, match="DataFrame already has a column 'Decision'"):
        score_on_spark(spark, trained.folder, frame, out, text="texts")
    with pytest.raises(ColumnError, match=r"column 'words' of DataFrame holds array<string>, no"):
        score_on_spark(spark, trained.folder, frame.drop("Decision"), out, text="words")
    assert names_in(tmp_path) == []


def test_a_damaged_model_is_told_before_any_work(spark, tmp_path):
    with pytest.raises(BundleError):
        score_on_spark(spark, tmp_path, "nothing.csv", tmp_path / "scored.parquet")


# ---- the command's side --------------------------------------------------------------------------


def test_the_result_is_that_of_this_process_with_the_unreadable_rows(spark, trained, tmp_path):
    (tmp_path / "a.csv").write_text("text\nsteel\nSteel\niron\n")
    told: list[str] = []

    class Listening:
        def stage(self, text: str) -> None:
            told.append(text)

        def warn(self, text: str) -> None: ...

    scored = score_model(
        trained.folder,
        tmp_path / "a.csv",
        tmp_path / "scored.csv",
        engine="spark",
        progress=Listening(),
    )
    assert scored.to_json() == {
        "rows": 3,
        "unique_texts": 2,
        "seconds": round(scored.seconds, 3),
        "rows_per_second": round(3 / scored.seconds),
        "out": str(tmp_path / "scored.csv"),
        "unknown_word_share": scored.read.unknown_share,
        "outside_number_range_share": 0.0,
        "warnings": list(scored.warnings),
        "unique_texts_estimated": False,
        "rows_without_text": 0,
        "unreadable_rows": 0,
        "unreadable": None,
        "continued_from": 0,
    }
    assert told == ["starting Spark", "looking at the executors", "reading", "scoring"]


def test_probabilities_do_not_depend_on_the_texts_beside_them(predictor, catalogue):
    """Why results can be equal bit for bit however the rows are cut into batches."""
    texts = catalogue["text"].drop_nulls().unique()
    whole = predictor.predict(texts).probabilities
    for size in (1, 2, 3, 7, 100):
        some = texts[:400]
        cut = [predictor.predict(some[b : b + size]).probabilities for b in range(0, 400, size)]
        np.testing.assert_array_equal(np.concatenate(cut), whole[:400], err_msg=str(size))
