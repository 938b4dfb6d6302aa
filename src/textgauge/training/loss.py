"""The loss, in its one place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


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
