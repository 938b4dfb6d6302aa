"""What a stream gives: pieces of a table, each with the position behind it and its broken rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from ...errors import TextgaugeError

ROWS = 262_144
"""Rows of a piece, at most."""

BYTES = 64 << 20
"""Bytes of texts in a piece, at most; a single row may be larger."""

CONTENT = 1000
"""Characters of a broken row that are shown."""


@dataclass(frozen=True)
class Unreadable:
    """A row that could not be read.

    `source` is the name of the file, `line` its line there, from 1, or None where it is not known;
    `reason` is one sentence; `content` is the row as it stands in the file, 1,000 characters at
    most.
    """

    source: str
    line: int | None
    reason: str
    content: str


@dataclass(frozen=True)
class Piece:
    """The next rows of a table, in order.

    `frame` has every column, with the schema of the stream. `after` is the position behind the
    piece, made of JSON's kinds of values, for `Stream.pieces`. `done` is the share of the source
    that is read by now, in [0, 1], and 0.0 where it is not known. `unreadable` are the rows within
    the piece that were passed over. `lines` are the rows as they stand in a file of JSON lines,
    where these were asked for; None elsewhere. Shape: (rows,), String.
    """

    frame: pl.DataFrame
    after: dict[str, Any]
    done: float
    unreadable: tuple[Unreadable, ...] = ()
    lines: pl.Series | None = None


class Stream(Protocol):
    """A table that is read piece by piece.

    `name` is for people. `schema` is that of every piece: Strings in text formats. `identity` is a
    digest of what is read and how, or None where it cannot be read again the same.
    """

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def schema(self) -> pl.Schema:
        """Names and types in every piece."""
        ...

    @property
    def identity(self) -> str | None:
        """Digest of what is read and how, or None."""
        ...

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield the pieces behind the position `after`, or all of them.

        Pieces are cut at places that follow from the source and from `rows` alone. Raises
        TableError where the source turns out to be damaged, or has changed since it was opened.
        """
        ...


class Part(Protocol):
    """One file, query or frame that is read piece by piece: what several make a stream of.

    `size` weighs its share of the whole.
    """

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def schema(self) -> pl.Schema:
        """Names and types in its pieces."""
        ...

    @property
    def size(self) -> int:
        """Its weight in the whole."""
        ...

    def pieces(self, after: dict[str, Any] | None = None) -> Iterator[Piece]:
        """Yield the pieces behind the position `after` of this part, or all of them."""
        ...


def text_bytes(frame: pl.DataFrame) -> int:
    """Return about how many bytes the values take: those of texts, and 8 for any other."""
    total = 0
    for column in frame.iter_columns():
        if column.dtype == pl.String:
            total += int(column.str.len_bytes().sum())
        elif column.dtype == pl.Binary:
            total += int(column.bin.size().sum())
        elif column.dtype.is_nested():
            total += int(column.estimated_size())
        else:
            total += 8 * frame.height
    return total


def gathered(pieces: Iterator[Piece], rows: int) -> Iterator[Piece]:
    """Put small pieces together, as long as they keep to the bounds of a piece.

    What comes behind a piece does not depend on what came before it, so that a stream that goes
    on from `after` is cut as the whole one was. Where reading fails, what came before is given
    first.
    """
    held: list[Piece] = []
    height = size = 0
    failure: TextgaugeError | None = None
    while True:
        try:
            piece = next(pieces)
        except StopIteration:
            break
        except TextgaugeError as error:
            failure = error
            break
        further = piece.frame.height + len(piece.unreadable)
        more = text_bytes(piece.frame) + sum(len(row.content) for row in piece.unreadable)
        if piece.lines is not None:
            more += int(piece.lines.str.len_bytes().sum())
        unlike = bool(held) and (held[0].lines is None) != (piece.lines is None)
        if held and (unlike or height + further > rows or size + more > BYTES):
            yield _together(held)
            held, height, size = [], 0, 0
        held.append(piece)
        height, size = height + further, size + more
    if held:
        yield _together(held)
    if failure is not None:
        raise failure


def _together(held: list[Piece]) -> Piece:
    if len(held) == 1:
        return held[0]
    frames = [piece.frame for piece in held]
    filled = [frame for frame in frames if frame.height] or frames[:1]
    broken = tuple(row for piece in held for row in piece.unreadable)
    lines = [piece.lines for piece in held if piece.lines is not None]
    as_lines = pl.concat(lines) if lines else None
    return Piece(pl.concat(filled), held[-1].after, held[-1].done, broken, as_lines)
