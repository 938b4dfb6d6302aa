"""A whole table scored on Spark, with the predictions that this process would make.

    table ─▶ rows that can be read ─▶ spread over the slots ─▶ mapInArrow ─▶ beside OUT ─▶ OUT
                └▶ the others ─▶ OUT-unreadable

The model goes to the executors as a broadcast, so no storage need be shared for it. Each row is
predicted where it lies; only rows that lie badly (few or uneven partitions) are moved first.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...bundle import files
from ...bundle.predictor import Predictor
from ...data.columns import demand
from ...data.predictions import ADDED
from ...errors import ColumnError, StorageError, TableError, TextgaugeError
from ...review.cautions import reading_warnings
from ...review.reference import number_span
from ...text.reading import RowsRead
from ...text.tally import Tally
from ...training.progress import NoProgress, Progress
from .executors import check_executors, slots_of
from .failures import explain
from .jobs import run_job
from .output import RECORD_COLUMNS, Output, open_output
from .tables import SparkTable, open_table
from .worker import TallyParam, Task

UNEVEN = 1.25
"""Rows are spread anew if that makes the slots' work shorter by this factor."""

WORTH_SPREADING = 20_000
"""Rows below which moving them costs more than it gains."""

ROWS_A_TASK = 250_000
"""Rows of a task, about, where rows are spread: long enough to be worth its start."""


@dataclass(frozen=True)
class SparkScored:
    """What a scoring came to.

    Attributes:
        rows: rows that were scored and written.
        unique_texts: distinct texts among them, by their normal form.
        estimated: whether `unique_texts` is an estimate (within about 1 %): beyond 65,536.
        seconds: reading, predicting and writing.
        out: the folder or table.
        unreadable_rows: rows that Spark could not read.
        unreadable: the folder or table with these; None if there are none.
        read: how much of the rows the model could read.
        reads_numbers: whether the model reads numbers as magnitudes.
        warnings: where the rows hold what the model was not trained for, a sentence each.

    """

    rows: int
    unique_texts: int
    estimated: bool
    seconds: float
    out: str
    unreadable_rows: int
    unreadable: str | None
    read: RowsRead
    reads_numbers: bool
    warnings: tuple[str, ...]


def score_on_spark(
    session: Any,
    model: Path | str,
    source: Any,
    out: Path | str,
    *,
    text: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Progress | None = None,
) -> SparkScored:
    """Predict every row of a table and write it with three columns more.

    The predictions are those of `textgauge.scoring.score_table`, null where the text is. The order
    of the rows is kept unless they had to be spread over the executors. The output appears whole or
    not at all; one of an earlier run is replaced.

    Args:
        session: a session; `open_session` gives one.
        model: a bundle's folder on this machine.
        source: what `open_table` takes.
        out: a folder by its ending (.parquet, .csv, .tsv, .jsonl), on storage that all executors
            see, or the name of a table.
        text: the column with the texts; default the one that the model was trained with.
        encoding: of text files that are not UTF-8.
        delimiter: of text files, where it should not be guessed.
        progress: is told how far it is.

    Raises:
        BundleError: the model is damaged.
        TableError: the table cannot be read, or has such a column already.
        EngineError: the executors cannot do the work.
        StorageError: the output cannot be written.

    """
    begin, progress = time.perf_counter(), progress or NoProgress()
    folder, place = Path(model), str(out)
    predictor = Predictor.load(folder, cores=1)  # What is wrong with it is told before all else.
    column = text or str(predictor.settings["config"]["text"])

    def work() -> tuple[Tally, int, str]:
        target = open_output(session, place)
        beside = target.beside("-unreadable")
        progress.stage("looking at the executors")
        for note in check_executors(session).notes:
            progress.warn(note)
        progress.stage("reading")
        table = open_table(
            session, source, encoding=encoding, delimiter=delimiter, wanted=(column,)
        )
        _refuse_unusable(table, column)
        with target, beside:
            counted, bad = _score(session, folder, table, column, target, beside, progress)
        return counted, bad, beside.name

    try:
        tally, bad, beside = run_job(session, "textgauge score", work)
    except TextgaugeError:
        raise
    except Exception as error:
        name = str(source) if isinstance(source, str | Path) else "the DataFrame"
        raise explain(error, name) from error
    span = number_span(predictor)
    return SparkScored(
        rows=tally.rows,
        unique_texts=tally.texts,
        estimated=tally.estimated,
        seconds=time.perf_counter() - begin,
        out=place,
        unreadable_rows=bad,
        unreadable=beside if bad else None,
        read=tally.read,
        reads_numbers=span is not None,
        warnings=reading_warnings(tally.read, predictor.profile, span),
    )


def _refuse_unusable(table: SparkTable, text: str) -> None:
    from pyspark.sql import types

    demand({"text": text}, table.columns, table.name)
    present = {name.casefold(): name for name in table.columns}
    for name in ADDED:
        if name in present:
            raise TableError(
                f"{table.name} already has a column {present[name]!r}; rename or drop it first."
            )
    kind = table.frame.schema[text].dataType
    no_texts = (types.ArrayType, types.MapType, types.StructType, types.BinaryType)
    if isinstance(kind, no_texts):
        raise ColumnError(
            f"column {text!r} of {table.name} holds {kind.simpleString()}, no texts. "
            "Pass --text NAME."
        )


def _score(
    session: Any,
    model: Path,
    table: SparkTable,
    text: str,
    target: Output,
    beside: Output,
    progress: Progress,
) -> tuple[Tally, int]:
    """Score, write and publish; returns what was counted, and how many rows were unreadable."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own name for it
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    frame = table.frame
    counts = rows_of_partitions(frame)
    if not sum(counts):
        raise TableError(f"{table.name} has no rows.")
    noticed = Observation()
    if table.unreadable is not None:
        is_bad = F.col(table.unreadable).isNotNull()
        frame = frame.observe(noticed, F.count_if(is_bad).alias("bad"))
    rows = SparkTable(frame, table.name, table.unreadable).rows()
    if pieces := pieces_for(counts, slots_of(session) or session.sparkContext.defaultParallelism):
        rows = rows.repartition(pieces)
    kinds = (StringType(), DoubleType(), StringType())
    added = [StructField(name, kind) for name, kind in zip(ADDED, kinds, strict=True)]
    progress.stage("scoring")
    with _sent(session, model) as (digest, broadcast):
        tally = session.sparkContext.accumulator(Tally(), TallyParam())
        task = Task(digest, broadcast, text, tally)
        schema = StructType([*rows.schema.fields, *added])
        target.write(rows.mapInArrow(task, schema))
    counted: Tally = tally.value
    if counted.rows and target.is_empty():
        raise StorageError(
            f"the executors wrote {target.name} to their own disks, where it cannot be gathered. "
            "Name a folder on storage that all of them share, or a table."
        )
    bad = 0
    if table.unreadable is not None and noticed.get["bad"]:
        progress.stage("keeping the rows that could not be read")
        beside.write(_unreadable_rows(table))
        bad = beside.count()
    if not counted.rows:
        raise TableError(f"not one row of {table.name} can be read. Copy it again.")
    if bad:
        beside.publish()
        progress.warn(f"{bad:,} rows of {table.name} could not be read; they are in {beside.name}.")
    else:
        beside.remove()  # An earlier one would be taken for this one's.
    target.publish()
    return counted, bad


def _unreadable_rows(table: SparkTable) -> Any:
    """The record as it stands in the file, and what could be made of it."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own name for it

    record = F.col(table.unreadable)
    # All columns are asked for: Spark tests no more of a record than it needs.
    read = F.struct(*(table.frame[name] for name in table.columns))
    frame = table.frame.filter(record.isNotNull())
    columns = (F.input_file_name(), record, read)
    return frame.select(
        *(column.alias(name) for name, column in zip(RECORD_COLUMNS, columns, strict=True))
    )


@contextlib.contextmanager
def _sent(session: Any, model: Path) -> Iterator[tuple[str, Any]]:
    """Send the model's files to the executors, for a while; gives digest and broadcast."""
    content = {
        name: (model / name).read_bytes() for name in (files.SETTINGS, files.VOCABULARY, files.ONNX)
    }
    digest = hashlib.sha256()
    for name, data in content.items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    broadcast = session.sparkContext.broadcast(content)
    try:
        yield digest.hexdigest(), broadcast
    finally:
        with contextlib.suppress(Exception):
            broadcast.destroy()


# ---- where the rows lie --------------------------------------------------------------------------


def rows_of_partitions(frame: Any) -> list[int]:
    """Rows of each partition that has any. Runs a job that reads the frame, few columns of it."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own name for it

    counted = frame.groupBy(F.spark_partition_id()).count().collect()
    return [int(row["count"]) for row in counted]


def pieces_for(counts: Sequence[int], slots: int) -> int | None:
    """How many partitions the rows should be spread over; None if they lie well as they are.

    >>> pieces_for([100_000, 100_000], slots=2), pieces_for([190_000, 10_000], slots=2)
    (None, 6)
    """
    total = sum(counts)
    if total < WORTH_SPREADING or slots < 2:
        return None
    # The longest first, each to the slot that is free first, as Spark nearly does.
    busy = [0] * slots
    for rows in sorted(counts, reverse=True):
        heapq.heapreplace(busy, busy[0] + rows)
    if max(busy) <= UNEVEN * total / slots:
        return None
    # A multiple of the slots, so that all of them end at about the same time.
    return slots * max(3, math.ceil(total / ROWS_A_TASK / slots))
