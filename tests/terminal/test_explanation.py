"""Explanations as text: the decision, the marked words, and what each adds."""

import numpy as np

from textgauge.explaining import Explained
from textgauge.review.explanation import Explanation
from textgauge.review.overall import NumberCurve, WordShare
from textgauge.terminal.explanation import (
    SHOWN,
    explained_text,
    explanation_text,
    overall_text,
)

NAMES = {"1": "non-compliant"}


def explanation(words, shares, **changes):
    values = {"text": " ".join(words), "decision": "1", "probability": 0.9876, "reference": 0.0123}
    values["label"] = "1"
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


def test_what_matters_overall_in_full():
    curve = NumberCurve(
        np.array([1990.0, 1994.0, 1995.0, 2000.0]),
        np.array([[0.0, 1.0], [0.02, 0.98], [0.6, 0.4], [0.7, 0.3]]),
        300,
    )
    iron = WordShare("iron", 0.5, 1200, "an iron  part " + "x" * 80)
    words = {"1": [iron, WordShare("part", 0.001, 900, "a part")]}  # The second is chance.
    found = Explained((explanation(["a"], [0.1]),) * 3, 7, NAMES, ("0", "1"), words, curve)
    assert overall_text(found).split("\n\n\n") == [
        "What speaks for 1 non-compliant\n\n"
        "word      adds   texts" + " " * 58 + "as in\n"
        "────   ───────   ─────   " + "─" * 60 + "\n"
        "iron   +0.5000   1,200   an iron part " + "x" * 46 + "…",
        "Probability of 1 non-compliant by the number in the text (mean of 300 texts)\n\n"
        "  1990 ██▄▃ 2000\n\n"
        "The largest step: -0.5800 from 1994 to 1995.",
        "From 3 distinct texts; 7 further ones are left out.",
    ]


def test_without_numbers_there_is_no_curve_to_show():
    found = Explained((explanation(["a"], [0.1]),), 0, {}, ("0", "1"), {}, None)
    assert overall_text(found) == "From 1 distinct texts."
