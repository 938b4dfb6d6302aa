"""How many rows and distinct texts were seen, in bounded memory.

Used by every way of scoring a table, also on Spark's executors, where numpy must not be imported
with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .reading import NOTHING_READ, RowsRead

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

COUNTED = 2**16
"""Distinct texts up to which they are counted; beyond, their number is estimated."""


@dataclass(frozen=True)
class Tally:
    """Rows, and the smallest hashes of the distinct texts among them.

    The smallest `COUNTED` of uniform hashes tell how many there are (Bar-Yossef et al. 2002,
    "Counting distinct elements in a data stream", algorithm 2), with a relative error of about
    1/sqrt(COUNTED) = 0.4 %; as long as there are fewer, they are a plain count.

    Attributes:
        rows: rows.
        hashes: sorted, distinct. Shape: (at most COUNTED,), uint64. None stands for none.
        read: how much of the rows the model could read.

    """

    rows: int = 0
    hashes: npt.NDArray[np.uint64] | None = None
    read: RowsRead = NOTHING_READ

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        if self.hashes is None or other.hashes is None:
            hashes = self.hashes if other.hashes is None else other.hashes
        else:
            import numpy as np

            hashes = np.union1d(self.hashes, other.hashes)[:COUNTED]
        return Tally(self.rows + other.rows, hashes, self.read.plus(other.read))

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
