"""Small decision trees over what stands in a text: CART by Gini impurity, the best split first.

Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees" (1984). The same as
scikit-learn's `DecisionTreeClassifier` with `max_leaf_nodes`, whose import takes longer than all of
this; a test holds the two equal. Of splits that are as good, the first column is taken, so that
equal texts always give equal trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_SAME = 1e-9
"""Gains that differ by less, as a share of the tree's impurity, are equal."""


@dataclass(frozen=True)
class Columns:
    """What trees may ask of texts.

    Attributes:
        text: which text has a mark. Shape: (marks,).
        mark: which one it has, each once a text; such as a word. Shape: (marks,).
        marks: how many different ones there are.
        values: numbers of the texts, NaN where there is none. Shape: (numbers, texts).

    """

    text: Index
    mark: Index
    marks: int
    values: Floats


@dataclass(frozen=True)
class Cut:
    """A question to a text.

    Attributes:
        column: a mark (has the text got it?), or `Columns.marks` + a number (is it below?).
        low: the largest number below the cut among the texts that were asked; NaN for a mark.
        high: the smallest number above it.

    """

    column: int
    low: float = np.nan
    high: float = np.nan


@dataclass(frozen=True)
class Node:
    """A leaf, or a question with what follows from both answers.

    Attributes:
        weights: of the labels, in all texts that come here. Shape: (classes,).
        cut: the question; None for a leaf.
        yes: where the text has the mark, or the number is below; None for a leaf.
        no: where it is not so, which includes texts without a number.

    """

    weights: Floats
    cut: Cut | None = None
    yes: Node | None = None
    no: Node | None = None


@dataclass
class _Growing:
    """A leaf that may still be split, its best split known."""

    members: npt.NDArray[np.bool_]
    weights: Floats
    depth: int
    gain: float
    cut: Cut | None
    yes: _Growing | None = None
    no: _Growing | None = None

    def done(self) -> Node:
        if self.yes is None or self.no is None:
            return Node(self.weights)
        return Node(self.weights, self.cut, self.yes.done(), self.no.done())


def grow(
    columns: Columns,
    label: Index,
    weight: Floats,
    classes: int,
    *,
    leaves: int,
    depth: int,
    texts: int = 1,
    gain: float = 0.0,
) -> Node:
    """The tree that splits the labels best, one split after another.

    Args:
        columns: what may be asked.
        label: of each text. Shape: (texts,).
        weight: of each text. Shape: (texts,).
        classes: number of labels.
        leaves: of the tree at most.
        depth: questions to a text at most.
        texts: in each leaf at least.
        gain: of impurity by each split at least, as a share of that of all texts.

    """
    grower = _Grower(columns, label, weight, classes, texts)
    root = grower.leaf(np.ones(len(label), dtype=np.bool_), 0)
    least = max(gain, _SAME) * grower.unit
    grown = [root]
    while len(grown) < leaves:
        best = max(
            (leaf for leaf in grown if leaf.cut is not None and leaf.depth < depth),
            key=lambda leaf: leaf.gain,
            default=None,
        )
        if best is None or best.gain < least or best.cut is None:
            break
        inside = best.members & grower.answers(best.cut)
        best.yes = grower.leaf(inside, best.depth + 1)
        best.no = grower.leaf(best.members & ~inside, best.depth + 1)
        at = next(place for place, leaf in enumerate(grown) if leaf is best)
        grown[at : at + 1] = [best.yes, best.no]
    return root.done()


class _Grower:
    def __init__(
        self, columns: Columns, label: Index, weight: Floats, classes: int, texts: int
    ) -> None:
        self._columns, self._label, self._weight = columns, label, weight
        self._classes, self._texts = classes, texts
        self.unit = float(_impurity(self._sums(np.ones(len(label), dtype=np.bool_))[None])[0])

    def _sums(self, members: npt.NDArray[np.bool_]) -> Floats:
        sums = np.bincount(self._label[members], self._weight[members], self._classes)
        return sums.astype(np.float64)

    def answers(self, cut: Cut) -> npt.NDArray[np.bool_]:
        """Which texts say yes. Shape: (texts,)."""
        columns = self._columns
        if cut.column >= columns.marks:
            known: npt.NDArray[np.bool_] = columns.values[cut.column - columns.marks] <= cut.low
            return known
        found = np.zeros(len(self._label), dtype=np.bool_)
        found[columns.text[columns.mark == cut.column]] = True
        return found

    def leaf(self, members: npt.NDArray[np.bool_], depth: int) -> _Growing:
        """A leaf of these texts, with the split that is best there."""
        sums, count = self._sums(members), int(members.sum())
        found = _Growing(members, sums, depth, 0.0, None)
        if count >= 2 * self._texts and np.count_nonzero(sums) > 1:
            for gains, cuts in self._candidates(members, sums, count):
                if not len(gains):
                    continue
                steps = np.round(gains / (self.unit * _SAME))
                at = int(steps.argmax())
                if steps[at] > np.round(found.gain / (self.unit * _SAME)):
                    found.gain, found.cut = float(gains[at]), cuts(at)
        return found

    def _candidates(
        self, members: npt.NDArray[np.bool_], sums: Floats, count: int
    ) -> Iterator[tuple[Floats, Callable[[int], Cut]]]:
        """Gains of splits, and what the split at a place is: of all marks, then of each number."""
        columns, classes = self._columns, self._classes
        here = members[columns.text]
        text, mark = columns.text[here], columns.mark[here]
        cells = (
            np.bincount(
                mark * classes + self._label[text], self._weight[text], columns.marks * classes
            )
            .reshape(-1, classes)
            .astype(np.float64)
        )
        sizes = np.bincount(mark, minlength=columns.marks)
        yield self._gains(cells, sizes, sums, count), Cut
        for number, values in enumerate(columns.values):
            known = np.flatnonzero(members & ~np.isnan(values))
            rising, place = np.unique(values[known], return_inverse=True)
            if len(rising) < 2:
                continue
            counted = np.bincount(
                place * classes + self._label[known], self._weight[known], len(rising) * classes
            ).reshape(-1, classes)
            below, sizes = (
                counted.cumsum(0, dtype=np.float64)[:-1],
                np.bincount(place).cumsum()[:-1],
            )
            yield self._gains(below, sizes, sums, count), _cuts(columns.marks + number, rising)

    def _gains(self, yes: Floats, sizes: Index, sums: Floats, count: int) -> Floats:
        """Impurity that goes with each split; none where too few texts would come to one side."""
        gains = _impurity(sums[None]) - _impurity(yes) - _impurity(sums - yes)
        possible = (sizes >= self._texts) & (count - sizes >= self._texts)
        return np.where(possible, gains, 0.0)


def _cuts(column: int, rising: Floats) -> Callable[[int], Cut]:
    """The cut behind the number at a place."""
    return lambda at: Cut(column, float(rising[at]), float(rising[at + 1]))


def _impurity(weights: Floats) -> Floats:
    """Gini impurity times weight. Shape: (n, classes) -> (n,).

    >>> _impurity(np.array([[2.0, 2.0], [3.0, 0.0]])).tolist()
    [2.0, 0.0]
    """
    total = weights.sum(1)
    left: Floats = total - np.square(weights).sum(1) / np.maximum(total, 1e-300)
    return left
