"""Chance comes from the seed, the epoch and the worker, and from nothing else."""

from __future__ import annotations

import torch

from textgauge.training.chance import begin_epoch


def drawn(seed: int, epoch: int, worker: int = 0) -> tuple[tuple[int, ...], tuple[float, ...]]:
    order = begin_epoch(seed, epoch, worker).permutation(50)
    return tuple(order.tolist()), tuple(torch.rand(5).tolist())


def test_an_epoch_draws_the_same_whatever_was_drawn_before() -> None:
    first = drawn(3, 2)
    torch.rand(7)
    drawn(3, 1)
    assert drawn(3, 2) == first


def test_seeds_epochs_and_workers_draw_apart() -> None:
    draws = [drawn(*of) for of in ((0, 1), (1, 1), (0, 2), (0, 1, 1), (1, 0))]
    for part in (0, 1):
        assert len({draw[part] for draw in draws}) == len(draws)
