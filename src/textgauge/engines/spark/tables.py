"""Tables in, as Spark DataFrames with all their columns: files, Spark tables, Delta, DataFrames.

Delimited text gives Strings, as in this process; what has types keeps them. Rows of text files that
Spark cannot read are kept apart, in a column of their own, and never lost in silence.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.columns import listed
from ...data.text_files import delimiter_named, find_layout
from ...errors import ColumnError, SettingsError, TableError, TextgaugeError, did_you_mean
from .failures import explain
from .storage import Storage, literal, parent_and_name

UNREADABLE = "_textgauge_unreadable"
"""Column with the record as it stands in the file, where Spark could not read it."""

_KINDS = {
    **{".csv": "csv", ".tsv": "csv", ".tab": "csv"},
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "json"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".delta",), "delta"),
}
_PACKED = (".gz", ".bz2", ".zst", ".lz4", ".snappy")
_CHARSETS = {
    **{"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "ascii": "US-ASCII", "iso8859-1": "ISO-8859-1"},
    **{"utf-16": "UTF-16", "utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE", "utf-32": "UTF-32"},
}
"""Python's and Java's names of the encodings that Spark reads."""

_DELTA_LOG = "_delta_log"
_TABLE_NAME = re.compile(r"[^\s./\\*?\[\]{}]+(\.[^\s./\\*?\[\]{}]+){0,2}")
_SAMPLE_LINES = 50


@dataclass(frozen=True)
class SparkTable:
    """A table as Spark reads it.

    Attributes:
        frame: every column, and the column `unreadable` where it is not None.
        name: what a person calls the table: "notes.csv", "main.lab.notes", "DataFrame".
        unreadable: name of the column that is null but for the rows that could not be read.

    """

    frame: Any
    name: str
    unreadable: str | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the table's own columns."""
        return [name for name in self.frame.columns if name != self.unreadable]

    def rows(self) -> Any:
        """The rows that could be read, without the column for the others."""
        if self.unreadable is None:
            return self.frame
        return self.frame.filter(self.frame[self.unreadable].isNull()).drop(self.unreadable)


def open_table(
    session: Any,
    source: Any,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    wanted: Sequence[str] = (),
) -> SparkTable:
    """Give every column of `source`; nothing but headers and schemas is read yet.

    Args:
        session: a session.
        source: a Spark DataFrame; the name of a table or view; a file, a folder or a glob of CSV
            (with header), TSV, JSON Lines or Parquet files (text also .gz), wherever the cluster's
            storage can reach; a folder that holds a Delta table.
        encoding: of text files that are not UTF-8.
        delimiter: of text files, where it should not be guessed.
        wanted: column names that help to guess it.

    Raises:
        TableError: there is no such table, or it cannot be read.
        ColumnError: two columns have one name.

    """
    if not isinstance(source, str | Path):
        if not _is_spark_frame(source):
            raise TableError(
                f"Spark cannot make a table of {type(source).__name__}. Pass a Spark DataFrame, "
                "the name of a table, or a path."
            )
        return _checked(SparkTable(source, "DataFrame"))
    text = str(source)
    if text == "-":
        raise TableError(
            "Spark does not read standard input. Name a file or a table, or leave --engine out."
        )
    storage = Storage(session)
    try:
        table = _by_name(session, text) if _may_be_table(text, storage) else None
        if table is None:
            table = _by_path(session, storage, text, _How(encoding, delimiter, tuple(wanted)))
    except TextgaugeError:
        raise
    except Exception as error:
        raise explain(error, text) from error
    return _checked(table)


def _is_spark_frame(source: Any) -> bool:
    from pyspark.sql import DataFrame

    return isinstance(source, DataFrame)


def _checked(table: SparkTable) -> SparkTable:
    names = [name.casefold() for name in table.columns]
    for name in table.columns:
        if names.count(name.casefold()) > 1:
            raise ColumnError(
                f"{table.name} has more than one column {name!r} (Spark takes upper and lower case "
                "for the same). Rename one of them."
            )
    return table


# ---- names ---------------------------------------------------------------------------------------


def _may_be_table(text: str, storage: Storage) -> bool:
    if not _TABLE_NAME.fullmatch(text) or _kind_of(text) is not None:
        return False
    return not storage.exists(storage.absolute(text))


def _by_name(session: Any, name: str) -> SparkTable:
    from pyspark.errors import AnalysisException

    # A catalog that has no such namespace has no such table.
    with contextlib.suppress(AnalysisException):
        if session.catalog.tableExists(name):
            return SparkTable(session.table(name), name)
    names = [each.name for each in session.catalog.listTables()]
    there = f" The tables there: {listed(names)}." if names else ""
    hint = did_you_mean(name, names) or there
    raise TableError(
        f"Spark knows no table {name!r}, and there is no file or folder of that name.{hint} Name a "
        "table as CATALOG.SCHEMA.TABLE, or a path with an ending: .csv, .tsv, .jsonl, .parquet."
    )


# ---- paths ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _How:
    """How the user wants text files read."""

    encoding: str | None
    delimiter: str | None
    wanted: tuple[str, ...]


def _by_path(session: Any, storage: Storage, text: str, how: _How) -> SparkTable:
    path = storage.absolute(text)
    found = storage.find(path)
    name = parent_and_name(text)[1] or text
    if not found:
        raise TableError(_no_such(storage, path, text))
    if len(found) == 1 and storage.is_folder(found[0]):
        return _folder(session, storage, found[0], name, how)
    return _files(session, storage, found, name, how)


def _no_such(storage: Storage, path: str, text: str) -> str:
    folder, name = parent_and_name(path)
    if any(mark in text for mark in "*?[{"):
        return f"no file matches {text!r}. Check the path, and put it in quotes on a command line."
    if not storage.is_folder(folder):
        return f"there is no folder {folder!r}, so no file {text!r}. Check the path."
    names = [each for each in storage.names_in(folder) if not each.startswith((".", "_"))]
    tables = [each for each in names if _kind_of(each) is not None]
    hint = did_you_mean(name, names) or (f" The tables there: {listed(tables)}." if tables else "")
    return f"there is no file {name!r} in {folder}.{hint}"


def _kind_of(name: str) -> str | None:
    """csv, json, parquet or delta, by the ending of a name; None if it has no known one."""
    path = Path(name.lower())
    if path.suffix in _PACKED:
        path = path.with_suffix("")
    return _KINDS.get(path.suffix)


def _folder(session: Any, storage: Storage, path: str, name: str, how: _How) -> SparkTable:
    names = storage.names_in(path)
    if _DELTA_LOG in names:
        try:
            return SparkTable(session.read.format("delta").load(literal(path)), name)
        except Exception as error:
            if "DATA_SOURCE_NOT_FOUND" not in str(error) and "delta" not in str(error).lower():
                raise
            raise TableError(
                f"{name} is a Delta table, and this Spark has no package for it. Databricks has; "
                "elsewhere add one: spark.jars.packages=io.delta:delta-spark_2.13:VERSION."
            ) from None
    visible = [each for each in names if not each.startswith((".", "_"))]
    kinds = {kind for each in visible if (kind := _kind_of(each)) is not None}
    if not kinds:
        below = any("=" in each for each in visible)  # year=2024/…
        kind = _kind_of(name) or ("parquet" if below else None)
        if not visible or kind is None:
            what = (
                "is empty" if not visible else f"holds {listed(visible)}, no files of a known kind"
            )
            raise TableError(
                f"the folder {path} {what}. Spark reads .csv, .tsv, .jsonl and .parquet files."
            )
        return _files(session, storage, [path], name, how, kind)
    if len(kinds) > 1:
        raise TableError(
            f"the folder {path} holds files of several kinds ({', '.join(sorted(kinds))}). Name "
            f"those that are the table, such as {path}/*.{min(kinds)}."
        )
    chosen = [f"{path}/{each}" for each in visible if _kind_of(each) is not None]
    return _files(session, storage, chosen, name, how, kinds.pop())


def _files(
    session: Any,
    storage: Storage,
    paths: list[str],
    name: str,
    how: _How,
    kind: str | None = None,
) -> SparkTable:
    kinds = {kind or _kind_of(path) for path in paths}
    if None in kinds or len(kinds) > 1:
        shown = listed([parent_and_name(path)[1] for path in paths])
        raise TableError(
            f"Spark reads .csv, .tsv, .jsonl and .parquet files, of one kind at a time, and tells "
            f"them by their endings; found {shown}."
        )
    if all(not storage.is_folder(path) and storage.size(path) == 0 for path in paths):
        raise TableError(f"{name} is empty. See that it was written whole.")
    read = _READERS[kinds.pop() or ""]
    return read(session, paths, name, how)


def _read_parquet(session: Any, paths: list[str], name: str, how: _How) -> SparkTable:
    return SparkTable(session.read.parquet(*map(literal, paths)), name)


def _read_delta(session: Any, paths: list[str], name: str, how: _How) -> SparkTable:
    raise TableError(f"{name} is no Delta table: it has no folder {_DELTA_LOG}.")


def _read_csv(session: Any, paths: list[str], name: str, how: _How) -> SparkTable:
    """Strings only. Cells may hold line ends, so a file is not cut; rows are spread afterwards."""
    escaped = [literal(path) for path in paths]
    reader = session.read.options(
        header=True,
        sep=_delimiter(session, escaped[0], name, how),
        quote='"',
        escape='"',
        multiLine=True,
        mode="PERMISSIVE",
        # A folder's files need not have their columns in one order, but then it must be told.
        enforceSchema=False,
        encoding=_charset(how.encoding),
    )
    names = reader.csv(escaped).columns
    if not names:
        raise TableError(f"{name} is empty: it has no header and no rows.")
    return _with_unreadable(reader, names, lambda schema, r: r.schema(schema).csv(escaped), name)


def _read_json(session: Any, paths: list[str], name: str, how: _How) -> SparkTable:
    """One record a line. Types are what all records of a column can be read as."""
    escaped = [literal(path) for path in paths]
    reader = session.read.options(
        mode="PERMISSIVE", columnNameOfCorruptRecord=UNREADABLE, encoding=_charset(how.encoding)
    )
    found = reader.json(escaped).schema
    fields = [field for field in found.fields if field.name != UNREADABLE]
    if not fields:
        raise TableError(
            f"{name} holds no JSON lines: not one of its lines is a record such as "
            '{"text": "worn gasket"}.'
        )
    return _with_unreadable(reader, fields, lambda schema, r: r.schema(schema).json(escaped), name)


_READERS: dict[str, Callable[[Any, list[str], str, _How], SparkTable]] = {
    "csv": _read_csv,
    "json": _read_json,
    "parquet": _read_parquet,
    "delta": _read_delta,
}


def _with_unreadable(
    reader: Any, columns: Iterable[Any], load: Callable[[Any, Any], Any], name: str
) -> SparkTable:
    """Read with a known schema and one column more, for what does not fit it."""
    from pyspark.sql.types import StringType, StructField, StructType

    fields = [StructField(c, StringType()) if isinstance(c, str) else c for c in columns]
    schema = StructType([*fields, StructField(UNREADABLE, StringType())])
    frame = load(schema, reader.option("columnNameOfCorruptRecord", UNREADABLE))
    return SparkTable(frame, name, UNREADABLE)


def _charset(encoding: str | None) -> str:
    """Java's name of an encoding. Raises SettingsError for one that Spark does not read."""
    try:
        known = _CHARSETS.get(codecs.lookup(encoding or "utf-8").name)
    except LookupError:
        known = None
    if known is None:
        raise SettingsError(
            f"Spark does not read text files in --encoding {encoding}; it reads "
            f"{', '.join(_CHARSETS.values())}. Write the file again in UTF-8."
        )
    return known


def _delimiter(session: Any, path: str, name: str, how: _How) -> str:
    """The delimiter that was given, or that the first lines of a file show."""
    if how.delimiter:
        return delimiter_named(how.delimiter)
    lines = [row.value for row in session.read.text(path).limit(_SAMPLE_LINES).collect()]
    usual = "\t" if re.search(r"\.(tsv|tab)\b", path.lower()) else ","
    data = "\n".join(lines).encode()
    layout = find_layout(data, name, wanted=how.wanted, usual=usual, delimiter=None)
    return layout.delimiter
