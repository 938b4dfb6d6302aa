"""Rules over the words and numbers of a text, as a person reads them.

A rule is a question or an answer: a `Split` asks, a `Leaf` answers. They are kept as JSON with a
saved model, and written as nested lines or as a sentence a label.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ..text.notation import PLAIN, Notation
from ..text.tokens import is_number, number_value, tokenize

Which = Literal["number", "first number", "lowest number", "highest number"]

LARGEST = 1e300
"""What a number counts as at most."""

_LONGEST = 60
"""Characters of words that are shown."""


@dataclass(frozen=True)
class Condition:
    """What is asked of a text: has it these words, has it a number, is its number below a bound.

    Attributes:
        words: a word, or two that stand side by side, with a space; "" where a number is asked for.
        number: which of the text's numbers; "number" where texts have one at most.
        below: the number's bound, which does not count as below; None: is there one at all?
        everywhere: whether all texts had such a number that the rule was made from.

    """

    words: str = ""
    number: Which = "number"
    below: float | None = None
    everywhere: bool = False

    def told(self, *, holds: bool) -> str:
        """In words.

        >>> Condition("iron").told(holds=True), Condition("not good").told(holds=False)
        ('"iron"', 'no "not good"')
        >>> Condition(below=1995.0).told(holds=True), Condition(below=1995.0).told(holds=False)
        ('number < 1995', 'number >= 1995 or none')
        """
        if self.words:
            cut = self.words if len(self.words) <= _LONGEST else f"{self.words[:_LONGEST]}…"
            shown = f'"{cut}"' if cut.isprintable() else repr(cut)
            return shown if holds else f"no {shown}"
        if self.below is None:
            return "a number" if holds else "no number"
        if holds:
            return f"{self.number} < {self.below:.15g}"
        return f"{self.number} >= {self.below:.15g}{'' if self.everywhere else ' or none'}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        if self.words:
            return {"words": self.words}
        return {"number": self.number, "below": self.below, "everywhere": self.everywhere}


@dataclass(frozen=True)
class Leaf:
    """An answer.

    Attributes:
        label: what the rule decides.
        share: of the rows that it was made from, those that come here; in [0, 1].
        purity: of these, the share that the model decides so; in (0, 1].

    """

    label: str
    share: float
    purity: float


@dataclass(frozen=True)
class Split:
    """A question, and what follows from both answers."""

    condition: Condition
    yes: Rule
    no: Rule


Rule = Leaf | Split


def leaves(rule: Rule) -> Iterator[tuple[tuple[tuple[Condition, bool], ...], Leaf]]:
    """Each answer, and what led to it: the conditions, and whether they hold."""
    if isinstance(rule, Leaf):
        yield (), rule
        return
    for holds, branch in ((True, rule.yes), (False, rule.no)):
        for path, leaf in leaves(branch):
            yield ((rule.condition, holds), *path), leaf


def to_json(rule: Rule) -> dict[str, Any]:
    """As plain JSON values."""
    if isinstance(rule, Leaf):
        return vars(rule).copy()
    return {
        "if": rule.condition.to_json(),
        "then": to_json(rule.yes),
        "else": to_json(rule.no),
    }


def from_json(values: Mapping[str, Any]) -> Rule:
    """What `to_json` gave. Raises KeyError or TypeError for anything else."""
    if "if" not in values:
        return Leaf(str(values["label"]), float(values["share"]), float(values["purity"]))
    return Split(Condition(**values["if"]), from_json(values["then"]), from_json(values["else"]))


def decide(
    rule: Rule,
    normalised: pl.Series,
    max_tokens: int | None = None,
    *,
    notation: Notation = PLAIN,
) -> list[str]:
    """The labels that a rule gives texts in normal form, read up to so many tokens."""
    read = TextParts(normalised, max_tokens, notation=notation)
    labels = np.full(len(normalised), "", dtype=object)

    def descend(branch: Rule, texts: npt.NDArray[np.bool_]) -> None:
        if isinstance(branch, Leaf):
            labels[texts] = branch.label
            return
        holds = read.holds(branch.condition)
        descend(branch.yes, texts & holds)
        descend(branch.no, texts & ~holds)

    descend(rule, np.ones(len(normalised), dtype=np.bool_))
    return [str(label) for label in labels]


class TextParts:
    """The words, neighbours and numbers of some texts.

    Attributes:
        texts: how many there are.
        words: columns `text` (which one) and `word`: all that are no numbers, in their order.
        numbers: columns `text` and `value`, in their order.

    """

    def __init__(
        self, normalised: pl.Series, max_tokens: int | None = None, *, notation: Notation = PLAIN
    ) -> None:
        self.texts = len(normalised)
        self._flat = flat = (
            pl.DataFrame({"word": tokenize(normalised, max_tokens, notation=notation)})
            .with_row_index("text")
            .explode("word")
            .drop_nulls()
        )
        numeric = is_number(flat["word"])
        self.words = flat.filter(~numeric)
        values = number_value(flat["word"].filter(numeric), notation)
        self.numbers = flat.filter(numeric).select("text", value=values.clip(-LARGEST, LARGEST))

    @cached_property
    def pairs(self) -> pl.DataFrame:
        """As `words`: two that stand side by side, with a space between."""
        flat = self._flat
        after = flat.shift(-1)
        word = ~is_number(flat["word"])
        beside = (flat["text"] == after["text"]) & word & word.shift(-1)
        return flat.with_columns(word=flat["word"] + " " + after["word"]).filter(beside)

    def number(self, which: Which) -> npt.NDArray[np.float64]:
        """One number of each text, NaN where it has none. Shape: (texts,)."""
        chosen = pl.col("value")
        found = self.numbers.group_by("text", maintain_order=True).agg(
            chosen.min()
            if which == "lowest number"
            else chosen.max()
            if which == "highest number"
            else chosen.first()
        )
        values = np.full(self.texts, np.nan)
        values[found["text"].to_numpy()] = found["value"].to_numpy()
        return values

    def holds(self, condition: Condition) -> npt.NDArray[np.bool_]:
        """Whether the condition holds in each text. Shape: (texts,)."""
        if condition.below is not None:
            below: npt.NDArray[np.bool_] = self.number(condition.number) < condition.below
            return below
        found = np.zeros(self.texts, dtype=np.bool_)
        if not condition.words:
            found[self.numbers["text"].to_numpy()] = True
            return found
        frame = self.pairs if " " in condition.words else self.words
        found[frame.filter(pl.col("word") == condition.words)["text"].to_numpy()] = True
        return found


def round_between(low: float, high: float) -> float:
    """The roundest number above `low` and not above `high`: a multiple of 1000, 500, 100 …, if any.

    Of several, the one nearest to the middle.

    Args:
        low: the number below.
        high: above `low`.

    >>> round_between(1994, 1995), round_between(1993, 1996), round_between(3.2, 3.9)
    (1995.0, 1995.0, 3.5)
    >>> round_between(-12.5, -12), round_between(-13, -8), round_between(-3, 8)
    (-12.0, -10.0, 0.0)
    >>> round_between(0, 7), round_between(1990, 2001), round_between(0.1, 0.30000000000000004)
    (5.0, 2000.0, 0.2)
    """
    below, upto = Decimal(repr(float(low))), Decimal(repr(float(high)))
    middle = (below + upto) / 2
    power = math.floor(math.log10(max(abs(low), abs(high)))) + 1
    while True:
        for step in (Decimal(1).scaleb(power), Decimal(5).scaleb(power - 1)):
            if (upto / step).to_integral_value(ROUND_FLOOR) * step > below:
                nearest = (middle / step).to_integral_value(ROUND_HALF_UP) * step
                nearest += step if nearest <= below else -step if nearest > upto else 0
                # Between neighbouring floats there is nothing else.
                nearest += 0  # No -0.
                return float(nearest) if low < float(nearest) <= high else float(high)
        power -= 1


def lines(rule: Rule, named: Mapping[str, str] | None = None, indent: str = "") -> list[str]:
    """Nested lines: if … else …, each answer with its share of the rows and its purity.

    Args:
        rule: what is written.
        named: how labels are written; others stand as they are.
        indent: before each line.

    """
    named = named or {}
    if isinstance(rule, Leaf):
        shown = named.get(rule.label, rule.label)
        return [f"{indent}{shown}  ({rule.share:.1%} of the rows, {rule.purity:.1%} pure)"]
    result = [f"{indent}if {rule.condition.told(holds=True)}:"]
    result += lines(rule.yes, named, indent + "  ")
    # A chain of questions needs no deeper and deeper lines.
    if isinstance(rule.no, Split):
        first, *others = lines(rule.no, named, indent)
        return [*result, f"{indent}else {first.removeprefix(indent)}", *others]
    return [*result, f"{indent}else:", *lines(rule.no, named, indent + "  ")]


def sentences(rule: Rule) -> dict[str, str]:
    """For each label that a rule gives, when it does so: one sentence a label.

    Where one label is given by any of some conditions and another to all the rest, that is said;
    otherwise all ways that lead to a label.
    """
    if isinstance(rule, Leaf):
        return {rule.label: "always"}
    chain = _chain(rule)
    if chain is not None:
        conditions, label, rest = chain
        return {label: ", or ".join(conditions), rest: "all else"}
    ways: dict[str, list[str]] = {}
    for path, leaf in leaves(rule):
        ways.setdefault(leaf.label, []).append(" and ".join(_path(path)))
    return {label: "; or ".join(found) for label, found in ways.items()}


def is_chain(rule: Rule) -> bool:
    """Whether one label is given by any of some conditions and another to all the rest."""
    return _chain(rule) is not None


def _chain(rule: Rule) -> tuple[list[str], str, str] | None:
    """The conditions any of which gives a label, that label, and that of all the rest."""
    if isinstance(rule, Leaf):
        return None
    conditions, labels = list[str](), set[str]()
    while isinstance(rule, Split):
        for holds, here in ((True, rule.yes), (False, rule.no)):
            if isinstance(here, Leaf) and labels <= {here.label}:
                labels.add(here.label)
                conditions.append(rule.condition.told(holds=holds))
                rule = rule.no if holds else rule.yes
                break
        else:
            return None
    (label,) = labels
    return None if rule.label == label else (conditions, label, rule.label)


def _path(path: tuple[tuple[Condition, bool], ...]) -> list[str]:
    """Conditions that hold together; of bounds of one number the narrowest."""
    told, bounds = [], dict[tuple[Which, bool], str]()
    known = {each.number for each, holds in path if each.below is not None and holds}
    for condition, holds in path:
        if condition.below is None:
            told.append(condition.told(holds=holds))
            continue
        # Further down every bound is narrower: the tree has asked for the wider one before.
        sure = replace(condition, everywhere=condition.everywhere or condition.number in known)
        bounds[condition.number, holds] = sure.told(holds=holds)
    return [*bounds.values(), *told]
