"""How far two distributions lie apart, and whether that is more than chance.

The distance is total variation, half the sum of the differences of all shares: the share of the
rows that would have to be others for the two to agree (Levin and Peres, "Markov Chains and Mixing
Times", 2017, section 4.1). A difference matters only if it is large, for in a large table any
difference is more than chance; and only if it is more than chance, for in a small table a large one
need not be. Chance is what the chi-squared test of homogeneity says of the distinct texts (Pearson,
1900), since the rows of a text are no evidence of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

LARGE = 0.1
"""Total variation distance from which on a difference matters."""

CHANCE = 0.001
"""How likely chance may be to make a difference that matters."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """How far two distributions lie apart.

    Attributes:
        distance: total variation of the shares of rows, in [0, 1].
        p_value: how likely chance alone is to tell the distinct texts so far apart.
        normal: the distance of the model's own test part, which it was judged on; 0 for a table.

    """

    distance: float
    p_value: float
    normal: float = 0.0

    @property
    def matters(self) -> bool:
        """Whether it is large beyond what is normal, and more than chance."""
        return self.distance - self.normal >= LARGE and self.p_value < CHANCE


def difference(rows: Ints, other_rows: Ints, texts: Ints, other_texts: Ints) -> Difference:
    """Of counts in the same cells. Shape of each: (cells,)."""
    one, other = (each / max(each.sum(), 1) for each in (rows, other_rows))
    distance = float(np.abs(one - other).sum() / 2)
    return Difference(distance, chi_squared_p(np.stack([texts, other_texts])))


def chi_squared_p(counts: Ints) -> float:
    """How likely chance alone tells two rows of counts so far apart, in [0, 1].

    Pearson's chi-squared test of homogeneity. Cells in which one of the rows should have fewer than
    5 are taken together (Cochran, 1954); with more than two cells the tail is that of Wilson and
    Hilferty (1931), right to about 0.005.

    Args:
        counts: Shape: (2, cells).

    >>> round(chi_squared_p(np.array([[30, 70], [50, 50]])), 3)
    0.004
    """
    totals = counts.sum(1)
    if not totals.all():
        return 1.0
    expected = np.outer(totals, counts.sum(0)) / totals.sum()
    rare = expected.min(0) < 5
    if rare.any():
        counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(1)])
        expected = np.column_stack([expected[:, ~rare], expected[:, rare].sum(1)])
    filled = expected.min(0) > 0
    counts, expected = counts[:, filled], expected[:, filled]
    freedom = counts.shape[1] - 1
    if freedom < 1:
        return 1.0
    statistic = float(((counts - expected) ** 2 / expected).sum())
    if freedom == 1:
        return erfc((statistic / 2) ** 0.5)
    spread = 2 / (9 * freedom)
    score = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5
    return 1 - NormalDist().cdf(score)
