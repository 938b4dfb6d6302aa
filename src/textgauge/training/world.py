"""Several workers that train one model together, or one alone.

Each has its share of the texts; what they have in common are the weights, and the sums that this
file is about. One alone sums nothing, so that the loop is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from .batches import Batch


class World(Protocol):
    """All workers of a training, seen from one of them."""

    @property
    def rank(self) -> int:
        """The number of this worker, from 0."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def device(self) -> torch.device:
        """Where this worker computes. What is summed, saved or loaded may lie elsewhere."""

    def share(self, model: nn.Module) -> nn.Module:
        """The model, such that a backward pass leaves every worker with the mean gradient."""

    def sum(self, value: Tensor) -> Tensor:
        """The sum of all workers' values; each gets the same."""

    def in_step(self, batches: Iterable[Batch], classes: int) -> Iterator[tuple[Batch, int]]:
        """Each step's batch of this worker, and how many texts all workers have in that step.

        The batches come on the worker's device.

        It ends when all workers have run out; one that has run out before takes part with texts
        that count for nothing.
        """


class Alone:
    """One worker; see `World`."""

    rank, size = 0, 1

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")

    def share(self, model: nn.Module) -> nn.Module:
        """See `World.share`."""
        return model

    def sum(self, value: Tensor) -> Tensor:
        """See `World.sum`."""
        return value

    def in_step(self, batches: Iterable[Batch], classes: int) -> Iterator[tuple[Batch, int]]:
        """See `World.in_step`."""
        for batch in batches:
            yield batch.on(self.device), len(batch.lengths)
