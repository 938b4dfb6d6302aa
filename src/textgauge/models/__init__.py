"""Architectures: token ids in, logits out. One file each; `MODELS` lists them.

Models are the only code, besides the training loop, that imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lstm import LSTMClassifier

__all__ = ["build_model"]


def build_model(name: str, settings: dict[str, int | float]) -> LSTMClassifier:
    """A new model with random weights.

    Args:
        name: the architecture, a key of `MODELS`.
        settings: its sizes, as `bundle` stores them.

    """
    from .lstm import LSTMClassifier

    models = {"lstm": LSTMClassifier}
    return models[name](**settings)  # type: ignore[arg-type]
