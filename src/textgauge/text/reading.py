"""How much of texts a model could read: the words it knows, the numbers within its range.

Carried along with every saved model, and to Spark's executors, where polars must not be imported
with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class RowsRead:
    """How much of some rows a model could read, summed up.

    Attributes:
        rows: with a text.
        tokens: that were read: words, numbers and signs.
        unknown: of these, tokens that have no id of their own.
        outside: rows with a number outside the range that the model was trained on.

    """

    rows: int = 0
    tokens: int = 0
    unknown: int = 0
    outside: int = 0

    def plus(self, other: RowsRead) -> RowsRead:
        """Both together."""
        return RowsRead(
            self.rows + other.rows,
            self.tokens + other.tokens,
            self.unknown + other.unknown,
            self.outside + other.outside,
        )

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that the model does not know, in [0, 1]."""
        return self.unknown / max(self.tokens, 1)

    @property
    def outside_share(self) -> float:
        """Share of the rows with a number outside the trained range, in [0, 1]."""
        return self.outside / max(self.rows, 1)


NOTHING_READ = RowsRead()


@dataclass(frozen=True)
class Reading:
    """How much of each text a model could read. See `RowsRead`.

    Attributes:
        tokens: of each distinct text. Shape: (distinct,), int32.
        unknown: Shape: (distinct,), int32.
        outside: whether a number lies outside the trained range. Shape: (distinct,).
        place: of each text among the distinct ones; None where they are the same. Shape: (texts,).

    """

    tokens: npt.NDArray[np.int32]
    unknown: npt.NDArray[np.int32]
    outside: npt.NDArray[np.bool_]
    place: npt.NDArray[np.integer[Any]] | None = None

    def each(self) -> Reading:
        """The same with the figures of every text by themselves, without `place`."""
        if self.place is None:
            return self
        return Reading(self.tokens[self.place], self.unknown[self.place], self.outside[self.place])

    def summed(self, rows: npt.NDArray[Any]) -> RowsRead:
        """Over rows: how many each text stands for, or whether it counts. Shape: (texts,)."""
        if self.place is not None:
            import numpy as np

            if rows.dtype == np.bool_:  # Counted, which costs less than adding weights up.
                chosen = self.place if rows.all() else self.place[rows]
                rows = np.bincount(chosen, minlength=len(self.tokens))
            else:
                rows = np.bincount(self.place, rows, len(self.tokens)).astype(np.int64)
        return RowsRead(
            int(rows.sum()),
            *(int((each * rows).sum()) for each in (self.tokens, self.unknown, self.outside)),
        )
