"""Single test texts as the page shows them: errors with marked words, words with an example."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..review.explanation import Explanation
from ..review.findings import Findings, WrongText
from ..review.overall import NUMBERS, WordShare
from ..review.set_findings import SetFindings, WrongSet
from .svg import number

WORDS = 12
"""Words that are shown of each label."""

LABELS_OF_WORDS = 40
"""Labels of which words are shown: those with the most test rows."""

LEAST = 0.005
"""Smaller shares of a word are not marked: they are chance."""

STRONGEST = 3
"""Words on either side that are told with what they add."""

LONGEST = 80
"""Words of a text that are shown at once; the rest unfolds, up to `CUT`."""

CUT = 600

BEFORE, EXAMPLE = 40, 110
"""Characters of an example before its word, and in all, at most."""


@dataclass(frozen=True)
class Marked:
    """A word and how strongly it is marked: in [-1, 1], positive for what was decided."""

    word: str
    mark: float


@dataclass(frozen=True)
class ErrorShown:
    """A text that is decided wrongly, as a row of the page.

    Attributes:
        label: what its label is called.
        predicted: what the decided label is called.
        error: all that is known of it.
        words: shown at once.
        rest: unfolded.
        left: how many more there are.
        moved: the strongest words for and against the decision, each with what it adds.

    """

    label: str
    predicted: str
    error: WrongText
    words: list[Marked]
    rest: list[Marked]
    left: int
    moved: tuple[list[tuple[str, float]], list[tuple[str, float]]]


@dataclass(frozen=True)
class SetShown:
    """A text whose labels are not exactly right, as a row of the page.

    Attributes:
        label: what the label is called that is furthest from the truth.
        fault: "called" or "missed".
        labels: what its labels are called, and which of them are "right", "called" and not so, or
            so and "missed".
        predicted: `label`, which the words speak for or against.
        error: all that is known of it.
        words: shown at once; this and the rest as in `ErrorShown`.

    """

    label: str
    fault: str
    labels: list[tuple[str, str]]
    predicted: str
    error: WrongSet
    words: list[Marked]
    rest: list[Marked]
    left: int
    moved: tuple[list[tuple[str, float]], list[tuple[str, float]]]


@dataclass(frozen=True)
class WordShown:
    """A word that speaks for a label.

    Attributes:
        word: as the page calls it.
        beside: what is to be known of it; "" for words that speak for themselves.
        share: what it adds on average.
        texts: in how many texts.
        example: some words around it where it adds most.

    """

    word: str
    beside: str
    share: float
    texts: int
    example: str


@dataclass(frozen=True)
class WordsShown:
    """The words of the labels with most test rows.

    Attributes:
        cards: label and words.
        only_number: labels for which nothing but a number speaks, each with what that adds.
        a_number: how the page calls any number, and the range of those that were learned from.

    """

    cards: list[tuple[str, list[WordShown]]]
    only_number: list[tuple[str, float]]
    a_number: str


def errors_shown(errors: Sequence[WrongText], names: Sequence[str]) -> list[ErrorShown]:
    """The errors with the labels' `names`."""
    return [_error(each, names) for each in errors]


def sets_shown(errors: Sequence[WrongSet], names: Sequence[str]) -> list[SetShown]:
    """Those of a model that gives a text any number of labels."""
    found = []
    for each in errors:
        words, left, moved = _marked(each.text, each.explanation)
        states = {at: "right" if at in each.called else "missed" for at in each.own}
        states |= {at: "called" for at in each.called if at not in states}
        found.append(
            SetShown(
                label=names[each.worst],
                fault=states[each.worst],
                labels=[(names[at], states[at]) for at in sorted(states)],
                predicted=names[each.worst],
                error=each,
                words=words[:LONGEST],
                rest=words[LONGEST:],
                left=left,
                moved=moved,
            )
        )
    return found


def _error(error: WrongText, names: Sequence[str]) -> ErrorShown:
    told, left, moved = _marked(error.text, error.explanation)
    return ErrorShown(
        label=names[error.label],
        predicted=names[error.predicted],
        error=error,
        words=told[:LONGEST],
        rest=told[LONGEST:],
        left=left,
        moved=moved,
    )


def _marked(
    text: str, explanation: Explanation | None
) -> tuple[list[Marked], int, tuple[list[tuple[str, float]], list[tuple[str, float]]]]:
    """The first `CUT` words as marked, how many more there are, and the strongest."""
    if explanation is None:
        words = text.split()
        shares = [0.0] * len(words)
    else:
        words, shares = list(explanation.words), explanation.contributions.tolist()
    most = max(map(abs, shares), default=0.0)
    least = max(LEAST, most / 10)
    told = [
        Marked(word, round(share / most, 2) if abs(share) >= least else 0.0)
        for word, share in zip(words[:CUT], shares, strict=False)
    ]
    return told, max(len(words) - CUT, 0), _strongest(words, shares, least)


def _strongest(
    words: Sequence[str], shares: Sequence[float], least: float
) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Words that speak for the decision, and those against it, with the sum of what each adds."""
    sums: dict[str, float] = {}
    for word, share in zip(words, shares, strict=True):
        sums[word] = sums.get(word, 0.0) + share
    rising = sorted(
        (each for each in sums.items() if abs(each[1]) >= least), key=lambda each: each[1]
    )
    speak = [each for each in reversed(rising) if each[1] > 0]
    against = [each for each in rising if each[1] < 0]
    return speak[:STRONGEST], against[:STRONGEST]


def words_shown(
    findings: Findings | SetFindings,
    classes: Sequence[str],
    names: Sequence[str],
    support: Sequence[int],
) -> WordsShown:
    """The labels with most test rows, and the words that speak for each.

    Args:
        findings: what single texts show.
        classes: the labels.
        names: what they are called.
        support: test rows of each.

    """
    place = {label: at for at, label in enumerate(classes)}
    told = {
        place[label]: kept
        for label, words in findings.words.items()
        if (kept := [word for word in words if word.share >= LEAST][:WORDS])
    }
    order = sorted(told, key=lambda at: -support[at])[:LABELS_OF_WORDS]
    alone = [at for at in order if [word.word for word in told[at]] == [NUMBERS]]
    beside = ""
    if findings.numbers is not None:
        low, high = findings.numbers
        beside = f"the training texts had {number(low)} to {number(high)}"
    return WordsShown(
        cards=[
            (names[at], [_word(each, beside) for each in told[at]])
            for at in order
            if at not in alone
        ],
        only_number=[(names[at], told[at][0].share) for at in alone],
        a_number=f"a number ({beside})" if beside else "a number",
    )


def _word(found: WordShare, beside: str) -> WordShown:
    any_number = found.word == NUMBERS
    return WordShown(
        word="a number" if any_number else found.word,
        beside=beside if any_number else "",
        share=found.share,
        texts=found.texts,
        example=around(found.example, found.word),
    )


def around(text: str, word: str) -> str:
    """Some words around a word, or around the first number.

    >>> around("once upon a time and long ago in a land of fog, made of iron", "iron")
    '… and long ago in a land of fog, made of iron'
    """
    sought = r"\d" if word == NUMBERS else rf"(?<!\w){re.escape(word)}(?!\w)"
    found = re.search(sought, text, re.IGNORECASE)
    begin = max(found.start() - BEFORE if found else 0, 0)
    begin = text.find(" ", begin) + 1 if begin else 0
    end = len(text)
    if end - begin > EXAMPLE:
        # At a space, but where a word alone is longer than all that is shown.
        space = text.rfind(" ", begin, begin + EXAMPLE)
        end = space if space > begin else begin + EXAMPLE
    return f"{'… ' if begin else ''}{text[begin:end]}{' …' if end < len(text) else ''}"
