"""Queries of a database, and Delta tables."""

import json
import sqlite3
import string
import struct

import polars as pl
import pytest

from textgauge.data.streams import open_stream
from textgauge.errors import ColumnError, MissingPackageError, SettingsError, TableError


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "notes.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (text TEXT, n INT, x, mixed)")
        rows = [(f"note {n}", n, None, n if n % 2 else f"'{n}'") for n in range(25_000)]
        connection.executemany("INSERT INTO notes VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{path}"


def frame_of(stream):
    return pl.concat(piece.frame for piece in stream.pieces())


def test_the_rows_of_a_query_come_in_pieces(database):
    stream = open_stream(database, query="SELECT * FROM notes ORDER BY n", rows=15_000)
    assert (stream.name, stream.identity) == ("SQL query", None)
    types = {"text": pl.String, "n": pl.Int64, "x": pl.String, "mixed": pl.String}
    assert stream.schema == types
    pieces = list(stream.pieces())
    assert [piece.frame.height for piece in pieces] == [10_000, 15_000]
    assert pieces[0].frame.row(1) == ("note 1", 1, None, "1")
    assert pieces[0].frame.row(2) == ("note 2", 2, None, "'2'")
    with pytest.raises(TableError, match="the SQL query can be read only once"):
        list(stream.pieces())


def test_a_query_is_sent_as_it_is_written(database):
    query = "SELECT '12:30' AS a, ':b' AS b, '50% c' AS c, x'6162' AS d, 1.5 AS e, 1 AS f"
    frame = frame_of(open_stream(database, query=query))
    assert frame.row(0) == ("12:30", ":b", "50% c", b"ab", 1.5, 1)


def test_a_kind_of_value_that_comes_late_is_refused_with_its_row(database):
    query = "SELECT CASE WHEN n < 12000 THEN n ELSE 'many' END AS n FROM notes"
    stream = open_stream(database, query=query)
    read = 0
    with pytest.raises(TableError) as error:
        for piece in stream.pieces():
            read += piece.frame.height
    assert read == 10_000
    assert str(error.value) == (
        "column 'n' of the SQL query holds str in row 12,001, and Int64 in the rows before. Make "
        "one kind of it in the query: CAST(n AS TEXT)."
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM nots", r"^the SQL query failed: no such table: nots\. Try it"),
        ("PRAGMA user_version = 1", r"^the SQL query gives no rows\. Write one that selects"),
        ("SELECT n FROM notes WHERE n < 0", r"^SQL query has a header but no rows\.$"),
    ],
)
def test_what_is_wrong_with_a_query(database, query, message):
    with pytest.raises(TableError, match=message):
        list(open_stream(database, query=query).pieces())


def test_what_is_wrong_with_an_address(database, tmp_path):
    with pytest.raises(SettingsError, match=r"an SQL address needs a query\. Pass one"):
        open_stream(database)
    with pytest.raises(ColumnError, match="more than one column 'n'"):
        open_stream(database, query="SELECT n, n FROM notes")
    with pytest.raises(TableError, match=r"Did you mean 'notes.db'\?"):
        open_stream(f"sqlite:///{tmp_path}/note.db", query="SELECT 1")
    assert not (tmp_path / "note.db").exists()
    with pytest.raises(TableError, match=r"^s3:// addresses are not read here"):
        open_stream("s3://bucket/notes.csv")


@pytest.mark.parametrize(
    "address",
    ["nosuch://ann:hunter2@host/x", "mysql+nosuchdriver://ann:hunter2@host/x?key=hunter2"],
)
def test_no_message_shows_a_secret_of_an_address(address):
    with pytest.raises((TableError, MissingPackageError)) as error:
        open_stream(address, query="SELECT 1")
    assert "hunter2" not in str(error.value)


def test_what_a_database_says_is_shown_without_secrets(database, tmp_path):
    from textgauge.data.streams.sql import Query

    asked = Query(database, "SELECT 1")
    asked._secrets = ["pass%40word", "pass@word"]
    assert asked._without_secrets("login pass@word, pass%40word") == "login ***, ***"


# ---- Delta

FRAME = pl.DataFrame({"text": ["a", "b", "c"], "n": [1, 2, 3], "place": ["x y", "x y", None]})


@pytest.fixture
def delta(tmp_path):
    deltalake = pytest.importorskip("deltalake")
    folder = tmp_path / "catalogue"
    deltalake.write_deltalake(folder, FRAME, partition_by=["place"])
    return folder


def test_a_delta_table_is_its_newest_version(delta):
    import deltalake

    assert sorted(frame_of(open_stream(delta)).rows(), key=str) == sorted(FRAME.rows(), key=str)
    stream = open_stream(str(delta), rows=2)
    assert stream.name == "catalogue (version 0)"
    more = FRAME.with_columns(extra=pl.lit(1.5))
    deltalake.write_deltalake(delta, more, mode="append", schema_mode="merge")
    assert frame_of(stream).height == 3  # it stays the version that was opened
    newer = open_stream(delta, rows=2)
    assert newer.identity not in (None, stream.identity)
    frame = frame_of(newer)
    assert frame.height == 6
    expected = pl.concat([FRAME.with_columns(extra=pl.lit(None, pl.Float64)), more])
    order = ["text", "n", "place", "extra"]
    assert sorted(frame.select(order).rows(), key=str) == sorted(
        expected.select(order).rows(), key=str
    )
    pieces = list(newer.pieces())
    for at, piece in enumerate(pieces):
        rest = list(open_stream(delta, rows=2).pieces(piece.after))
        assert [p.frame.rows() for p in rest] == [p.frame.rows() for p in pieces[at + 1 :]]
    deltalake.write_deltalake(delta, FRAME.head(1), mode="overwrite", schema_mode="overwrite")
    assert frame_of(open_stream(delta)).rows() == FRAME.head(1).rows()


def test_a_damaged_delta_table(delta):
    (delta / "_delta_log" / "00000000000000000001.json").write_text("{broken")
    with pytest.raises(TableError, match=r"^catalogue cannot be read as a Delta table: .*--engine"):
        open_stream(delta)


def inline_vector(rows):
    """A deletion vector as the Delta protocol writes it into the log: a Roaring bitmap in Z85."""
    data = struct.pack("<IQIIIHHI", 1681511377, 1, 0, 12346, 1, 0, len(rows) - 1, 16)
    data += struct.pack(f"<{len(rows)}H", *rows)
    data += bytes(-len(data) % 4)
    letters = string.digits + string.ascii_letters + ".-:+=^!/*?&<>()[]{}@%$#"
    words = [word for (word,) in struct.iter_unpack(">I", data)]
    written = "".join(letters[word // 85**k % 85] for word in words for k in (4, 3, 2, 1, 0))
    return {
        **{"storageType": "i", "pathOrInlineDv": written},
        **{"sizeInBytes": len(data), "cardinality": len(rows)},
    }


@pytest.mark.parametrize(
    ("feature", "settings", "vector", "message"),
    [
        ("rowGroups9", {}, None, r"rowGroups9"),
        ("columnMapping", {"delta.columnMapping.mode": "name"}, None, r"maps the names of its col"),
        ("deletionVectors", {}, inline_vector([0]), r"has deletion vectors, which are not read"),
    ],
)
def test_what_is_not_read_here_is_left_to_spark(delta, feature, settings, vector, message):
    log = delta / "_delta_log" / "00000000000000000000.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "protocol" in action:
            versions = {"minReaderVersion": 3, "minWriterVersion": 7}
            features = {"readerFeatures": [feature], "writerFeatures": [feature]}
            action["protocol"] = {**versions, **features}
        if "metaData" in action:
            action["metaData"]["configuration"] = settings
            schema = json.loads(action["metaData"]["schemaString"])
            for number, field in enumerate(schema["fields"]):
                mapping = {"id": number, "physicalName": field["name"]}
                field["metadata"] = {f"delta.columnMapping.{k}": v for k, v in mapping.items()}
            action["metaData"]["schemaString"] = json.dumps(schema)
        if "add" in action and vector is not None:
            action["add"]["deletionVector"] = vector
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))
    with pytest.raises(TableError, match=rf"{message}.*--engine spark"):
        open_stream(delta)
