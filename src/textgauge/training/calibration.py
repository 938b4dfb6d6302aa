"""Probabilities that come true: one temperature for all logits, found on the validation texts.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2: logits are divided
by the number that gives the validation labels the least loss. No decision between labels changes.
The number is worked into the weights, so that whoever computes the logits has the right ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from .loop import predict_logits

if TYPE_CHECKING:
    from ..models.reading import Classifier
    from .batches import EncodedTexts

COLDEST, HOTTEST = 0.1, 10.0
"""Bounds of the temperature."""

CELLS = 2_000_000
"""Texts times labels that are looked at, at most."""

FEWEST = 500
"""Texts of one label each that are looked at in any case."""

STEPS = 30
"""Halvings of what is left between the bounds."""


class Calibrated(NamedTuple):
    """What `calibrate` found.

    Attributes:
        temperature: that the logits are divided by.
        logits: of the validation texts, divided. Shape: (texts, classes).

    """

    temperature: float
    logits: npt.NDArray[np.float32]


def calibrate(
    model: Classifier, val: EncodedTexts, weights: npt.NDArray[np.float32] | None = None
) -> Calibrated:
    """Give `model` the temperature that suits these texts.

    Args:
        model: on the processor; its weights are changed in place.
        val: texts that it was not trained on.
        weights: of each label, as in training; None: all weigh alike. Shape: as `Loss.weights`
            gives them.

    """
    logits = predict_logits(model, val)
    temperature = temperature_of(logits, val, weights)
    model.divide_logits(temperature)
    return Calibrated(temperature, (logits / temperature).astype(np.float32))


def temperature_of(
    logits: npt.NDArray[np.float32],
    texts: EncodedTexts,
    weights: npt.NDArray[np.float32] | None = None,
) -> float:
    """The temperature that suits these texts, whose logits these are; see `calibrate`."""
    rows = texts.targets()
    if texts.has_sets:
        return find_set_temperature(logits, rows, texts.labelled.text_rows, weights)
    return find_temperature(logits, rows if weights is None else rows * weights)


def find_temperature(logits: npt.NDArray[np.float32], rows: npt.NDArray[np.float32]) -> float:
    """The temperature of least cross-entropy.

    The loss is convex in 1 / temperature, so its slope is halved in. Labels are softened by one
    part in the number of texts and two, as Platt ("Probabilistic Outputs for Support Vector
    Machines", 1999, section 2.2) does for a sigmoid: else, where every label is right, no
    temperature would be cold enough.

    Args:
        logits: Shape: (texts, classes).
        rows: how many rows of each label a text stands for. Shape: (texts, classes).

    Returns:
        Between `COLDEST` and `HOTTEST`; 1 where there are no texts.

    >>> sure, labels = np.array([[0.0, 4.0]] * 4, dtype=np.float32), np.eye(2, dtype=np.float32)
    >>> round(find_temperature(sure, labels[[1, 1, 1, 0]]), 2)
    4.51
    """
    # Texts evenly taken, where there are very many labels.
    step = max(1, min(-(-logits.size // CELLS), len(logits) // FEWEST))
    logits, rows = logits[::step], rows[::step]
    weight = rows.sum(1, keepdims=True).astype(np.float64)
    if not weight.sum():
        return 1.0
    softened = 1.0 / (len(rows) + 2)
    share = rows / np.maximum(weight, 1e-12)
    targets = share * (1 - softened) + softened / rows.shape[1]
    scores = logits.astype(np.float64)
    wanted = (targets * scores).sum(1, keepdims=True)

    def slope(inverse: float) -> float:
        powers = np.exp((scores - scores.max(1, keepdims=True)) * inverse)
        expected = (powers * scores).sum(1, keepdims=True) / powers.sum(1, keepdims=True)
        return float((weight * (expected - wanted)).sum())

    return _halved(slope)


def find_set_temperature(
    logits: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    text_rows: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float32] | None = None,
) -> float:
    """As `find_temperature`, of the least sum of binary cross-entropies.

    Args:
        logits: Shape: (texts, classes).
        targets: rows of each text with each label. Shape: (texts, classes).
        text_rows: of each text. Shape: (texts,).
        weights: of rows without and with each label; None: all weigh alike. Shape: (2, classes).

    """
    if not text_rows.sum():
        return 1.0
    # Texts evenly taken: one number needs no more cells than these.
    step = -(-logits.size // CELLS)
    scores, with_it = logits[::step].astype(np.float64), targets[::step].astype(np.float64)
    without = text_rows[::step, None] - with_it
    if weights is not None:
        with_it, without = with_it * weights[1], without * weights[0]
    weight = with_it + without
    softened = 1.0 / (len(scores) + 2)
    share = with_it / np.maximum(weight, 1e-12) * (1 - softened) + softened / 2
    wanted = float((weight * share * scores).sum())

    def slope(inverse: float) -> float:
        expected = 0.5 * (1.0 + np.tanh(0.5 * scores * inverse))
        return float((weight * expected * scores).sum()) - wanted

    return _halved(slope)


def _halved(slope: Callable[[float], float]) -> float:
    """The temperature at which a slope, rising with its inverse, is zero."""
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(1 / middle)
