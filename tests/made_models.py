"""A small model of each architecture, and texts for it to read."""

import numpy as np
import torch
from made_encoder import encoder_of_size

from textgauge.models import build_model
from textgauge.models.encoder import EncoderClassifier
from textgauge.models.frozen import FrozenEncoder
from textgauge.models.linear import LinearClassifier
from textgauge.text.encoder_folder import find_encoder
from textgauge.text.vocabulary import NUMBER, SPECIAL

SIZES = {
    "vocabulary_size": 20,
    "outputs": 1,
    "number_bins": 6,
    "embedding_size": 5,
}
"""What every architecture takes; the last, where words have vectors."""

OWN = {
    "lstm": {"hidden_size": 7, "dropout": 0.0, "recurrent_dropout": 0.0},
    "lstm, both ways": {
        **{"hidden_size": 7, "dropout": 0.0, "recurrent_dropout": 0.0},
        "bidirectional": True,
    },
    "cnn": {"filters": 6, "dropout": 0.0},
    "bag": {"pairs": 12, "buckets": 64},
    "linear": {"pairs": 12, "buckets": 64},
    "encoder": {
        **{"pairs": 12, "buckets": 64, "embedding_size": 12},
        **{"dropout": 0.0, "feature_dropout": 0.0},
    },
}
"""What each takes besides."""

WITH_VECTORS = [name for name in OWN if name not in ("encoder", "linear")]
"""Those whose words have vectors."""

DROPPING: dict[str, dict[str, float]] = {
    "lstm": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "lstm, both ways": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "cnn": {"dropout": 0.5},
    "encoder": {"dropout": 0.5, "feature_dropout": 0.5},
}
"""Those that drop something in training."""


def sizes_of(name):
    """The arguments of the architecture `name`, a key of `OWN`."""
    shared = {key: value for key, value in SIZES.items() if key != "embedding_size"}
    return (SIZES if name in WITH_VECTORS else shared) | OWN[name]


def make_model(name, seed=0, **sizes):
    """A new model of the architecture `name`, a key of `OWN`."""
    torch.manual_seed(seed)
    sizes = sizes_of(name) | sizes
    model = build_model(name.partition(",")[0], sizes)
    if isinstance(model, EncoderClassifier):
        # Two layers, behind which the states are looked at, and those before them.
        folder = encoder_of_size(
            sizes["vocabulary_size"] - len(SPECIAL), sizes["embedding_size"] // 3
        )
        model.freeze(FrozenEncoder(find_encoder(str(folder))))
        fill(model.wide)
        model.join(0.7, 0.1)
    elif hasattr(model, "place"):
        fill(model)
    return as_trained(model)


def fill(model):
    """Have it know some pairs, and weights where it is made without."""
    model.place[:] = torch.randint(-40, 13, model.place.shape).clamp(min=0)
    with torch.no_grad():
        model.pairs.weight[1:].normal_()
        if isinstance(model, LinearClassifier):
            model.embedding.weight[1:].normal_()
            model.bias.normal_()
            if model.numbers is not None:
                model.numbers.weight.normal_()


def as_trained(model):
    """The same model with what holds after any training, whatever its weights are."""
    with torch.no_grad():
        for table in model.modules():  # What fills a short text stays zero.
            if isinstance(table, torch.nn.Embedding):
                table.weight[0] = 0
        for part in model.modules():
            if isinstance(part, LinearClassifier):  # Squares; a number's are those of its token.
                for column in (part.outputs, -1):
                    for table in (part.embedding.weight, part.pairs.weight):
                        table[:, column].abs_()
                    if part.numbers is not None:
                        part.numbers.weight[:, column] = 0
    return model


def table_of(model):
    """The table that has a row a word or piece."""
    return model.wide.embedding if isinstance(model, EncoderClassifier) else model.embedding


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
