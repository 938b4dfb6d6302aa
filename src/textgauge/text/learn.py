"""What is learned from the training texts before any training."""

from __future__ import annotations

import polars as pl

from ..config import Config
from .encoder import TextEncoder
from .reader import TextReader


def learn_encoder(train_texts: pl.Series, config: Config) -> TextReader:
    """Vocabulary and number scale, from the normalised training texts alone."""
    return TextEncoder.learn(
        train_texts,
        read_numbers=config.numbers,
        number_bins=config.number_bins,
        **config.limits._asdict(),
    )
