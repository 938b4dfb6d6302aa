"""Numbers read as magnitudes: a piecewise-linear encoding over the quantiles of train.

Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning"
(NeurIPS 2022), section 3.2, encode a value x over bin edges b_0 < b_1 < … < b_T as a vector whose
component t is 1 where x lies beyond bin t, 0 where x lies before it, and
(x - b_{t-1}) / (b_t - b_{t-1}) inside it.

That vector is 1 up to some bin, a fraction there, and 0 after it, so the single number
"bins passed + fraction" says the same: its *position*, between 0 and T. A linear layer on the
vector is then linear interpolation between T + 1 rows of a table at that position, which
is how models here apply it: a number costs as much as a word, and no (texts, tokens, T) array is
made. `NumberScale.encode` gives the vector itself, and a test holds the two equal.

Unlike the paper we stop at the outer edges: a value outside train's range is read as the nearest
edge, so that a typing error of 10 digits can't drown the rest of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .notation import PLAIN, Notation


class NumberScale:
    """The bin edges; turns values into positions on train's quantiles.

    Args:
        edges: two or more rising numbers.
        notation: how the training texts write numbers. Where they have no negative ones, whatever
            it says of these, a minus is a word like others.

    Raises:
        ValueError: for other edges.

    """

    def __init__(
        self, edges: Sequence[float] | npt.NDArray[np.float64], notation: Notation = PLAIN
    ) -> None:
        self.edges = np.asarray(edges, dtype=np.float64)
        if self.edges.ndim != 1 or len(self.edges) < 2 or not (np.diff(self.edges) > 0).all():
            raise ValueError(f"edges must be two or more rising numbers, were {edges}")
        self.notation = replace(notation, signed=bool(self.edges[0] < 0))

    @property
    def bins(self) -> int:
        """T, the number of bins."""
        return len(self.edges) - 1

    @classmethod
    def learn(
        cls,
        values: npt.NDArray[np.float64],
        max_bins: int,
        counts: npt.NDArray[np.int64] | None = None,
        notation: Notation = PLAIN,
    ) -> NumberScale | None:
        """Edges at the quantiles of the training texts' numbers; None if there are fewer than two.

        Where there are no more than `max_bins` + 1 distinct values, each is an edge.

        Args:
            values: the numbers. Shape: (n,).
            max_bins: how many bins at most.
            counts: how often each value occurs; None: once. Shape: (n,).
            notation: how they were written.

        """
        known = np.isfinite(values)
        distinct, place = np.unique(values[known], return_inverse=True)
        often = np.bincount(place, None if counts is None else counts[known]).astype(np.int64)
        sizes = (max_bins, len(distinct), int(often.sum()))
        return cls.learn_rising([(distinct, often)], *sizes, notation)

    @classmethod
    def learn_rising(
        cls,
        pieces: Iterable[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]],
        max_bins: int,
        distinct: int,
        total: int,
        notation: Notation = PLAIN,
    ) -> NumberScale | None:
        """`learn` for values that are too many for the memory.

        Args:
            pieces: finite values, each once and rising over all pieces, and how often each occurs.
                Shapes: (n,), (n,).
            max_bins: how many bins at most.
            distinct: values in all pieces.
            total: occurrences in all pieces.
            notation: how they were written.

        """
        if distinct < 2:
            return None
        if distinct <= max_bins + 1:
            return cls(np.concatenate([values for values, _ in pieces]), notation)
        edges = _quantiles(pieces, total, np.linspace(0, 1, max_bins + 1))
        return cls(np.unique(edges), notation)

    def positions(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Position of each value in [0, T]; 0 where the value is NaN. Shape: as `values`.

        >>> NumberScale([1970, 1990, 2000]).positions(np.array([1970, 1980, 1995, 9999.0]))
        array([0. , 0.5, 1.5, 2. ], dtype=float32)
        """
        known = np.nan_to_num(values, nan=self.edges[0], posinf=np.inf, neginf=-np.inf)
        return np.interp(known, self.edges, np.arange(len(self.edges))).astype(np.float32)

    def outside(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether each value lies outside the edges, False where it is NaN. Shape: as `values`.

        >>> NumberScale([1970, 1990]).outside(np.array([1969, 1970, 1990, 1990.5])).tolist()
        [True, False, False, True]
        """
        found: npt.NDArray[np.bool_] = (values < self.edges[0]) | (values > self.edges[-1])
        return found

    def encode(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """The paper's vectors. Shape: (n,) -> (n, T), each component in [0, 1]."""
        passed = self.positions(values)[:, None] - np.arange(self.bins, dtype=np.float32)
        return np.clip(passed, 0.0, 1.0)


def scale_to_json(scale: NumberScale | None) -> dict[str, Any]:
    """What a saved reader says of its scale of numbers, as plain JSON values.

    How they are written is told only where it is not as it always was before it was told.
    """
    if scale is None:
        return {"number_edges": None}
    notation = scale.notation.to_json()
    edges = {"number_edges": scale.edges.tolist()}
    return edges | {"notation": notation} if notation else edges


def scale_from_json(values: Mapping[str, Any]) -> NumberScale | None:
    """The scale that `scale_to_json` described.

    Raises:
        KeyError, TypeError, ValueError: it describes none.

    """
    edges, notation = values["number_edges"], Notation.from_json(values.get("notation", {}))
    return None if edges is None else NumberScale(edges, notation)


def _quantiles(
    pieces: Iterable[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]],
    total: int,
    shares: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """`np.quantile` of values that occur several times each, without repeating them.

    Args:
        pieces: values that rise over all pieces, and how often each occurs.
        total: occurrences in all pieces.
        shares: in [0, 1]. Shape: (n,).

    >>> rising = [(np.array([1.0]), np.array([2])), (np.array([3.0]), np.array([1]))]
    >>> _quantiles(rising, 3, np.array([0.5, 0.75])).tolist()
    [1.0, 2.0]
    """
    place = shares * (total - 1)
    fraction = place - np.floor(place)
    ranks = np.stack([np.floor(place), np.minimum(np.floor(place) + 1, total - 1)])
    found, before = np.empty_like(ranks), 0
    for values, counts in pieces:
        ends = before + np.cumsum(counts)
        here = (before <= ranks) & (ranks < ends[-1])
        found[here] = values[np.searchsorted(ends, ranks[here], side="right")]
        before = int(ends[-1])
    low, high = found
    rise = high - low
    near_low, near_high = low + rise * fraction, high - rise * (1 - fraction)
    result: npt.NDArray[np.float64] = np.where(fraction < 0.5, near_low, near_high)
    return result
