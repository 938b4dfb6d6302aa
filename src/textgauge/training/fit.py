"""A corpus and a configuration in, a trained classifier out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..config import Config
from ..data.corpus import Corpus, LabelledTexts
from ..data.split import hash_of
from ..models import MODELS, build_model
from ..models.reading import TextModel
from ..text.encoder import TextEncoder
from ..text.vectors import WordVectors, read_vectors
from .batches import EncodedTexts, Texts
from .checkpoints import Checkpoint
from .devices import device_named
from .history import Epoch
from .loop import Trained, TrainingPlan, train_model
from .progress import NoProgress, Progress
from .shards import count_shards, cut, shard_of
from .world import Alone


@dataclass(frozen=True)
class Fitted:
    """A trained classifier, still in torch.

    Attributes:
        model: with the weights of its best epoch.
        encoder: what reads its texts.
        architecture: name and sizes of the model.
        trained: history and batch size.
        vectors: the word vectors it started from, if any.
        classes: number of labels.

    """

    model: TextModel
    encoder: TextEncoder
    architecture: dict[str, Any]
    trained: Trained
    vectors: WordVectors | None
    classes: int

    def encode(self, texts: LabelledTexts) -> EncodedTexts:
        """Texts of the corpus as the model reads them."""
        return EncodedTexts(self.encoder.encode_normalised(texts.texts), texts, self.classes)


def fit(
    corpus: Corpus,
    encoder: TextEncoder,
    config: Config,
    *,
    progress: Progress | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_checkpoint: Callable[[Checkpoint], None] = lambda checkpoint: None,
    start_from: Checkpoint | None = None,
) -> Fitted:
    """Train the configured model on the corpus' train part, stopping by its validation part.

    Raises:
        TableError: the word vectors cannot be read.
        SettingsError: a GPU is asked for, and there is none.

    """
    progress = progress or NoProgress()
    classes = len(corpus.classes)
    model, architecture, vectors = new_model(encoder, config, classes, progress)

    def after_epoch(epoch: Epoch) -> None:
        progress.epoch(epoch)
        on_epoch(epoch)

    trained = train_model(
        model,
        texts_of(corpus.train, encoder, classes, config.seed),
        texts_of(corpus.val, encoder, classes, config.seed),
        plan_of(config),
        world=Alone(device_named(config.device)),
        on_epoch=after_epoch,
        on_step=progress.step,
        on_checkpoint=on_checkpoint,
        start_from=start_from,
    )
    return Fitted(model, encoder, architecture, trained, vectors, classes)


def new_model(
    encoder: TextEncoder, config: Config, classes: int, progress: Progress
) -> tuple[TextModel, dict[str, Any], WordVectors | None]:
    """An untrained model, its name and sizes, and the word vectors it starts from, if any.

    Raises:
        TableError: the word vectors cannot be read.

    """
    vectors = None
    if config.vectors is not None:
        vectors = read_vectors(config.vectors, encoder.vocabulary.words)
        progress.note(
            f"word vectors: {vectors.width} wide, for {len(vectors.rows):,} of "
            f"{vectors.vocabulary_size:,} known words ({vectors.coverage:.1%})"
        )
    sizes: dict[str, int | float] = {
        "vocabulary_size": len(encoder.vocabulary),
        "outputs": 1 if classes == 2 else classes,
        "number_bins": encoder.numbers.bins if encoder.numbers else 0,
        "embedding_size": vectors.width if vectors else config.embedding_size,
        **MODELS[config.model].sizes(config),
    }
    # Before the first weights: their last bit depends on how many threads make them.
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model = build_model(config.model, sizes)
    if vectors is not None:
        model.set_vectors(vectors.rows, vectors.vectors, freeze=config.freeze_vectors)
    return model, {"name": config.model, **sizes}, vectors


def plan_of(config: Config) -> TrainingPlan:
    """What the loop needs to know of the settings."""
    return TrainingPlan(
        epochs=config.epochs,
        patience=config.patience,
        batch_size=config.batch_size,
        lr=config.lr,
        balanced=config.class_weights == "balanced",
        seed=config.seed,
    )


def texts_of(texts: LabelledTexts, encoder: TextEncoder, classes: int, seed: int) -> Texts:
    """Texts in memory as the loop takes them: in shards, as every engine makes them."""
    encoded = EncodedTexts(encoder.encode_normalised(texts.texts), texts, classes)
    shards = count_shards(len(texts))
    if shards == 1:
        return encoded
    return cut(encoded, shard_of(hash_of(texts.texts, seed), shards), shards)
