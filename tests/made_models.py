"""A small model of each architecture, and texts for it to read."""

import numpy as np
import torch

from textgauge.models import build_model
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
}
"""What each takes besides."""

DROPPING = {
    "lstm": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "lstm, both ways": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "cnn": {"dropout": 0.5},
}


def make_model(name, seed=0, **sizes):
    """A new model of the architecture `name`, a key of `OWN`."""
    torch.manual_seed(seed)
    return build_model(name.partition(",")[0], SIZES | OWN[name] | sizes)


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
