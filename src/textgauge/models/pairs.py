"""Pairs of neighbouring words: which of them are known, and the row of a table that each has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
from torch import Tensor, nn

from ..text.vocabulary import PAD

if TYPE_CHECKING:
    from ..text.encoder import Encoded
    from .onnx_graph import GraphBuilder

FACTORS = (2_654_435_761, 40_503)
"""Two odd numbers (Knuth, "The Art of Computer Programming" 3, section 6.4): of the ids of two
neighbours they make one number. With ids below 2**31 it stays within 64 bits."""

BUCKETS_A_PAIR = 8
"""Buckets for each pair that train has: of eight pairs one shares its bucket with another, and of
eight that train does not have one finds a bucket that is taken."""

LEAST_BUCKETS = 1_024
"""With few pairs more cost nothing."""


def hashes_of(train: Encoded) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Each pair of neighbours: the text it stands in, and its hash. Shapes: (pairs,), (pairs,)."""
    text = np.repeat(np.arange(len(train), dtype=np.int32), train.lengths)
    neighbours = np.flatnonzero(text[1:] == text[:-1])
    ids = train.ids.astype(np.int64)
    return text[neighbours], ids[neighbours] * FACTORS[0] + ids[neighbours + 1] * FACTORS[1]


def known_pairs(
    text: npt.NDArray[np.int32], hashes: npt.NDArray[np.int64], min_texts: int
) -> npt.NDArray[np.int64]:
    """The hashes that stand in so many texts at least, rising. Shape: (known,)."""
    counted = pl.DataFrame({"pair": hashes, "text": text}).unique().group_by("pair").len()
    found: npt.NDArray[np.int64] = (
        counted.filter(pl.col("len") >= min_texts)["pair"].sort().to_numpy()
    )
    return found


def buckets_for(pairs: int) -> int:
    """Into how many buckets so many known pairs are hashed."""
    # Odd: of a power of two the low bits of the ids alone would choose.
    return max(BUCKETS_A_PAIR * pairs, LEAST_BUCKETS) | 1


def places_of(known: npt.NDArray[np.int64], buckets: int) -> npt.NDArray[np.int32]:
    """For each bucket the row of the pair in it, counted from 1; 0: none. Shape: (buckets,).

    Of pairs that share a bucket the last has it, and the others the same row.
    """
    place = np.zeros(buckets, dtype=np.int32)
    place[known % buckets] = np.arange(1, 1 + len(known))
    return place


def learn_pairs(train: Encoded, min_texts: int) -> tuple[int, npt.NDArray[np.int32]]:
    """How many pairs of the training texts are known, and the row of each bucket's pair."""
    known = known_pairs(*hashes_of(train), min_texts)
    return len(known), places_of(known, buckets_for(len(known)))


def pair_rows(ids: Tensor, place: Tensor) -> Tensor:
    """The row of each token and its left neighbour; 0 where the pair is not known.

    Args:
        ids: `PAD` behind a text's end. Shape: (texts, tokens), int64.
        place: as `places_of` gives it. Shape: (buckets,).

    Returns:
        Shape: (texts, tokens), int64.

    """
    left = nn.functional.pad(ids, (1, 0), value=PAD)[:, :-1]
    hashed = (left * FACTORS[0] + ids * FACTORS[1]) % len(place)
    rows: Tensor = place[hashed].long() * ((left != PAD) & (ids != PAD))
    return rows


def pair_row_nodes(graph: GraphBuilder, ids: str, place: Tensor) -> str:
    """Nodes for `pair_rows`; gives their name."""
    # A column of nothing before the first word, so that each word has a left neighbour.
    left = graph.node(
        "Slice",
        graph.node("Pad", ids, graph.integers([0, 1, 0, 0])),
        *(graph.integers([at]) for at in (0, -1, 1)),
    )
    hashed = graph.node(
        "Mod",
        graph.node(
            "Add",
            graph.node("Mul", left, graph.integers([FACTORS[0]])),
            graph.node("Mul", ids, graph.integers([FACTORS[1]])),
        ),
        graph.integers([len(place)]),
    )
    both = graph.node("Min", left, ids, graph.integers([1]))  # PAD is 0
    found = graph.node("Gather", graph.weight(place), hashed)
    return graph.node("Mul", graph.node("Cast", found, to=graph.INT64), both)
