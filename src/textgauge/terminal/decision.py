"""How a model decides and what comes of it, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..report.wording import band_in_words, costs_in_words
from ..review.decision import Band, DecisionFigures
from ..review.intervals import percent
from .tables import named, table

_LEVELS = 6
"""Of the certainties below which a person may decide, as many are shown."""

_MOST_LABELS = 30


def decision_text(found: DecisionFigures, label_names: Mapping[str, str], where: str) -> list[str]:
    """How the model decides and what comes of it, in blocks; none where nothing was asked.

    Args:
        found: the figures.
        label_names: what to call label values.
        where: what they were measured on, such as "the test part".

    """
    blocks = []
    if found.cost is not None:
        blocks += [
            costs_in_words(found, lambda label: repr(named(label, label_names)), where),
            _false_text(found, label_names),
        ]
    if found.band is not None:
        blocks.append(band_in_words(found, found.band, where))
    if found.rule and found.curve:
        blocks.append(bands_text(found.curve))
    return blocks


def bands_text(curve: Sequence[Band]) -> str:
    """What a person could take off it, by the certainty below which that is."""
    step = max(-(-len(curve) // _LEVELS), 1)
    rows = [
        [
            f"{each.review_below:g}",
            f"{each.coverage:.1%}",
            _share(each.error),
            percent(each.interval),
            _share(each.sent_error),
        ]
        for each in curve[::-1][::step][::-1]
    ]
    header = ["--review-below", "decided", "wrong", "with 95 % confidence", "wrong if sent"]
    return table(header, rows)


def _false_text(found: DecisionFigures, label_names: Mapping[str, str]) -> str:
    """The wrong decisions by what is decided; of many labels the costliest."""
    shown = sorted(found.errors, key=lambda each: -(each.cost or 0.0) * each.rows)[:_MOST_LABELS]
    rows = [
        [
            named(each.label, label_names),
            f"{each.cost:g}",
            f"{each.rows:,}",
            f"{each.most_probable:,}",
        ]
        for each in (found.errors if len(found.errors) <= _MOST_LABELS else shown)
    ]
    return table(["falsely decided", "cost", "rows", "if the most probable"], rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
