"""Arrow streams, batch by batch.

Polars reads a stream whole. So it is cut here, as the format's specification lays it out
(https://arrow.apache.org/docs/format/Columnar.html, "IPC Streaming Format"), and Polars is given
one batch at a time behind the schema and the dictionaries.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import polars as pl

from ...errors import TableError
from ..tables import DAMAGE, damaged
from .origin import Origin
from .piece import ROWS, Piece
from .typed import within_bounds

_KIND = "Arrow stream"
_MARK = b"\xff\xff\xff\xff"
_END = _MARK + bytes(4)
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3


@dataclass(frozen=True)
class ArrowStream:
    """A file with an Arrow stream. A position is the batch's place in it, and rows of the batch."""

    origin: Origin
    schema: pl.Schema
    head: bytes = field(repr=False)  # the message with the schema
    rows: int = ROWS
    kept: Any = field(default=None, repr=False)  # what must live as long as this

    @property
    def name(self) -> str:
        """The file's name."""
        return self.origin.name

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.origin.size

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield the rows behind the position `after`."""
        batch, row = (after["batch"], after["row"]) if after else (0, 0)
        dictionaries = b""
        with self.origin.open() as file:
            for kind, at, size in _messages(file, self.origin):
                if kind == _DICTIONARY:
                    dictionaries += _bytes_at(file, at, size)
                if kind != _BATCH or at < batch:
                    continue
                message = _bytes_at(file, at, size)
                frame = _frame(self.head + dictionaries + message + _END, self.name)
                begin = row if at == batch else 0
                while begin < frame.height:
                    part = within_bounds(frame.slice(begin, self.rows))
                    begin += part.height
                    yield Piece(part, {"batch": at, "row": begin}, min(1.0, at / self.size))


def open_arrow_stream(origin: Origin, rows: int, kept: Any) -> ArrowStream:
    """Read the schema. Raises TableError for a damaged file."""
    with origin.open() as file:
        kind, at, size = next(_messages(file, origin), (0, 0, 0))
        head = _bytes_at(file, at, size)
    if kind != _SCHEMA:
        raise TableError(f"{origin.name} is damaged {_KIND}: it has no schema. Write it again.")
    return ArrowStream(origin, _frame(head + _END, origin.name).schema, head, rows, kept)


def _frame(stream: bytes, name: str) -> pl.DataFrame:
    try:
        return pl.read_ipc_stream(io.BytesIO(stream))
    except DAMAGE as error:
        raise damaged(name, _KIND, error) from None


def _bytes_at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _messages(file: BinaryIO, origin: Origin) -> Iterator[tuple[int, int, int]]:
    """Yield of each message what it is, where it stands, and how many bytes it has."""
    at = 0
    while at < origin.size:
        prefix = _bytes_at(file, at, 8)
        if prefix == _END:
            return
        length = int.from_bytes(prefix[4:], "little", signed=True)
        header = file.read(max(0, length)) if length < origin.size else b""
        try:
            if prefix[:4] != _MARK:
                raise ValueError
            kind, body = _header(header)
        except (struct.error, ValueError):
            raise TableError(
                f"{origin.name} is damaged {_KIND}: byte {at:,} begins no message. Copy it again, "
                "or write it again."
            ) from None
        size = 8 + length + body
        if at + size > origin.size:
            raise TableError(
                f"{origin.name} is cut off: it begins as {_KIND} and has no end. Copy it again."
            )
        yield kind, at, size
        at += size


def _header(header: bytes) -> tuple[int, int]:
    """Return a message's kind and the bytes of its body, from its flatbuffer."""
    (table,) = struct.unpack_from("<I", header, 0)
    (back,) = struct.unpack_from("<i", header, table)
    fields = table - back

    def place(number: int) -> int:
        (length,) = struct.unpack_from("<H", header, fields)
        if 4 + 2 * number >= length:
            return 0
        return int(struct.unpack_from("<H", header, fields + 4 + 2 * number)[0])

    kind, body = place(1), place(3)
    (size,) = struct.unpack_from("<q", header, table + body) if body else (0,)
    if not kind or size < 0:
        raise ValueError
    return header[table + kind], size
