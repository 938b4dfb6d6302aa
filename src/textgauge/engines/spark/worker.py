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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from ...bundle.predictor import Predictor

CHUNK_ROWS = 100_000
"""Rows that are gathered before they are predicted together."""

CHUNK_BYTES = 64 * 2**20
"""Bytes of gathered batches, all columns, after which they are not gathered further."""

MEMORY_BYTES = 64 * 2**20
"""Bytes of remembered texts and predictions, after which a process begins to remember anew."""

COUNTED = 2**16
"""Distinct texts up to which they are counted; beyond, their number is estimated."""


# ---- how many rows and distinct texts ------------------------------------------------------------


@dataclass(frozen=True)
class Tally:
    """What tasks have seen: rows, and the smallest hashes of distinct texts.

    The smallest `COUNTED` of uniform hashes tell how many there are (Bar-Yossef et al. 2002,
    "Counting distinct elements in a data stream", algorithm 2), with a relative error of about
    1/sqrt(COUNTED) = 0.4 %; as long as there are fewer, they are a plain count.

    Attributes:
        rows: rows.
        hashes: sorted, distinct. Shape: (at most COUNTED,), uint64. None stands for none.

    """

    rows: int = 0
    hashes: npt.NDArray[np.uint64] | None = None

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        if self.hashes is None or other.hashes is None:
            hashes = self.hashes if other.hashes is None else other.hashes
        else:
            import numpy as np

            hashes = np.union1d(self.hashes, other.hashes)[:COUNTED]
        return Tally(self.rows + other.rows, hashes)

    @property
    def estimated(self) -> bool:
        """Whether there are so many distinct texts that their number is an estimate."""
        return self.hashes is not None and len(self.hashes) >= COUNTED

    @property
    def texts(self) -> int:
        """Distinct texts."""
        if self.hashes is None:
            return 0
        if not self.estimated:
            return len(self.hashes)
        return round((COUNTED - 1) / (float(self.hashes[-1]) / 2.0**64))


class TallyParam:
    """How Spark adds tallies up; what a failed or repeated task has seen is not counted."""

    def zero(self, value: Tally) -> Tally:
        """No rows and no texts."""
        return Tally()

    def addInPlace(self, one: Tally, other: Tally) -> Tally:  # noqa: N802 - Spark's name
        """Both together."""
        return one.plus(other)


# ---- one model in one process --------------------------------------------------------------------


@dataclass
class Scorer:
    """A predictor that remembers.

    `known` has a row for each text that was predicted, with the columns `text`, the predictor's
    three, and `hash`, which is that of the text's normal form.
    """

    predictor: Predictor
    known: pl.DataFrame | None = field(default=None, repr=False)

    def score(self, texts: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
        """Predictions for each text, null where it is null, and the hashes of the distinct ones."""
        import polars as pl

        wanted = texts.drop_nulls().unique().to_frame("text")
        if self.known is not None:
            new = wanted.join(self.known, on="text", how="anti")["text"]
        else:
            new = wanted["text"]
        if len(new):
            self._learn(new)
        assert self.known is not None or texts.null_count() == len(texts)
        if self.known is None:
            return _nothing(len(texts)), pl.Series("hash", [], dtype=pl.UInt64)
        found = texts.to_frame("text").join(
            self.known, on="text", how="left", maintain_order="left"
        )
        hashes = found["hash"].drop_nulls().unique()
        result = found.drop("text", "hash")
        if self.known.estimated_size() > MEMORY_BYTES:
            self.known = None
        return result, hashes

    def _learn(self, new: pl.Series) -> None:
        import polars as pl

        from ...data.normal_form import normalise

        predicted = self.predictor.predict_frame(new)
        learned = pl.concat(
            [
                new.to_frame("text"),
                predicted,
                normalise(new).hash(seed=0).to_frame("hash"),
            ],
            how="horizontal",
        )
        self.known = learned if self.known is None else pl.concat([self.known, learned])


def _nothing(rows: int) -> pl.DataFrame:
    import polars as pl

    columns = {"predicted_label": pl.String, "probability": pl.Float64, "decision": pl.String}
    return pl.DataFrame({name: [None] * rows for name in columns}, schema=columns)


_scorers: dict[str, Scorer] = {}
"""By the model's digest; a process keeps the one that it used last."""


def scorer_of(digest: str, files: Any) -> Scorer:
    """The scorer of a model in this process; `files()` gives the model's files if need be."""
    found = _scorers.get(digest)
    if found is None:
        _scorers.clear()
        found = _scorers[digest] = Scorer(_load(files()))
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

        columns = pa.chunked_array([batch.column(self.text) for batch in chunk])
        texts = pl.from_arrow(columns)
        assert isinstance(texts, pl.Series)
        predicted, hashes = scorer.score(texts.cast(pl.String))
        result, begin = [], 0
        for batch in chunk:
            piece = predicted.slice(begin, batch.num_rows)
            begin += batch.num_rows
            result.append(_with_columns(batch, piece))
        return result, Tally(len(texts), hashes.sort().head(COUNTED).to_numpy())


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
