"""What each epoch reached."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One pass over the training texts. Losses in nats a row, accuracies in [0, 1], over rows.

    The training figures are running averages with dropout on, as Keras reports them;
    the validation figures are taken after the epoch with dropout off.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    seconds: float

    def metrics(self) -> dict[str, float]:
        """The figures that are tracked by step."""
        names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, float]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


def best_epoch(history: Iterable[Epoch]) -> Epoch:
    """The epoch with the lowest validation loss, the earlier one among equals."""
    return min(history, key=lambda epoch: epoch.val_loss)
