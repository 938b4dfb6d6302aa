"""Polars functions over the batches of a Spark DataFrame.

What a text is, how it is cut into tokens and how those are encoded is decided by the same code as
in one process. Spark moves the rows and adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

Step = Callable[[Iterator[pl.DataFrame]], Iterator[pl.DataFrame]]
"""From the batches of a partition to other batches."""


def spark_address(folder: Path) -> str:
    """A folder that driver and executors share, as Spark is to read and write it.

    Volumes of Databricks are known to Spark by their path; all others are files to it, whatever its
    own default storage is.
    """
    path = str(folder.absolute())
    return path if path.startswith("/Volumes/") else folder.absolute().as_uri()


def over_partitions(table: DataFrame, step: Step, schema: str) -> DataFrame:
    """Apply `step` to each partition; `schema` is the result's, as Spark writes it."""
    from pyspark.sql.types import StructType

    parsed = StructType.fromDDL(schema)

    def convert(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark.sql.pandas.types import to_arrow_schema

        wanted = to_arrow_schema(parsed)
        frames = (pl.from_arrow(pa.Table.from_batches([batch])) for batch in batches)
        for frame in step(frames):  # type: ignore[arg-type]
            made = frame.select(parsed.names).to_arrow()
            yield from made.cast(wanted).to_batches()

    result: DataFrame = table.mapInArrow(convert, parsed)
    return result


def over_batches(
    table: DataFrame, function: Callable[[pl.DataFrame], pl.DataFrame], schema: str
) -> DataFrame:
    """Apply `function` to each batch of rows."""

    def step(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for frame in frames:
            yield function(frame)

    return over_partitions(table, step, schema)


def collected(table: DataFrame) -> pl.DataFrame:
    """All rows, on the driver: for results that are small by nature."""
    found = pl.from_arrow(table.toArrow())
    assert isinstance(found, pl.DataFrame)
    return found


def written(table: DataFrame, folder: Path) -> DataFrame:
    """The same rows, from files that the executors wrote."""
    address = spark_address(folder)
    table.write.mode("overwrite").parquet(address)
    return table.sparkSession.read.schema(table.schema).parquet(address)
