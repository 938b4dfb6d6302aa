"""Where the bytes of a stream come from, and how they become UTF-8 text, bit by bit."""

from __future__ import annotations

import codecs
import gzip
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ...errors import TableError
from ..tables import TYPED, gzip_faults, no_such_file
from .piece import CONTENT

HEAD = 1 << 18  # bytes by which a file's format and layout are told
_READ = 1 << 20
_LEAST = 1 << 16  # bytes of a block, at least
_OF_A_ROW = 1 << 10  # bytes that a row has room for
_MAGIC = 8
_ESCAPED = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of a bad byte


@dataclass
class Origin:
    """A file, or a pipe that can be read once.

    `size` (bytes; 0 for a pipe) and `changed` (nanoseconds) are those at opening: a file that is
    not the same any more is not read.
    """

    name: str
    path: Path | None
    size: int = 0
    changed: int = 0
    pipe: BinaryIO | None = field(default=None, repr=False)
    head: bytes = field(default=b"", repr=False)
    marked: bool = False  # begins with the mark of UTF-8

    @classmethod
    def of_file(cls, path: Path, name: str | None = None) -> Origin:
        """Open a file, or what is as good as a pipe. Raises TableError."""
        name = name or path.name
        with reading(path):
            file = path.open("rb")
            if not path.is_file():
                return cls(name, None, pipe=file, head=_read_head(file))
            with file:
                state = os.fstat(file.fileno())
                return cls(name, path, state.st_size, state.st_mtime_ns, head=_read_head(file))

    @classmethod
    def of_pipe(cls, pipe: BinaryIO, name: str) -> Origin:
        """Take what is sent to this process."""
        return cls(name, None, pipe=pipe, head=_read_head(pipe))

    def __post_init__(self) -> None:
        self.marked = self.head.startswith(codecs.BOM_UTF8)

    def forget_head(self) -> None:
        """Keep no head of a file, so that many files take no memory."""
        if self.path is not None:
            self.head = b""

    @property
    def whole(self) -> bool:
        """Whether the head is all there is."""
        return len(self.head) < HEAD

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it at its beginning; a pipe at what comes behind its head.

        Raises TableError where the file has changed, or where a pipe was read already.
        """
        if self.path is None:
            if self.pipe is None:
                raise TableError(f"{self.name} can be read only once. Save it as a file first.")
            pipe, self.pipe = self.pipe, None
            yield pipe
            return
        with reading(self.path):
            file = self.path.open("rb")
        with file:
            self._refuse_changed(os.fstat(file.fileno()))
            yield file
            self._refuse_changed(os.fstat(file.fileno()))

    def check(self) -> None:
        """Raise TableError where the file has changed since it was opened, or is gone."""
        if self.path is not None:
            with reading(self.path):
                self._refuse_changed(self.path.stat())

    def _refuse_changed(self, state: os.stat_result) -> None:
        if (state.st_size, state.st_mtime_ns) != (self.size, self.changed):
            raise TableError(
                f"{self.name} was changed while it was read. Wait until it is written, and begin "
                "anew."
            )

    def tail(self, size: int) -> bytes:
        """Return the last bytes; of a pipe, what is known of it."""
        if self.path is None:
            return self.head[-size:]
        with reading(self.path), self.path.open("rb") as file:
            file.seek(max(0, self.size - size))
            return file.read()


def _read_head(file: BinaryIO) -> bytes:
    """Read until the head is full (a pipe gives less than it is asked for), or of known kind."""
    head = file.read(_MAGIC)
    if any(head.startswith(magic) for magic, _, _ in TYPED):
        return head
    while len(head) < HEAD and (more := file.read(HEAD - len(head))):
        head += more
    return head


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say what is wrong where a file cannot be opened."""
    try:
        yield
    except FileNotFoundError:
        raise TableError(no_such_file(path)) from None
    except PermissionError:
        raise TableError(
            f"{path} cannot be read: permission denied. Ask its owner, or run: chmod u+r {path}"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise TableError(f"{path} cannot be read: {error}.") from None


class _Behind:
    """A pipe with its head put back."""

    def __init__(self, head: bytes, pipe: BinaryIO):
        self._head, self._pipe = head, pipe

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._pipe.read(size)
        given, self._head = self._head[:size], self._head[size:]
        return given


@dataclass(frozen=True)
class Text:
    """A text file: how its bytes become UTF-8.

    `codec` is "utf-8-sig" for all of UTF-8, which is handed on as it is, bad bytes included. In
    another encoding, bad bytes become what is no UTF-8 either. `returns` tells that lines end in
    a carriage return alone.
    """

    origin: Origin
    packed: bool
    codec: str
    returns: bool = False

    @property
    def direct(self) -> bool:
        """Whether a place in the text is a place in the file."""
        return not self.packed and self.codec == "utf-8-sig"

    def lenient(self, raw: bytes) -> str:
        """Decode what was handed on; what was a bad byte is in U+DC80 to U+DCFF."""
        errors = "surrogateescape" if self.codec == "utf-8-sig" else "surrogatepass"
        try:
            return raw.decode("utf-8", errors)
        except UnicodeDecodeError:  # cut within a character
            return raw.decode("utf-8", "surrogateescape")

    def excerpt(self, raw: bytes) -> str:
        r"""Return a row as it stands, 1,000 characters at most; `\xfc` for a bad byte."""
        line = self.lenient(raw[: 4 * CONTENT]).rstrip("\r\n")
        return _ESCAPED.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", line)[:CONTENT]

    def bad_byte(self, raw: bytes) -> str:
        """Say which byte of a row is no text."""
        found = _ESCAPED.search(self.lenient(raw))
        byte = f"the byte 0x{ord(found[0]) - 0xDC00:02X}" if found else "a byte"
        codec = "UTF-8" if self.codec == "utf-8-sig" else self.codec
        return f"the row has {byte}, which is not {codec}"

    @contextmanager
    def open_bytes(self) -> Iterator[Iterator[bytes]]:
        """Open it as bytes, unpacked. Raises TableError for damaged gzip."""
        with self.origin.open() as file:
            raw = file if self.origin.path else _Behind(self.origin.head, file)
            yield _unpacked(raw, self.origin.name) if self.packed else _blocks(raw)

    @contextmanager
    def open(self, at: int) -> Iterator[Window]:
        """Open it at a place in the UTF-8 text. Raises TableError for damaged gzip."""
        with self.origin.open() as file:
            raw = file if self.origin.path else _Behind(self.origin.head, file)
            yield Window(_utf8(self, raw, at), self, file)


def _utf8(text: Text, file: BinaryIO | _Behind, at: int) -> Iterator[bytes]:
    """Yield the text from a place on, about a megabyte at a time."""
    mark = len(codecs.BOM_UTF8)
    if text.direct and not isinstance(file, _Behind):
        file.seek(at + (mark if text.origin.marked else 0))
        blocks, at = _blocks(file), 0
    else:
        raw = _blocks(file) if not text.packed else _unpacked(file, text.origin.name)
        blocks = _without_mark(raw) if text.codec == "utf-8-sig" else _decoded(raw, text)
    for block in blocks:
        if at >= len(block):
            at -= len(block)
            continue
        rest, at = block[at:], 0
        yield rest.replace(b"\r", b"\n") if text.returns else rest


def _blocks(file: BinaryIO | _Behind) -> Iterator[bytes]:
    while block := file.read(_READ):
        yield block


def _unpacked(file: BinaryIO | _Behind, name: str) -> Iterator[bytes]:
    with gzip_faults(name), gzip.GzipFile(fileobj=file) as unpacking:  # type: ignore[arg-type]
        while block := unpacking.read(_READ):
            yield block


def _without_mark(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for at, block in enumerate(blocks):
        yield block.removeprefix(codecs.BOM_UTF8) if at == 0 else block


def _decoded(blocks: Iterator[bytes], text: Text) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(text.codec)("surrogateescape")
    try:
        for number, block in enumerate(blocks):
            piece = decoder.decode(block)
            utf8 = piece.encode("utf-8", "surrogatepass")
            yield utf8.removeprefix(codecs.BOM_UTF8) if number == 0 else utf8
        yield decoder.decode(b"", True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # UTF-16 and UTF-32 know no escape
        raise TableError(
            f"{text.origin.name} cannot be read as {text.codec}: it is damaged, cut off, or in "
            "another one. Pass the encoding that the file was saved in, or save it again as UTF-8."
        ) from None


class Window:
    """The part of a text that is in memory: from where it is read by now, as far as was asked."""

    def __init__(self, blocks: Iterator[bytes], text: Text, file: BinaryIO):
        self._blocks, self._text, self._file = blocks, text, file
        self._data = bytearray()
        self._start = 0
        self.ended = False

    def __len__(self) -> int:
        return len(self._data) - self._start

    def fill(self, size: int) -> None:
        """Have so many bytes in memory, or all there are."""
        while len(self) < size and not self.ended:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
            else:
                self._data += block

    def peek(self, start: int, stop: int) -> bytes:
        """Return bytes in memory, counted from where the text is read."""
        return bytes(memoryview(self._data)[self._start + start : self._start + stop])

    def find(self, mark: bytes, start: int) -> int:
        """Return where `mark` stands in memory, -1 where it does not."""
        found = self._data.find(mark, self._start + start)
        return found if found < 0 else found - self._start

    def drop(self, size: int) -> None:
        """Go on by so many bytes."""
        self._start += size
        if self._start > len(self._data) // 2:
            del self._data[: self._start]
            self._start = 0

    @property
    def share(self) -> float:
        """The share of the file that is read, in [0, 1]; 0 for a pipe."""
        size = self._text.origin.size
        if self._text.origin.path is None or not size:
            return 0.0
        left = len(self) if self._text.direct else 0
        return min(1.0, max(0.0, (self._file.tell() - left) / size))


def block_size(rows: int, most: int) -> int:
    """Return how many bytes to look at for so many rows, so that few rows cost little."""
    return min(most, max(_LEAST, rows * _OF_A_ROW))


def skip_line(window: Window) -> int:
    """Go on to the next line, however far it is; return the number of bytes."""
    skipped = 0
    while (found := window.find(b"\n", 0)) < 0 and not window.ended:
        skipped += len(window)
        window.drop(len(window))
        window.fill(_READ)
    size = found + 1 if found >= 0 else len(window)
    window.drop(size)
    return skipped + size
