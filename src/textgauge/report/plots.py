"""The plots of the page, and what can be seen in each, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from ..review.calibration import Reliability, reliability
from ..review.decision import Band
from ..review.metrics import LabelMetrics, Metrics
from ..review.overall import NumberCurve
from ..review.ranking import precision_and_recall
from ..review.set_metrics import SetCases, SetLabelMetrics, SetMetrics, set_reliability
from ..review.threshold import Threshold
from ..training.history import Epoch, best_epoch
from .svg import Axis, Plot, Series, number, plot

LINES = 4
"""Labels that are drawn in one plot: more could not be told apart."""

FEWEST = 5
"""Test rows that a label needs for a curve of its own."""

LEFT = 0.5
"""Share of the rows that a band must leave to the model to be told of in a sentence."""

_INNER, _SKEWED = (0.05, 0.75), 4.0
"""Numbers are skewed where all take more than so many times the room of the inner ones."""

Floats = npt.NDArray[np.floating]


def learning_plots(history: Sequence[Epoch]) -> list[Plot]:
    """Accuracy and loss by epoch, of training and validation."""
    best = best_epoch(history)
    epochs = [float(epoch.epoch) for epoch in history]
    found = []
    for name, title, axis in (
        ("accuracy", "Accuracy by epoch", Axis("accuracy", high=1.0, percent=True)),
        ("loss", "Loss by epoch", Axis("loss, nats a row", low=0.0)),
    ):
        lines = [
            Series(words, epochs, [getattr(epoch, f"{part}_{name}") for epoch in history], dots)
            for part, words, dots in (
                ("train", "training", None),
                ("val", "validation", [0.0] * len(epochs)),
            )
        ]
        kept = axis.told(getattr(best, f"val_{name}"))
        found.append(
            plot(
                title,
                f"In the kept epoch, {best.epoch} of {len(history)}, the validation {name} is "
                f"{kept}.",
                lines,
                Axis("epoch", whole=True),
                axis,
                marked=float(best.epoch),
            )
        )
    return found


def ranking_plot(
    test: LabelledTexts, probabilities: Floats, metrics: Metrics | SetMetrics, names: Sequence[str]
) -> Plot | None:
    """Precision against recall, of the labels that are ranked worst; None where none can be."""
    labels: Sequence[LabelMetrics | SetLabelMetrics] = metrics.labels
    known = [
        (label.average_precision, at)
        for at, label in enumerate(labels)
        if label.average_precision is not None and label.support >= FEWEST
    ]
    if len(metrics.labels) == 2 and test.sets is None:
        known = sorted(known, key=lambda each: each[1])[-1:]  # The other one is its mirror.
    worst = sorted(known)[:LINES]
    if not worst:
        return None
    lines = []
    text, own, count = test.cells
    for area, at in worst:
        mine = own == at
        positive = np.zeros(len(test), dtype=np.int64)
        positive[text[mine]] = count[mine]
        negative = test.text_rows - positive
        recall, precision, _ = precision_and_recall(probabilities[:, at], positive, negative)
        lines.append(Series(f"{names[at]} (area {area:.3f})", recall.tolist(), precision.tolist()))
    area, at = worst[0]
    says = f"For {names[at]} the area under the curve is {area:.3f}; 1 would be perfect."
    if len(metrics.labels) > len(lines) > 1:
        says = f"The {len(lines)} labels that are ranked worst. {says}"
    return plot(
        "Precision against recall",
        says,
        lines,
        _share("recall: share found"),
        _share("precision: share right"),
    )


def reliability_plot(test: LabelledTexts, probabilities: Floats) -> Plot:
    """What came true of decisions of each probability."""
    found = reliability(
        probabilities.max(1)[test.text_index],
        probabilities.argmax(1)[test.text_index] == test.label,
        test.count,
    )
    return _drawn(found, "test rows", "rows", "probability of the most probable label")


def set_reliability_plot(test: LabelledTexts, probabilities: Floats) -> Plot:
    """What came true of each label's probability, where a text has any number of labels."""
    found = set_reliability(SetCases.of_rows(test), probabilities)
    return _drawn(found, "labels of test rows", "of them", "probability of a label")


def _drawn(found: Reliability, what: str, larger: str, axis: str) -> Plot:
    distance = float(
        ((found.confidence - found.accuracy) * found.weight).sum() / found.weight.sum()
    )
    mean = f"{abs(distance):.1%} {'more' if distance > 0 else 'less'}"
    return plot(
        "Probability against what came true",
        f"On average it promises {mean} than comes true, and is {found.error:.1%} off; "
        f"points on the dashed line would be exact, larger points stand for more {larger}.",
        [
            Series(
                what,
                found.confidence.tolist(),
                found.accuracy.tolist(),
                (found.weight / found.weight.max()).tolist(),
                line=False,
            )
        ],
        _share(axis),
        _share("share that came true"),
        diagonal=True,
    )


def number_plot(curve: NumberCurve, names: Sequence[str], *, alone: bool = False) -> Plot:
    """How the probabilities of the labels that change most follow a number.

    Of two labels one is shown, the other being its mirror, unless each stands `alone`.
    """
    changes = np.ptp(curve.probabilities, axis=0)
    shown = sorted(range(len(names)), key=lambda at: (-changes[at], -at))
    shown = shown[:1] if len(names) == 2 and not alone else shown[:LINES]
    before, after, rise = curve.step(shown[0])
    verb = "rises" if rise > 0 else "falls"
    values = curve.values.tolist()
    # Prices beside telephone numbers: each in its rank, or all small ones would fall together.
    inner = np.ptp(np.quantile(curve.values, _INNER))
    skewed = bool(np.ptp(curve.values) > _SKEWED * inner)
    return plot(
        "Probability by the number in the text",
        f"The largest step: from {number(before)} to {number(after)} the probability of "
        f"{names[shown[0]]} {verb} by {abs(rise):.2f}.",
        [
            Series(
                names[at],
                [float(rank) for rank in range(len(values))] if skewed else values,
                curve.probabilities[:, at].tolist(),
            )
            for at in shown
        ],
        Axis("the number, all else as it is", whole=skewed, values=values if skewed else None),
        Axis("probability, mean", low=0.0, high=1.0, percent=True),
    )


def cost_plot(found: Threshold, second: str) -> Plot:
    """What each threshold costs on the validation texts."""
    low, high = found.interval.low, found.interval.high
    costs = [100 * cost for _, cost in found.curve]
    # To decide always the same may cost so much that nothing else could be seen.
    most = max(float(np.quantile(costs, 0.9)) * 1.5, 100 * found.cost * 3)
    return plot(
        "Cost by threshold",
        f"On {found.texts:,} distinct validation texts it costs least to decide {second} from a "
        f"probability of {found.value:.1%} on (with 95 % confidence {low:.1%} to {high:.1%}); the "
        f"costs alone say {found.by_costs:.1%}.",
        [
            Series(
                "cost of 100 rows",
                [at for at, _ in found.curve],
                costs,
            )
        ],
        _share(f"threshold: probability of {second}"),
        Axis("cost of 100 rows", low=0.0, high=min(most, max(costs)) or 1.0),
        marked=found.value,
    )


def band_plot(curve: Sequence[Band], error: float) -> Plot:
    """How many errors are left if a person takes what the model is least certain of."""
    # From a person deciding most to the model deciding all.
    coverage = [*(band.coverage for band in reversed(curve)), 1.0]
    errors = [*(band.error or 0.0 for band in reversed(curve)), error]
    # What is left of fewer rows tells of these few, and nobody would choose it.
    told = [band for band in curve if band.coverage >= LEFT]
    says = (
        f"leaving what is less certain than {told[-1].review_below:g} to a person, which is "
        f"{1 - told[-1].coverage:.1%} of them, on {told[-1].error or 0.0:.2%} of the others."
        if told
        else f"to leave anything to a person is to leave more than {1 - LEFT:.0%} of them."
    )
    return plot(
        "Errors left, if a person takes the uncertain ones",
        f"Deciding all by itself it is wrong on {error:.2%} of the rows; {says}",
        [Series("wrong, of those that it decides", coverage, errors, [0.0] * len(errors))],
        Axis("share that it decides itself", high=1.0, percent=True),
        Axis("share wrong of these", low=0.0, percent=True),
    )


def _share(title: str) -> Axis:
    return Axis(title, low=0.0, high=1.0, percent=True)
