"""A loaded model, and what it answers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..bundle import files
from ..bundle.label_sets import SetPrediction, SetRule
from ..bundle.predictor import Prediction, Predictor
from ..review.explanation import Explainer, Explanation
from ..text.encoder import TextEncoder
from ..text.few import FEWEST_FOR_POLARS, FewTexts
from ..tracking.addresses import pin_model, resolve_model

LONGEST_KEPT = 2_000
"""Characters of a text whose answer is kept for the next time."""

LABELS_EXPLAINED = 10
"""Labels of a text that are explained at most, of a model that gives any number of them."""

LONGEST_TITLE = 120
"""Characters of a model's title."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told of a text.

    Attributes:
        label: the most probable label; of a model that gives any number, all that are predicted,
            joined.
        probability: of it, in [0, 1].
        decision: what the model's rule makes of it: a label, or `review`.
        certainty: of the label that costs least, in [1 / classes, 1]; see `DecisionRule`.
        probabilities: of all labels, in the model's order.
        tokens: that were read.
        unknown: of these, tokens that the model does not know.
        outside: whether a number lies outside the range that the model was trained on.
        labels: that are predicted, of a model that gives any number of them; None: it gives one.

    """

    label: str
    probability: float
    decision: str
    certainty: float
    probabilities: tuple[float, ...]
    tokens: int
    unknown: int
    outside: bool
    labels: tuple[str, ...] | None = None


class Recent:
    """The answers to recent texts, bounded by the characters of these texts."""

    def __init__(self, characters: int) -> None:
        self._most, self._held = characters, 0
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def get(self, text: str) -> Answer | None:
        """The answer, if it is still there."""
        found = self._answers.get(text)
        if found is not None:
            self._answers.move_to_end(text)
        return found

    def put(self, text: str, answer: Answer) -> None:
        """Keep an answer, and forget what was not asked for longest."""
        # An answer has a size too: a short text is not free.
        cost = len(text) + 100
        if cost > min(self._most, LONGEST_KEPT) or text in self._answers:
            return
        self._answers[text] = answer
        self._held += cost
        while self._held > self._most:
            forgotten, _ = self._answers.popitem(last=False)
            self._held -= len(forgotten) + 100


@dataclass(frozen=True)
class ServedModel:
    """A model that answers.

    Attributes:
        address: as it was asked for.
        source: what that was when it was loaded: a folder, or the version of an alias.
        version: of the registered model; None of a folder or a run.
        predictor: the model.
        explainer: the same; None where it was saved without what explains it.
        recent: answers of before; only the event loop's thread may touch it.
        title: of its card; None without one.
        loaded: when.

    """

    address: str
    source: str
    version: str | None
    predictor: Predictor
    explainer: Explainer | None
    few: FewTexts | None
    recent: Recent
    title: str | None = None
    loaded: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def load(
        cls,
        address: str | Path,
        tracking_uri: str | None = None,
        *,
        cores: int | None = 1,
        cached_characters: int = 0,
    ) -> ServedModel:
        """Load a model by its folder or address and have it answer once.

        Raises:
            BundleError: there is no model, or it is damaged.
            TrackingError: the address can't be found in the tracking store.

        """
        source, version = pin_model(address, tracking_uri)
        folder = resolve_model(source, tracking_uri)
        if (folder / files.FILLS).exists():
            explainer: Explainer | None = Explainer.load(folder, cores)
            assert explainer is not None
            predictor = explainer.predictor
        else:
            explainer, predictor = None, Predictor.load(folder, cores)
        served = cls(
            str(address),
            source,
            version,
            predictor,
            explainer,
            FewTexts(predictor.encoder) if isinstance(predictor.encoder, TextEncoder) else None,
            Recent(cached_characters),
            _title(folder / files.CARD),
        )
        served.answer(["", "é"])  # What is made at the first use is made before anybody waits.
        return served

    def at(self, address: str) -> ServedModel:
        """The same, loaded for an address that points to it for now."""
        return replace(self, address=address)

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """What the model says of distinct texts."""
        found: list[Answer | None] = [None] * len(texts)
        few = [at for at, text in enumerate(texts) if text.isascii()]
        if self.few is None or len(few) > FEWEST_FOR_POLARS:
            few = []
        if few:
            for at, each in zip(few, self._few([texts[at] for at in few]), strict=True):
                found[at] = each
        left = [at for at, each in enumerate(found) if each is None]
        if left:
            prediction = self.predictor.predict([texts[at] for at in left])
            for at, each in zip(left, _answers(prediction), strict=True):
                found[at] = each
        return [each for each in found if each is not None]

    def _few(self, texts: Sequence[str]) -> list[Answer]:
        assert self.few is not None
        encoded = self.few.encode(texts)
        probabilities = self.predictor.probabilities_of(encoded)
        return _answers(self.predictor.predicted(probabilities, encoded.reading()))

    def explain(self, text: str) -> tuple[Explanation, ...]:
        """Which words moved the decision, of each label that is decided.

        The model must have been saved with what explains it.
        """
        assert self.explainer is not None
        return self.explainer.explain_labels([text], most=LABELS_EXPLAINED)[0]

    def predict(self, texts: pl.Series) -> Prediction | SetPrediction:
        """Predict a column of texts."""
        return self.predictor.predict(texts)

    def describe(self) -> dict[str, Any]:
        """What is told of the model to whoever asks."""
        rule = self.predictor.rule
        return {
            "title": self.title,
            "address": self.address,
            "version": self.version,
            "loaded": self.loaded.isoformat(timespec="seconds"),
            "trained": self.predictor.settings.get("created"),
            "text_column": str(self.predictor.settings["config"]["text"]),
            "classes": list(self.predictor.classes),
            "label_names": self.predictor.label_names,
            "threshold": rule.threshold,
            "review_below": rule.review_below,
            "explains": self.explainer is not None,
            **self._of_sets(),
        }

    def _of_sets(self) -> dict[str, Any]:
        rule = self.predictor.rule
        if not isinstance(rule, SetRule):
            return {}
        thresholds = dict(zip(self.predictor.classes, rule.thresholds, strict=True))
        return {"multi_label": True, "separator": rule.separator, "thresholds": thresholds}


def _title(card: Path) -> str | None:
    """The first heading of a card, which people may have written."""
    with suppress(OSError):
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("# "):
                return " ".join(line[2:].split())[:LONGEST_TITLE] or None
    return None


def _answers(prediction: Prediction | SetPrediction) -> list[Answer]:
    assert prediction.reading is not None
    reading = prediction.reading.each()
    of_sets = isinstance(prediction, SetPrediction)
    rows = zip(
        (prediction.names[index] for index in prediction.label_index),
        prediction.probability.astype(np.float64).tolist(),
        prediction.decision,
        prediction.decided.certainty.tolist(),
        map(tuple, prediction.probabilities.astype(np.float64).tolist()),
        reading.tokens.tolist(),
        reading.unknown.tolist(),
        reading.outside.tolist(),
        prediction.labels if of_sets else repeat(None, len(prediction)),
        strict=True,
    )
    return [Answer(*row) for row in rows]
