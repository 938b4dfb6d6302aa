"""What runs on the executors: Arrow batches in, the same batches with predictions out.

Each Python process of an executor loads a model once and remembers what it predicted, over all the
partitions that it is given: a text that stands in many of them is computed once a process.

Imports of polars wait until a process is at work, so that it can be told to use one thread: the
cluster runs a process for each core.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...text.tally import Tally

if TYPE_CHECKING:
    import polars as pl

    from ...bundle.predictor import Predictor
    from ...bundle.scorer import Scorer

CHUNK_ROWS = 100_000
"""Rows that are gathered before they are predicted together."""

CHUNK_BYTES = 64 * 2**20
"""Bytes of gathered batches, all columns, after which they are not gathered further."""

MEMORY_BYTES = 64 * 2**20
"""Bytes of remembered texts and predictions, after which a process begins to remember anew."""

# ---- what was seen -------------------------------------------------------------------------------


class TallyParam:
    """How Spark adds tallies up; what a failed or repeated task has seen is not counted."""

    def zero(self, value: Tally) -> Tally:
        """No rows and no texts."""
        return Tally()

    def addInPlace(self, one: Tally, other: Tally) -> Tally:  # noqa: N802 - Spark's name
        """Both together."""
        return one.plus(other)


# ---- one model in one process --------------------------------------------------------------------


_scorers: dict[str, Scorer] = {}
"""By the model's digest; a process keeps the one that it used last."""


def scorer_of(digest: str, files: Any) -> Scorer:
    """The scorer of a model in this process; `files()` gives the model's files if need be."""
    found = _scorers.get(digest)
    if found is None:
        from ...bundle.scorer import Scorer

        _scorers.clear()
        found = _scorers[digest] = Scorer(_load(files()), MEMORY_BYTES)
    return found


def _load(files: dict[str, bytes]) -> Predictor:
    from ...bundle.predictor import Predictor

    with tempfile.TemporaryDirectory(prefix="textgauge-model-") as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        return Predictor.load(folder, cores=1)


# ---- one task ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """What Spark sends to each task; called with the batches of a partition.

    Attributes:
        digest: of the model.
        model: a broadcast of the model's files by name.
        text: the column with the texts.
        tally: an accumulator of `Tally`.

    """

    digest: str
    model: Any
    text: str
    tally: Any

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Give each batch of Arrow records with three columns more."""
        os.environ.setdefault("POLARS_MAX_THREADS", "1")
        scorer = scorer_of(self.digest, lambda: self.model.value)
        seen = Tally()
        for chunk in gather(batches, CHUNK_ROWS, CHUNK_BYTES):
            predicted, counted = self._score(scorer, chunk)
            yield from predicted
            seen = seen.plus(counted)
        self.tally.add(seen)

    def _score(self, scorer: Scorer, chunk: list[Any]) -> tuple[list[Any], Tally]:
        import polars as pl
        import pyarrow as pa

        from ...data.predictions import as_texts

        columns = pa.chunked_array([batch.column(self.text) for batch in chunk])
        texts = pl.from_arrow(columns)
        assert isinstance(texts, pl.Series)
        predicted, seen = scorer.score(as_texts(texts))
        result, begin = [], 0
        for batch in chunk:
            piece = predicted.slice(begin, batch.num_rows)
            begin += batch.num_rows
            result.append(_with_columns(batch, piece))
        return result, seen


def gather(batches: Iterable[Any], rows: int, size: int) -> Iterator[list[Any]]:
    """Lists of batches with at least so many rows or bytes together, but for the last list."""
    chunk: list[Any] = []
    have_rows = have_bytes = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        chunk.append(batch)
        have_rows += batch.num_rows
        have_bytes += batch.nbytes
        if have_rows >= rows or have_bytes >= size:
            yield chunk
            chunk, have_rows, have_bytes = [], 0, 0
    if chunk:
        yield chunk


def _with_columns(batch: Any, predicted: pl.DataFrame) -> Any:
    """The record batch with the predictions behind its own columns, which stay as they are."""
    import pyarrow as pa

    added = {
        "predicted_label": pa.string(),
        "probability": pa.float64(),
        "decision": pa.string(),
    }
    arrays, fields = list(batch.columns), list(batch.schema)
    for name, kind in added.items():
        arrays.append(_as_arrow(predicted[name], kind))
        fields.append(pa.field(name, kind))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _as_arrow(column: pl.Series, kind: Any) -> Any:
    import pyarrow as pa

    found = column.to_arrow()
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found.cast(kind)
