"""The review that follows a training, and the figures of an evaluation, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..data.corpus import Corpus
from ..result import TrainResult
from ..review.intervals import percent
from ..review.metrics import Evaluation, Metrics
from ..review.slices import Slice
from ..tracking.protocol import RunRecord

_MOST_LABELS = 30


def review_text(result: TrainResult, label_names: Mapping[str, str]) -> str:
    """What a person should see first after a training, the run's page last."""
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
        result.review.verdict,
        f"Saved model, proved in a fresh process: {result.bundle}",
        *missing_text(result.run),
        f"Finished in {result.seconds['whole']:.1f} s. Run Details:\n{result.run.run_url}",
    ]
    return "\n\n".join(blocks)


def missing_text(run: RunRecord) -> list[str]:
    """What to do about a run that its server does not have whole; nothing if it has."""
    if run.missing is None:
        return []
    problem = run.missing if run.missing.endswith(".") else f"{run.missing}."
    return [
        f"Not all of the run is on its server: {problem}\n"
        "It is whole in the local store. Send the rest with: textgauge sync"
    ]


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
    areas = [
        f"{title} {value:.4f}"
        for title, value in (
            ("ROC area", metrics.roc_auc),
            ("average precision", metrics.average_precision),
        )
        if value is not None
    ]
    calibration = [f"calibration error {metrics.ece:.4f}", f"Brier score {metrics.brier:.4f}"]
    return "\n".join([*lines, ", ".join([*areas, *calibration])])


def labels_text(metrics: Metrics, label_names: Mapping[str, str]) -> str:
    """Precision, recall and F1 of each label; of many labels the worst."""
    shown = list(metrics.labels)
    rest = ""
    if len(shown) > _MOST_LABELS:
        rest = f"\n(the {_MOST_LABELS} labels with the lowest F1 of {len(shown)})"
        shown = sorted(shown, key=lambda label: label.f1)[:_MOST_LABELS]
    rows = [
        [
            named(label.label, label_names),
            f"{label.precision:.4f}",
            f"{label.recall:.4f}",
            f"{label.f1:.4f}",
            f"{label.support:,}",
        ]
        for label in shown
    ]
    return table(["label", "precision", "recall", "F1", "rows"], rows) + rest


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


def slices_text(column: str, slices: Sequence[Slice], whole: Metrics) -> str:
    """The figures of each slice; those whose interval does not hold the whole's accuracy stand out.

    Args:
        column: that the table was cut by.
        slices: in the order in which they are shown.
        whole: the figures of all rows.

    """
    rows = [
        [
            each.value if each.value.isprintable() else repr(each.value),
            f"{each.rows:,}",
            f"{each.texts:,}",
            f"{each.accuracy:.4f}",
            percent(each.interval),
            f"{each.macro_f1:.4f}",
            "lower"
            if each.interval.high < whole.accuracy
            else "higher"
            if each.interval.low > whole.accuracy
            else "",
        ]
        for each in slices
    ]
    header = [column, "rows", "texts", "accuracy", "with 95 % confidence", "macro F1", "than all"]
    return table(header, rows)


def named(label: str, label_names: Mapping[str, str]) -> str:
    """A label with its name, where it has one; a label that no line can hold is quoted.

    >>> named("1", {"1": "non-compliant"}), named("x", {})
    ('1 non-compliant', 'x')
    """
    shown = label if label.isprintable() else repr(label)
    return f"{shown} {label_names[label]}" if label in label_names else shown


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by spaces: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "   ".join([first, *others]).rstrip()

    return "\n".join([line(header), line(["─" * width for width in widths]), *map(line, rows)])
