"""Judge a saved model on a labelled table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .bundle.label_sets import SetRule
from .bundle.predictor import Predictor
from .data.tables import Columns
from .review.deciding import ChosenRule
from .review.decision import DecisionFigures, as_decided, measure
from .review.differences import Drift
from .review.drift import find_drift
from .review.labelled import read_labelled
from .review.metrics import Evaluation, Metrics, evaluate
from .review.reference import Reference, labels_of
from .review.set_metrics import SetEvaluation, SetMetrics, evaluate_sets
from .review.set_review import SetDecision, measure_sets
from .review.set_rule import ChosenSetRule
from .review.slices import (
    Judge,
    LabelJudge,
    SetJudge,
    Slice,
    SliceGroup,
    by_slice,
    by_texts,
)
from .text.reader import notation_of


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
        label_names: what to call label values.

    """

    evaluation: Evaluation | SetEvaluation
    rows: int
    unique_texts: int
    unknown_labels: dict[str, int]
    decision: DecisionFigures | SetDecision
    decided: Metrics | SetMetrics
    slices: tuple[Slice, ...] | None = None
    groups: tuple[SliceGroup, ...] = ()
    drift: Drift | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)

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
        if isinstance(self.evaluation, SetEvaluation):
            rows = self.evaluation.rows
            values |= {
                "multi_label": True,
                "eval_micro_f1": rows.micro_f1,
                "eval_hamming_loss": rows.hamming_loss,
                "eval_label_accuracy": rows.label_accuracy,
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
    columns, rule = Columns(text, label, slice=slice_by), predictor.rule
    separator = rule.separator if isinstance(rule, SetRule) else None
    found = read_labelled(
        source,
        columns,
        predictor.classes,
        encoding=encoding,
        delimiter=delimiter,
        separator=separator,
    )
    table, judged, texts = found.table, found.judged, found.texts
    probabilities = predictor.predict(texts.texts).probabilities
    reference, classes = Reference.of_model(predictor), predictor.classes
    told: dict[str, Any]
    if isinstance(rule, SetRule):
        of_sets = evaluate_sets(texts, probabilities, rule, classes, with_intervals=True)
        judge: Judge = SetJudge(texts, probabilities, rule)
        told = {
            "evaluation": of_sets,
            "decided": of_sets.rows,
            "decision": measure_sets(texts, probabilities, ChosenSetRule(rule)),
        }
    else:
        evaluation = evaluate(texts, probabilities, classes, with_intervals=True)
        answers, decided = as_decided(rule, texts, probabilities, classes, evaluation.rows)
        judge = LabelJudge(probabilities, classes, answers)
        told = {
            "evaluation": evaluation,
            "decided": decided,
            "decision": measure(texts, probabilities, classes, ChosenRule(rule)),
        }
    return Evaluated(
        **told,
        rows=texts.rows,
        unique_texts=len(texts),
        unknown_labels=found.unknown_labels,
        slices=None
        if slice_by is None
        else tuple(by_slice(judged, texts, probabilities, classes, judge=judge)),
        groups=by_texts(
            texts,
            probabilities,
            classes,
            judge=judge,
            notation=notation_of(predictor.encoder),
        ),
        drift=None
        if reference is None
        else find_drift(
            reference.count(table.frame["text"]), labels_of(judged, separator), reference
        ),
        label_names=predictor.label_names,
    )
