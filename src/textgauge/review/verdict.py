"""One plain sentence on whether the deep model is worth it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from .metrics import Evaluation

Floats = npt.NDArray[np.floating]


def verdict(
    texts: LabelledTexts,
    model: tuple[str, Floats, Evaluation],
    baseline: tuple[str, Floats, Evaluation],
) -> str:
    """Compare the model with the best baseline on the same test texts.

    Only the distinct texts on which just one of the two is right tell them apart. If the model is
    right on b of them and the baseline on c, chance alone makes |b - c| exceed
    2 * sqrt(b + c) in about one of 20 cases (McNemar, 1947); less than that is called a tie.

    Args:
        texts: the test texts.
        model: name, probabilities (texts, classes) and evaluation of the model.
        baseline: the same of the baseline.

    """
    (model_name, model_probabilities, model_result) = model
    (base_name, base_probabilities, base_result) = baseline
    model_right = model_probabilities.argmax(1) == texts.main_label
    base_right = base_probabilities.argmax(1) == texts.main_label
    gained = int((model_right & ~base_right).sum())
    lost = int((base_right & ~model_right).sum())
    difference = gained - lost
    figures = (
        f"{model_result.rows.accuracy:.1%} of the test rows right, "
        f"{base_name} {base_result.rows.accuracy:.1%}"
    )
    told_apart = f"on {len(texts):,} distinct texts it gains {gained:,} and loses {lost:,}"
    if abs(difference) <= 2 * (gained + lost) ** 0.5:
        return (
            f"The deep model ({model_name}) gets {figures}; {told_apart}, which is no more than "
            f"chance: prefer {base_name}, it is simpler."
        )
    if difference > 0:
        return f"The deep model ({model_name}) is worth it: it gets {figures}; {told_apart}."
    return (
        f"The deep model ({model_name}) is not worth it: it gets {figures}; {told_apart}. "
        f"Prefer {base_name}, or give the deep model more texts or word vectors (--vectors)."
    )
