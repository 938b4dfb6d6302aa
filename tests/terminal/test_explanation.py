"""Explanations as text: the decision, the marked words, and what each adds."""

import numpy as np

from textgauge.explaining import Explained
from textgauge.review.explanation import Explanation
from textgauge.terminal.explanation import SHOWN, explained_text, explanation_text

NAMES = {"1": "non-compliant"}


def explanation(words, shares, **changes):
    values = {"text": " ".join(words), "decision": "1", "probability": 0.9876, "reference": 0.0123}
    return Explanation(
        words=tuple(words), contributions=np.array(shares, dtype=float), **{**values, **changes}
    )


def test_an_explanation_in_full():
    shown = explanation_text(
        explanation(["iron", "part", "of", "1999"], [0.9, 0.0, 0.001, -0.45]), NAMES
    )
    assert shown.split("\n\n") == [
        "1 non-compliant: probability 0.9876; 0.0123 for the texts that it was compared with",
        "  [+iron+] part of [-1999-]",
        "word      adds\n"
        "────   ───────   ────────────────────\n"
        "iron   +0.9000   ████████████████████\n"
        "1999   -0.4500   ██████████",
    ]


def test_colours_take_the_place_of_the_brackets():
    found = explanation(["iron", "part", "1999"], [0.9, 0.0, -0.45])
    line = explanation_text(found, {}, colour=True).split("\n\n")[1]
    assert line == "  \x1b[1;44;97miron\x1b[0m part \x1b[1;43;30m1999\x1b[0m"
    assert "\x1b" not in explanation_text(found, {})


def test_where_no_word_matters_that_is_said():
    shown = explanation_text(explanation(["a", "b"], [0.0, 0.004]), {})
    assert shown.split("\n\n")[1:] == [
        "  a b",
        "No word moved it: what could stand there instead is decided alike.",
    ]


def test_a_text_without_words_is_shown():
    assert explanation_text(explanation([], []), {}).split("\n\n")[1] == "  (no words)"


def test_of_many_words_those_that_matter_most_are_told():
    words = [f"w{n}" for n in range(40)]
    shown = explanation_text(explanation(words, np.linspace(0.01, 0.4, 40)), {})
    rows = shown.split("\n\n")[2].splitlines()[2:]
    assert [row.split()[0] for row in rows] == words[::-1][:SHOWN]


def test_what_is_left_out_is_said():
    found = Explained((explanation(["a"], [0.1]), explanation(["b"], [0.2])), 1234, {})
    shown = explained_text(found)
    assert shown.endswith("\n\n\n1,234 further distinct texts are left out; see --limit.")
    assert shown.count("probability") == 2
    assert "left out" not in explained_text(Explained((explanation(["a"], [0.1]),), None, {}))
