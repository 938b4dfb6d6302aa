"""Encoded texts as Parquet shards: written by the executors, read by the training's workers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ...data.corpus import LabelledTexts
from ...text.encoder import Encoded
from ...text.reader import TextReader
from ...training.batches import EncodedTexts
from ...training.shards import ShardedTexts, count_shards, shard_of
from .frames import over_batches, spark_address

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SCHEMA = (
    "shard int, key string, ids array<int>, positions array<float>, labels array<int>, "
    "counts array<long>"
)


@dataclass(frozen=True)
class ShardsOnDisk:
    """Shards in a folder that all workers see, and what is in all of them together.

    Attributes:
        folder: holds `shard=0`, `shard=1` …
        shards: how many; one that no text fell into has no folder.
        classes: number of labels.
        texts: distinct texts.
        rows: that they stand for.
        label_rows: rows of each label.

    """

    folder: str
    shards: int
    classes: int
    texts: int
    rows: int
    label_rows: tuple[int, ...]

    def to_json(self) -> str:
        """As text, for the workers."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ShardsOnDisk:
        """What `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "label_rows": tuple(values["label_rows"])})

    def share_of(self, rank: int, workers: int) -> ShardedTexts:
        """The shards of one of several workers."""
        mine = [
            ParquetShard(Path(self.folder) / f"shard={number}", self.classes)
            for number in range(rank, self.shards, workers)
        ]
        return ShardedTexts(
            mine,
            self.classes,
            self.texts,
            self.rows,
            np.array(self.label_rows, dtype=np.int64),
        )


@dataclass(frozen=True)
class ParquetShard:
    """One shard; see `training.shards.Shard`."""

    folder: Path
    classes: int

    def load(self) -> EncodedTexts:
        """See `Shard.load`."""
        files = sorted(self.folder.glob("*.parquet"))
        if not files:
            return _nothing(self.classes)
        # A task writes one file, sorted; several can only come of other settings of Spark's.
        frame = pl.read_parquet(files).sort("key")
        lengths = frame["ids"].list.len().to_numpy().astype(np.int32)
        labels = frame["labels"].list.len().to_numpy().astype(np.int64)
        return EncodedTexts(
            Encoded(
                frame["ids"].explode().to_numpy().astype(np.int32),
                frame["positions"].explode().to_numpy().astype(np.float32),
                lengths,
            ),
            LabelledTexts(
                frame["key"],
                np.repeat(np.arange(len(frame)), labels),
                frame["labels"].explode().to_numpy().astype(np.int64),
                frame["counts"].explode().to_numpy().astype(np.int64),
            ),
            self.classes,
        )


def write_shards(
    texts: DataFrame,
    encoder: TextReader,
    classes: tuple[str, ...],
    folder: Path,
    *,
    seed: int,
    size: tuple[int, int],
    label_rows: tuple[int, ...],
    workers: int,
) -> ShardsOnDisk:
    """Encode the texts of a part and write them where all workers can read them.

    Args:
        texts: columns `key` and `labels`.
        encoder: what was learned from train.
        classes: the labels.
        folder: a new one, seen by all under the same path.
        seed: of the hash that decides a text's shard.
        size: texts and rows of the part.
        label_rows: of the part.
        workers: that will train.

    """
    from pyspark.sql import functions as F  # noqa: N812

    shards = count_shards(size[0], workers)
    known = {label: index for index, label in enumerate(classes)}

    def encode(frame: pl.DataFrame) -> pl.DataFrame:
        from ...data.split import hash_of

        encoded = encoder.encode_normalised(frame["key"])
        place = pl.Series(np.repeat(np.arange(len(frame)), encoded.lengths))
        tokens = pl.DataFrame({"text": place, "ids": encoded.ids, "positions": encoded.positions})
        lists = tokens.group_by("text", maintain_order=True).agg("ids", "positions")
        named = (
            frame.select(pl.int_range(pl.len()).alias("text"), "labels")
            .explode("labels")
            .unnest("labels")
            .with_columns(pl.col("label").replace_strict(known, return_dtype=pl.Int32))
            .sort("text", "label")
            .group_by("text", maintain_order=True)
            .agg(pl.col("label").alias("labels"), pl.col("rows").alias("counts"))
        )
        return pl.DataFrame(
            {
                "shard": pl.Series(shard_of(hash_of(frame["key"], seed), shards), dtype=pl.Int32),
                "key": frame["key"],
                "ids": lists["ids"],
                "positions": lists["positions"],
                "labels": named["labels"],
                "counts": named["counts"],
            }
        )

    encoded = over_batches(texts.select("key", "labels"), encode, _SCHEMA)
    together = encoded.repartition(shards, F.col("shard")).sortWithinPartitions("shard", "key")
    together.write.mode("overwrite").partitionBy("shard").parquet(spark_address(folder))
    return ShardsOnDisk(str(folder.absolute()), shards, len(classes), *size, label_rows)


def _nothing(classes: int) -> EncodedTexts:
    none = np.empty(0, dtype=np.int64)
    return EncodedTexts(
        Encoded(
            np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int32)
        ),
        LabelledTexts(pl.Series("key", [], dtype=pl.String), none, none, none),
        classes,
    )
