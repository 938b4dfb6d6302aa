"""An encoder's two parts together: how much the deep one counts, and how much the wide one.

Both are calibrated by themselves, and the logits of a text become a weighted mean of the two, as in
stacking (Wolpert, "Stacked Generalization", Neural Networks 5, 1992): the share of least
cross-entropy on the validation texts, which neither part has learned from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..config import Config
from ..models.encoder import EncoderClassifier
from ..text.reader import TextReader
from .batches import EncodedTexts
from .calibration import temperature_of
from .linear import Weighed
from .loop import predict_logits
from .loss import row_losses, set_losses

SHARES = 21
"""Shares that are tried, evenly from 0 to 1."""

PRIOR = 4.0
"""How strongly few texts are doubted that want another share than is expected: the loss of all is
raised by so many nats times the square of the distance from it."""

EXPECTED, EXPECTED_BESIDE_CONTRAST = 0.5, 0.0
"""Share of the wide part that is expected. Beside an encoder that has learned which of few texts
are alike, single words add nothing that so few validation texts could show."""

Floats = npt.NDArray[np.float32]


class Factors(NamedTuple):
    """What the logits of the two parts are multiplied by before they are added up."""

    deep: float
    wide: float


def join(
    model: EncoderClassifier,
    reader: TextReader,
    train: EncodedTexts,
    val: EncodedTexts,
    config: Config,
    label_weights: Floats | None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> Factors:
    """Find the wide part of `model`, whose deep part is trained, and how much either counts.

    Raises:
        SettingsError: there are too many labels and pieces for a wide part.

    """
    weighed = Weighed.learn(model.wide, reader, train)
    weighed.give_weights(model.wide, config, label_weights, on_step)
    plain = replace(val, encoded=replace(val.encoded, features=None))
    factors = find_factors(
        predict_logits(model, val),
        predict_logits(model.wide, plain),
        val,
        label_weights,
        expected=EXPECTED_BESIDE_CONTRAST if config.contrast else EXPECTED,
    )
    model.join(*factors)
    return factors


def find_factors(
    deep: Floats,
    wide: Floats,
    val: EncodedTexts,
    label_weights: Floats | None = None,
    *,
    expected: float = EXPECTED,
) -> Factors:
    """What to multiply the logits of the two parts by.

    Args:
        deep: logits of `val`. Shape: (texts, classes).
        wide: likewise.
        val: the validation texts.
        label_weights: as in training.
        expected: share of the wide part, which few texts do not move far.

    """
    of_deep = temperature_of(deep, val, label_weights)
    of_wide = temperature_of(wide, val, label_weights)
    deep, wide = deep / of_deep, wide / of_wide
    doubt = PRIOR / max(val.rows, 1)
    losses = {}
    for share in np.linspace(0.0, 1.0, SHARES).tolist():
        both = ((1 - share) * deep + share * wide).astype(np.float32)
        both /= temperature_of(both, val, label_weights)
        losses[share] = _loss(both, val, label_weights) + doubt * (share - expected) ** 2
    share = min(losses, key=losses.__getitem__)
    return Factors((1 - share) / of_deep, share / of_wide)


def _loss(logits: Floats, texts: EncodedTexts, label_weights: Floats | None) -> float:
    """Nats a row."""
    scores, targets = torch.from_numpy(logits), torch.from_numpy(texts.targets())
    weights = None if label_weights is None else torch.from_numpy(label_weights)
    if texts.has_sets:
        rows = torch.from_numpy(texts.labelled.text_rows).float()
        weights = torch.ones(2, texts.classes) if weights is None else weights
        found = set_losses(scores, targets, rows, weights)
    else:
        found = row_losses(scores, targets if weights is None else targets * weights)
    return float(found.double().sum()) / max(texts.rows, 1)
