"""The same figures for parts of a table: where a model fails.

A table is cut by how long the texts are, by the first number in each, or by a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from ..bundle.label_sets import SetRule
from ..data.corpus import LabelledTexts, normalise_once
from ..data.profile import WORDS
from ..text.notation import PLAIN, Notation
from ..text.tokens import number_value
from .intervals import Interval, accuracy_interval
from .metrics import by_label
from .set_metrics import SetCases, Summing, set_losses

MOST = 50
"""Values that are judged each by itself: those with the most rows. All others are one slice."""

MOST_TRAINED = 20
"""The same in the review of a training."""

RANGES = 4
"""Into so many ranges of equal share numbers are cut, where there are more than `MOST` of them."""

RANGES_OF_TEXTS = 5
"""Into so many ranges of equal share the length and the first number are cut."""

NONE, OTHERS, NO_NUMBER = "(none)", "(others)", "no number"

LENGTH, FIRST_NUMBER = "length", "first number"

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Slice:
    """The rows that share a value.

    Attributes:
        value: of the column; a range of numbers; or `NONE` or `OTHERS`.
        rows: how many.
        texts: distinct texts among them.
        accuracy: share of right decisions over the rows.
        interval: of the accuracy, 95 %.
        macro_f1: mean F1 of the labels that occur.
        loss: mean cross-entropy in nats.
        than_all: whether its accuracy is lower or higher than that of all rows by more than chance
            does among so many slices; "" if not (see `intervals.accuracy_interval`).

    """

    value: str
    rows: int
    texts: int
    accuracy: float
    interval: Interval
    macro_f1: float
    loss: float
    than_all: Literal["lower", "higher", ""] = ""

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {**vars(self), "interval": self.interval.to_json()}


@dataclass(frozen=True)
class SliceGroup:
    """All rows, cut in one way.

    Attributes:
        what: `LENGTH`, `FIRST_NUMBER`, or the name of a column.
        slices: the lowest accuracy first.

    """

    what: str
    slices: tuple[Slice, ...]

    @property
    def worst(self) -> Slice | None:
        """The lowest of those that are lower than the whole beyond chance."""
        return next((each for each in self.slices if each.than_all == "lower"), None)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {"what": self.what, "slices": [each.to_json() for each in self.slices]}


# ---- the ways to cut -----------------------------------------------------------------------------


def by_texts(
    texts: LabelledTexts,
    probabilities: Floats,
    classes: Sequence[str],
    decided: Ints | None = None,
    judge: Judge | None = None,
    *,
    notation: Notation = PLAIN,
) -> tuple[SliceGroup, ...]:
    """Judge by the length of the texts, in words as `check` counts them, and by their first number.

    Each text stands in one slice of both: of several numbers the first one decides, as the one that
    a person reads first. `decided` is the index of the label that is decided for each text (None:
    the most probable one); `judge` tells what is right in its place. `notation` is how
    numbers are written.
    """
    words = texts.texts.to_frame("text").select(WORDS).to_series().to_numpy().astype(np.float64)
    lengths, length_names = _ranges(words, texts.text_rows, RANGES_OF_TEXTS)
    first = first_numbers(texts.texts, notation)
    numbers, number_names = _ranges(first, texts.text_rows, RANGES_OF_TEXTS)
    return tuple(
        SliceGroup(
            what,
            _judged(
                names,
                SliceRows(texts.text_index, texts.label, part[texts.text_index], texts.count),
                judge or LabelJudge(probabilities, classes, decided),
            ),
        )
        for what, part, names in (
            (LENGTH, lengths, [f"{n} word{'' if n == '1' else 's'}" for n in length_names]),
            (FIRST_NUMBER, np.where(numbers < 0, len(number_names), numbers),
             [*number_names, NO_NUMBER]),
        )
    )  # fmt: skip


def first_numbers(normalised: pl.Series, notation: Notation = PLAIN) -> npt.NDArray[np.float64]:
    """The first number of each text, NaN where it has none. Shape: (texts,).

    With its minus, whether or not that is part of numbers in this notation.

    >>> first_numbers(pl.Series(["2 bolts of 1,994", "no bolt"])).tolist()
    [2.0, nan]
    """
    found = number_value(normalised.str.extract(f"({notation.with_signs.number})"), notation)
    return found.fill_null(float("nan")).to_numpy()


def by_slice(
    frame: pl.DataFrame,
    texts: LabelledTexts,
    probabilities: Floats,
    classes: Sequence[str],
    most: int = MOST,
    decided: Ints | None = None,
    judge: Judge | None = None,
) -> list[Slice]:
    """Judge each value of a column; the lowest accuracy first.

    Args:
        frame: `text`, `label` and `slice` of every row, strings; labels are known.
        texts: of the same rows.
        probabilities: of `texts`. Shape: (texts, classes).
        classes: the labels.
        most: values that are judged each by itself.
        decided: as in `by_texts`.
        judge: likewise.

    """
    known = {label: index for index, label in enumerate(classes)}
    if texts.sets is not None:
        known = {label: index for index, label in enumerate(texts.sets.sets)}
    rows = frame.select(
        key=normalise_once(frame["text"]),
        label=pl.col("label").replace_strict(known, return_dtype=pl.Int64),
        slice="slice",
    )
    counts = rows.group_by("key", "label", "slice").len("rows")
    return list(by_counts(counts, texts, probabilities, classes, most, decided, judge))


def by_counts(
    counts: pl.DataFrame,
    texts: LabelledTexts,
    probabilities: Floats,
    classes: Sequence[str],
    most: int,
    decided: Ints | None = None,
    judge: Judge | None = None,
) -> tuple[Slice, ...]:
    """As `by_slice`, of rows that are counted: `key`, `label` (its index), `slice`, `rows`.

    `decided` and `judge` are as in `by_texts`.
    """
    places = pl.DataFrame({"key": texts.texts, "place": np.arange(len(texts))}).unique(
        "key", keep="first"
    )
    placed = counts.join(places, on="key", how="left").sort("place", "label", "slice")
    part, names = _cut(placed, most)
    rows = SliceRows(
        placed["place"].to_numpy(),
        placed["label"].to_numpy(),
        part,
        placed["rows"].cast(pl.Int64).to_numpy(),
    )
    return _judged(names, rows, judge or LabelJudge(probabilities, classes, decided))


def _cut(counts: pl.DataFrame, most: int) -> tuple[Ints, list[str]]:
    """The slice of each row of `counts`, and what the slices are called."""
    values = counts.drop_nulls("slice").group_by("slice").agg(pl.col("rows").sum()).sort("slice")
    numbers = values["slice"].cast(pl.Float64, strict=False)
    if len(values) > most and not numbers.has_nulls() and numbers.is_finite().all():
        of_each = counts["slice"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        part, names = _ranges(of_each, counts["rows"].to_numpy(), RANGES)
    else:
        kept = values
        if len(values) > most:
            kept = values.sort(["rows", "slice"], descending=[True, False]).head(most - 1)
        names = kept["slice"].to_list()
        code = {name: place for place, name in enumerate(names)}
        part = counts["slice"].replace_strict(
            code, default=len(names), return_dtype=pl.Int64
        ).to_numpy().copy()  # fmt: skip
        names.append(OTHERS)
        part[counts["slice"].is_null().to_numpy()] = -1
    part = np.where(part < 0, len(names), part)
    return part, [*names, NONE]


def _ranges(values: npt.NDArray[np.float64], rows: Ints, most: int) -> tuple[Ints, list[str]]:
    """Cut values into at most so many ranges of about equal rows, equal ones staying together.

    Returns:
        The range of each value, -1 where it is NaN; and what each range is called, by the smallest
        and the largest value in it.

    """
    part = np.full(len(values), -1, dtype=np.int64)
    known = ~np.isnan(values)
    distinct, place = np.unique(values[known], return_inverse=True)
    if not len(distinct):
        return part, []
    often = np.bincount(place, rows[known])
    # Where the middle of a value's rows lies decides, so that no range is empty for a frequent one.
    middle = (np.cumsum(often) - often / 2) / often.sum()
    _, of_value = np.unique(np.floor(middle * most), return_inverse=True)
    part[known] = of_value[place]
    names = []
    for number in range(int(of_value.max()) + 1):
        inside = distinct[of_value == number]
        low, high = number_text(inside[0]), number_text(inside[-1])
        names.append(low if low == high else f"{low} to {high}")
    return part, names


def number_text(value: float) -> str:
    """As people write it: whole numbers whole, others with six digits.

    >>> number_text(1994.0), number_text(0.1234567), number_text(2500000.0)
    ('1994', '0.123457', '2500000')
    """
    return f"{value:.0f}" if value == round(value, 0) and abs(value) < 1e15 else f"{value:.6g}"


# ---- the figures ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SliceRows:
    """Rows that agree in text, label and slice, counted. Shape of each: (n,)."""

    text: Ints
    label: Ints
    part: Ints
    count: Ints

    def of(self, part: int) -> SliceRows:
        """Those of one slice."""
        mine = self.part == part
        return SliceRows(self.text[mine], self.label[mine], self.part[mine], self.count[mine])


class Judge(Protocol):
    """Judges rows, some of those that a classifier decided."""

    def right(self, rows: SliceRows) -> npt.NDArray[np.bool_]:
        """Whether each is decided rightly. Shape: (n,)."""

    def macro_f1(self, rows: SliceRows) -> float:
        """Mean F1 of the labels that occur or are decided."""

    def loss(self, rows: SliceRows) -> float:
        """Mean, in nats."""


class LabelJudge:
    """Of one label a row: `decided` by its index, None: the most probable one."""

    def __init__(
        self, probabilities: Floats, classes: Sequence[str], decided: Ints | None = None
    ) -> None:
        self._probabilities, self._classes = probabilities, classes
        self._predicted = probabilities.argmax(1) if decided is None else decided

    def right(self, rows: SliceRows) -> npt.NDArray[np.bool_]:
        """See `Judge.right`."""
        same: npt.NDArray[np.bool_] = self._predicted[rows.text] == rows.label
        return same

    def macro_f1(self, rows: SliceRows) -> float:
        """See `Judge.macro_f1`."""
        labels, confusion = by_label(
            self._classes, true=rows.label, predicted=self._predicted[rows.text], weight=rows.count
        )
        seen = confusion.called + confusion.support > 0
        return float(np.mean([label.f1 for label, kept in zip(labels, seen, strict=True) if kept]))

    def loss(self, rows: SliceRows) -> float:
        """See `Judge.loss`."""
        found = self._probabilities[rows.text, rows.label]
        chance = np.maximum(found, np.finfo(np.float32).tiny)
        return float(np.average(-np.log(chance), weights=rows.count))


class SetJudge:
    """Of a set of labels a row: right is exactly the set."""

    def __init__(self, texts: LabelledTexts, probabilities: Floats, rule: SetRule) -> None:
        assert texts.sets is not None
        self._sets, self._probabilities = texts.sets, probabilities
        self._members = rule.members(probabilities)

    def _cases(self, rows: SliceRows) -> SetCases:
        return SetCases(self._sets, rows.text, rows.label, rows.count)

    def right(self, rows: SliceRows) -> npt.NDArray[np.bool_]:
        """See `Judge.right`."""
        return self._cases(rows).exact(self._members)

    def macro_f1(self, rows: SliceRows) -> float:
        """See `Judge.macro_f1`."""
        return Summing(self._cases(rows), self._members).sums().macro_f1

    def loss(self, rows: SliceRows) -> float:
        """See `Judge.loss`."""
        return float(np.average(set_losses(self._cases(rows), self._probabilities),
                                weights=rows.count))  # fmt: skip


def _judged(names: Sequence[str], rows: SliceRows, judge: Judge) -> tuple[Slice, ...]:
    """Figures of each slice that has rows; the lowest accuracy first."""
    right = judge.right(rows)
    whole = float(np.average(right, weights=rows.count))
    present = np.unique(rows.part)
    found = []
    for part in present.tolist():
        mine = rows.of(part)
        texts, place = np.unique(mine.text, return_inverse=True)
        hit = judge.right(mine)
        interval, than_all = accuracy_interval(
            np.bincount(place, mine.count * hit, len(texts)),
            np.bincount(place, mine.count, len(texts)),
            whole,
            looks=len(present),
        )
        found.append(
            Slice(
                value=names[part],
                rows=int(mine.count.sum()),
                texts=len(texts),
                accuracy=float(np.average(hit, weights=mine.count)),
                interval=interval,
                macro_f1=judge.macro_f1(mine),
                loss=judge.loss(mine),
                than_all=than_all,
            )
        )
    return tuple(sorted(found, key=lambda each: (each.accuracy, -each.rows, each.value)))
