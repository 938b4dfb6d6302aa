"""Explanations as text: which words moved a decision, and how far."""

from __future__ import annotations

from collections.abc import Mapping

from ..explaining import Explained
from ..review.explanation import Explanation
from .review import named, table

SHOWN = 10
"""Words in the table at most: those that moved the decision most."""

LEAST = 0.005
"""Smaller shares are not told: they are chance."""

_WIDTH = 20
_TOWARDS, _AGAINST, _PLAIN = "\x1b[1;44;97m", "\x1b[1;43;30m", "\x1b[0m"


def explained_text(found: Explained, *, colour: bool = False) -> str:
    """All explanations, and how many texts are left out; `colour` as in `explanation_text`."""
    blocks = [
        explanation_text(each, found.label_names, colour=colour) for each in found.explanations
    ]
    if found.left_out:
        blocks.append(f"{found.left_out:,} further distinct texts are left out; see --limit.")
    return "\n\n\n".join(blocks)


def explanation_text(
    explanation: Explanation, label_names: Mapping[str, str], *, colour: bool = False
) -> str:
    """The decision, the text with its words marked, and what each word adds.

    Args:
        explanation: what to tell.
        label_names: what to call label values.
        colour: whether the terminal shows colours: blue speaks for the decision, yellow against
            it. Without, such words stand in brackets: [+for+] and [-against-].

    """
    decision = named(explanation.decision, label_names)
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
                explanation.words[at],
                f"{explanation.contributions[at]:+.4f}",
                ("█" * max(round(_WIDTH * abs(explanation.contributions[at]) / most), 1)).ljust(
                    _WIDTH
                ),
            ]
            for at in told
        ]
        blocks.append(table(["word", "adds", " " * _WIDTH], rows))
    else:
        blocks.append("No word moved it: what could stand there instead is decided alike.")
    return "\n\n".join(blocks)


def _marked(explanation: Explanation, *, colour: bool) -> str:
    """The words that were read, those marked that matter."""
    most = max((abs(value) for value in explanation.contributions), default=0.0)
    shown = []
    for word, value in zip(explanation.words, explanation.contributions, strict=True):
        if abs(value) < max(LEAST, most / 10):
            shown.append(word)
        elif colour:
            shown.append(f"{_TOWARDS if value > 0 else _AGAINST}{word}{_PLAIN}")
        else:
            shown.append(f"[+{word}+]" if value > 0 else f"[-{word}-]")
    return "  " + (" ".join(shown) or "(no words)")
