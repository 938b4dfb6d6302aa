"""The files of a bundle, and the format's version. Carried along with every saved model."""

from __future__ import annotations

FORMAT_VERSION = 1
"""Raised when a change makes older readers fail; readers refuse what they don't know."""

SETTINGS = "textgauge.json"
"""Format, classes, label names, architecture and sizes, settings, figures."""

VOCABULARY = "vocabulary.json"
"""Words in the order of their ids, edges of the number scale, token limit."""

FILLS = "fills.json"
"""What stands in which place of the training texts, for explanations."""

ONNX = "model.onnx"
"""The network, for prediction."""

WEIGHTS = "weights.safetensors"
"""The same weights, for training on and for torch."""

CARD = "README.md"
"""The model card."""
