"""Weights of kinds of texts by label, added up where there are thousands of labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WeightsByLabel:
    """A weight of each kind and label, of which only those that are not 0 are held: most are.

    Attributes:
        kind: Shape: (n,).
        label: rising. Shape: (n,).
        weight: Shape: (n,).
        labels: how many there are.

    """

    kind: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    weight: Floats
    labels: int

    @classmethod
    def of(
        cls,
        kind: npt.NDArray[np.int64],
        label: npt.NDArray[np.int64],
        weight: Floats,
        labels: int,
    ) -> WeightsByLabel:
        """Add up. Shapes: (n,)."""
        kinds = int(kind.max(initial=0)) + 1
        cells, place = np.unique(label * kinds + kind, return_inverse=True)
        sums = np.bincount(place.reshape(-1), weight, len(cells)).astype(np.float64)
        kept = sums > 0
        of_label, of_kind = divmod(cells[kept], kinds)
        return cls(of_kind, of_label, sums[kept], labels)

    def sums(self, often: Floats) -> Floats:
        """Of kinds that occur so often. Shape: (draws, kinds) -> (draws, labels)."""
        found = np.zeros((len(often), self.labels))
        present, starts = np.unique(self.label, return_index=True)
        if len(present):
            of_each = often[:, self.kind] * self.weight
            found[:, present] = np.add.reduceat(of_each, starts, axis=1)
        return found

    def texts(self, of_kind: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Texts of each label, where each kind has so many. Shape: (labels,)."""
        return np.bincount(self.label, of_kind[self.kind], self.labels).astype(np.int64)
