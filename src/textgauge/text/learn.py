"""What is learned from the training texts before any training."""

from __future__ import annotations

import polars as pl

from ..config import IN_PIECES, Config
from .encoder import TextEncoder
from .reader import TextReader


def learn_encoder(train_texts: pl.Series, config: Config) -> TextReader:
    """Vocabulary and number scale, from the normalised training texts alone."""
    if config.model == "encoder":
        from .encoder_folder import find_encoder
        from .pretrained import PretrainedReader

        return PretrainedReader.learn(
            train_texts,
            find_encoder(config.encoder).tokenizer,
            read_numbers=config.numbers,
            number_bins=config.number_bins,
            max_tokens=config.limits.max_tokens,
        )
    return TextEncoder.learn(
        train_texts,
        read_numbers=config.numbers,
        number_bins=config.number_bins,
        pieces=config.model in IN_PIECES,
        **config.limits._asdict(),
    )
