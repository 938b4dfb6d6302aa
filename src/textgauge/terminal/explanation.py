"""Explanations as text: which words moved a decision, and how far."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..bundle.decision import REVIEW
from ..explaining import Explained
from ..review.explanation import Explanation
from ..review.overall import NumberCurve
from .review import rules_text
from .tables import named, one_line, printable, table

SHOWN = 10
"""Words in the table at most: those that moved the decision most."""

LEAST = 0.005
"""Smaller shares are not told: they are chance."""

_WIDTH = 20
_EXAMPLE = 60
_BLOCKS = "▁▂▃▄▅▆▇█"
_TOWARDS, _AGAINST, _PLAIN = "\x1b[1;44;97m", "\x1b[1;43;30m", "\x1b[0m"


def explained_text(found: Explained, *, colour: bool = False) -> str:
    """All explanations, and how many texts are left out; `colour` as in `explanation_text`."""
    each_label = found.explanations
    if found.labels is not None:
        each_label = tuple(each for text in found.labels for each in text)
    blocks = [
        explanation_text(each, found.label_names, unknown=found.unknown, colour=colour)
        for each in each_label
    ]
    if found.left_out:
        blocks.append(f"{found.left_out:,} further distinct texts are left out; see --limit.")
    return "\n\n\n".join(blocks)


def overall_text(found: Explained) -> str:
    """The words that matter for each label, and how the decision follows a number."""
    blocks = []
    for label, words in (found.words or {}).items():
        rows = [
            [
                printable(each.word),
                f"{each.share:+.4f}",
                f"{each.texts:,}",
                one_line(each.example, _EXAMPLE),
            ]
            for each in words[:SHOWN]
            if each.share >= LEAST
        ]
        title = f"What speaks for {named(label, found.label_names)}"
        told = [title, table(["word", "adds", "texts", "as in"], rows)]
        if not rows:
            told[1] = "No word adds to it in several of these texts."
        told += _not_known((each.word for each in words[: len(rows)]), found.unknown)
        blocks.append("\n\n".join(told))
    if found.curve is not None:
        blocks.append(_curve_text(found.curve, found.classes, found.label_names))
    if found.rules is not None:
        told_rules = rules_text("the model", found.rules, found.label_names, "rows here")
        blocks.append(told_rules[0].upper() + told_rules[1:])
    left = f"; {found.left_out:,} further ones are left out" if found.left_out else ""
    blocks.append(f"From {len(found.explanations):,} distinct texts{left}.")
    return "\n\n\n".join(blocks)


def _curve_text(curve: NumberCurve, classes: Sequence[str], label_names: Mapping[str, str]) -> str:
    """The label that changes most with the number, as a row of blocks."""
    label = max(range(len(classes)), key=lambda at: (abs(curve.step(at)[2]), at))
    before, after, rise = curve.step(label)
    blocks = "".join(
        _BLOCKS[min(int(value * len(_BLOCKS)), len(_BLOCKS) - 1)]
        for value in curve.probabilities[:, label]
    )
    return (
        f"Probability of {named(classes[label], label_names)} by the number in the text "
        f"(mean of {curve.texts:,} texts)\n\n"
        f"  {curve.values[0]:g} {blocks} {curve.values[-1]:g}\n\n"
        f"The largest step: {rise:+.4f} from {before:g} to {after:g}."
    )


def explanation_text(
    explanation: Explanation,
    label_names: Mapping[str, str],
    *,
    unknown: Collection[str] = (),
    colour: bool = False,
) -> str:
    """The decision, the text with its words marked, and what each word adds.

    Args:
        explanation: what to tell.
        label_names: what to call label values.
        unknown: words that the model does not know.
        colour: whether the terminal shows colours: blue speaks for the decision, yellow against
            it. Without, such words stand in brackets: [+for+] and [-against-].

    """
    decision = named(explanation.label, label_names)
    if explanation.decided is not None:
        decision = _of_set(explanation, decision)
    elif explanation.decision != explanation.label:
        decision = f"{explanation.decision} (a person decides), else {decision}"
    blocks = [
        f"{decision}: probability {explanation.probability:.4f}; "
        f"{explanation.reference:.4f} for the texts that it was compared with",
        _marked(explanation, colour=colour),
    ]
    order = sorted(
        range(len(explanation.words)), key=lambda at: -abs(explanation.contributions[at])
    )
    told = [at for at in order if abs(explanation.contributions[at]) >= LEAST][:SHOWN]
    if told:
        most = max(abs(explanation.contributions[at]) for at in told)
        rows = [
            [
                printable(explanation.words[at]),
                f"{explanation.contributions[at]:+.4f}",
                ("█" * max(round(_WIDTH * abs(explanation.contributions[at]) / most), 1)).ljust(
                    _WIDTH
                ),
            ]
            for at in told
        ]
        blocks.append(table(["word", "adds", " " * _WIDTH], rows))
    elif explanation.words:
        blocks.append("No word moved it: what could stand there instead is decided alike.")
    else:
        what = "holds no word that is read" if explanation.text.strip() else "is empty"
        blocks.append(f"The text {what}, so no word moved it: every such text is decided so.")
    return "\n\n".join([*blocks, *_not_known(explanation.words, unknown)])


def _of_set(explanation: Explanation, label: str) -> str:
    """What is decided of a label, where a text has any number of them."""
    if explanation.decision == REVIEW:
        would = "else it is decided" if explanation.decided else "else it is not decided"
        return f"{label} (a person decides the text, {would})"
    return label if explanation.decided else f"not {label}"


def _not_known(words: Iterable[str], unknown: Collection[str]) -> list[str]:
    """A sentence on those of `words` that the model does not know; nothing if it knows all."""
    found = [printable(word) for word in dict.fromkeys(words) if word in unknown]
    if not found:
        return []
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    listed = ", ".join(found[:SHOWN]) + more
    return [f"Words that the model has not learned: {listed}."]


def _marked(explanation: Explanation, *, colour: bool) -> str:
    """The words that were read, those marked that matter."""
    most = max((abs(value) for value in explanation.contributions), default=0.0)
    shown = []
    words = map(printable, explanation.words)
    for word, value in zip(words, explanation.contributions, strict=True):
        if abs(value) < max(LEAST, most / 10):
            shown.append(word)
        elif colour:
            shown.append(f"{_TOWARDS if value > 0 else _AGAINST}{word}{_PLAIN}")
        else:
            shown.append(f"[+{word}+]" if value > 0 else f"[-{word}-]")
    return "  " + (" ".join(shown) or "(no words)")
