"""The review that follows a training, and the figures of an evaluation, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..data.corpus import Corpus
from ..data.problems import counted
from ..report.wording import band_in_words, rules_in_words
from ..review.intervals import percent
from ..review.label_issues import FILE_NAME
from ..review.metrics import Evaluation, Metrics
from ..review.rule_summary import RuleSummary
from ..review.set_metrics import SetEvaluation, SetMetrics
from ..review.set_review import SetDecision, SetReview
from ..review.slices import Slice, SliceGroup
from ..tracking.protocol import RunRecord
from .decision import bands_text, decision_text
from .tables import DASH, named, printable, table

if TYPE_CHECKING:
    from ..result import TrainResult

_MOST_LABELS = 30


def review_text(result: TrainResult, label_names: Mapping[str, str]) -> str:
    """What a person should see first after a training, the run's page last."""
    if isinstance(result.review, SetReview):
        return sets_review_text(result, result.review, label_names)
    contenders = [result.review.model, *reversed(result.review.baselines)]
    blocks = [
        corpus_text(result.corpus),
        table(
            ["on the test part", "accuracy", "macro F1", "loss", "accuracy, each text once"],
            [
                [
                    c.name,
                    f"{c.evaluation.rows.accuracy:.4f}",
                    f"{c.evaluation.rows.macro_f1:.4f}",
                    f"{c.evaluation.rows.loss:.4f}",
                    f"{c.evaluation.texts.accuracy:.4f}",
                ]
                for c in contenders
            ],
        ),
        certainty_text(contenders[0].name, contenders[0].evaluation.rows),
        labels_text(contenders[0].evaluation.rows, label_names),
        *([rules_text(contenders[0].name, result.rules, label_names)] if result.rules else []),
        *decision_text(result.review.decision, label_names, "the test part"),
        *lower_text(result.review.slices, result.review.decided, only_worst=True),
        result.review.verdict,
        *label_issues_text(result),
        *_end_text(result),
    ]
    return "\n\n".join(blocks)


def _end_text(result: TrainResult) -> list[str]:
    return [
        *([f"The review as a page: {result.report_file}"] if result.report_file else []),
        f"Saved model, proved in a fresh process: {result.bundle}",
        *missing_text(result.run),
        f"Finished in {result.seconds['whole']:.1f} s. Run Details:\n{result.run.run_url}",
    ]


def sets_review_text(result: TrainResult, review: SetReview, label_names: Mapping[str, str]) -> str:
    """As `review_text`, where a text has any number of labels."""
    figures = [(c.name, c.evaluation.rows) for c in (review.model, *reversed(review.baselines))]
    return "\n\n".join(
        [
            corpus_text(result.corpus),
            sets_figures_text("on the test part", figures),
            sets_certainty_text(review.model.name, review.model.evaluation.rows),
            sets_labels_text(review.model.evaluation.rows, label_names),
            *sets_decision_text(review.decision, "the test part"),
            *lower_text(review.slices, review.model.evaluation.rows, only_worst=True),
            review.verdict,
            *_end_text(result),
        ]
    )


def sets_figures_text(title: str, figures: Sequence[tuple[str, SetMetrics]]) -> str:
    """Figures of several classifiers, or over several things, below each other."""
    return table(
        [title, "accuracy", "micro F1", "macro F1", "Hamming loss", "loss"],
        [
            [
                name,
                *(
                    f"{value:.4f}"
                    for value in (m.accuracy, m.micro_f1, m.macro_f1, m.hamming_loss, m.loss)
                ),
            ]
            for name, m in figures
        ],
    )


def sets_certainty_text(name: str, metrics: SetMetrics) -> str:
    """As `certainty_text`; accuracy is of whole sets."""
    lines = ["Accuracy: the share of the rows whose labels are exactly right."]
    if metrics.intervals is not None:
        found = metrics.intervals
        lines.append(
            f"With 95 % confidence the accuracy of {name} is {percent(found.accuracy)}, its micro "
            f"F1 {percent(found.micro_f1)}, its macro F1 {percent(found.macro_f1)}."
        )
    return "\n".join([*lines, _of_probabilities(metrics)])


def sets_labels_text(metrics: SetMetrics, label_names: Mapping[str, str]) -> str:
    """As `labels_text`, with the threshold of each label."""
    shown, rest = list(metrics.labels), ""
    if len(shown) > _MOST_LABELS:
        rest = f"\n(the {_MOST_LABELS} labels with the lowest F1 of {len(shown)})"
        shown = sorted(shown, key=lambda label: label.f1)[:_MOST_LABELS]
    rows = [
        [
            named(label.label, label_names),
            _known(label.precision, label.called),
            _known(label.recall, label.support),
            _known(label.f1, label.support + label.called),
            f"{label.threshold:.3f}",
            f"{label.support:,}",
        ]
        for label in shown
    ]
    return table(["label", "precision", "recall", "F1", "threshold", "rows"], rows) + rest


def sets_decision_text(found: SetDecision, where: str) -> list[str]:
    """What goes to a person, in blocks; none where nothing was asked."""
    if found.band is None:
        return []
    return [band_in_words(found, found.band, where), bands_text(found.curve)]


def missing_text(run: RunRecord) -> list[str]:
    """What to do about a run that its server does not have whole; nothing if it has."""
    if run.missing is None:
        return []
    problem = run.missing if run.missing.endswith(".") else f"{run.missing}."
    return [
        f"Not all of the run is on its server: {problem}\n"
        "It is whole in the local store. Send the rest with: textgauge sync"
    ]


def label_issues_text(result: TrainResult) -> list[str]:
    """How many labels are in doubt, and where they are listed; nothing if there are none."""
    found = result.label_issues
    if found is None or not len(found):
        return []
    reasons = ", ".join(
        f"{counted(pairs, 'text')} {told}"
        for pairs, told in (
            (found.pairs["contradictory"], "with a label that most rows of that text contradict"),
            (found.pairs["suspect"], "whose label the models doubt"),
        )
        if pairs
    )
    looked = "" if found.texts >= found.all_texts else f" (of a sample of {found.texts:,} texts)"
    where = result.label_issues_file or f"{FILE_NAME}, among the run's files"
    return [f"Labels in doubt: {counted(found.rows, 'row')}{looked}; {reasons}:\n{where}"]


def corpus_text(corpus: Corpus) -> str:
    """The split, and what a random split of the rows would have shared."""
    counts = table(
        ["part", "rows", "distinct texts"],
        [[name, f"{part.rows:,}", f"{part.texts:,}"] for name, part in corpus.sizes.items()],
    )
    return (
        f"{counts}\n\nsplit: {corpus.split_method}\n"
        f"test texts that also stand in train: {corpus.test_texts_in_train:,} "
        f"(a random split of the rows would share {corpus.random_split_share:.1%})"
    )


def certainty_text(name: str, metrics: Metrics) -> str:
    """How far the figures could lie off, and how well probabilities fit what comes true."""
    lines = []
    if metrics.intervals is not None:
        accuracy, f1 = metrics.intervals.accuracy, metrics.intervals.macro_f1
        lines.append(
            f"With 95 % confidence the accuracy of {name} is {percent(accuracy)}, "
            f"its macro F1 {percent(f1)}."
        )
    return "\n".join([*lines, _of_probabilities(metrics)])


def _of_probabilities(metrics: Metrics | SetMetrics) -> str:
    areas = [
        f"{title} {value:.4f}"
        for title, value in (
            ("ROC area", metrics.roc_auc),
            ("average precision", metrics.average_precision),
        )
        if value is not None
    ]
    calibration = [f"calibration error {metrics.ece:.4f}", f"Brier score {metrics.brier:.4f}"]
    return ", ".join([*areas, *calibration])


def labels_text(metrics: Metrics, label_names: Mapping[str, str]) -> str:
    """Precision, recall and F1 of each label; of many labels the worst."""
    shown = list(zip(metrics.labels, metrics.called, strict=True))
    rest = ""
    if len(shown) > _MOST_LABELS:
        rest = f"\n(the {_MOST_LABELS} labels with the lowest F1 of {len(shown)})"
        shown = sorted(shown, key=lambda each: each[0].f1)[:_MOST_LABELS]
    rows = [
        [
            named(label.label, label_names),
            _known(label.precision, called),
            _known(label.recall, label.support),
            _known(label.f1, label.support + called),
            f"{label.support:,}",
        ]
        for label, called in shown
    ]
    return table(["label", "precision", "recall", "F1", "rows"], rows) + rest


def _known(share: float, of: int) -> str:
    return f"{share:.4f}" if of else DASH


def rules_text(
    name: str, rules: RuleSummary, label_names: Mapping[str, str], rows: str = "test rows"
) -> str:
    """The rules that imitate the model called `name`, if they do, and how well.

    Args:
        name: of the model.
        rules: to be told.
        label_names: what to call label values.
        rows: those on which the agreement was measured.

    """
    verdict, told = rules_in_words(name, rules, lambda label: named(label, label_names), rows)
    if not told:
        return verdict
    return "\n".join([f"{verdict.removesuffix('.')}:", *(f"  {line}" for line in told)])


def sets_evaluation_text(evaluation: SetEvaluation, label_names: Mapping[str, str]) -> str:
    """As `evaluation_text`, where a text has any number of labels."""
    return "\n\n".join(
        [
            sets_figures_text(
                "over", [("rows", evaluation.rows), ("each text once", evaluation.texts)]
            ),
            sets_certainty_text("the model", evaluation.rows),
            sets_labels_text(evaluation.rows, label_names),
        ]
    )


def evaluation_text(evaluation: Evaluation, label_names: Mapping[str, str]) -> str:
    """The figures of a saved model on another table."""
    figures = [
        [name, f"{m.accuracy:.4f}", f"{m.macro_f1:.4f}", f"{m.loss:.4f}"]
        for name, m in (("rows", evaluation.rows), ("each text once", evaluation.texts))
    ]
    return "\n\n".join(
        [
            table(["over", "accuracy", "macro F1", "loss"], figures),
            certainty_text("the model", evaluation.rows),
            labels_text(evaluation.rows, label_names),
        ]
    )


def slices_text(column: str, slices: Sequence[Slice]) -> str:
    """The figures of each slice, in the order given; those that differ from the whole stand out."""
    rows = [
        [
            printable(each.value),
            f"{each.rows:,}",
            f"{each.texts:,}",
            f"{each.accuracy:.4f}",
            percent(each.interval),
            f"{each.macro_f1:.4f}",
            each.than_all,
        ]
        for each in slices
    ]
    header = [column, "rows", "texts", "accuracy", "with 95 % confidence", "macro F1", "than all"]
    return table(header, rows)


def lower_text(
    groups: Sequence[SliceGroup], whole: Metrics | SetMetrics, *, only_worst: bool = False
) -> list[str]:
    """A line for each slice that is lower than the whole beyond chance, or for the worst alone."""
    found = sorted(
        ((each.accuracy, -each.rows, group.what, each) for group in groups
         for each in group.slices if each.than_all == "lower"),
        key=lambda one: one[:3],
    )  # fmt: skip
    return [
        f"Where it fails: {what} {printable(each.value)}, "
        f"accuracy {each.accuracy:.1%} ({percent(each.interval)}) in {each.rows:,} rows of "
        f"{each.texts:,} texts, over all rows {whole.accuracy:.1%}."
        for _, _, what, each in (found[:1] if only_worst else found)
    ]
