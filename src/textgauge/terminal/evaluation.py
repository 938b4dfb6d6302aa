"""The figures of a saved model on a table, as text."""

from __future__ import annotations

from ..evaluating import Evaluated
from ..review.set_metrics import SetEvaluation
from ..review.set_review import SetDecision
from .decision import decision_text
from .review import (
    evaluation_text,
    lower_text,
    sets_decision_text,
    sets_evaluation_text,
    slices_text,
)


def evaluated_text(result: Evaluated, slice_by: str = "value") -> str:
    """What `textgauge evaluate` shows; `slice_by` is the column whose values were judged, too."""
    names, decision = result.label_names, result.decision
    blocks = [f"{result.rows:,} rows, {result.unique_texts:,} distinct texts"]
    if isinstance(result.evaluation, SetEvaluation):
        blocks.append(sets_evaluation_text(result.evaluation, names))
    else:
        blocks.append(evaluation_text(result.evaluation, names))
    if isinstance(decision, SetDecision):
        blocks += sets_decision_text(decision, "this table")
    else:
        blocks += decision_text(decision, names, "this table")
    if result.slices is not None:
        blocks.append(slices_text(slice_by, result.slices))
    return "\n\n".join([*blocks, *lower_text(result.groups, result.decided)])
