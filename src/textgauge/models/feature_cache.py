"""What a frozen encoder makes of texts, kept on disk, so that no text is read twice.

    CACHE/encoders/<digest of the encoder>/features.sqlite   a row a text
    CACHE/encoders/<digest of the encoder>/<sha256>.onnx     the encoder as a graph

CACHE is the folder of `TEXTGAUGE_CACHE`, else `textgauge` in `XDG_CACHE_HOME` or in `~/.cache`. It
may be deleted at any time. Several processes may share it: SQLite writes rows whole or not at all.
Whatever is damaged, or cannot be written, is done without and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_WAIT = 20.0
"""Seconds to wait for another process that writes."""

_ASKED = 500
"""Keys that are asked for at a time."""


def cache_folder() -> Path:
    """Where textgauge keeps what it can make again."""
    named = os.environ.get("TEXTGAUGE_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "textgauge"


class FeatureCache:
    """The features of one encoder.

    Args:
        digest: of all that the features depend on, besides the text.
        width: of the features.

    """

    def __init__(self, digest: str, width: int) -> None:
        self._folder = cache_folder() / "encoders" / digest
        self._file, self._width = self._folder / "features.sqlite", width

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Floats]:
        """The features of those keys that are known and whole. Shape of each: (width,)."""
        found: dict[bytes, Floats] = {}
        if not self._file.exists():
            return found
        with self._harmless(), self._open() as file:
            for start in range(0, len(keys), _ASKED):
                some = keys[start : start + _ASKED]
                marks = ",".join("?" * len(some))
                for key, check, stored in file.execute(
                    f"SELECT key, sum, features FROM features WHERE key IN ({marks})", some
                ):
                    whole = isinstance(stored, bytes) and len(stored) == 4 * self._width
                    if whole and zlib.crc32(stored) == check:
                        found[key] = np.frombuffer(stored, dtype="<f4").astype(np.float32)
        return found

    def put(self, features: Mapping[bytes, Floats]) -> None:
        """Keep features; they are there all or not at all."""
        with self._harmless(), self._open() as file:
            stored = ((key, each.astype("<f4").tobytes()) for key, each in features.items())
            file.executemany(
                "INSERT OR REPLACE INTO features VALUES (?, ?, ?)",
                [(key, zlib.crc32(each), each) for key, each in stored],
            )
            file.commit()

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """A block that ends without an error where something is wrong with the file."""
        try:
            yield
        except sqlite3.OperationalError:
            pass  # Locked for long, a full disk, no right to write.
        except sqlite3.DatabaseError:  # Damaged, or none.
            with contextlib.suppress(OSError):
                self._file.unlink()
        except OSError:
            pass

    def _open(self) -> contextlib.closing[sqlite3.Connection]:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self._file, timeout=_WAIT)
        try:
            file.execute(
                "CREATE TABLE IF NOT EXISTS features "
                "(key BLOB PRIMARY KEY, sum INTEGER, features BLOB) WITHOUT ROWID"
            )
        except sqlite3.Error:
            file.close()
            raise
        return contextlib.closing(file)

    def graph(self) -> bytes | None:
        """The encoder's graph, if it is known and whole."""
        with contextlib.suppress(OSError):
            for path in self._folder.glob("*.onnx"):
                content = path.read_bytes()
                if hashlib.sha256(content).hexdigest() == path.stem:
                    return content
        return None

    def put_graph(self, graph: bytes) -> None:
        """Keep the encoder's graph; it is there whole or not at all."""
        path = self._folder / f"{hashlib.sha256(graph).hexdigest()}.onnx"
        partial = path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            for other in self._folder.glob("*.onnx"):  # Damaged, or it had been found.
                other.unlink(missing_ok=True)
            try:
                partial.write_bytes(graph)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
