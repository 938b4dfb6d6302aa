"""A Delta table of this machine: the Parquet files of its newest version, and nothing else there.

Reads it with the package deltalake, and Polars for the files. What the two cannot read is refused:
deletion vectors, renamed columns and whatever a newer protocol asks of a reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import polars as pl

from ...errors import MissingPackageError, TableError
from .origin import Origin
from .piece import Part
from .several import Several, WithConstants, identity_of
from .typed import Typed

_READ = {"timestampNtz", "vacuumProtocolCheck", "deletionVectors", "v2Checkpoint"}
_SPARK = "Read it with Spark: --engine spark."
_PARTITION = "partition."


def open_delta(folder: Path, rows: int) -> Several:
    """Open the newest version, which stays the one that is read.

    Raises TableError where the table is damaged or needs what is not read here, and
    MissingPackageError without deltalake.
    """
    try:
        from deltalake import DeltaTable
    except ImportError:
        raise MissingPackageError(
            "deltalake, which reads Delta tables, is not installed here. Install it: "
            "pip install 'textgauge[delta]'."
        ) from None
    name = folder.name or folder.resolve().name
    with _faults(name):
        table = DeltaTable(str(folder))
        version = table.version()
        _refuse_unread(table, name)
        schema = _schema_of(table)
        added = pl.DataFrame(table.get_add_actions(flatten=True))
    parts: list[Part] = []
    if added.height:
        for row in added.sort("path").iter_rows(named=True):
            values = {
                key.removeprefix(_PARTITION): value
                for key, value in row.items()
                if key.startswith(_PARTITION)
            }
            parts.append(_part(folder, row["path"], values, schema, rows))
    if not parts:
        raise TableError(f"{name} is a Delta table without rows.")
    stamps = [(part.name, part.size) for part in parts]
    identity = identity_of("delta", str(folder.resolve()), version, stamps, rows, dict(schema))
    return Several(f"{name} (version {version})", schema, parts, identity, rows)


@contextmanager
def _faults(name: str) -> Iterator[None]:
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError, ValueError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(". ")
        raise TableError(
            f"{name} cannot be read as a Delta table: {reason}. See that it was copied whole, or "
            "read it with Spark: --engine spark."
        ) from None


def _refuse_unread(table: Any, name: str) -> None:
    settings = table.metadata().configuration or {}
    if settings.get("delta.columnMapping.mode", "none") != "none":
        raise TableError(
            f"the Delta table {name} maps the names of its columns, which is not read here. "
            f"{_SPARK}"
        )
    features = sorted(set(table.protocol().reader_features or ()) - _READ)
    if features:
        raise TableError(
            f"the Delta table {name} asks for what is not read here: {', '.join(features)}. "
            f"{_SPARK}"
        )
    if pl.DataFrame(table.deletion_vectors()).height:
        raise TableError(
            f"the Delta table {name} has deletion vectors, which are not read here. {_SPARK}"
        )


def _schema_of(table: Any) -> pl.Schema:
    from arro3.core import Table  # comes with deltalake

    return pl.DataFrame(Table.from_batches([], schema=table.schema().to_arrow())).schema


def _part(folder: Path, address: str, values: dict[str, Any], schema: pl.Schema, rows: int) -> Part:
    """Open a file of the table; its partition, and columns that it is older than, are constants."""
    path = Path(unquote(urlparse(address).path)) if "://" in address else folder / unquote(address)
    origin = Origin.of_file(path)
    origin.forget_head()
    part = Typed(origin.name, pl.scan_parquet(path, glob=False), "Parquet", origin, rows)
    missing = [column for column in schema if column not in part.schema]
    if not missing:
        return part
    row = pl.DataFrame({column: [values.get(column)] for column in missing})
    return WithConstants(part, row.cast({column: schema[column] for column in missing}))
