"""The loss, in its one place: what logits are held against, of one label a row or of several.

`Loss` is what the loop, the calibration and the first weights ask. Where a row has one label, all
logits together are a softmax (`OneLabel`). Where it has a set of them, each logit is a sigmoid of
its own (`SetsOfLabels`), and a text whose rows have different sets learns the share of each label.
The counterpart that makes probabilities and decisions of the same logits is the rule that a saved
model carries: `bundle.decision.DecisionRule` and `bundle.label_sets.SetRule`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from .batches import Batch, Texts


def two_sided(logits: Tensor) -> Tensor:
    """A column for every label: a single logit z of a two-label model stands for (0, z).

    Shape: (texts, 1 or classes) -> (texts, classes).
    """
    return torch.nn.functional.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits


def row_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy summed over the rows that each text stands for, in nats.

    Args:
        logits: Shape: (texts, 1 or classes).
        targets: weight of each label, the number of rows as a rule. Shape: (texts, classes).

    Returns:
        Shape: (texts,).

    """
    return -(targets * torch.log_softmax(two_sided(logits), dim=1)).sum(1)


def correct_rows(logits: Tensor, targets: Tensor) -> Tensor:
    """Rows whose label is the most probable one, for each text. Shape: (texts,)."""
    predicted = two_sided(logits).argmax(1, keepdim=True)
    return targets.gather(1, predicted).squeeze(1)


def balanced_weights(label_rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """A weight for each label that gives all labels the same total, and a mean of 1 over the rows.

    As scikit-learn's "balanced": rows / (labels * rows of the label). Labels that train does not
    have weigh 0.

    >>> balanced_weights(np.array([10, 30])).tolist()
    [2.0, 0.6666666865348816]
    """
    present = label_rows > 0
    share = label_rows.sum() / (present.sum() * np.maximum(label_rows, 1))
    return np.where(present, share, 0).astype(np.float32)


def set_losses(logits: Tensor, targets: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropies of all labels, summed over the rows of each text, in nats.

    Without weights that is the surprise at the rows' sets, were the labels independent.

    Args:
        logits: Shape: (texts, classes).
        targets: rows of each text with each label. Shape: (texts, classes).
        rows: of each text. Shape: (texts,).
        weights: of rows without and with each label. Shape: (2, classes).

    Returns:
        Shape: (texts,).

    """
    without = rows.unsqueeze(1) - targets
    found = weights[1] * targets * torch.nn.functional.logsigmoid(logits)
    found = found + weights[0] * without * torch.nn.functional.logsigmoid(-logits)
    return -found.sum(1)


def balanced_set_weights(label_rows: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.float32]:
    """For each label, weights that give the rows with it and those without the same total.

    The mean weight of a row is 1 for each label. A label that no row has, or every row, weighs 1.

    Returns:
        Of rows without and with the label. Shape: (2, classes).

    >>> balanced_set_weights(np.array([10]), 40).tolist()
    [[0.6666666865348816], [2.0]]
    """
    both = np.stack([rows - label_rows, label_rows])
    return np.where((both > 0).all(0), rows / (2 * np.maximum(both, 1)), 1.0).astype(np.float32)


def smoothed(targets: Tensor, rows: Tensor, labels: int, share: float) -> Tensor:
    """Targets of which a share is spread evenly over `labels`.

    Label smoothing: Szegedy et al., "Rethinking the Inception Architecture" (CVPR 2016), section 7.

    Args:
        targets: weight of each label. Shape: (texts, classes).
        rows: weight of all of them together. Shape: (texts, 1).
        labels: over which it is spread.
        share: in [0, 1).

    """
    return (1 - share) * targets + (share / labels) * rows if share else targets


class Loss(Protocol):
    """What training minimises; see the module."""

    def weights(self, label_rows: npt.NDArray[np.int64], rows: int, *, balanced: bool) -> Tensor:
        """Of the labels, by the rows of each and of all; "balanced" as the settings call it."""

    def total(self, weights: Tensor, train: Texts) -> float:
        """The weight of all rows."""

    def of_texts(
        self, logits: Tensor, batch: Batch, weights: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        """The loss of each text, summed over its rows, in nats. Shape: (texts,).

        `smoothing` is the share of each row's weight that is spread over all labels; where a row
        has a set of them, over having a label and lacking it.
        """

    def right(self, logits: Tensor, batch: Batch) -> Tensor:
        """How many rows are decided rightly, by text or by rows that agree. Shape: (n,)."""


class OneLabel:
    """A row has one label: cross-entropy of a softmax. What is most probable is decided."""

    def weights(self, label_rows: npt.NDArray[np.int64], rows: int, *, balanced: bool) -> Tensor:
        """See `Loss.weights`. Shape: (classes,)."""
        if balanced:
            return torch.from_numpy(balanced_weights(label_rows))
        return torch.ones(len(label_rows))

    def total(self, weights: Tensor, train: Texts) -> float:
        """See `Loss.total`."""
        return float((weights * torch.from_numpy(train.label_rows).float()).sum())

    def of_texts(
        self, logits: Tensor, batch: Batch, weights: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        """See `Loss.of_texts`."""
        targets = batch.targets * weights
        rows = targets.sum(1, keepdim=True)
        return row_losses(logits, smoothed(targets, rows, targets.shape[1], smoothing))

    def right(self, logits: Tensor, batch: Batch) -> Tensor:
        """See `Loss.right`."""
        return correct_rows(logits, batch.targets)


class SetsOfLabels:
    """A row has a set of labels: a binary cross-entropy a label.

    The labels of probability 1/2 and more are decided, for thresholds are found after the training;
    a row is right where these are exactly its labels.
    """

    def weights(self, label_rows: npt.NDArray[np.int64], rows: int, *, balanced: bool) -> Tensor:
        """See `Loss.weights`. Shape: (2, classes)."""
        if balanced:
            return torch.from_numpy(balanced_set_weights(label_rows, rows))
        return torch.ones(2, len(label_rows))

    def total(self, weights: Tensor, train: Texts) -> float:
        """See `Loss.total`: the mean weight is 1."""
        return float(train.rows)

    def of_texts(
        self, logits: Tensor, batch: Batch, weights: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        """See `Loss.of_texts`."""
        assert batch.sets is not None
        rows = batch.sets.rows
        targets = smoothed(batch.targets, rows.unsqueeze(1), 2, smoothing)
        return set_losses(logits, targets, rows, weights)

    def right(self, logits: Tensor, batch: Batch) -> Tensor:
        """See `Loss.right`."""
        sets = batch.sets
        assert sets is not None
        same = ((logits >= 0)[sets.text] == sets.members).all(1)
        return sets.count * same


def loss_of(texts: Texts) -> Loss:
    """What suits the labels of some texts."""
    return SetsOfLabels() if texts.has_sets else OneLabel()
