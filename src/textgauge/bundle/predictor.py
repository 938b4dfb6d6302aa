"""Raw texts to labels and probabilities, with numpy, polars and onnxruntime only.

This is the one place where logits become probabilities and decisions. The file is carried
inside every saved model, so it imports nothing of textgauge beyond `errors`, `text` and `files`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.normal_form import normalise
from ..errors import BundleError
from ..text.encoder import Encoded, TextEncoder
from . import files

BATCH_TOKENS = 32_768
"""Tokens of a batch, padding included: large enough to be fast, small enough for any memory."""


@dataclass(frozen=True)
class Prediction:
    """Predictions for some texts, in their order.

    Attributes:
        classes: the label values.
        label_index: index of the most probable label. Shape: (texts,), int64.
        probabilities: Shape: (texts, classes), float32; each row adds up to 1.

    """

    classes: tuple[str, ...]
    label_index: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.label_index)

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """Probability of the predicted label. Shape: (texts,)."""
        return self.probabilities[np.arange(len(self)), self.label_index]

    @property
    def labels(self) -> list[str]:
        """The predicted label values."""
        return [self.classes[index] for index in self.label_index]

    @property
    def decision(self) -> list[str]:
        """What to do with each text: its predicted label."""
        return self.labels

    def frame(self) -> pl.DataFrame:
        """Columns `predicted_label`, `probability` and `decision`, a row a text."""
        labels = pl.Series(self.classes, dtype=pl.String).gather(self.label_index)
        return pl.DataFrame(
            {
                "predicted_label": labels,
                "probability": self.probability.astype(np.float64),
                "decision": labels,
            }
        )


class Predictor:
    """A saved classifier, ready to predict."""

    def __init__(self, settings: dict[str, Any], encoder: TextEncoder, session: Any) -> None:
        self.settings = settings
        self.classes: list[str] = list(settings["classes"])
        self.label_names: dict[str, str] = dict(settings["label_names"])
        self.encoder = encoder
        self._session = session
        self._inputs = {declared.name for declared in session.get_inputs()}

    @classmethod
    def load(cls, folder: Path | str, cores: int | None = None) -> Predictor:
        """Load a bundle.

        Args:
            folder: the bundle.
            cores: threads of the network; None takes all.

        Raises:
            BundleError: a file is missing or damaged, or a newer textgauge wrote it.

        """
        folder = Path(folder)
        settings = _read_json(folder, files.SETTINGS)
        version = settings.get("format_version")
        if version != files.FORMAT_VERSION:
            raise BundleError(
                f"{folder / files.SETTINGS} has format {version!r}, this textgauge reads "
                f"{files.FORMAT_VERSION}; use the textgauge that trained the model, or a newer one."
            )
        try:
            encoder = TextEncoder.from_json(_read_json(folder, files.VOCABULARY))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(folder / files.VOCABULARY, error) from None
        path = folder / files.ONNX
        if not path.is_file():
            raise _missing(folder, files.ONNX)
        try:
            session = session_from_bytes(path.read_bytes(), cores)
        except Exception as error:  # onnxruntime's errors share no class of their own.
            raise _damaged(path, error) from None
        try:
            predictor = cls(settings, encoder, session)
            predictor._refuse_mixed(folder)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(folder / files.SETTINGS, error) from None
        return predictor

    def _refuse_mixed(self, folder: Path) -> None:
        """Files of two models, copied over each other, would predict without any sense."""
        outputs = self._session.get_outputs()[0].shape[-1]
        words, read = self.settings["architecture"]["vocabulary_size"], len(self.encoder.vocabulary)
        if max(outputs, 2) != len(self.classes) or words != read:
            raise BundleError(
                f"{folder} holds files of different models: {files.SETTINGS} says "
                f"{len(self.classes)} labels and {words} words, {files.ONNX} has {outputs} outputs "
                f"and {files.VOCABULARY} {read} words; copy the model again or train again."
            )

    def predict(self, texts: Sequence[str | None] | pl.Series) -> Prediction:
        """Predict raw texts; each distinct text is computed once. Null is read as an empty text.

        Raises:
            ValueError: `texts` is a single string.

        """
        if isinstance(texts, str):
            raise ValueError("texts must be a sequence of texts, was a single string; pass [text].")
        column = pl.Series("text", texts, dtype=pl.String).fill_null("")
        probabilities = self._distinct(
            column, lambda raw: self._distinct(normalise(raw), self._run)
        )
        return Prediction(tuple(self.classes), probabilities.argmax(1), probabilities)

    def predict_frame(self, texts: Sequence[str | None] | pl.Series) -> pl.DataFrame:
        """As `predict`, as a table with `predicted_label`, `probability` and `decision`."""
        return self.predict(texts).frame()

    def _distinct(self, texts: pl.Series, compute: Any) -> npt.NDArray[np.float32]:
        """Apply `compute` to the distinct texts and spread the results over all of them."""
        distinct = texts.unique(maintain_order=True)
        if len(distinct) == len(texts):
            result: npt.NDArray[np.float32] = compute(texts)
            return result
        places = pl.DataFrame({"text": distinct}).with_row_index("place")
        place = texts.to_frame("text").join(places, on="text", how="left", maintain_order="left")[
            "place"
        ]
        spread: npt.NDArray[np.float32] = compute(distinct)[place.to_numpy()]
        return spread

    def _run(self, normalised: pl.Series) -> npt.NDArray[np.float32]:
        return self.probabilities_of(self.encoder.encode_normalised(normalised))

    def probabilities_of(self, encoded: Encoded) -> npt.NDArray[np.float32]:
        """Probabilities of encoded texts, computed in batches of similar length.

        Shape: (texts, classes).
        """
        starts = encoded.starts
        result = np.empty((len(encoded), len(self.classes)), dtype=np.float32)
        order = np.argsort(encoded.lengths, kind="stable")
        lengths = encoded.lengths[order]
        begin = 0
        while begin < len(order):
            # The last text of a batch is its longest, so the batch's size is length * texts.
            ahead = lengths[begin : begin + BATCH_TOKENS // int(lengths[begin])]
            sizes = ahead.astype(np.int64) * np.arange(1, len(ahead) + 1)
            end = begin + max(int(np.searchsorted(sizes, BATCH_TOKENS, side="right")), 1)
            rows = order[begin:end]
            ids, positions, real = encoded.padded(rows, starts)
            feed = {"ids": ids, "positions": positions, "lengths": real.astype(np.int32)}
            wanted = {name: value for name, value in feed.items() if name in self._inputs}
            (logits,) = self._session.run(["logits"], wanted)
            result[rows] = to_probabilities(logits)
            begin = end
        return result


def session_from_bytes(network: bytes, cores: int | None = None) -> Any:
    """An onnxruntime session on the processor; `cores` None takes all."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores or 0
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def to_probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Softmax; a single logit z stands for (0, z). Shape: (n, 1 or classes) -> (n, classes).

    >>> to_probabilities(np.array([[0.0]], dtype=np.float32)).tolist()
    [[0.5, 0.5]]
    """
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    result: npt.NDArray[np.float32] = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
    return result


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(folder, name) from None
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    if not isinstance(values, dict):
        raise _damaged(path, TypeError("expected an object"))
    return values


def _missing(folder: Path, name: str) -> BundleError:
    if not folder.is_dir():
        return BundleError(
            f"there is no folder {folder}; give a model's folder, runs:/RUN_ID/model or "
            "models:/NAME/VERSION."
        )
    return BundleError(
        f"{folder} is no saved model: it has no {name}. A model's folder holds {files.SETTINGS}, "
        f"{files.VOCABULARY} and {files.ONNX}."
    )


def _damaged(path: Path, error: Exception) -> BundleError:
    if isinstance(error, KeyError):
        first_line = f"it has no {error}"
    else:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return BundleError(f"{path} is damaged ({first_line}); copy the model again or train again.")
