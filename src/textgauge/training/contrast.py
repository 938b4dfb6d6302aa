"""An encoder's first lesson where texts are few: which of them are alike.

A head that starts from nothing tells an encoder little while it has seen a handful of texts, and
stopping by the loss of fewer still comes too soon. Pairs are many even then: n texts make n squared
of them. So the encoder is first trained to put texts of one label near each other and those of
different labels apart: Khosla et al., "Supervised Contrastive Learning" (NeurIPS 2020), equation 2,
as Tunstall et al. do with pairs ("Efficient Few-Shot Learning Without Prompts", 2022).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..models.pretrained import PretrainedEncoder
from .adam import Adam, shorten
from .batches import Batch, EncodedTexts, Index
from .chance import begin_epoch
from .devices import half_where_it_pays

STEPS = 60
"""In all, however many texts there are."""

TEXTS_AT_ONCE, TOKENS_AT_ONCE = 64, 8_192
"""Of a step, all of whose pairs count: so many at most, and fewer where they are long."""

TOKENS_OF_A_PART = 512
"""Texts of similar length are read together; with fewer tokens a product is too small to pay."""

LEARNING_RATE = 2e-5
"""At its highest: it rises over the first tenth of the steps, and falls to nothing."""

TEMPERATURE = 0.1
"""What similarities are divided by: how much the nearest texts count before the others."""

GRADIENT_NORM = 1.0

FAR = -1e9
"""How near a text is to itself, which nobody asks; finite, so that one alone has a gradient."""


def learn_likeness(
    encoder: PretrainedEncoder,
    train: EncodedTexts,
    seed: int,
    device: torch.device,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> None:
    """Train `encoder` in place on which texts have the same labels; it is left on `device`.

    Args:
        encoder: that can be trained.
        train: the texts.
        seed: of which texts a step has, and of what is dropped.
        device: where to compute.
        on_step: called after each step with its number and how many there are.

    """
    random = begin_epoch(seed, 0)
    encoder.to(device).train()
    optimizer = Adam(dict(encoder.named_parameters()), LEARNING_RATE)
    for step in range(1, STEPS + 1):
        batch = train.batch(some_texts(train.encoded.lengths, random))
        optimizer.zero_grad()
        with half_where_it_pays(device, True):
            read = [
                encoder(part.ids.to(device), part.lengths.to(device))
                for part in batch.parts(TOKENS_OF_A_PART)
            ]
        loss = contrastive_loss(torch.cat(read).float(), likeness(batch).to(device))
        loss.backward()  # type: ignore[no-untyped-call]
        shorten(encoder.parameters(), GRADIENT_NORM)
        optimizer.step(min(10 * step / STEPS, 1.0) * (1 - (step - 1) / STEPS))
        on_step(step, STEPS)
    optimizer.zero_grad()


def some_texts(lengths: npt.NDArray[np.int32], random: np.random.Generator) -> Index:
    """The texts of a step, at random, two at least, the short ones first.

    Args:
        lengths: tokens of each text. Shape: (texts,).
        random: what draws them.

    """
    order = random.permutation(len(lengths))[:TEXTS_AT_ONCE]
    fit = np.searchsorted(np.cumsum(lengths[order]), TOKENS_AT_ONCE, side="right")
    order = order[: max(int(fit), 2)]
    return order[np.argsort(lengths[order], kind="stable")]


def likeness(batch: Batch) -> Tensor:
    """How far the labels of two texts are the same: what both have, of what either has.

    1 for two texts of one label or of one set, 0 where no label is common; a text without labels is
    like none.

    Returns:
        Shape: (texts, texts), in [0, 1].

    """
    rows = batch.targets.sum(1) if batch.sets is None else batch.sets.rows
    here = batch.targets[:, batch.targets.any(0)]  # Of thousands of labels a step has few.
    share = here / rows.unsqueeze(1)
    common = torch.minimum(share.unsqueeze(1), share.unsqueeze(0)).sum(2)
    return common / (share.sum(1, keepdim=True) + share.sum(1) - common).clamp(min=1e-9)


def contrastive_loss(features: Tensor, alike: Tensor) -> Tensor:
    """How unlikely each text finds those that are like it, among all others, by their angles.

    Args:
        features: Shape: (texts, width).
        alike: how much each should be like each; see `likeness`. Shape: (texts, texts).

    Returns:
        Nats, the mean over the texts that are like another; 0 without any.

    """
    unit = torch.nn.functional.normalize(features, dim=1)
    itself = torch.eye(len(alike), dtype=torch.bool, device=alike.device)
    near = (unit @ unit.T / TEMPERATURE).masked_fill(itself, FAR)
    surprise = (near.logsumexp(1, keepdim=True) - near).masked_fill(itself, 0.0)
    alike = alike.masked_fill(itself, 0.0)
    weight = alike.sum(1)
    found = (surprise * alike).sum(1) / weight.clamp(min=1e-9)
    return found.sum() / (weight > 0).sum().clamp(min=1)
