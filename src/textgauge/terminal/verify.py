"""Whether a run can be repeated, as text."""

from __future__ import annotations

from collections.abc import Sequence

from ..review.repetition import TOLERANCE, Compared, Decisions, Difference
from ..verifying import WORKERS, Verified
from .tables import table

SHOWN = 12
"""Figures in a table at most."""

_EXAMPLE = 60


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
        rows = [[_line(e.name), str(e.recorded), str(e.now)] for e in found.decisions.examples]
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
    rows = [[_line(e.name), _value(e.recorded), _value(e.now)] for e in differences[:SHOWN]]
    left = len(differences) - len(rows)
    more = f"\n(and {left:,} more; see --json)" if left > 0 else ""
    return table([title, "recorded", "now"], rows) + more


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
    return text if len(text) <= 16 else f"{text[:16]}…"


def _line(text: str) -> str:
    line = " ".join(text.split())
    line = line if line.isprintable() else repr(line)
    return line if len(line) <= _EXAMPLE else f"{line[: _EXAMPLE - 1]}…"
