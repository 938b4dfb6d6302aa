"""The files of a bundle, and the format's version. Carried along with every saved model."""

from __future__ import annotations

FORMAT_VERSION = 1
"""Raised when a change makes older readers fail; readers refuse what they don't know."""

DECIDING_VERSION = 2
"""Of a bundle with a rule of decision: older readers would pass it over and decide otherwise."""

SETS_VERSION = 3
"""Of a bundle that gives a text any number of labels: older readers know one label a text only."""

PIECES_VERSION = 4
"""Of a bundle that reads words in pieces: older readers know whole words alone."""

SIGNED_VERSION = 5
"""Of a bundle that reads a minus with its number: older readers would lose it."""

NOTATION_VERSION = 6
"""Of a bundle that reads decimal commas, or apostrophes: older readers would cut numbers there."""

VERSIONS = (
    FORMAT_VERSION,
    DECIDING_VERSION,
    SETS_VERSION,
    PIECES_VERSION,
    SIGNED_VERSION,
    NOTATION_VERSION,
)
"""All that can be read, the newest last."""

SETTINGS = "textgauge.json"
"""Format, classes, label names, architecture and sizes, settings, figures, how it decides."""

VOCABULARY = "vocabulary.json"
"""Words in the order of their ids, or a tokenizer; number scale and notation, token limit."""

FILLS = "fills.json"
"""What stands in which place of the training texts, for explanations."""

PROFILE = "profile.json"
"""What the training texts are like in figures, for the comparison with others."""

ONNX = "model.onnx"
"""The network, for prediction."""

WEIGHTS = "weights.safetensors"
"""The same weights, for training on and for torch."""

CARD = "README.md"
"""The model card."""

DIGESTS = "digests.json"
"""SHA-256 of the files that are read. Readers of before it pass it over."""

DIGESTED = (SETTINGS, VOCABULARY, FILLS, PROFILE, ONNX, WEIGHTS)
"""What `DIGESTS` covers. Not the card, which is for people and which they may add to."""
