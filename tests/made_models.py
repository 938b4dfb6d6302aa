"""A small model of each architecture, and texts for it to read."""

import numpy as np
import torch

from textgauge.models import build_model
from textgauge.models.bag import BagClassifier
from textgauge.text.vocabulary import NUMBER

SIZES = {
    "vocabulary_size": 20,
    "outputs": 1,
    "number_bins": 6,
    "embedding_size": 5,
}
"""What every architecture takes."""

OWN = {
    "lstm": {"hidden_size": 7, "dropout": 0.0, "recurrent_dropout": 0.0},
    "lstm, both ways": {
        **{"hidden_size": 7, "dropout": 0.0, "recurrent_dropout": 0.0},
        "bidirectional": True,
    },
    "cnn": {"filters": 6, "dropout": 0.0},
    "bag": {"pairs": 12, "buckets": 64},
}
"""What each takes besides."""

DROPPING: dict[str, dict[str, float]] = {
    "lstm": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "lstm, both ways": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "cnn": {"dropout": 0.5},
}
"""Those that drop something in training."""


def make_model(name, seed=0, **sizes):
    """A new model of the architecture `name`, a key of `OWN`."""
    torch.manual_seed(seed)
    model = build_model(name.partition(",")[0], SIZES | OWN[name] | sizes)
    if isinstance(model, BagClassifier):  # Some pairs have vectors, and they are not zero.
        model.place[:] = torch.randint(-40, 13, model.place.shape).clamp(min=0)
        with torch.no_grad():
            model.pairs.weight[1:].normal_()
    return model


def make_batch(texts=9, longest=8, seed=0):
    """Ids, positions and lengths with numbers inside; rubbish behind the ends."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest + 1, texts)
    lengths[0], lengths[1] = longest, 1
    ids = random.integers(1, 20, (texts, longest))
    ids[:, 0] = NUMBER
    positions = np.where(ids == NUMBER, random.uniform(0, 6, ids.shape), 0)
    return (
        torch.from_numpy(ids),
        torch.from_numpy(positions.astype(np.float32)),
        torch.from_numpy(lengths),
    )
