"""What the tests log, and what they know about it afterwards."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from textgauge.tracking.protocol import DatasetDescription, RunRecord

METRICS = {"lr": 0.001, "eval_loss": 0.0625, "eval_accuracy": 0.984375}
EPOCHS = [{"train_loss": 0.5 / epoch, "val_loss": 0.75 / epoch} for epoch in (1, 2, 3)]
SETTINGS = {"lr": 0.001, "model": "lstm", "vectors": None, "sizes": [3, 2], "note": "x" * 7000}
TABLE = DatasetDescription(
    name="notes.csv",
    source="/data/notes.csv",
    digest="0123456789abcdef" * 4,
    schema={"text": "String", "label": "Int64"},
    rows=90_000,
)


@dataclass(frozen=True)
class LoggedRun:
    """A run that was logged for the tests, its store's file, and the bundle that it logged."""

    store: Path
    record: RunRecord
    bundle: Path


@dataclass(frozen=True)
class ServedUi:
    """What `serve_ui` printed, and its port."""

    lines: list[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def png(width: int, height: int) -> bytes:
    """A grey picture, by the PNG specification (ISO/IEC 15948): 8 bits, greyscale."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


STAND_IN_PREDICTOR = '''
"""Calls a text faulty if it has the word in it."""
import json
from dataclasses import dataclass
import numpy as np
import polars as pl
from .. import errors

@dataclass
class Prediction:
    classes: list
    label_index: np.ndarray

    def frame(self):
        labels = [self.classes[i] for i in self.label_index]
        sure = np.where(self.label_index == 1, 0.875, 0.75)
        return pl.DataFrame({"predicted_label": labels, "probability": sure, "decision": labels})

class Predictor:
    def __init__(self, classes):
        self.classes, self.settings = classes, {"config": {"text": "note"}}

    @classmethod
    def load(cls, folder):
        return cls(json.loads((folder / "textgauge.json").read_text())["classes"])

    def predict(self, texts):
        assert all(text is None or isinstance(text, str) for text in texts)
        faulty = pl.Series("text", texts, dtype=pl.String).fill_null("").str.contains("faulty")
        return Prediction(self.classes, faulty.to_numpy().astype(int))
'''
