"""What is said of a run that was trained again."""

import doctest
from dataclasses import replace
from pathlib import Path

import pytest

from textgauge.review.repetition import Compared, Decisions, Difference
from textgauge.terminal import verify as module
from textgauge.terminal.verify import in_words, verified_text
from textgauge.verifying import Verified

SAME = Verified(
    run="abc",
    model=Path("model"),
    table="notes.csv",
    data=(),
    figures=Compared(86, 0.0, ()),
    epochs=Compared(62, 0.0, ()),
    decisions=Decisions(480, 0, 6e-8, ()),
    weights_identical=True,
    exact=True,
)


def test_docstrings():
    assert doctest.testmod(module).failed == 0


def test_the_same_to_the_last_bit_is_one_sentence_or_two():
    assert verified_text(SAME) == (
        "The same to the last bit: run abc on notes.csv. 86 figures, 62 of the epochs, the "
        "probabilities of 480 test texts and all weights are identical."
    )


def test_nearly_the_same_says_how_nearly_and_what_is_another():
    found = replace(
        SAME,
        figures=Compared(86, 5e-7, ()),
        weights_identical=False,
        exact=False,
        surroundings=(Difference("torch", "2.4.0", "2.5.0"),),
    )
    assert verified_text(found).split("\n\n") == [
        "The same: run abc on notes.csv. 86 figures, 62 of the epochs agree to 1e-06, and 480 "
        "test texts are decided alike; a probability differs by 6e-08 at most. Weights differ.",
        "other than then   recorded     now\n"
        "───────────────   ────────   ─────\n"
        "torch                2.4.0   2.5.0",
    ]
    assert (found.outcome, found.same) == ("same", True)


def test_a_difference_is_shown_with_texts():
    found = replace(
        SAME,
        figures=Compared(86, 0.25, tuple(Difference(f"f{n}", 0.5, 0.75) for n in range(20))),
        decisions=Decisions(480, 3, 0.9, (Difference("an  iron\npart " + "x" * 80, "1", "0"),)),
        weights_identical=False,
        exact=False,
    )
    outcome, figures, texts, around = verified_text(found).split("\n\n")
    assert outcome == (
        "Not the same: run abc on notes.csv. 3 of 480 test texts are decided otherwise, a "
        "probability differs by 0.9 at most, and 20 of 86 figures, 62 of the epochs differ."
    )
    assert figures.splitlines()[0] == "on the test part   recorded    now"
    assert figures.endswith("\n(and 8 more; see --json)")
    assert texts.splitlines()[2].startswith("an iron part xxx")
    assert around == "Versions and machine are those of the run."
    assert (found.outcome, found.same) == ("differs", False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("parts val rows", "rows of the validation part"),
        ("labels in train rusty iron", "rows of the training part with the label 'rusty iron'"),
        ("rows accuracy", "accuracy, over rows"),
        ("texts labels a b c precision", "precision of the label 'a b c', each text once"),
        ("rows intervals precision 2 2", "precision of label no. 2, high end of its interval, over "
         "rows"),
        ("rows confusion 1 2", "label no. 1 called label no. 2, over rows"),
        ("epoch 12 train_accuracy", "training accuracy in epoch 12"),
        ("best_epoch", "best epoch"),
        ("scikit-learn", "scikit-learn"),
        ("rows", "rows"),
    ],
)  # fmt: skip
def test_figures_are_called_by_words(name, words):
    assert in_words(name) == words


def test_what_a_terminal_would_obey_is_quoted():
    odd = (Difference("labels in test \x1b[2J", "\x07", "\x1b[31m"),)
    found = replace(SAME, data=odd, figures=None, epochs=None, decisions=None)
    assert "\x1b" not in verified_text(found)
    others = (Difference("iron \x1b[2J", "\x1b[2J", "\x07"),)
    shown = verified_text(replace(SAME, decisions=Decisions(480, 1, 0.9, others)))
    assert shown.replace("\n", "").isprintable()


def test_another_table_is_told_with_what_differs():
    changed = (Difference("rows", 1200, 1300), Difference("digest", "a" * 64, "b" * 64))
    found = replace(SAME, data=changed, figures=None, epochs=None, decisions=None)
    shown = verified_text(found)
    assert shown.startswith("Not the same: notes.csv is not the table that run abc recorded. ")
    rows = [line.split() for line in shown.splitlines()[4:]]
    assert rows == [["rows", "1,200", "1,300"], ["digest", "a" * 16 + "…", "b" * 16 + "…"]]
    named = (Difference("distinct_texts", 798, 796), Difference("parts train texts", 478, 476))
    shown = verified_text(replace(found, data=named))
    assert [line.split("   ")[0] for line in shown.splitlines()[4:]] == [
        "distinct texts", "distinct texts of the training part",
    ]  # fmt: skip
    exchanged = verified_text(replace(found, data=changed[1:]))
    assert "as many as then, so texts or labels were exchanged" in exchanged
