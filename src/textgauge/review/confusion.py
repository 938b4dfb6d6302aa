"""Which labels are taken for which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MANY_LABELS = 1_000
"""Labels up to which everything is worked out for each label by itself and for each two of them. Of
more, a review leaves out what would take minutes and gigabytes, and tells no one anything."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Confusion:
    """How many rows of each label are called each label.

    Most pairs of labels never meet, so that only those that do are held.

    Attributes:
        labels: how many there are.
        cells: true label, called label and rows, one or more, in the order of the labels.

    """

    labels: int
    cells: tuple[tuple[int, int, int], ...]

    @classmethod
    def count(cls, true: Ints, called: Ints, rows: Ints, labels: int) -> Confusion:
        """Count pairs of true and called label, each `rows` times. Shapes: (n,)."""
        pairs, place = np.unique(true * labels + called, return_inverse=True)
        sums = np.bincount(place.reshape(-1), rows, len(pairs)).astype(np.int64)
        kept = sums > 0
        cells = zip(*divmod(pairs[kept], labels), sums[kept], strict=True)
        return cls(labels, tuple((int(a), int(b), int(n)) for a, b, n in cells))

    @classmethod
    def of(cls, matrix: Iterable[Sequence[int]]) -> Confusion:
        """From one row a true label and one column a called one."""
        cells = np.array(list(matrix))
        return cls(
            len(cells), tuple((int(a), int(b), int(cells[a, b])) for a, b in np.argwhere(cells))
        )

    def __iter__(self) -> Iterator[list[int]]:
        """The row of each true label, a number for each called one."""
        of_label: dict[int, list[tuple[int, int]]] = {}
        for true, called, rows in self.cells:
            of_label.setdefault(true, []).append((called, rows))
        for label in range(self.labels):
            line = [0] * self.labels
            for called, rows in of_label.get(label, ()):
                line[called] = rows
            yield line

    @property
    def right(self) -> Ints:
        """Rows of each label that are called so. Shape: (labels,)."""
        return self._sums(0, [cell for cell in self.cells if cell[0] == cell[1]])

    @property
    def support(self) -> Ints:
        """Rows of each label. Shape: (labels,)."""
        return self._sums(0, self.cells)

    @property
    def called(self) -> Ints:
        """Rows that are called each label. Shape: (labels,)."""
        return self._sums(1, self.cells)

    def _sums(self, column: int, cells: Sequence[tuple[int, int, int]]) -> Ints:
        values = np.array(cells, dtype=np.int64).reshape(-1, 3)
        return np.bincount(values[:, column], values[:, 2], self.labels).astype(np.int64)

    def wrong(self, most: int) -> list[tuple[int, int, int]]:
        """The most frequent cells of two different labels, the first label's first among equals."""
        cells = [cell for cell in self.cells if cell[0] != cell[1]]
        return sorted(cells, key=lambda cell: -cell[2])[:most]

    def to_json(self) -> list[list[int]]:
        """A list a true label; none of more than `MANY_LABELS`."""
        return list(self) if self.labels <= MANY_LABELS else []
