"""A few rules that imitate a model: a small tree over words and numbers, and how often it agrees.

The tree is fitted to what the model decides for training texts, not to their labels (Craven and
Shavlik, "Extracting tree-structured representations of trained networks", 1996), and agreement is
measured on texts that it has not seen. It says what the model does by and large; where it agrees
too rarely, it says that, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from ..data.split import hash_of
from ..text.notation import PLAIN, Notation
from .confusion import MANY_LABELS
from .intervals import Interval, percent, share_interval
from .rules import (
    Condition,
    Leaf,
    Rule,
    Split,
    TextParts,
    Which,
    decide,
    from_json,
    leaves,
    round_between,
    sentences,
    to_json,
)
from .tree import Columns, Cut, Node, grow

LEAVES, DEPTH = 8, 5
"""Of the tree at most."""

TEXTS, TOKENS = 20_000, 1_000_000
"""Training texts that it is fitted to at most, and tokens of these."""

SEEN, GAIN = 5, 0.005
"""Texts that a leaf must hold, and the share of the impurity that a split must remove."""

WORDS, PAIRS = 3_000, 2_000
"""Words, and pairs of neighbours, that may be asked for: those of most texts."""

ENOUGH = 0.9
"""Agreement from which rules may stand for a model."""

Index = npt.NDArray[np.int64]
_NUMBERS: tuple[Which, ...] = ("first number", "lowest number", "highest number")


@dataclass(frozen=True)
class Agreement:
    """How often rules and model decide alike.

    Attributes:
        rows: share of the rows, in [0, 1].
        interval: where that lies with 95 % confidence, had other texts been drawn.
        texts: share of the distinct texts.
        most_frequent: share of the rows that the model gives its most frequent label: what a rule
            without any question would come to.
        counted: distinct texts that this was measured on.

    """

    rows: float
    interval: Interval
    texts: float
    most_frequent: float
    counted: int

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**vars(self), "interval": self.interval.to_json()}


@dataclass(frozen=True)
class RuleSummary:
    """Rules that imitate a model, and how well.

    Attributes:
        rule: the tree.
        agreement: with the model, on texts that the tree was not fitted to.

    """

    rule: Rule
    agreement: Agreement

    @property
    def stands(self) -> bool:
        """Whether the rules may stand for the model: they agree often, and not by chance."""
        found = self.agreement
        return (
            isinstance(self.rule, Split)
            and found.rows >= ENOUGH
            and (found.rows > found.most_frequent or found.most_frequent == 1)
        )

    def verdict(self, name: str, rows: str = "test rows") -> str:
        """How well it imitates the model called `name` on these rows, in a sentence."""
        found = self.agreement
        figures = f"{found.rows:.1%} of the {rows}"
        if isinstance(self.rule, Leaf) and found.rows >= ENOUGH:
            return f"{name} gives {figures} the same label; no rule tells the others apart."
        if self.stands:
            return f"{name} decides like these rules on {figures} ({percent(found.interval)})."
        return (
            f"A short rule imitates {name} on only {figures} "
            f"(always its most frequent label: {found.most_frequent:.1%}): "
            "too simple to stand for it."
        )

    def to_json(self) -> dict[str, Any]:
        """The tree, its sentences, its leaves and the agreement, as plain JSON values."""
        return {
            "agreement": self.agreement.to_json(),
            "stands": self.stands,
            "sentences": sentences(self.rule),
            "leaves": [
                {"conditions": [each.told(holds=holds) for each, holds in path], **vars(leaf)}
                for path, leaf in leaves(self.rule)
            ],
            "rule": to_json(self.rule),
        }


def rule_of(values: Mapping[str, Any]) -> Rule:
    """The tree of what `RuleSummary.to_json` gave. Raises KeyError or TypeError."""
    return from_json(values["rule"])


def texts_to_imitate(texts: LabelledTexts) -> LabelledTexts:
    """Texts whose decisions `fit_rules` shall learn: all, or a sample by their hash.

    Their labels play no role and are the most frequent ones.
    """
    lengths = texts.texts.str.len_bytes().to_numpy()
    # Three bytes a token, letters and spaces together, is the least that real texts have.
    if len(texts) <= TEXTS and lengths.sum() <= 3 * TOKENS:
        chosen = np.arange(len(texts))
    else:
        order = np.argsort(hash_of(texts.texts, 0), kind="stable")[:TEXTS]
        fits = max(int(np.searchsorted(lengths[order].cumsum(), 3 * TOKENS)), 1)
        chosen = np.sort(order[:fits])
    return LabelledTexts(
        texts.texts.gather(chosen),
        np.arange(len(chosen)),
        texts.main_label[chosen],
        texts.text_rows[chosen],
    )


def fit_rules(
    normalised: pl.Series,
    decided: Index,
    rows: Index,
    classes: Sequence[str],
    max_tokens: int | None = None,
    *,
    notation: Notation = PLAIN,
) -> Rule:
    """Rules that give texts what a model decided for them.

    Args:
        normalised: distinct texts in normal form, at least one; see `texts_to_imitate`.
        decided: index of the label that the model gives each. Shape: (texts,).
        rows: of each text, which it is weighted by. Shape: (texts,).
        classes: the labels.
        max_tokens: how far the model reads.
        notation: how the model takes numbers to be written.

    """
    if len(classes) > MANY_LABELS:  # A few answers cannot tell of so many.
        often = np.bincount(decided, rows, len(classes)).astype(np.float64)
        return _leaf(Node(often), classes, float(rows.sum()))
    read = TextParts(normalised, max_tokens, notation=notation)
    every, columns = _columns(read)
    tree = grow(
        columns, decided, rows.astype(np.float64), len(classes),
        leaves=LEAVES, depth=DEPTH, texts=SEEN, gain=GAIN,
    )  # fmt: skip
    return _rule(tree, every, columns, classes, float(rows.sum()))


def summarise(
    imitated: LabelledTexts,
    decided: Index,
    test: LabelledTexts,
    test_decided: Index,
    classes: Sequence[str],
    max_tokens: int | None = None,
    *,
    notation: Notation = PLAIN,
) -> RuleSummary:
    """Rules from a model's decisions on training texts, and their agreement on test texts.

    Args:
        imitated: what `texts_to_imitate` gave.
        decided: index of the label that the model gives each of them. Shape: (texts,).
        test: the test texts.
        test_decided: as `decided`, of the test texts.
        classes: the labels.
        max_tokens: how far the model reads.
        notation: how the model takes numbers to be written.

    """
    rule = fit_rules(
        imitated.texts, decided, imitated.text_rows, classes, max_tokens, notation=notation
    )
    return RuleSummary(
        rule,
        measure_agreement(
            rule, test.texts, test_decided, test.text_rows, classes, max_tokens, notation=notation
        ),
    )


def measure_agreement(
    rule: Rule,
    normalised: pl.Series,
    decided: Index,
    rows: Index,
    classes: Sequence[str],
    max_tokens: int | None = None,
    *,
    notation: Notation = PLAIN,
) -> Agreement:
    """How often rule and model decide alike; the arguments are as in `fit_rules`."""
    place = {label: index for index, label in enumerate(classes)}
    given = np.array(
        [place.get(label, -1) for label in decide(rule, normalised, max_tokens, notation=notation)]
    )
    alike = given == decided
    often = np.bincount(decided, rows, len(classes))
    return Agreement(
        rows=float(np.average(alike, weights=rows)),
        interval=share_interval(rows * alike, rows),
        texts=float(alike.mean()),
        most_frequent=float(often.max() / rows.sum()),
        counted=len(alike),
    )


def _columns(read: TextParts) -> tuple[list[Condition], Columns]:
    """What a tree may ask, simple questions first; bounds of numbers are still open."""
    conditions: list[Condition] = []
    texts, marks = [], []

    def add(text: pl.Series, mark: pl.Series | int) -> None:
        texts.append(text.cast(pl.Int64).to_numpy())
        marks.append(np.full(len(text), mark) if isinstance(mark, int) else mark.to_numpy())

    for frame, most in ((read.words, WORDS), (read.pairs, PAIRS)):
        once = frame.unique(maintain_order=True)
        told = (
            once.group_by("word").len("texts").filter(pl.col("texts") >= SEEN)
            .sort(["texts", "word"], descending=[True, False]).head(most)
            .with_row_index("mark", offset=len(conditions))
        )  # fmt: skip
        conditions += [Condition(words=word) for word in told["word"].to_list()]
        found = once.join(told, on="word", maintain_order="left")
        add(found["text"], found["mark"].cast(pl.Int64))
    add(read.numbers["text"].unique(), len(conditions))
    conditions.append(Condition())
    values: list[npt.NDArray[np.float64]] = []
    several = read.numbers["text"].is_duplicated().any()
    for which in _NUMBERS if several else ("number",):
        number = read.number(which)
        if any(np.array_equal(number, other, equal_nan=True) for other in values):
            continue
        values.append(number)
        conditions.append(Condition(number=which, everywhere=not np.isnan(number).any()))
    marks_of_texts = len(conditions) - len(values)
    return conditions, Columns(
        np.concatenate(texts), np.concatenate(marks), marks_of_texts, np.stack(values)
    )


def _rule(
    node: Node, conditions: list[Condition], columns: Columns, classes: Sequence[str], rows: float
) -> Rule:
    if node.cut is None or node.yes is None or node.no is None:
        return _leaf(node, classes, rows)
    yes, no = (_rule(each, conditions, columns, classes, rows) for each in (node.yes, node.no))
    if isinstance(yes, Leaf) and isinstance(no, Leaf) and yes.label == no.label:
        return _leaf(node, classes, rows)  # A question whose answers come to the same.
    return Split(_condition(node.cut, conditions, columns), yes, no)


def _leaf(node: Node, classes: Sequence[str], rows: float) -> Leaf:
    most = int(node.weights.argmax())
    total = float(node.weights.sum())
    return Leaf(classes[most], total / rows, float(node.weights[most] / total))


def _condition(cut: Cut, conditions: list[Condition], columns: Columns) -> Condition:
    found = conditions[cut.column]
    if cut.column < columns.marks:
        return found
    bound = round_between(cut.low, cut.high)
    return Condition(number=found.number, below=bound, everywhere=found.everywhere)
