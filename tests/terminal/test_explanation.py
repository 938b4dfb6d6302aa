"""Explanations as text: the decision, the marked words, and what each adds."""

from dataclasses import replace

import numpy as np
import pytest

from textgauge.explaining import Explained
from textgauge.review.explanation import Explanation
from textgauge.review.intervals import Interval
from textgauge.review.overall import NumberCurve, WordShare
from textgauge.review.rule_summary import Agreement, RuleSummary
from textgauge.review.rules import Condition, Leaf, Split
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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "The text is empty, so no word moved it: every such text is decided so."),
        (" \n", "The text is empty, so no word moved it: every such text is decided so."),
        ("\u200b", "The text holds no word that is read, so no word moved it: every such text is "
         "decided so."),
    ],
)  # fmt: skip
def test_a_text_without_words_is_shown_as_that(text, told):
    shown = explanation_text(explanation([], [], text=text), {})
    assert shown.split("\n\n")[1:] == ["  (no words)", told]


def test_words_that_the_model_does_not_know_are_named():
    found = explanation(["zzz", "iron", "qq\x1b", "zzz"], [0.5, 0.3, 0.0, 0.1])
    shown = explanation_text(found, {}, unknown={"zzz", "qq\x1b", "other"})
    assert shown.split("\n\n")[3] == ("Words that the model has not learned: zzz, 'qq\\x1b'.")
    assert "has not learned" not in explanation_text(found, {}, unknown={"other"})
    assert "has not learned" in explained_text(
        Explained((found,), None, {}, unknown=frozenset({"zzz"}))
    )
    many = explanation([f"w{n}" for n in range(12)], [0.1] * 12)
    assert explanation_text(many, {}, unknown=set(many.words)).endswith("w9 and 2 more.")


@pytest.mark.parametrize("colour", [False, True])
def test_a_terminal_is_shown_no_character_that_it_would_obey(colour):
    odd = "\x1b[31mred\x07"
    found = explanation([odd, "part", odd], [0.9, 0.0, -0.3], label=odd)
    shown = explanation_text(found, {odd: "\x1b[2J"}, colour=colour)
    for code in ("\x1b[1;44;97m", "\x1b[1;43;30m", "\x1b[0m") if colour else ():
        shown = shown.replace(code, "")
    assert shown.replace("\n", "").isprintable()
    assert repr(odd) in shown
    words = {odd: [WordShare(odd, 0.5, 12, f"an {odd} part")]}
    overall = Explained((found,), 0, {odd: odd}, (odd, "0"), words)
    assert overall_text(overall).replace("\n", "").isprintable()


def test_of_all_texts_the_unknown_words_are_named_and_the_rules_begin_a_sentence():
    words = {"1": [WordShare("zzz", 0.5, 12, "zzz"), WordShare("qqq", 0.001, 12, "qqq")]}
    rules = RuleSummary(
        Split(Condition("iron"), Leaf("1", 0.25, 1.0), Leaf("0", 0.75, 0.98)),
        Agreement(0.62, Interval(0.6, 0.64), 0.6, 0.5, 400),
    )
    found = Explained((explanation(["a"], [0.1]),), 0, {}, ("0", "1"), words, None, rules,
                      frozenset({"zzz", "qqq"}))  # fmt: skip
    first, second, _ = overall_text(found).split("\n\n\n")
    assert first.endswith("\n\nWords that the model has not learned: zzz.")
    assert second.startswith("A short rule imitates the model on only 62.0% of the rows here")
    good = replace(rules, agreement=replace(rules.agreement, rows=0.98))
    shown = overall_text(replace(found, rules=good))
    assert "\n\nThe model decides like these rules on 98.0%" in shown


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


def test_a_label_for_which_no_word_speaks_says_so():
    words = {"1": [WordShare("part", 0.001, 900, "a part")], "0": []}
    found = Explained((explanation(["a"], [0.1]),), 0, NAMES, ("0", "1"), words)
    assert overall_text(found).split("\n\n\n")[:2] == [
        f"What speaks for {name}\n\nNo word adds to it in several of these texts."
        for name in ("1 non-compliant", "0")
    ]


def test_without_numbers_there_is_no_curve_to_show():
    found = Explained((explanation(["a"], [0.1]),), 0, {}, ("0", "1"), {}, None)
    assert overall_text(found) == "From 1 distinct texts."
