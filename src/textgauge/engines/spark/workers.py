"""The workers of a training, joined by torch.distributed; see `training.world.World`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...training.batches import Batch
from ...training.world import Alone

PATIENCE = timedelta(minutes=10)
"""How long a worker waits for the others: one that loads a shard may be slow."""


class Together(Alone):
    """One of several workers."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def share(self, model: nn.Module) -> nn.Module:
        """See `World.share`."""
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def sum(self, value: Tensor) -> Tensor:
        """See `World.sum`."""
        if self.size == 1:
            return value
        total = value.clone()
        dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Whether it holds for any worker."""
        return bool(self.sum(torch.tensor([int(flag)]))[0])

    def in_step(self, batches: Iterable[Batch], classes: int) -> Iterator[tuple[Batch, int]]:
        """See `World.in_step`."""
        if self.size == 1:
            yield from super().in_step(batches, classes)
            return
        # One text of one unknown word, in no row: it adds nothing to any sum.
        idle = Batch(
            torch.ones(1, 1, dtype=torch.int64),
            torch.zeros(1, 1),
            torch.ones(1, dtype=torch.int64),
            torch.zeros(1, classes),
        )
        mine = iter(batches)
        while True:
            batch = next(mine, None)
            mine_now = 0 if batch is None else len(batch.lengths)
            texts = int(self.sum(torch.tensor([mine_now]))[0])
            if not texts:
                return
            yield batch or idle, texts


@contextmanager
def joined(rank: int, size: int) -> Iterator[Together]:
    """Join the workers, and part in the end. A single one has nobody to join."""
    if size > 1:
        dist.init_process_group("gloo", rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Together(rank, size)
    finally:
        if size > 1:
            dist.destroy_process_group()
