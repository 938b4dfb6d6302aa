"""Where a training's chance comes from: the seed, the epoch and the worker, and nothing else.

So a training that stops after any epoch goes on as if it had not, and workers that share an epoch
draw apart without asking each other.
"""

from __future__ import annotations

import numpy as np
import torch


def begin_epoch(seed: int, epoch: int, worker: int = 0) -> np.random.Generator:
    """Seed torch for the epoch (dropout), and give the generator of its order of the texts.

    Args:
        seed: of the training.
        epoch: its number, from 1.
        worker: of several that train together, from 0.

    """
    source = np.random.SeedSequence((seed, epoch, worker))
    torch.manual_seed(int(source.generate_state(1, np.uint64)[0] >> 1))
    return np.random.default_rng(source)
