"""The workers of a training, joined by torch.distributed; see `training.world.World`."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...errors import EngineError
from ...training.batches import Batch
from ...training.world import Alone

PATIENCE = timedelta(minutes=10)
"""How long a worker waits for the others: one that loads a shard may be slow."""


class Together(Alone):
    """One of several workers."""

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device

    def share(self, model: nn.Module) -> nn.Module:
        """See `World.share`."""
        if self.size == 1:
            return model
        devices = None if self.device.type == "cpu" else [self.device]
        return nn.parallel.DistributedDataParallel(model, device_ids=devices)

    def sum(self, value: Tensor) -> Tensor:
        """See `World.sum`."""
        if self.size == 1:
            return value
        total = value.to(self.device, copy=True)  # NCCL adds up what lies on GPUs alone.
        dist.all_reduce(total)
        return total.to(value.device)

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
            yield (batch or idle).on(self.device), texts


def device_of(gpu: bool, place: int) -> torch.device:
    """Where a worker computes.

    Args:
        gpu: whether each worker has a GPU of its own.
        place: the number of this worker among those of its machine.

    Raises:
        EngineError: this machine's torch sees no such GPU.

    """
    if not gpu:
        return torch.device("cpu")
    seen = torch.cuda.device_count()
    if place >= seen:
        raise EngineError(
            f"Spark gives each task a GPU, and torch {torch.__version__} sees {seen} of them on "
            f"{socket.gethostname()}. Install a torch for this machine's CUDA there, or let Spark "
            "give tasks no GPU (spark.task.resource.gpu.amount)."
        )
    return torch.device("cuda", place)


@contextmanager
def joined(rank: int, size: int, device: torch.device) -> Iterator[Together]:
    """Join the workers, and part in the end. A single one has nobody to join."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size > 1:
        way = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(way, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Together(rank, size, device)
    finally:
        if size > 1:
            dist.destroy_process_group()
