"""Corrected labels: which rows they reach, what stays as it is, and what is refused."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from textgauge.data.corrections import (
    CORRECTED,
    DROP,
    Corrected,
    correct_table,
    guarded,
    shortened,
    unguarded,
)
from textgauge.errors import ColumnError, StorageError, TableError

TABLE = pl.DataFrame(
    {
        "id": ["7", "8", "9", "10", "11"],
        "note": ["Steel  bolt", "steel bolt", "iron nut", "=nut", None],
        "verdict": ["1", "0", "1", "01", "0"],
    }
)


def correct(folder, corrections, table=TABLE, suffix=".csv", **options):
    """What became of the table, and what was told."""
    source = folder / "notes.parquet"
    table.write_parquet(source)
    path = folder / "corrections.csv"
    if isinstance(corrections, str):
        path.write_text(corrections)
    else:
        pl.DataFrame(corrections).write_csv(path)
    names = {"text": "note", "label": "verdict", **options}
    out = folder / f"new{suffix}"
    done = correct_table(source, path, out, **names)
    read = pl.read_parquet(out) if suffix == ".parquet" else pl.read_csv(out, infer_schema=False)
    return read, done


def refused(folder, corrections, **options):
    """The message; no file may be left behind."""
    with pytest.raises(TableError) as error:
        correct(folder, corrections, **options)
    assert sorted(p.name for p in folder.iterdir()) == ["corrections.csv", "notes.parquet"]
    return str(error.value)


# ---- what is corrected


def test_only_rows_with_that_label_change_and_texts_are_compared_in_normal_form(tmp_path):
    found, done = correct(tmp_path, "text,label,corrected_label\nSTEEL BOLT ,0,1\n")
    assert_frame_equal(found, TABLE.with_columns(verdict=pl.Series(["1", "1", "1", "01", "0"])))
    assert done == Corrected(5, 1, 0, (), 0, {}, tmp_path / "new.csv")


def test_without_a_label_all_rows_of_the_text_are_meant(tmp_path):
    for text in (
        "text,corrected_label\nsteel bolt,0\n",
        "text,label,corrected_label\nsteel bolt,,0\n",
    ):
        found, done = correct(tmp_path, text)
        assert found["verdict"].to_list() == ["0", "0", "1", "01", "0"]
        assert done.changed == 1  # One of them was right already.


def test_what_is_not_filled_in_stays_and_other_columns_play_no_role(tmp_path):
    rows = {
        "quality": [0.1, 0.2],
        "text": ["steel bolt", "iron nut"],
        "label": ["0", "1"],
        CORRECTED: ["", "0"],
    }
    found, _ = correct(tmp_path, rows)
    assert found["verdict"].to_list() == ["1", "0", "0", "01", "0"]


def test_rows_can_be_dropped(tmp_path):
    found, done = correct(tmp_path, f"text,label,corrected_label\nsteel bolt,1,{DROP}\n")
    assert found["id"].to_list() == ["8", "9", "10", "11"]
    assert (done.changed, done.dropped) == (0, 1)


def test_labels_change_places_at_once(tmp_path):
    found, done = correct(tmp_path, "text,label,corrected_label\nsteel bolt,0,1\nsteel bolt,1,0\n")
    assert found["verdict"].to_list()[:2] == ["0", "1"]
    assert done.changed == 2


def test_the_apostrophe_of_a_guarded_text_is_taken_away(tmp_path):
    found, done = correct(tmp_path, "text,corrected_label\n'=nut,1\n")
    assert found["verdict"].to_list() == ["1", "0", "1", "1", "0"]
    assert found["note"][3] == "=nut"
    assert done.unmatched_count == 0
    table = TABLE.with_columns(note=pl.Series(["'=x", "b", "c", "d", "e"]))
    assert correct(tmp_path, "text,corrected_label\n'=x,9\n", table)[0]["verdict"][0] == "9"


def test_guarding_can_be_undone():
    values = ["=1+1", "'=1", "''-a", "'quoted", "-1", "+1.5e3", "-", "@sum", "- rust", "a=b"]
    values += ["", "'-1"]
    series = pl.Series(values)
    safe = pl.select(guarded(series)).to_series()
    assert pl.select(unguarded(safe)).to_series().to_list() == values
    for value in safe:
        assert value[:1] not in tuple("=+-@") or value in ("-1", "+1.5e3", "-")


@pytest.mark.parametrize(
    ("labels", "given", "to", "expected"),
    [
        (pl.Series([1, 0, 1, 1, None]), "0", "7", [1, 7, 1, 1, None]),
        (pl.Series([1.0, 0.0, 1.5, 1, 0]), "0.0", "2.5", [1.0, 2.5, 1.5, 1, 0]),
        (pl.Series([True, False, True, True, True]), "false", "TRUE", [True] * 5),
        (pl.Series(list("10111"), dtype=pl.Categorical), "0", "x", list("1x111")),
    ],
)
def test_the_column_keeps_its_kind(tmp_path, labels, given, to, expected):
    found, done = correct(
        tmp_path,
        {"text": ["steel bolt"], "label": [given], CORRECTED: [to]},
        TABLE.with_columns(verdict=labels),
        ".parquet",
    )
    assert found["verdict"].to_list() == expected
    assert done.changed == 1
    if labels.dtype != pl.Categorical:
        assert found["verdict"].dtype == labels.dtype


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow"])
def test_every_format_keeps_every_column(tmp_path, suffix):
    read = {
        ".csv": lambda p: pl.read_csv(p, infer_schema=False),
        ".tsv": lambda p: pl.read_csv(p, separator="\t", infer_schema=False),
        ".jsonl": pl.read_ndjson,
        ".parquet": pl.read_parquet,
        ".arrow": pl.read_ipc,
    }
    path, out = tmp_path / "corrections.csv", tmp_path / f"new{suffix}"
    path.write_text("text,corrected_label\niron nut,0\n")
    correct_table(TABLE, path, out, text="note", label="verdict")
    expected = TABLE.with_columns(verdict=pl.Series(["1", "0", "0", "01", "0"]))
    assert_frame_equal(read[suffix](out), expected)


# ---- what is told


def test_corrections_that_match_nothing_are_listed(tmp_path):
    lines = [f"none {at},1" for at in range(12)]
    _, done = correct(tmp_path, "\n".join(["text,corrected_label", *lines, "iron nut,0", ""]))
    assert done.unmatched_count == 12
    assert done.unmatched == tuple((f"none {at}", None) for at in range(10))
    _, done = correct(tmp_path, "text,label,corrected_label\niron nut,2,0\niron nut,1,0\n")
    assert done.unmatched == (("iron nut", "2"),)
    assert done.to_json()["unmatched_corrections"] == [["iron nut", "2"]]


def test_labels_that_are_new_are_told_with_the_nearest_that_is_not(tmp_path):
    table = TABLE.with_columns(verdict=pl.Series(["bolt", "bolt", "nut", "nut", "nut"]))
    text = "text,label,corrected_label\nsteel bolt,bolt,bollt\niron nut,,washer\n"
    _, done = correct(tmp_path, text, table)
    assert done.new_labels == {"bollt": "bolt", "washer": None}


def test_long_texts_are_shortened():
    assert shortened("a" * 60) == "a" * 60
    assert shortened("a" * 61) == "a" * 57 + "..."


# ---- what is refused


def test_contradictory_corrections(tmp_path):
    twice = "text,label,corrected_label\nsteel bolt,0,1\nSteel bolt,0,2\n"
    assert refused(tmp_path, twice) == (
        "corrections.csv contradicts itself: 'steel bolt' shall be '1' and '2' (rows 1, 2). "
        "Keep one of them."
    )
    both = "text,label,corrected_label\nsteel bolt,0,1\nsteel bolt,,2\n"
    assert refused(tmp_path, both) == (
        "corrections.csv contradicts itself: 'steel bolt' with the label '0' shall be '1', and "
        "with any label '2'. Keep one of the two."
    )


def test_the_same_correction_twice_is_one(tmp_path):
    text = "text,corrected_label\nsteel bolt,0\nSteel bolt,0\nsteel bolt,0\n"
    found, done = correct(tmp_path, text)
    assert len(found) == len(TABLE)
    assert done.changed == 1


def test_a_file_that_corrects_nothing(tmp_path):
    assert refused(tmp_path, "text,label,corrected_label\nsteel bolt,0,\niron nut,1, \n") == (
        "corrections.csv corrects nothing: its column 'corrected_label' is empty in all 2 rows. "
        "Put the right label there, or (drop) for rows that shall not stay."
    )


def test_a_correction_without_a_text(tmp_path):
    assert "corrections without a text: row 2." in refused(
        tmp_path, "text,corrected_label\niron nut,0\n,1\n"
    )


def test_a_file_without_the_column(tmp_path):
    message = refused(tmp_path, "text,corrected\niron nut,0\n")
    assert message == (
        "corrections.csv has no column 'corrected_label'; it has 'text', 'corrected'. Did you mean "
        "'corrected'? Corrections stand in the columns 'text', 'label' and 'corrected_label'."
    )


def test_a_label_of_the_table_that_means_to_drop(tmp_path):
    table = TABLE.with_columns(verdict=pl.Series(["1", DROP, "1", "0", "0"]))
    message = refused(tmp_path, "text,corrected_label\niron nut,0\n", table=table)
    assert message.endswith("Rename that label first.")


def test_dropping_everything(tmp_path):
    table = TABLE.head(2)
    message = refused(tmp_path, f"text,corrected_label\nsteel bolt,{DROP}\n", table=table)
    assert message == "corrections.csv drops every row of notes.parquet."


def test_a_label_that_the_column_cannot_hold(tmp_path):
    table = TABLE.with_columns(verdict=pl.Series([1, 0, 1, 1, 0]))
    message = refused(tmp_path, "text,corrected_label\niron nut,rusty\n", table=table)
    assert message == (
        "column 'verdict' of notes.parquet holds Int64, and 'rusty' is none. Correct "
        "'corrected_label', or make the column one of strings."
    )


def test_a_column_that_is_not_there(tmp_path):
    with pytest.raises(ColumnError, match="no column 'label'"):
        correct(tmp_path, "text,corrected_label\niron nut,0\n", label="label")


@pytest.mark.parametrize("out", ["notes.csv", "corrections.csv", "sub/../notes.csv", "link.csv"])
def test_what_is_read_is_not_overwritten(tmp_path, out):
    source, path = tmp_path / "notes.csv", tmp_path / "corrections.csv"
    TABLE.write_csv(source)
    path.write_text("text,corrected_label\niron nut,0\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.csv").symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(StorageError, match="it would be lost"):
        correct_table(source, path, tmp_path / out, text="note", label="verdict")
    assert source.read_bytes() == before


def test_an_ending_that_is_not_known(tmp_path):
    with pytest.raises(StorageError, match=r"check --fix writes \.csv"):
        correct_table(TABLE, tmp_path / "none.csv", tmp_path / "new.xlsx")
