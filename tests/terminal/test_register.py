"""What is said of a run that was registered."""

import doctest
import re

import pytest

from textgauge.bundle.proof import Proof
from textgauge.registered import Registered
from textgauge.review.repetition import Difference
from textgauge.terminal import register as module
from textgauge.terminal.register import registered_text

SPLIT = "hash of the normalised text (seed {}), stratified by label"


def changed(before, now):
    """The row of a change, without its name."""
    found = Registered(
        run_id="abc",
        name="notes",
        alias="champion",
        where="mlflow.db",
        gates=(),
        proof=Proof(300, 0.0),
        champion=None,
        champion_check="left out",
        changes=(Difference("split", before, now),),
        promoted=None,
    )
    (line,) = (each for each in registered_text(found).splitlines() if each.startswith("split  "))
    return re.sub(" {3,}", "   ", line.removeprefix("split").strip())


def test_docstrings():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        ("a" * 32, None, ("a" * 32, "none")),
        (0.5, 12, ("0.5", "12")),
        (
            SPLIT.format(0),
            SPLIT.format(12),
            ("…text (seed 0), stratified by l…", "…text (seed 12), stratified by …"),
        ),
        ("x" * 60 + "a", "x" * 60 + "b", (f"…{'x' * 12}a", f"…{'x' * 12}b")),
        ("x" * 60, "x" * 70, (f"…{'x' * 12}", f"…{'x' * 22}")),
        ("b" + "x" * 60, "c", (f"b{'x' * 30}…", "c")),
        ("a\nb", "\x1b[1m", ("a b", r"'\x1b[1m'")),
    ],
)
def test_of_a_long_value_the_part_is_shown_that_differs(before, now, shown):
    assert changed(before, now) == "   ".join(shown)
