"""How a model is to decide: what was asked, and the rule that the validation texts give for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.decision import REVIEW, DecisionRule
from ..config import FALSE, Config
from ..data.corpus import LabelledTexts
from ..errors import SettingsError, did_you_mean
from .threshold import Threshold, find_threshold


@dataclass(frozen=True)
class Asked:
    """What was asked of the decisions.

    Attributes:
        costs: of deciding each label wrongly, in the order of the classes; None: all alike.
        review_below: certainty below which a person decides; None: none was named.
        review_rate: share of the rows that a person can look at; None: none was named.

    """

    costs: tuple[float, ...] | None = None
    review_below: float | None = None
    review_rate: float | None = None

    @property
    def of_validation(self) -> bool:
        """Whether the probabilities of the validation texts are needed."""
        return self.review_rate is not None or (self.costs is not None and len(self.costs) == 2)


@dataclass(frozen=True)
class ChosenRule:
    """A rule and how it came about.

    Attributes:
        rule: what decides.
        threshold: what it was found to be on validation; None unless two labels have costs.
        review_share: share of the validation rows that go to a person, in [0, 1); None unless a
            rate was asked.

    """

    rule: DecisionRule = field(default_factory=DecisionRule)
    threshold: Threshold | None = None
    review_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As a bundle's settings hold it, with what the rule itself does not need."""
        return {
            **self.rule.to_json(),
            "threshold": self.rule.threshold,
            "validation": None if self.threshold is None else self.threshold.to_json(),
            "review_share": self.review_share,
        }


def asked_of(config: Config, classes: Sequence[str]) -> Asked:
    """What `config` asks of the decisions between these labels.

    Raises:
        SettingsError: a cost names no label, or one label twice; all costs are 0; or a label has
            the name that a decision for a person has.

    """
    band = config.review_below is not None or config.review_rate is not None
    if band and REVIEW in classes:
        raise SettingsError(
            f"the table has a label {REVIEW!r}, and a decision for a person is called so, too: "
            "rename the label, or leave --review-below and --review-rate out."
        )
    costs = _costs(config, classes) if config.cost else None
    return Asked(costs, config.review_below, config.review_rate)


def _costs(config: Config, classes: Sequence[str]) -> tuple[float, ...]:
    places = {FALSE + label: place for place, label in enumerate(classes)}
    names = [config.label_names.get(label) for label in classes]
    for place, name in enumerate(names):
        if name is not None and names.count(name) == 1:
            places.setdefault(FALSE + name, place)
    problems: list[str] = []
    found: dict[int, float] = {}
    for key, cost in config.cost.items():
        if key not in places:
            labels = ", ".join(repr(label) for label in classes[:10])
            more = f" and {len(classes) - 10} more" if len(classes) > 10 else ""
            problems.append(
                f"--cost {key}: there is no such label.{did_you_mean(key, places)} The table has "
                f"the labels {labels}{more}; write {FALSE}LABEL=COST, by value or name."
            )
        elif places[key] in found:
            label = classes[places[key]]
            problems.append(f"--cost names the label {label!r} twice; leave one out.")
        else:
            found[places[key]] = float(cost)
    costs = tuple(found.get(place, 1.0) for place in range(len(classes)))
    if not problems and not any(costs):
        problems.append("--cost: all costs are 0, so that every decision is as good; raise one.")
    if problems:
        raise SettingsError("\n".join(problems))
    return costs


def choose_rule(
    asked: Asked, texts: LabelledTexts, probabilities: npt.NDArray[np.floating[Any]] | None
) -> ChosenRule:
    """The rule that does what was asked.

    Two labels with costs get the threshold that costs least on `texts`. Three and more are weighed
    by their costs: to find as many thresholds by trying takes more texts than tables have.

    Args:
        asked: what `asked_of` gave.
        texts: the validation texts.
        probabilities: of these; None unless `asked.of_validation`. Shape: (texts, classes).

    """
    threshold, weights = None, asked.costs
    if asked.costs is not None and len(asked.costs) == 2:
        assert probabilities is not None
        threshold = find_threshold(texts, probabilities, (asked.costs[0], asked.costs[1]))
        weights = (1.0 - threshold.value, threshold.value)
    below, share = asked.review_below, None
    if asked.review_rate is not None:
        assert probabilities is not None
        certainty = DecisionRule(weights).decide(probabilities).certainty
        below, share = certainty_below(certainty, texts.text_rows, asked.review_rate)
    return ChosenRule(DecisionRule(weights, below, asked.costs), threshold, share)


def certainty_below(
    certainty: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], rate: float
) -> tuple[float, float]:
    """The certainty below which at most the share `rate` of the rows lies, and which share does."""
    if not len(rows):
        return 1.0, 0.0
    different, place = np.unique(certainty, return_inverse=True)
    before = np.concatenate(([0.0], np.cumsum(np.bincount(place, rows))[:-1])) / rows.sum()
    last = int(np.searchsorted(before, rate + 1e-12, side="right")) - 1
    below = float(different[last])
    if last:
        below = (below + float(different[last - 1])) / 2
    return min(below, 1.0), float(before[last])
