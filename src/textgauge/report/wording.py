"""Figures in plain words, for readers who know neither precision nor recall."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..bundle.decision import DecisionRule
from ..review.decision import Band, DecisionFigures
from ..review.intervals import Interval, Intervals, percent
from ..review.metrics import LabelMetrics, Metrics
from ..review.rule_summary import RuleSummary
from ..review.rules import Leaf, is_chain, lines, sentences
from ..review.set_metrics import SetIntervals, SetLabelMetrics, SetMetrics
from ..review.set_review import SetDecision

_SURE_BELOW, _SURE_ABOVE = 0.005, 0.995


@dataclass(frozen=True)
class OfHundred:
    """A share of a hundred, in words.

    Attributes:
        share: in [0, 1]; None where there is nothing to take a share of.
        interval: of the share.
        sentence: what it says.

    """

    share: float | None
    interval: Interval | None
    sentence: str


@dataclass(frozen=True)
class LabelInWords:
    """What the model does with one label.

    Attributes:
        name: of the label.
        rows: test rows that have it.
        found: of those that have it.
        right: of those that it calls so.

    """

    name: str
    rows: int
    found: OfHundred
    right: OfHundred


IN_SENTENCES = 4
"""Labels of which each figure is told in a sentence; of more, a table tells them."""


def spoken(classes: Sequence[str], label_names: Mapping[str, str]) -> list[str]:
    """What labels are called in a sentence: by their names, or in quotes.

    >>> spoken(["0", "ham"], {"0": "compliant"})
    ['compliant', '“ham”']
    """
    return [label_names.get(label) or f"“{label}”" for label in classes]


def labels_in_words(metrics: Metrics | SetMetrics, names: Sequence[str]) -> list[LabelInWords]:
    """For each label how many of its rows are found, and how many of the called ones are right."""
    result = []
    calls, labels = metrics.called, _either(metrics)
    for at, (label, name) in enumerate(zip(labels, names, strict=True)):
        called = calls[at]
        result.append(
            LabelInWords(
                name=name,
                rows=label.support,
                found=_of_hundred(
                    label.recall if label.support else None,
                    _interval(metrics.intervals, "recall", at),
                    f"Of 100 rows that are {name}, it finds",
                    "",
                    f"No test row is {name}: how many it finds cannot be said.",
                ),
                right=_of_hundred(
                    label.precision if called else None,
                    _interval(metrics.intervals, "precision", at),
                    f"Of 100 rows that it calls {name},",
                    " right",
                    f"It called no test row {name}.",
                ),
            )
        )
    return result


def _either(metrics: Metrics | SetMetrics) -> Sequence[LabelMetrics | SetLabelMetrics]:
    return metrics.labels


def as_it_decides(rule: DecisionRule) -> str:
    """Of which decisions figures tell; empty where these are the most probable labels."""
    if rule.weights is None:
        return ""
    told = "That is as it decides with these costs, which need not be for the most probable label"
    if rule.review_below is None:
        return f"{told}."
    return f"{told}; what goes to a person counts as it would have been decided."


def hundredth(share: float) -> str:
    """A share of a hundred as people say it.

    >>> [hundredth(share) for share in (1.0, 0.9996, 0.98, 0.005, 0.0)]
    ['all', 'more than 99', '98', 'fewer than 1', 'none']
    """
    if share in (0.0, 1.0):
        return "all" if share else "none"
    if share >= _SURE_ABOVE:
        return "more than 99"
    # The half itself would be rounded to 0.
    return "fewer than 1" if share <= _SURE_BELOW else f"{share * 100:.0f}"


def _of_hundred(
    share: float | None, interval: Interval | None, before: str, after: str, otherwise: str
) -> OfHundred:
    if share is None:
        return OfHundred(None, None, otherwise)
    count = hundredth(share)
    verb = "" if not after else " is" if count in ("1", "none") else " are"
    certain = (
        "" if interval is None else f" ({interval.low * 100:.1f} to {interval.high * 100:.1f})"
    )
    return OfHundred(share, interval, f"{before} {count}{verb}{after}{certain}.")


def _interval(intervals: Intervals | SetIntervals | None, name: str, at: int) -> Interval | None:
    if intervals is None:
        return None
    found: tuple[Interval, ...] = getattr(intervals, name)
    return found[at]


def costs_in_words(found: DecisionFigures, called: Callable[[str], str], where: str) -> str:
    """What is decided by the costs, and what that comes to beside the most probable label.

    Args:
        found: the figures, with costs.
        called: what to call a label value.
        where: what they were measured on, such as "the test part".

    """
    assert found.cost is not None
    assert found.most_probable_cost is not None
    return (
        f"{_decided_by_costs(found, called)} costs {100 * found.cost:.4g} a 100 rows on {where}; "
        f"deciding the most probable label {100 * found.most_probable_cost:.4g}."
    )


def _decided_by_costs(found: DecisionFigures, called: Callable[[str], str]) -> str:
    """The beginning of the sentence."""
    value, first, second = found.rule.threshold, *(each.label for each in found.errors[:2])
    if value is None:
        return (
            "Deciding the label of least expected cost (of three labels or more no thresholds are "
            "looked for)"
        )
    # Told of the label that is decided more rarely.
    turned = value < 0.5
    label = first if turned else second
    text = f"Deciding {called(label)} only from {_side(value, turned):.1%} on"
    search = found.chosen.threshold
    if search is None:
        return text
    ends = sorted(_side(end, turned) for end in (search.interval.low, search.interval.high))
    return (
        f"{text} (the cheapest on {search.texts:,} distinct validation texts, with 95 % confidence "
        f"{percent(Interval(*ends))}; the costs alone say {_side(search.by_costs, turned):.1%})"
    )


def _side(value: float, turned: bool) -> float:
    """A probability of the second label, or of the first."""
    return 1 - value if turned else value


def band_in_words(found: DecisionFigures | SetDecision, band: Band, where: str) -> str:
    """What goes to a person, and what is left."""
    asked = (
        ""
        if found.chosen.review_share is None
        else f" ({found.chosen.review_share:.1%} on validation)"
    )
    text = (
        f"What is less certain than {band.review_below:.1%} goes to a person: "
        f"{1 - band.coverage:.1%} of the rows of {where}{asked}."
    )
    if band.error is not None:
        text += (
            f" Of those decided {_exactly(band.error)} are wrong, with 95 % confidence "
            f"{percent(band.interval)}"
        )
        if band.sent_error is not None:
            text += f"; of those sent {_exactly(band.sent_error)} would be"
        text += "."
    return text


def _exactly(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def rules_in_words(
    name: str, rules: RuleSummary, called: Callable[[str], str], rows: str = "test rows"
) -> tuple[str, list[str]]:
    """How well rules imitate the model called `name`, and if they may stand for it, their lines.

    Args:
        name: of the model.
        rules: to be told.
        called: what to call a label value.
        rows: those on which the agreement was measured.

    """
    verdict = rules.verdict(name, rows)
    if not rules.stands or isinstance(rules.rule, Leaf):
        return verdict, []
    found = sentences(rules.rule)
    if not is_chain(rules.rule):
        return verdict, lines(rules.rule, {label: called(label) for label in found})
    return verdict, [f"{called(label)}: {sentence}" for label, sentence in found.items()]
