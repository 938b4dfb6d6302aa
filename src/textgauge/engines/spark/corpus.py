"""The corpus of a table that lies on a cluster: split, counts and digest are those of one process.

    table ─▶ pairs (text, label, rows) ─▶ distinct texts with their part ─▶ counts, samples, shards

Each arrow is a shuffle of distinct things, and what it gives is written to the shared folder, so
that nothing is computed twice and a lost executor costs its own share only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...config import Config
from ...data.corpus import Corpus, LabelledTexts, PartSize, digest_of, label_order, refuse_too_few
from ...data.split import PARTS, TEST, TRAIN, VAL, refuse_empty, shared_by_random_split
from ...errors import TableError
from .frames import collected, over_partitions
from .parts import split_texts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLE = 200_000
"""Texts of train and of test that come to the driver at most, for the baselines and the review."""


@dataclass(frozen=True)
class ClusterCorpus:
    """A corpus whose texts stay on the cluster.

    Attributes:
        corpus: its counts, with samples of train and test; its val is empty unless the rule of
            decision is found on it.
        texts: all distinct texts: `key`, `part`, `labels`; written down, cheap to read again.
        label_rows: rows of each label in each part. Shape: (3, classes).

    """

    corpus: Corpus
    texts: DataFrame
    label_rows: tuple[tuple[int, ...], ...]

    def part(self, part: int) -> DataFrame:
        """The distinct texts of a part."""
        from pyspark.sql import functions as F  # noqa: N812

        return self.texts.where(F.col("part") == part)


def build_corpus(counted: DataFrame, config: Config, folder: Path) -> ClusterCorpus:
    """Drop what can't be used, split, and count: `data.corpus.build_corpus` on a cluster.

    Args:
        counted: what `counting.count_pairs` gave; read several times.
        config: the settings.
        folder: a shared one, for what is computed on the way.

    Raises:
        TableError: fewer than two labels, or no texts for a part.

    """
    from pyspark.sql import functions as F  # noqa: N812

    usable = "key IS NOT NULL AND key != '' AND label IS NOT NULL"
    unusable = counted.where(f"NOT ({usable})").agg(F.sum("rows").alias("rows"))
    dropped = collected(unusable)["rows"][0]
    pairs = counted.where(usable)
    found = collected(pairs.select("label").distinct())["label"].to_list()
    classes = tuple(label_order(found))
    refuse_too_few(classes)
    parted = split_texts(pairs, config, folder / "texts")
    texts = parted.texts
    counts = _counts_of(texts, classes)
    sizes = {
        part: PartSize(int(counts.texts[index]), int(counts.label_rows[index].sum()))
        for index, part in enumerate(PARTS)
    }
    total, kept = int(counts.all_rows), sum(size.rows for size in sizes.values())
    refuse_empty(
        [
            part
            for part, share in zip(PARTS, config.fractions, strict=True)
            if share and not sizes[part].texts
        ],
        distinct=sum(size.texts for size in sizes.values()),
        left_out_rows=total - kept,
    )
    known = np.flatnonzero(counts.label_rows[TRAIN])
    if len(known) < 2:
        missing = [label for index, label in enumerate(classes) if index not in known]
        raise TableError(
            f"only one label is left to train on: {', '.join(map(repr, missing))} "
            "stands in too few different texts. Give the rarer labels more examples."
        )
    several = (
        texts.where(F.col("part").isin(TRAIN, TEST)).groupBy("key").agg(F.count("*").alias("n"))
    )
    shared = several.where("n > 1").count() if config.split_column is not None else 0
    often = np.array(sorted(counts.often.items()), dtype=np.int64).reshape(-1, 2)
    corpus = Corpus(
        classes=classes,
        train=_sample(texts, TRAIN, sizes["train"].texts, classes),
        val=_sample(texts, VAL, sizes["val"].texts, classes),
        test=_sample(texts, TEST, sizes["test"].texts, classes),
        sizes=sizes,
        digest=digest_of(classes, counts.digests),
        split_method=parted.method,
        left_out_rows=total - kept,
        test_texts_in_train=shared,
        random_split_share=shared_by_random_split(often[:, 0], config.fractions, often[:, 1]),
        dropped_rows=int(dropped or 0),
    )
    label_rows = tuple(tuple(int(n) for n in rows) for rows in counts.label_rows)
    return ClusterCorpus(corpus, texts, label_rows)


@dataclass
class _Counts:
    """Sums over distinct texts, by part where they are several.

    Attributes:
        texts: Shape: (3,).
        label_rows: Shape: (3, classes).
        digests: sums of hashes (see `digest_of`).
        often: how many texts stand in so many rows of the table.
        all_rows: rows of all texts, those that were left out included.

    """

    texts: list[int]
    label_rows: np.ndarray
    digests: list[int]
    often: dict[int, int]
    all_rows: int


def _counts_of(texts: DataFrame, classes: tuple[str, ...]) -> _Counts:
    """Add everything up in one pass: each partition gives its sums, and the driver adds those."""

    def add_up(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        digests: dict[int, int] = {}
        sums = []
        for frame in frames:
            triples = frame.select("part", "key", "labels").explode("labels").unnest("labels")
            for part, key, label, rows in triples.iter_rows():
                content = f"{key}\x1f{label}\x1f{rows}".encode()
                digest = int.from_bytes(hashlib.sha256(content).digest(), "big")
                digests[part] = (digests.get(part, 0) + digest) % 2**256
            sums += [
                frame.group_by("part")
                .len("n")
                .select("part", what=pl.lit("texts"), value=pl.lit(""), n="n"),
                triples.group_by("part", "label")
                .agg(n=pl.col("rows").sum())
                .select("part", what=pl.lit("label"), value="label", n="n"),
                frame.drop_nulls("key_rows")
                .group_by("key_rows")
                .len("n")
                .select(
                    part=pl.lit(-1),
                    what=pl.lit("often"),
                    value=pl.col("key_rows").cast(pl.String),
                    n="n",
                ),
            ]
        rows = [(part, "digest", f"{digest:064x}", 1) for part, digest in digests.items()]
        schema: Any = {
            "part": pl.Int32,
            "what": pl.String,
            "value": pl.String,
            "n": pl.Int64,
        }
        made = pl.DataFrame(rows, schema=schema, orient="row")
        every = pl.concat([made, *(each.cast(schema) for each in sums)])
        # Digests are told apart by their value; all others are added up.
        yield every.group_by("part", "what", "value").agg(pl.col("n").sum())

    schema = "part int, what string, value string, n long"
    found = collected(over_partitions(texts, add_up, schema))
    index = {label: place for place, label in enumerate(classes)}
    counts = _Counts([0, 0, 0], np.zeros((3, len(classes)), dtype=np.int64), [0, 0, 0], {}, 0)
    for part, what, value, n in found.iter_rows():
        if what == "texts":
            counts.texts[part] += n
        elif what == "label":
            counts.label_rows[part, index[value]] += n
        elif what == "digest":
            counts.digests[part] += int(value, 16) * n
        else:
            counts.often[int(value)] = counts.often.get(int(value), 0) + n
            counts.all_rows += int(value) * n
    return counts


def _sample(texts: DataFrame, part: int, size: int, classes: tuple[str, ...]) -> LabelledTexts:
    """All texts of a part, or `SAMPLE` of them by their hash, in alphabetical order."""
    from pyspark.sql import functions as F  # noqa: N812

    chosen = texts.where(F.col("part") == part)
    if size > SAMPLE:
        # Other digits than those that decide the part, the shard or anything else.
        digits = F.sha2(F.concat(F.lit("sample\n"), "key").cast("binary"), 256)
        # All but a few of those that will not be drawn are left where they lie: one task sorts.
        # Ten standard deviations more than wanted: that so many hashes are too few won't happen.
        share = min((SAMPLE + 10 * SAMPLE**0.5) / size, 1.0)
        enough = f"{int(share * (2**64 - 1)):016x}"
        chosen = chosen.withColumn("digits", digits).where(F.col("digits") <= enough)
        chosen = chosen.orderBy("digits").limit(SAMPLE)
    elif not size:
        chosen = chosen.limit(0)
    frame = collected(chosen.select("key", "labels")).sort("key")
    triples = (
        frame.with_row_index("text")
        .explode("labels")
        .drop_nulls("labels")
        .unnest("labels")
        .with_columns(
            code=pl.col("label").replace_strict(
                {label: index for index, label in enumerate(classes)}, return_dtype=pl.Int64
            )
        )
        .sort("text", "code")
    )
    return LabelledTexts(
        frame["key"],
        triples["text"].cast(pl.Int64).to_numpy(),
        triples["code"].to_numpy(),
        triples["rows"].cast(pl.Int64).to_numpy(),
    )
