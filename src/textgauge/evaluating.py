"""Judge a saved model on a labelled table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .bundle.predictor import Predictor
from .data.tables import Columns
from .review.deciding import ChosenRule
from .review.decision import DecisionFigures, as_decided, measure
from .review.differences import Drift
from .review.drift import find_drift
from .review.labelled import read_labelled
from .review.metrics import Evaluation, Metrics, evaluate
from .review.reference import Reference, labels_of
from .review.slices import Slice, SliceGroup, by_slice, by_texts


@dataclass(frozen=True)
class Evaluated:
    """Figures of a saved model on a table.

    Attributes:
        evaluation: over rows and over distinct texts.
        rows: rows that were judged.
        unique_texts: distinct texts among them.
        unknown_labels: labels of the table that the model can't give, with their rows, which
            were left out.
        decision: what the model's stored rule comes to on these rows.
        decided: the figures over rows of the labels that it decides; where no costs weigh them,
            these are the most probable ones.
        slices: the same by the values of a column, the lowest accuracy first; None where none was
            named.
        groups: the same by the length of the texts and by the first number in them.
        drift: the table held against what the model was trained on; None where its bundle does not
            tell.

    """

    evaluation: Evaluation
    rows: int
    unique_texts: int
    unknown_labels: dict[str, int]
    decision: DecisionFigures
    decided: Metrics
    slices: tuple[Slice, ...] | None = None
    groups: tuple[SliceGroup, ...] = ()
    drift: Drift | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge evaluate --json` prints it."""
        values: dict[str, Any] = {
            "eval_loss": self.evaluation.rows.loss,
            "eval_accuracy": self.evaluation.rows.accuracy,
            "eval_macro_f1": self.evaluation.rows.macro_f1,
            "rows": self.rows,
            "unique_texts": self.unique_texts,
            "unknown_labels": self.unknown_labels,
            "over_rows": self.evaluation.rows.to_json(),
            "over_texts": self.evaluation.texts.to_json(),
            "decision": self.decision.to_json(),
            "slice_groups": [group.to_json() for group in self.groups],
            "drift": None if self.drift is None else self.drift.to_json(),
        }
        if self.slices is not None:
            values["slices"] = [each.to_json() for each in self.slices]
        return values


def evaluate_table(
    predictor: Predictor,
    source: Any,
    *,
    text: str = "text",
    label: str = "label",
    slice_by: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Evaluated:
    """Judge a saved model on a labelled table.

    Args:
        predictor: the model.
        source: what `read_table` takes.
        text: the column with the texts.
        label: the column with the labels.
        slice_by: a column whose values are judged each by itself, too.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Raises:
        TableError: the table can't be read, or has none of the model's labels.
        BundleError: what the bundle tells of its training is damaged.

    """
    columns = Columns(text, label, slice=slice_by)
    found = read_labelled(
        source, columns, predictor.classes, encoding=encoding, delimiter=delimiter
    )
    table, judged, texts = found.table, found.judged, found.texts
    probabilities = predictor.predict(texts.texts).probabilities
    reference, classes = Reference.of_model(predictor), predictor.classes
    evaluation = evaluate(texts, probabilities, classes, with_intervals=True)
    answers, decided = as_decided(predictor.rule, texts, probabilities, classes, evaluation.rows)
    return Evaluated(
        evaluation=evaluation,
        decided=decided,
        rows=texts.rows,
        unique_texts=len(texts),
        unknown_labels=found.unknown_labels,
        decision=measure(texts, probabilities, classes, ChosenRule(predictor.rule)),
        slices=None
        if slice_by is None
        else tuple(by_slice(judged, texts, probabilities, classes, decided=answers)),
        groups=by_texts(texts, probabilities, classes, answers),
        drift=None
        if reference is None
        else find_drift(reference.count(table.frame["text"]), labels_of(judged), reference),
    )
