"""`textgauge` with figures and baselines but no review: what the review is measured against.

python benchmarks/review/unreviewed.py train TABLE …    (as `textgauge train TABLE …`)

Left out: intervals, slices, the rule of decision with its figures, the rules that imitate the
model, labels in doubt, explanations, and the report.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl

from textgauge import delivering
from textgauge.cli import main
from textgauge.data.corpus import LabelledTexts
from textgauge.review import contenders
from textgauge.review.deciding import ChosenRule
from textgauge.review.decision import measure
from textgauge.review.intervals import Interval
from textgauge.review.label_issues import LabelIssues
from textgauge.review.metrics import evaluate
from textgauge.review.rule_summary import Agreement, RuleSummary
from textgauge.review.rules import Leaf


def judge_only(fitted: Any, config: Any, corpus: Any, simple: Any, asked: Any) -> Any:
    """Take the place of `reviewing.review_model`: the figures, and no more."""
    from textgauge.reviewing import probabilities_of

    on_test, fitted_simple = probabilities_of(fitted, corpus.test), simple.wait()
    simple.stop()
    review = contenders.judge(
        config.model.upper(), on_test, fitted_simple, corpus.test, corpus.classes
    )
    nothing = Agreement(0.0, Interval(0.0, 1.0), 0.0, 1.0, 0)
    return review, RuleSummary(Leaf(corpus.classes[0], 1.0, 1.0), nothing)


def without_intervals(*given: Any, with_intervals: bool = False) -> Any:
    """Take the place of `metrics.evaluate`."""
    return evaluate(*given)


def only_one(texts: LabelledTexts) -> LabelledTexts:
    """The first text alone, for a figure that cannot be left out."""
    first = texts.text_index == 0
    return LabelledTexts(
        texts.texts.head(1), texts.text_index[first], texts.label[first], texts.count[first]
    )


def picture_and_history(folder: Path, facts: Any) -> Any:
    """Take the place of `documents.write_documents`: the first two files."""
    files = write_documents(folder, facts)
    return [next(files), next(files)]


if __name__ == "__main__":
    write_documents = delivering.write_documents
    contenders.evaluate = without_intervals
    contenders.by_texts = lambda *_: ()
    contenders.measure = lambda texts, probabilities, classes, chosen: measure(
        only_one(texts), probabilities[:1], classes, ChosenRule()
    )
    delivering.review_model = judge_only
    delivering.doubted_labels = lambda *_: LabelIssues(
        pl.DataFrame(), {"suspect": 0, "contradictory": 0}, 0, {}, 0, 0
    )
    delivering._look_at_texts = lambda *_: None
    delivering.write_documents = picture_and_history
    main(sys.argv[1:])
