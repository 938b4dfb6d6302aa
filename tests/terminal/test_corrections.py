"""What `check --fix` did, in words."""

from pathlib import Path

from textgauge.data.corrections import Corrected
from textgauge.terminal.corrections import corrections_text, corrections_warnings


def test_what_changed_is_told_and_what_matched_nothing_is_listed():
    unmatched = (("a" * 80, None), ("bolt", "1"))
    done = Corrected(1000, 1, 0, unmatched, 12, {"bollt": "bolt", "x": None}, Path("new.csv"))
    assert corrections_text(done) == "new.csv: 1 row of 1,000 with another label."
    first, *labels = corrections_warnings(done)
    assert first.splitlines() == [
        "12 corrections match no row of the table:",
        f"  '{'a' * 57}...'",
        "  'bolt' with the label '1'",
        "  and 10 more",
    ]
    assert labels == [
        "the label 'bollt' is new to the table. Did you mean 'bolt'?",
        "the label 'x' is new to the table.",
    ]


def test_nothing_to_warn_of():
    done = Corrected(9, 2, 3, (), 0, {}, Path("new.csv"))
    assert corrections_text(done) == "new.csv: 2 rows of 9 with another label; 3 rows dropped."
    assert corrections_warnings(done) == []
