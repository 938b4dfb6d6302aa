"""Whether a run can be repeated, as text."""

from __future__ import annotations

from collections.abc import Sequence

from ..review.repetition import TOLERANCE, Compared, Decisions, Difference
from ..verifying import WORKERS, Verified
from .tables import one_line, table

SHOWN = 12
"""Figures in a table at most."""

_EXAMPLE = 60

_OVER = {"rows": "over rows", "texts": "each text once"}

_FIGURES = {
    "f1": "F1",
    "macro_f1": "macro F1",
    "roc_auc": "ROC area",
    "ece": "calibration error",
    "brier": "Brier score",
    "support": "number",
    "lr": "learning rate",
}
"""What figures are called whose name is no word."""

_PARTS = {"train": "training", "val": "validation", "test": "test"}


def verified_text(found: Verified) -> str:
    """The outcome first, then what differed, then why that may be."""
    if found.outcome == "other data":
        return "\n\n".join([_other_data(found), _differences("of the table", found.data)])
    assert found.figures is not None
    assert found.decisions is not None
    blocks = [_outcome(found, found.figures, found.decisions)]
    for title, compared in (("on the test part", found.figures), ("in training", found.epochs)):
        if compared is not None and compared.differing:
            blocks.append(_differences(title, compared.differing))
    if found.decisions.examples:
        rows = [
            [one_line(e.name, _EXAMPLE), one_line(str(e.recorded)), one_line(str(e.now))]
            for e in found.decisions.examples
        ]
        blocks.append(table(["decided otherwise", "recorded", "now"], rows))
    if found.surroundings:
        blocks.append(_differences("other than then", found.surroundings))
        if any(each.name == WORKERS for each in found.surroundings):
            blocks.append(
                "Several workers draw apart: one process does not repeat what they trained. Train "
                "again with --engine spark and as many workers, and compare the figures."
            )
    elif found.outcome != "identical" and "versions and machine" not in found.not_compared:
        blocks.append("Versions and machine are those of the run.")
    if found.not_compared:
        blocks.append(f"Not compared, since the run did not record it: {_listed(found)}.")
    return "\n\n".join(blocks)


def _listed(found: Verified) -> str:
    return ", ".join(found.not_compared)


def _other_data(found: Verified) -> str:
    sizes = [each for each in found.data if each.name != "digest"]
    what = (
        "Nothing was trained."
        if sizes
        else "Rows, texts and labels are as many as then, so texts or labels were exchanged. "
        "Nothing was trained."
    )
    return f"Not the same: {found.table} is not the table that run {found.run} recorded. {what}"


def _outcome(found: Verified, figures: Compared, decisions: Decisions) -> str:
    counted = f"{figures.number:,} figures"
    if found.epochs is not None:
        counted += f", {found.epochs.number:,} of the epochs"
    texts = f"{decisions.texts:,} test texts"
    if found.outcome == "identical":
        return (
            f"The same to the last bit: run {found.run} on {found.table}. {counted}, the "
            f"probabilities of {texts} and all weights are identical."
        )
    if found.outcome == "same":
        weights = "The weights are identical" if found.weights_identical else "Weights differ"
        return (
            f"The same: run {found.run} on {found.table}. {counted} agree to {TOLERANCE:g}, and "
            f"{texts} are decided alike; a probability differs by {decisions.largest:.2g} at most. "
            f"{weights}."
        )
    return (
        f"Not the same: run {found.run} on {found.table}. {decisions.otherwise:,} of {texts} are "
        f"decided otherwise, a probability differs by {decisions.largest:.2g} at most, and "
        f"{len(figures.differing):,} of {counted} differ."
    )


def _differences(title: str, differences: Sequence[Difference]) -> str:
    rows = [
        [one_line(in_words(e.name), _EXAMPLE), _value(e.recorded), _value(e.now)]
        for e in differences[:SHOWN]
    ]
    left = len(differences) - len(rows)
    more = f"\n(and {left:,} more; see --json)" if left > 0 else ""
    return table([title, "recorded", "now"], rows) + more


def in_words(name: str) -> str:
    """What a recorded figure is called (`repetition.flat`), for people.

    >>> in_words("distinct_texts"), in_words("parts train texts")
    ('distinct texts', 'distinct texts of the training part')
    >>> in_words("labels in test 1"), in_words("rows labels iron f1")
    ("rows of the test part with the label '1'", "F1 of the label 'iron', over rows")
    >>> in_words("texts intervals macro_f1 1"), in_words("epoch 3 val_loss")
    ('macro F1, low end of its interval, each text once', 'validation loss in epoch 3')
    """
    match name.split(" "):
        case ["parts", part, what]:
            counted = "distinct texts" if what == "texts" else what
            return f"{counted} of the {_PARTS.get(part, part)} part"
        case ["labels", "in", part, *label]:
            return f"rows of the {_PARTS.get(part, part)} part with the label {' '.join(label)!r}"
        case ["epoch", number, figure]:
            return f"{_figure(figure)} in epoch {number}"
        case ["rows" | "texts" as over, *figure] if figure:
            return f"{_figure_of(figure)}, {_OVER[over]}"
        case _:
            return _figure(name)


def _figure_of(path: Sequence[str]) -> str:
    """A figure of all labels, of one, of two that are taken for each other, or an interval's end.

    Labels may hold blanks, so that they are what is left.
    """
    match path:
        case ["labels", *label, figure]:
            return f"{_figure(figure)} of the label {' '.join(label)!r}"
        case ["confusion", true, called]:
            return f"label no. {true} called label no. {called}"
        case ["intervals", figure, end]:
            return f"{_figure(figure)}, {_end(end)}"
        case ["intervals", figure, label, end]:
            return f"{_figure(figure)} of label no. {label}, {_end(end)}"
        case _:
            return _figure(" ".join(path))


def _end(number: str) -> str:
    return f"{'low' if number == '1' else 'high'} end of its interval"


def _figure(name: str) -> str:
    part, _, rest = name.partition("_")
    if part in _PARTS and rest:
        return f"{_PARTS[part]} {_figure(rest)}"
    return _FIGURES.get(name, name.replace("_", " "))


def _value(value: object) -> str:
    """A figure as people read it.

    >>> _value(1200), _value(0.12345678), _value(None), _value("2.4.1")
    ('1,200', '0.123457', 'none', '2.4.1')
    """
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return one_line(text if len(text) <= 16 else f"{text[:16]}…")
