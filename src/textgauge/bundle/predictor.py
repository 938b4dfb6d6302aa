"""Raw texts to labels and probabilities, with numpy, polars and onnxruntime only.

This is the one place where logits become probabilities, and these by the stored rule decisions
(`decision`, or `label_sets` where a text has any number of labels). The file is carried inside
every saved model, so it imports nothing of textgauge beyond `errors`, `text` and what is carried
with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..cores import available_cores
from ..data.normal_form import normalise
from ..data.texts import as_texts
from ..errors import BundleError, SettingsError
from ..text.encoder import Encoded
from ..text.reader import TextReader, reader_from_json
from ..text.reading import Reading
from ..text.vocabulary import NUMBER, UNKNOWN
from . import files
from .decision import REVIEW, Decided, DecisionRule
from .label_sets import SetPrediction, SetRule, to_set_probabilities
from .network import OUTPUT, check_network, check_session
from .settings import check_settings, check_vocabulary
from .stored import StoredFiles, damaged

BATCH_TOKENS = 8_192
"""Tokens of a batch, padding included: so many that a batch costs little by itself, and no more
than stay near the processor (with 100 units 10 to 20 % faster than 32,768)."""


_WRONG = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""What reading JSON of another shape raises."""


@dataclass(frozen=True)
class Prediction:
    """Predictions for some texts, in their order.

    Attributes:
        classes: the label values.
        label_index: index of the most probable label. Shape: (texts,), int64.
        probabilities: Shape: (texts, classes), float32; each row adds up to 1.
        rule: what makes decisions of them.
        reading: how much of each text the model could read; None where it is not known.

    """

    classes: tuple[str, ...]
    label_index: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    rule: DecisionRule = field(default_factory=DecisionRule)
    reading: Reading | None = None

    def __len__(self) -> int:
        return len(self.label_index)

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """Probability of the predicted label. Shape: (texts,)."""
        return self.probabilities[np.arange(len(self)), self.label_index]

    @property
    def names(self) -> tuple[str, ...]:
        """What `label_index` and `decision_index` point to."""
        return self.classes

    @property
    def labels(self) -> list[str]:
        """The predicted label values."""
        return [self.classes[index] for index in self.label_index]

    @property
    def decision(self) -> list[str]:
        """What to do with each text: the label that is decided, or `review`."""
        return [(*self.classes, REVIEW)[index] for index in self.decision_index]

    @cached_property
    def decided(self) -> Decided:
        """The labels by the rule, how certain they are, and which texts a person has to decide."""
        return self.rule.decide(self.probabilities)

    @property
    def decision_index(self) -> npt.NDArray[np.int64]:
        """Index of the label, or one more than the last. Shape: (texts,)."""
        return np.where(self.decided.review, len(self.classes), self.decided.label)

    def frame(self) -> pl.DataFrame:
        """Columns `predicted_label`, `probability` and `decision`, a row a text."""
        labels = pl.Series((*self.classes, REVIEW), dtype=pl.String)
        return pl.DataFrame(
            {
                "predicted_label": labels.gather(self.label_index),
                "probability": self.probability.astype(np.float64),
                "decision": labels.gather(self.decision_index),
            }
        )


class Predictor:
    """A saved classifier, ready to predict."""

    def __init__(
        self,
        settings: dict[str, Any],
        encoder: TextReader,
        session: Any,
        cores: int | None = None,
    ) -> None:
        self.settings = settings
        self.classes: list[str] = list(settings["classes"])
        self.label_names: dict[str, str] = dict(settings["label_names"])
        self.has_sets = bool(settings.get("multi_label", False))
        """Whether it gives a text any number of labels, so that its rule is a `SetRule`."""
        read_rule = SetRule.from_json if self.has_sets else DecisionRule.from_json
        self.rule: DecisionRule | SetRule = read_rule(settings.get("decision"), self.classes)
        self.encoder = encoder
        self.digest: str | None = None
        """Of the files that decide what it predicts; None where it was not loaded from files."""
        self.profile: dict[str, Any] | None = None
        """What it was trained on, for `review.drift`; None where the bundle does not tell."""
        self._session = session
        self._cores = cores or available_cores()
        self._inputs = {declared.name for declared in session.get_inputs()}

    @classmethod
    def load(cls, folder: Path | str, cores: int | None = None) -> Predictor:
        """Load a bundle.

        Args:
            folder: the bundle.
            cores: that work at the same time, each on a batch of its own; None takes all.

        Raises:
            BundleError: a file is missing, damaged or not what was saved, a newer textgauge wrote
                it, or the folder holds a pickle or a link that leaves it.
            SettingsError: `cores` is no whole number of 1 or more.

        """
        if cores is not None and (not isinstance(cores, int) or cores < 1):
            raise SettingsError(f"cores must be a whole number of 1 or more, was {cores!r}.")
        folder = Path(folder)
        stored = StoredFiles(folder)
        settings = stored.json(files.SETTINGS)
        version = settings.get("format_version")
        if version not in files.VERSIONS:
            raise BundleError(
                f"{folder / files.SETTINGS} has format {version!r}, this textgauge reads up to "
                f"{files.VERSIONS[-1]}; use the textgauge that trained the model, or a newer "
                "one."
            )
        words = stored.json(files.VOCABULARY)
        try:
            check_vocabulary(words)
            encoder = reader_from_json(words)
        except _WRONG as error:
            raise damaged(folder / files.VOCABULARY, error) from None
        try:
            network = stored.read(files.ONNX)
            check_network(network)
            session = session_from_bytes(network)
            check_session(session)
        except BundleError:
            raise
        except Exception as error:  # onnxruntime's errors share no class of their own.
            raise damaged(folder / files.ONNX, error) from None
        try:
            check_settings(settings)
            predictor = cls(settings, encoder, session, cores)
        except _WRONG as error:
            raise damaged(folder / files.SETTINGS, error) from None
        predictor._try_out(folder)
        predictor.digest = stored.digest_of(files.SETTINGS, files.VOCABULARY, files.ONNX)
        if stored.has(files.PROFILE):
            predictor.profile = stored.json(files.PROFILE)
        return predictor

    def _try_out(self, folder: Path) -> None:
        """Predict once, with the highest id and position that the vocabulary can give.

        Files of two models, copied over each other, would predict without any sense, or not at all.
        """
        outputs = self._session.get_outputs()[0].shape[-1]
        words, read = self.settings["architecture"]["vocabulary_size"], len(self.encoder.names)
        least = 1 if self.has_sets else 2
        fits = isinstance(outputs, int) and max(outputs, least) == len(self.classes)
        if not fits or words != read:
            raise BundleError(
                f"{folder} holds files of different models: {files.SETTINGS} says "
                f"{len(self.classes)} labels and {words} words, {files.ONNX} has {outputs} outputs "
                f"and {files.VOCABULARY} {read} words; copy the model again or train again."
            )
        bins = 0 if self.encoder.numbers is None else self.encoder.numbers.bins
        ids = np.array([UNKNOWN, UNKNOWN, NUMBER, read - 1], dtype=np.int32)
        positions = np.array([0, 0, bins, 0], dtype=np.float32)
        try:
            self.probabilities_of(Encoded(ids, positions, np.array([1, 3], dtype=np.int32)))
        except BundleError:
            raise
        except Exception as error:
            raise damaged(folder / files.ONNX, error) from None

    def predict(self, texts: Sequence[Any] | pl.Series) -> Prediction | SetPrediction:
        """Predict raw texts; each distinct text is computed once.

        Args:
            texts: a sequence, or a Polars, pandas or NumPy column. Numbers are read as texts, and
                what is missing (None, NaN) as an empty text.

        Raises:
            ValueError: `texts` is a single string.
            TypeError: it is no sequence, or holds bytes, lists or the like.

        """
        raw, at = distinct_texts(as_texts(texts).fill_null(""))
        return self.predict_normalised(normalise(raw), at)

    def predict_normalised(
        self, texts: pl.Series, at: npt.NDArray[np.int64] | None = None
    ) -> Prediction | SetPrediction:
        """As `predict`, for texts that are in normal form already.

        Args:
            texts: without nulls. Shape: (texts,), String.
            at: which of them is asked for, as often as it is; None: each once. Shape: (asked,).

        """
        distinct, of = distinct_texts(texts)
        encoded = self.encoder.encode_normalised(distinct)
        probabilities, reading = self.probabilities_of(encoded), encoded.reading()
        place = of if at is None else at if of is None else of[at]
        if place is not None:
            probabilities, reading = probabilities[place], replace(reading, place=place)
        return self.predicted(probabilities, reading)

    def predicted(
        self, probabilities: npt.NDArray[np.float32], reading: Reading | None
    ) -> Prediction | SetPrediction:
        """What these probabilities come to. Shape: (texts, classes)."""
        classes = tuple(self.classes)
        if isinstance(self.rule, SetRule):
            return SetPrediction(classes, probabilities, self.rule, reading)
        return Prediction(classes, probabilities.argmax(1), probabilities, self.rule, reading)

    def predict_frame(self, texts: Sequence[Any] | pl.Series) -> pl.DataFrame:
        """As `predict`, as a table with `predicted_label`, `probability` and `decision`."""
        return self.predict(texts).frame()

    def probabilities_of(self, encoded: Encoded) -> npt.NDArray[np.float32]:
        """Probabilities of encoded texts, computed in batches of similar length.

        Texts that read alike are computed once. Each core computes batches of its own: sharing the
        steps of one took a fifth longer. Shape: (texts, classes).
        """
        starts, alike = encoded.starts, encoded.first_alike()
        result = np.empty((len(encoded), len(self.classes)), dtype=np.float32)
        chosen = np.flatnonzero(alike == np.arange(len(encoded)))
        order = chosen[np.argsort(encoded.lengths[chosen], kind="stable")]
        batches = list(_batches(order, encoded.lengths[order]))

        def run(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            return self._run(*encoded.padded(rows, starts))

        if self._cores == 1 or len(batches) < 2:
            for rows in batches:
                result[rows] = run(rows)
        else:
            with ThreadPoolExecutor(min(self._cores, len(batches))) as pool:
                for rows, found in zip(batches, pool.map(run, batches), strict=True):
                    result[rows] = found
        return result[alike]

    def _run(
        self,
        ids: npt.NDArray[np.int64],
        positions: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float32]:
        """Probabilities of one batch, given as `Encoded.padded` gives it. Safe in threads."""
        feed = {"ids": ids, "positions": positions, "lengths": lengths.astype(np.int32)}
        wanted = {name: value for name, value in feed.items() if name in self._inputs}
        (logits,) = self._session.run([OUTPUT], wanted)
        if not np.isfinite(logits).all():
            raise BundleError(
                "the network of this model gives no finite numbers, so there is nothing to "
                "decide by; copy the model again or train again."
            )
        return probabilities_by(logits, has_sets=self.has_sets)


def _batches(
    order: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]
) -> Iterator[npt.NDArray[np.int64]]:
    """Cut texts of rising length into batches of `BATCH_TOKENS` at most, or of a single text."""
    begin = 0
    while begin < len(order):
        # The last text of a batch is its longest, so the batch's size is length * texts.
        ahead = lengths[begin : begin + BATCH_TOKENS // int(lengths[begin])]
        sizes = ahead.astype(np.int64) * np.arange(1, len(ahead) + 1)
        end = begin + max(int(np.searchsorted(sizes, BATCH_TOKENS, side="right")), 1)
        yield order[begin:end]
        begin = end


def distinct_texts(texts: pl.Series) -> tuple[pl.Series, npt.NDArray[np.int64] | None]:
    """The distinct texts, and the place of each text among them; None: its own."""
    distinct = texts.unique(maintain_order=True)
    if len(distinct) == len(texts):
        return texts, None
    places = pl.DataFrame({"text": distinct}).with_row_index("place")
    place = texts.to_frame("text").join(places, on="text", how="left", maintain_order="left")
    return distinct, place["place"].to_numpy()


def session_from_bytes(network: bytes) -> Any:
    """An onnxruntime session on the processor, which computes in the thread that calls it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # What it would print is raised as well.
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def probabilities_by(logits: npt.NDArray[np.float32], *, has_sets: bool) -> npt.NDArray[np.float32]:
    """What logits come to, of a model that gives a text any number of labels, or one."""
    return to_set_probabilities(logits) if has_sets else to_probabilities(logits)


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
