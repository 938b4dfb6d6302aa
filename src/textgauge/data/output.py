"""Tables out: whole or not at all, in the format that the file's name ends with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl

from ..errors import StorageError

Writer = Callable[[pl.DataFrame, Path], None]

WRITERS: dict[str, Writer] = {
    ".csv": lambda frame, path: frame.write_csv(path),
    ".tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    ".jsonl": lambda frame, path: frame.write_ndjson(path),
    ".ndjson": lambda frame, path: frame.write_ndjson(path),
    ".parquet": lambda frame, path: frame.write_parquet(path),
    ".arrow": lambda frame, path: frame.write_ipc(path),
}
"""What can be written, by the ending of the file's name."""


def writer_for(out: Path, command: str) -> Writer:
    """What writes `out`, for the command that asks. Raises StorageError for unknown endings."""
    write = WRITERS.get(out.suffix.lower())
    if write is None:
        raise StorageError(
            f"{out} has an ending that is not known; {command} writes {', '.join(WRITERS)}."
        )
    return write


def write_whole(frame: pl.DataFrame, out: Path, write: Writer) -> None:
    """Write beside the target and rename, so that nobody takes a half-written file for whole.

    Raises StorageError where it cannot be written.
    """
    partial = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}-", suffix=".partial")
        os.close(handle)
        partial = Path(name)
        write(frame, partial)
        partial.chmod(0o666 & ~_umask())
        partial.replace(out)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StorageError(f"{out} cannot be written: {error}.") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
