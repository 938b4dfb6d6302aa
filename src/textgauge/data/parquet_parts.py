"""Parquet files put together from pieces that were written by themselves, without decoding them.

A Parquet file is its row groups, one after another, and behind them a footer that says where each
lies (https://parquet.apache.org/docs/file-format). So the row groups of several files with one
schema, laid end to end, make one file as soon as a footer tells their places. The footer is a
Thrift struct in the compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md); its fields and
their numbers are those of `parquet.thrift`. Fields that are not known here are kept as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAGIC = b"PAR1"
_END = 8  # the footer's length and the magic bytes behind it

# Kinds of values in Thrift's compact protocol.
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(
    13
)

# parquet.thrift: FileMetaData, RowGroup, ColumnChunk, ColumnMetaData.
_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _ROW_GROUP_OFFSET, _ORDINAL = 1, 5, 7
_CHUNK_OFFSETS, _META_DATA = (2, 4, 6), 3
_PAGE_OFFSETS = (9, 10, 11, 14)

Fields = dict[int, tuple[int, Any]]
"""A struct: the kind and the value of each field by its number, in rising order."""


@dataclass(frozen=True)
class Part:
    """A Parquet file taken apart.

    Attributes:
        rows: the bytes of its row groups.
        footer: the bytes of its footer, which tells places in that file.

    """

    rows: bytes
    footer: bytes


def take_apart(file: bytes) -> Part:
    """Part a whole Parquet file. Raises ValueError where it is none."""
    if file[:4] != MAGIC or file[-4:] != MAGIC:
        raise ValueError("no Parquet file: it does not begin and end with PAR1")
    end = len(file) - _END
    begin = end - int.from_bytes(file[end : end + 4], "little")
    if begin < len(MAGIC):
        raise ValueError("no Parquet file: its footer is longer than the file")
    return Part(file[len(MAGIC) : begin], file[begin:end])


def join_footers(parts: Sequence[tuple[int, bytes]]) -> bytes:
    """The end of a file that holds the row groups of several: footer, its length, magic bytes.

    Args:
        parts: at least one: where the part's row groups begin in the new file, and the part's
            own footer.

    Raises ValueError where the parts have different schemas.
    """
    first: Fields = {}
    groups: list[Fields] = []
    rows = 0
    for begin, footer in parts:
        fields, _ = _read_struct(memoryview(footer), 0)
        first = first or fields
        if _without_rows(fields) != _without_rows(first):
            raise ValueError("the parts have different schemas")
        rows += fields[_NUM_ROWS][1]
        for group in fields[_ROW_GROUPS][1][1]:
            _shift(group, begin - len(MAGIC))
            groups.append(group)
    joined = first | {_NUM_ROWS: (_I64, rows), _ROW_GROUPS: (_LIST, (_STRUCT, groups))}
    content = bytearray()
    _write_struct(content, joined)
    return bytes(content) + struct.pack("<I", len(content)) + MAGIC


def _without_rows(fields: Fields) -> Fields:
    return {
        number: each for number, each in fields.items() if number not in (_NUM_ROWS, _ROW_GROUPS)
    }


def _shift(group: Fields, by: int) -> None:
    """Add `by` to every place that a row group tells."""
    group.pop(_ORDINAL, None)  # Sixteen bits: there may be more row groups than that.
    _move(group, (_ROW_GROUP_OFFSET,), by)
    for chunk in group[_COLUMNS][1][1]:
        _move(chunk, _CHUNK_OFFSETS, by)
        if _META_DATA in chunk:
            _move(chunk[_META_DATA][1], _PAGE_OFFSETS, by)


def _move(fields: Fields, numbers: Sequence[int], by: int) -> None:
    for number in numbers:
        # 0 stands for "not told": no place is at 0, where the magic bytes are.
        if number in fields and fields[number][1] > 0:
            fields[number] = (_I64, fields[number][1] + by)


# ---- Thrift's compact protocol -------------------------------------------------------------------


def _read_struct(data: memoryview, at: int) -> tuple[Fields, int]:
    fields: Fields = {}
    number = 0
    while True:
        header, at = data[at], at + 1
        if header == _STOP:
            return fields, at
        step, kind = header >> 4, header & 15
        if step:
            number += step
        else:
            number, at = _read_zigzag(data, at)
        value, at = _read_value(data, at, kind)
        fields[number] = (kind, value)


def _read_value(data: memoryview, at: int, kind: int) -> tuple[Any, int]:
    size = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}.get(kind)  # A truth stands in its kind.
    if kind == _BINARY:
        size, at = _read_varint(data, at)
    if size is not None:
        return bytes(data[at : at + size]), at + size
    if kind in (_I16, _I32, _I64):
        return _read_zigzag(data, at)
    if kind in (_LIST, _SET):
        return _read_list(data, at)
    if kind == _STRUCT:
        return _read_struct(data, at)
    raise ValueError(f"a Parquet footer with a value of kind {kind}, which Parquet does not have")


def _read_list(data: memoryview, at: int) -> tuple[tuple[int, list[Any]], int]:
    size, kind, at = data[at] >> 4, data[at] & 15, at + 1
    if size == 15:
        size, at = _read_varint(data, at)
    values = []
    for _ in range(size):
        if kind in (_TRUE, _FALSE):  # In a list, truths are bytes.
            value, at = data[at], at + 1
        else:
            value, at = _read_value(data, at, kind)
        values.append(value)
    return (kind, values), at


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _read_zigzag(data: memoryview, at: int) -> tuple[int, int]:
    value, at = _read_varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _write_struct(out: bytearray, fields: Fields) -> None:
    before = 0
    for number, (kind, value) in fields.items():
        if 0 < number - before < 16:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _write_zigzag(out, number)
        before = number
        _write_value(out, kind, value)
    out.append(_STOP)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind == _BINARY:
        _write_varint(out, len(value))
    if kind in (_I16, _I32, _I64):
        _write_zigzag(out, value)
    elif kind in (_LIST, _SET):
        _write_list(out, *value)
    elif kind == _STRUCT:
        _write_struct(out, value)
    else:
        out += value


def _write_list(out: bytearray, kind: int, values: list[Any]) -> None:
    if len(values) < 15:
        out.append(len(values) << 4 | kind)
    else:
        out.append(15 << 4 | kind)
        _write_varint(out, len(values))
    for value in values:
        if kind in (_TRUE, _FALSE):
            out.append(value)
        else:
            _write_value(out, kind, value)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _write_zigzag(out: bytearray, value: int) -> None:
    _write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)
