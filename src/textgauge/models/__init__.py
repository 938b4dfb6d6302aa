"""Architectures: token ids in, logits out. One file each; `MODELS` lists them.

Models are the only code, besides the training, that imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping

from .bag import BagClassifier
from .cnn import CNNClassifier
from .encoder import EncoderClassifier
from .linear import LinearClassifier
from .lstm import LSTMClassifier
from .reading import Classifier

MODELS: dict[str, type[Classifier]] = {
    "bag": BagClassifier,
    "cnn": CNNClassifier,
    "encoder": EncoderClassifier,
    "linear": LinearClassifier,
    "lstm": LSTMClassifier,
}
"""Every architecture by its name in `Config.model`."""


def build_model(name: str, sizes: Mapping[str, int | float]) -> Classifier:
    """Make a new model with random weights.

    Args:
        name: the architecture, a key of `MODELS`.
        sizes: the arguments of its class.
    """
    return MODELS[name](**sizes)
