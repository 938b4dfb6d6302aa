"""What a source is, told by its first bytes as for whole tables, and the stream that reads it."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import polars as pl

from ...errors import SettingsError, TableError, as_utf8
from ..columns import demand
from ..encodings import codec_of, decode, refuse_binary
from ..json_lines import json_sample
from ..standard_input import open_standard_input, standard_input_is_empty
from ..tables import (
    SUFFIXES,
    TYPED,
    gzip_faults,
    is_json_lines,
    read_frame,
    refuse_cut,
    refuse_others,
)
from ..text_files import DELIMITERS, cells_of_any_size, delimiter_named, fault_in, find_layout
from .arrow_stream import open_arrow_stream
from .delimited import Delimited
from .delta import open_delta
from .json_lines import JsonLines, json_fault, keys_of
from .origin import HEAD, Origin, Text
from .paths import Found, find_files, is_delta, partition_types
from .piece import ROWS, Part, Stream
from .several import Several, WithConstants, identity_of, one_schema
from .sql import Query, is_address
from .typed import Typed


@dataclass(frozen=True)
class How:
    """How the user wants text files read, and how many rows a piece has at most."""

    encoding: str | None
    delimiter: str | None
    rows: int
    lines_without: tuple[str, ...] | None = None


def open_stream(
    source: Any,
    *,
    query: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    rows: int = ROWS,
    lines_without: Sequence[str] | None = None,
) -> Stream:
    """Open a table that is read piece by piece, in bounded memory; no row is read yet.

    Args:
        source: a CSV, TSV, other delimited, JSON lines, Parquet or Arrow file (also .gz); a glob or
            a folder, whose files are one table; a folder that is a Delta table; "-" for standard
            input; the address of a database, with a query; a pandas or Polars DataFrame or
            LazyFrame, which is collected first.
        query: what to ask a database for.
        encoding: of text files that are not UTF-8.
        delimiter: of text files, where it should not be guessed.
        rows: of a piece, at most.
        lines_without: JSON lines are given as they stand, too; a row with one of these keys, which
            are not among the columns, cannot be read. Default: they are given as columns alone.

    Raises:
        TableError: there is no such table, or it is damaged as a whole.
        ColumnError: two columns have one name, or the files of a folder differ in their columns.
        SettingsError: the encoding or the delimiter is not known.

    """
    how = How(encoding, delimiter, rows, None if lines_without is None else tuple(lines_without))
    if not isinstance(source, str | Path):
        return _one(_frame_part(source, rows), None, rows)
    text = str(source)
    if is_address(text):
        return _one(Query(text, query, rows), None, rows)
    if query is not None:
        raise SettingsError(f"--query is for the address of a database; {text!r} is none.")
    if text == "-":
        return _one(open_part(_standard_input(), how), None, rows)
    if is_delta(text):
        return open_delta(Path(text).expanduser(), rows)
    files, name = find_files(text)
    return _file_stream(files, name, how)


def _file_stream(files: list[Found], name: str, how: How) -> Several:
    """Return the stream of files that together are one table."""
    origins = [Origin.of_file(file.path, file.name) for file in files]
    filled = [
        (file, origin)
        for file, origin in zip(files, origins, strict=True)
        if len(files) == 1 or origin.size or origin.path is None
    ]
    if not filled:
        raise TableError(f"{name} are empty, all of them. See that they were written whole.")
    types = partition_types(files)
    if types:  # Columns that the lines themselves do not hold.
        how = replace(how, lines_without=None)
    parts: list[Part] = []
    for file, origin in filled:
        part = open_part(origin, how)
        origin.forget_head()
        values = {key: dtype for key, dtype in types.items() if key not in part.schema}
        if values:
            row = [_typed_value(file.values.get(key), dtype) for key, dtype in values.items()]
            part = WithConstants(part, pl.DataFrame([row], schema=values, orient="row"))
        parts.append(part)
    _refuse_mixture(parts, name)
    schema = one_schema(parts, name)
    identity = None
    if all(origin.path is not None for origin in origins):
        stamps = [
            (str(file.path.resolve()), origin.size, origin.changed)
            for file, origin in zip(files, origins, strict=True)
        ]
        identity = identity_of(stamps, how.encoding, how.delimiter, how.rows, dict(schema))
    return Several(name, schema, parts, identity, how.rows)


def _typed_value(value: str | None, dtype: pl.DataType) -> str | int | None:
    return int(value) if value is not None and dtype == pl.Int64 else value


def _refuse_mixture(parts: Sequence[Part], name: str) -> None:
    """Raise TableError where some files hold text, and others have types of their own."""
    kinds: dict[bool, Part] = {}
    for part in parts:
        inner = part.part if isinstance(part, WithConstants) else part
        kinds.setdefault(not isinstance(inner, Delimited | JsonLines), part)
    if len(kinds) == 2:
        raise TableError(
            f"{name} hold text ({kinds[False].name}) and tables with types ({kinds[True].name}), "
            f"which are not one table. Name those of one format, such as "
            f"'*{Path(kinds[True].name).suffix}'."
        )


def _one(part: Part, identity: str | None, rows: int) -> Several:
    return Several(part.name, part.schema, [part], identity, rows)


def _frame_part(source: Any, rows: int) -> Typed:
    frame = source if isinstance(source, pl.DataFrame) else read_frame(source)
    part = Typed("DataFrame", frame.lazy(), rows=rows)
    _demand_distinct(part.schema.names(), part.name)
    return part


def _standard_input() -> Origin:
    origin = Origin.of_pipe(open_standard_input("score MODEL"), "standard input")
    if not origin.head.strip():
        raise standard_input_is_empty()
    return origin


def open_part(origin: Origin, how: How) -> Part:
    """Tell what a file holds by its first bytes, and open it. Raises TableError."""
    name, head = origin.name, origin.head
    suffixes = [suffix.lower() for suffix in Path(name).suffixes] or [""]
    packed = head.startswith(b"\x1f\x8b")
    if not head.strip():
        size = f" but for {len(head):,} blank characters" if head else ""
        raise TableError(f"{name} is empty{size}. See that it was written whole.")
    whole = origin.whole
    if packed:
        suffixes = suffixes[:-1] or [""]
        head, whole = _unpacked_head(head, name, whole)
    for magic, kind, _ in TYPED:
        if head.startswith(magic):
            return _open_typed(origin, kind, packed, how)
    refuse_others(head if packed else head + origin.tail(8192), name)
    if how.encoding is None:
        refuse_binary(head, name)
    return _open_text(origin, head, whole, packed, suffixes[-1], how)


def _unpacked_head(head: bytes, name: str, whole: bool) -> tuple[bytes, bool]:
    """Return the first bytes of what is packed, and whether they are all."""
    unpacking = gzip.GzipFile(fileobj=io.BytesIO(head))
    unpacked = b""
    try:
        with gzip_faults(name):
            while len(unpacked) < HEAD and (more := unpacking.read1(HEAD - len(unpacked))):
                unpacked += more
    except TableError:
        # The head may end within the packed data: what is read of it is good. A cut that is in the
        # file itself comes up again when it is read that far.
        if not unpacked:
            raise
        return unpacked, False
    if not unpacked.strip():
        raise TableError(f"{name} is empty once unpacked. See that it was written whole.")
    return unpacked, whole and len(unpacked) < HEAD


def _open_typed(origin: Origin, kind: str, packed: bool, how: How) -> Part:
    kept = None
    # Polars opens no file whose name is not UTF-8.
    if origin.path is None or packed or as_utf8(str(origin.path)) != str(origin.path):
        kept, origin = _on_disk(origin, packed)
    path = origin.path
    assert path is not None
    if kind == "Arrow stream":
        part: Part = open_arrow_stream(origin, how.rows, kept)
    else:
        refuse_cut(origin.head, origin.tail(8), origin.name)
        scan = pl.scan_parquet if kind == "Parquet" else pl.scan_ipc
        frame = scan(glob.escape(str(path)))  # `glob=False` is not in every Polars.
        part = Typed(origin.name, frame, kind, origin, how.rows, kept)
    _demand_distinct(part.schema.names(), part.name)
    return part


def _on_disk(origin: Origin, packed: bool) -> tuple[IO[bytes], Origin]:
    """Copy what is packed or comes through a pipe into a file that is deleted at the end."""
    kept = tempfile.NamedTemporaryFile(prefix="textgauge-")  # noqa: SIM115
    with Text(origin, packed, codec="").open_bytes() as blocks:
        for block in blocks:
            kept.write(block)
    kept.flush()
    return kept, Origin.of_file(Path(kept.name), origin.name)


def _demand_distinct(names: list[str], name: str) -> None:
    demand({column: column for column in names}, names, name)


def _open_text(
    origin: Origin, head: bytes, whole: bool, packed: bool, suffix: str, how: How
) -> Part:
    name = origin.name
    codec = codec_of(head, how.encoding)
    text = Text(origin, packed, codec)
    with_origin = _head_as_utf8(head, text, whole)
    if b"\r" in with_origin and b"\n" not in with_origin:  # line ends of the old Macintosh
        text = Text(origin, packed, codec, returns=True)
        with_origin = with_origin.replace(b"\r", b"\n")
    lines = with_origin if whole else with_origin[: with_origin.rfind(b"\n") + 1] or with_origin
    _refuse_wrong_encoding(lines, head, name, how)
    if is_json_lines(lines, suffix):
        return JsonLines(text, _keys(lines, name), how.rows, how.lines_without)
    promised = SUFFIXES.get(suffix)
    layout = find_layout(
        with_origin,
        name,
        wanted=(),
        usual=promised if promised in DELIMITERS else None,
        delimiter=delimiter_named(how.delimiter) if how.delimiter else None,
    )
    _demand_distinct(list(layout.header), name)
    start = _behind_header(lines, layout.skipped, layout.delimiter, layout.padded, name)
    return Delimited(text, layout, start, how.rows)


def _head_as_utf8(head: bytes, text: Text, whole: bool) -> bytes:
    """Return the head as it comes when the file is read."""
    if text.codec == "utf-8-sig":
        return head.removeprefix(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder(text.codec)("surrogateescape")
    try:
        decoded = decoder.decode(head, whole)
    except UnicodeDecodeError:
        decode(head, text.origin.name, text.codec)  # names the fault
        raise
    return decoded.encode("utf-8", "surrogatepass").removeprefix(codecs.BOM_UTF8)


def _refuse_wrong_encoding(lines: bytes, head: bytes, name: str, how: How) -> None:
    """Raise TableError where the whole file is in another encoding, and not only a line or two.

    So it is if the header has bytes that are no text; or if several lines have, one in a hundred
    at least, and there is no line with characters beyond ASCII that can be read.
    """
    try:
        lines.decode()
    except UnicodeDecodeError:
        pass
    else:
        return
    every = lines.split(b"\n")
    beyond = [line for line in every if not line.isascii()]
    faulty = sum(1 for line in beyond if not _is_utf8(line))
    if not _is_utf8(every[0]) or (
        faulty == len(beyond) and faulty >= 2 and faulty * 100 >= len(every)
    ):
        kept = head[: head.rfind(b"\n") + 1] or head
        decode(kept, name, how.encoding)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _keys(lines: bytes, name: str) -> tuple[str, ...]:
    if lines.lstrip()[:1] == b"[":
        json_sample(lines, name)  # says how to make lines of an array
    keys = keys_of(lines)
    if not keys and any(line.strip() and json_fault(line) for line in lines.split(b"\n")):
        json_sample(lines, name)
    return keys


def _behind_header(
    lines: bytes, skipped: int, delimiter: str, padded: bool, name: str
) -> dict[str, int]:
    """Return the position of the first row."""
    every = [*(line + b"\n" for line in lines.split(b"\n")[:-1]), lines.rpartition(b"\n")[2]]
    texts = (line.decode("utf-8", "replace") for line in every[skipped:])
    reader = csv.reader(texts, delimiter=delimiter, skipinitialspace=padded, strict=True)
    with cells_of_any_size():
        try:
            next(reader)
        except csv.Error as error:
            if reader.line_num > 1:  # the names in a single line are read leniently
                fault = fault_in(str(error), skipped + 1, skipped + reader.line_num)
                raise TableError(
                    f"{name}: {fault}. Put quotes around whole cells only, and write a quote "
                    'inside a quoted cell twice ("").'
                ) from None
    number = skipped + reader.line_num
    return {"at": sum(map(len, every[:number])), "line": number + 1}
