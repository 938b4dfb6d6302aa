"""A corpus and a configuration in, a trained classifier out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..config import Config
from ..data.corpus import Corpus, LabelledTexts
from ..data.split import hash_of
from ..errors import EngineError, SettingsError
from ..models import MODELS, build_model
from ..models.encoder import EncoderClassifier
from ..models.linear import LinearClassifier
from ..models.reading import Classifier, Learned
from ..text.encoder import Encoded
from ..text.reader import TextReader
from ..text.vectors import WordVectors, read_vectors
from .batches import EncodedTexts, Texts
from .calibration import Calibrated, calibrate
from .checkpoints import Checkpoint
from .contrast import learn_likeness
from .devices import device_named
from .history import Epoch
from .joining import Factors, join
from .linear import Weighed, train_linear
from .loop import Trained, TrainingPlan, train_model
from .loss import OneLabel, SetsOfLabels
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
        calibrated: the temperature, and the logits of the validation texts by a model that has not
            learned from them.
        factors: by which the logits of an encoder's two parts were multiplied; None without them.

    """

    model: Classifier
    encoder: TextReader
    architecture: dict[str, Any]
    trained: Trained
    vectors: WordVectors | None
    classes: int
    calibrated: Calibrated
    factors: Factors | None = None

    def encode(self, texts: LabelledTexts) -> EncodedTexts:
        """Texts of the corpus as the model reads them."""
        encoded = self.encoder.encode_normalised(texts.texts)
        return EncodedTexts(
            self.model.prepare(encoded, lambda done, texts: None), texts, self.classes
        )


def fit(
    corpus: Corpus,
    encoder: TextReader,
    config: Config,
    *,
    progress: Progress | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[], None] = lambda: None,
    on_checkpoint: Callable[[Checkpoint], None] = lambda checkpoint: None,
    start_from: Checkpoint | None = None,
) -> Fitted:
    """Train the configured model on the corpus' train part, stopping by its validation part.

    Args:
        corpus: the texts.
        encoder: what reads them.
        config: the settings.
        progress: is told how far it is.
        on_epoch: called after each epoch; what it raises ends the training.
        on_step: likewise after each step.
        on_checkpoint: called after each epoch, before `on_epoch`, with a state to go on from.
        start_from: such a state; after the last epoch, nothing is left but to calibrate.

    Raises:
        TableError: the word vectors cannot be read.
        SettingsError: a GPU is asked for, and there is none.

    """
    progress = progress or NoProgress()
    classes = len(corpus.classes)
    train, val = (
        EncodedTexts(encoder.encode_normalised(part.texts), part, classes)
        for part in (corpus.train, corpus.val)
    )
    model, architecture, vectors = new_model(encoder, config, classes, progress, train.encoded)

    train, val = _prepared(model, train, val, progress, on_step)
    if isinstance(model, EncoderClassifier):
        _tell_long(train.encoded, model.longest, progress)

    def after_epoch(epoch: Epoch) -> None:
        progress.epoch(epoch)
        on_epoch(epoch)

    def after_step(step: int, steps: int) -> None:
        progress.step(step, steps)
        on_step()

    weights = _label_weights(config, train)
    factors = weighed = None
    if isinstance(model, LinearClassifier):
        if start_from is None:
            trained, weighed = train_linear(model, encoder, train, val, config, weights, after_step)
            # What follows changes the weights in place.
            found = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            on_checkpoint(Checkpoint(found, found, {}, trained.history))
            after_epoch(trained.best)
        else:  # Its one epoch is over.
            model.load_state_dict(dict(start_from.best_weights))
            trained = Trained(start_from.history, train.texts)
    else:
        if train.has_sets:
            start_from_shares(model, train)
        if config.contrast and start_from is None:
            progress.stage("learning which texts are alike")
            _learn_likeness(model, train, config, after_step)
            progress.stage("training")
        trained = train_model(
            model,
            in_shards(train, config.seed),
            in_shards(val, config.seed),
            plan_of(config),
            world=Alone(device_named(config.device)),
            on_epoch=after_epoch,
            on_step=after_step,
            on_checkpoint=on_checkpoint,
            start_from=start_from,
        )
    if isinstance(model, EncoderClassifier):
        factors = join(model, encoder, train, val, config, weights, after_step)
    calibrated = calibrate(model, val, weights)
    if config.refit:
        progress.stage("learning from the validation texts, too")
        if isinstance(model, LinearClassifier):
            both = (weighed or Weighed.learn(model, encoder, train)).joined(val)
            both.give_weights(model, config, _label_weights(config, both.texts), after_step)
        else:
            model, architecture = _refitted(
                encoder, train.joined(val), config, trained.best.epoch, factors, on_step
            )
        model.divide_logits(calibrated.temperature)
    return Fitted(model, encoder, architecture, trained, vectors, classes, calibrated, factors)


def _refitted(
    encoder: TextReader,
    texts: EncodedTexts,
    config: Config,
    epochs: int,
    factors: Factors | None,
    on_step: Callable[[], None],
) -> tuple[Classifier, dict[str, Any]]:
    """A new model that learns from these texts for so many epochs, and its architecture.

    `factors` are those of its parts, where it has two.
    """
    classes = texts.classes
    model, architecture, _ = new_model(encoder, config, classes, NoProgress(), texts.encoded)
    # Where a part is not trained, what it makes of the texts is in memory by now.
    encoded = model.prepare(texts.encoded, lambda done, texts: None, train=True)
    texts = replace(texts, encoded=encoded)
    if texts.has_sets:
        start_from_shares(model, texts)
    if config.contrast:
        _learn_likeness(model, texts, config, lambda step, steps: on_step())
    train_model(
        model,
        in_shards(texts, config.seed),
        None,
        replace(plan_of(config), epochs=epochs),
        world=Alone(device_named(config.device)),
        on_step=lambda step, steps: on_step(),
    )
    if isinstance(model, EncoderClassifier):
        assert factors is not None
        weighed = Weighed.learn(model.wide, encoder, texts)
        weighed.give_weights(model.wide, config, _label_weights(config, texts))
        model.join(*factors)
    return model, architecture


def _learn_likeness(
    model: Classifier,
    texts: EncodedTexts,
    config: Config,
    on_step: Callable[[int, int], None],
) -> None:
    assert isinstance(model, EncoderClassifier) and model.encoder is not None
    learn_likeness(model.encoder, texts, config.seed, device_named(config.device), on_step)


def _prepared(
    model: Classifier,
    train: EncodedTexts,
    val: EncodedTexts,
    progress: Progress,
    on_step: Callable[[], None],
) -> tuple[EncodedTexts, EncodedTexts]:
    """The texts with what no step of the training changes; `progress` is told while it takes."""
    told = False

    def tell(done: int, texts: int) -> None:
        nonlocal told
        if not told:
            progress.stage("reading with the encoder")
            told = True
        progress.rows(done, done / texts)
        on_step()

    prepared = tuple(
        replace(part, encoded=model.prepare(part.encoded, tell, train=part is train))
        for part in (train, val)
    )
    if told:
        progress.stage("training")
    return prepared[0], prepared[1]


def _tell_long(train: Encoded, most: int, progress: Progress) -> None:
    """Say how many texts are longer than the encoder reads."""
    long = int((train.lengths > most).sum())
    if long:
        progress.note(
            f"the encoder reads {long:,} of {len(train):,} training texts up to their piece "
            f"{most:,} only; what is behind it is weighed as single pieces"
        )


def new_model(
    encoder: TextReader,
    config: Config,
    classes: int,
    progress: Progress,
    train: Encoded | None = None,
) -> tuple[Classifier, dict[str, Any], WordVectors | None]:
    """An untrained model, its name and sizes, and the word vectors it starts from, if any.

    Args:
        encoder: what reads its texts.
        config: the settings.
        classes: number of labels.
        progress: is told about the word vectors.
        train: the training texts; None where they are not in one place.

    Raises:
        EngineError: the architecture has to look at the training texts, and they are not here.
        TableError: the word vectors cannot be read.

    """
    kind, vectors = MODELS[config.model], None
    if train is None and kind.looks_at_texts:
        raise EngineError(
            f"the model '{config.model}' is trained in one process; pass --engine local or "
            "another --model."
        )
    if config.vectors is not None and not kind.has_vectors:
        raise SettingsError(
            f"the model '{config.model}' has no word vectors; leave --vectors out, or pass another "
            "--model."
        )
    if config.vectors is not None:
        vectors = read_vectors(config.vectors, encoder.names)
        progress.note(
            f"word vectors: {vectors.width} wide, for {len(vectors.rows):,} of "
            f"{vectors.vocabulary_size:,} known words ({vectors.coverage:.1%})"
        )
    learned = Learned() if train is None else kind.learn(train, config)
    width = vectors.width if vectors else config.embedding_size
    sizes: dict[str, int | float] = {
        "vocabulary_size": len(encoder.names),
        "outputs": 1 if classes == 2 and not config.multi_label else classes,
        "number_bins": encoder.numbers.bins if encoder.numbers else 0,
        **({"embedding_size": width} if kind.has_vectors else {}),
        **kind.sizes(config),
        **learned.sizes,
    }
    # Before the first weights: their last bit depends on how many threads make them.
    torch.set_num_threads(config.whole("threads"))
    torch.manual_seed(config.seed)
    model = build_model(config.model, sizes)
    model.begin(config, learned.tables)
    if vectors is not None:
        model.set_vectors(vectors.rows, vectors.vectors, freeze=config.freeze_vectors)
    return model, {"name": config.model, **sizes}, vectors


def start_from_shares(model: Classifier, train: EncodedTexts) -> None:
    """Have a new model of label sets begin with the share of each label in train.

    Where each label is rare, unlearning that it is as likely as not would take the first epochs.
    """
    share = (train.label_rows + 0.5) / (train.rows + 1.0)
    with torch.no_grad():
        model.output.bias.copy_(torch.from_numpy(np.log(share / (1 - share))))


def label_weights(
    config: Config, label_rows: npt.NDArray[np.int64], rows: int | None = None
) -> npt.NDArray[np.float32] | None:
    """The weights of labels with so many training rows each, as the settings want them.

    `rows` are those of all labels together, where a row has a set of labels; None: it has one.
    """
    if config.class_weights != "balanced":
        return None
    to_take = OneLabel() if rows is None else SetsOfLabels()
    found: npt.NDArray[np.float32] = to_take.weights(label_rows, rows or 0, balanced=True).numpy()
    return found


def _label_weights(config: Config, texts: EncodedTexts) -> npt.NDArray[np.float32] | None:
    return label_weights(config, texts.label_rows, texts.rows if texts.has_sets else None)


def plan_of(config: Config) -> TrainingPlan:
    """What the loop needs to know of the settings."""
    return TrainingPlan(
        epochs=config.epochs,
        patience=config.whole("patience"),
        batch_size=config.batch_size,
        lr=config.step,
        balanced=config.class_weights == "balanced",
        seed=config.seed,
        smoothing=config.smoothing,
    )


def in_shards(texts: EncodedTexts, seed: int) -> Texts:
    """Texts in memory as the loop takes them: in shards, as every engine makes them."""
    shards = count_shards(len(texts.encoded))
    if shards == 1:
        return texts
    return cut(texts, shard_of(hash_of(texts.labelled.texts, seed), shards), shards)
