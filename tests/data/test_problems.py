"""How lists of faults are worded."""

from textgauge.data.problems import some


def test_some_names_five():
    assert some("abcde") == "a; b; c; d; e"
    assert some("abcdefg") == "a; b; c; d; e; and 2 more"
