"""Texts in shards, of which a few are in memory at a time.

A text's shard is decided by its hash, so every engine makes the same ones; within a shard the texts
stand in alphabetical order. Up to `SHARD_TEXTS` texts are one shard, and training on it is what
`EncodedTexts` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from ..text.encoder import Encoded
from .batches import Batch, EncodedTexts, Index

SHARD_TEXTS = 262_144
"""Texts of a shard, about: 16 MB of short ones once they are encoded."""

BUFFER_SHARDS = 4
"""Shards that are shuffled together: more mix better, and take more memory."""


class Shard(Protocol):
    """A shard, wherever it lies."""

    def load(self) -> EncodedTexts:
        """Its texts."""


@dataclass(frozen=True)
class Slice:
    """A shard in memory."""

    held: EncodedTexts

    def load(self) -> EncodedTexts:
        """See `Shard.load`."""
        return self.held


@dataclass(frozen=True)
class ShardedTexts:
    """The shards of one worker; see `batches.Texts`.

    Attributes:
        shards: this worker's.
        classes: number of labels.
        texts: in all shards of all workers.
        rows: that they stand for.
        label_rows: rows of each label. Shape: (classes,).
        has_sets: whether a row has a set of labels, not one.

    """

    shards: Sequence[Shard]
    classes: int
    texts: int
    rows: int
    label_rows: Index
    has_sets: bool = False

    def shuffled(self, batch_size: int, random: np.random.Generator) -> Iterator[Batch]:
        """See `Texts.shuffled`: the shards in random order, a few of them mixed at a time."""
        order = random.permutation(len(self.shards)) if len(self.shards) > 1 else [0]
        for begin in range(0, len(order) if self.shards else 0, BUFFER_SHARDS):
            together = [self.shards[i].load() for i in order[begin : begin + BUFFER_SHARDS]]
            yield from join(together).shuffled(batch_size, random)

    def in_order(self, batch_size: int) -> Iterator[tuple[Index, Batch]]:
        """See `Texts.in_order`: shard by shard, the indices being those in the shard."""
        for shard in self.shards:
            yield from shard.load().in_order(batch_size)


def count_shards(texts: int, workers: int = 1) -> int:
    """How many shards so many texts make: as many for each of the workers.

    >>> count_shards(2_400), count_shards(2_400, workers=2), count_shards(1_000_000, workers=3)
    (1, 2, 6)
    """
    wanted = max(-(-texts // SHARD_TEXTS), 1)
    return -(-wanted // workers) * workers


def shard_of(hashes: npt.NDArray[np.uint64], shards: int) -> Index:
    """The shard of each text, by the low 32 bits of its hash (the high ones decide its part).

    >>> shard_of(np.array([0, 2**31, 2**32 - 1, 2**32], dtype=np.uint64), 4).tolist()
    [0, 2, 3, 0]
    """
    low = hashes & np.uint64(0xFFFF_FFFF)
    return ((low * np.uint64(shards)) >> np.uint64(32)).astype(np.int64)


def join(parts: Sequence[EncodedTexts]) -> EncodedTexts:
    """Several texts as one, in their order."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(part.encoded) for part in parts)])
    return EncodedTexts(
        Encoded(
            np.concatenate([part.encoded.ids for part in parts]),
            np.concatenate([part.encoded.positions for part in parts]),
            np.concatenate([part.encoded.lengths for part in parts]),
        ),
        LabelledTexts(
            parts[0].labelled.texts.clear(),  # Training reads the ids alone.
            np.concatenate(
                [
                    part.labelled.text_index + offset
                    for part, offset in zip(parts, offsets[:-1], strict=True)
                ]
            ),
            np.concatenate([part.labelled.label for part in parts]),
            np.concatenate([part.labelled.count for part in parts]),
            parts[0].labelled.sets,
        ),
        parts[0].classes,
    )


def cut(texts: EncodedTexts, shard: Index, shards: int) -> ShardedTexts:
    """Cut texts in memory into shards.

    Args:
        texts: in alphabetical order.
        shard: of each text. Shape: (texts,).
        shards: how many.

    """
    return ShardedTexts(
        [Slice(texts.take(np.flatnonzero(shard == number))) for number in range(shards)],
        texts.classes,
        texts.texts,
        texts.rows,
        texts.label_rows,
        texts.has_sets,
    )
