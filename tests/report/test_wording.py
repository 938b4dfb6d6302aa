"""Shares in words."""

from textgauge.bundle.decision import DecisionRule
from textgauge.report.wording import as_it_decides, hundredth, labels_in_words
from textgauge.review.confusion import Confusion
from textgauge.review.intervals import Interval, Intervals
from textgauge.review.metrics import LabelMetrics, Metrics


def metrics(*labels, confusion, intervals=None):
    return Metrics(0.1, 0.9, 0.9, 0.1, 0.01, tuple(labels), Confusion.of(confusion), intervals)


def test_a_label_is_told_with_its_intervals():
    sides = (Interval(0.951, 0.9932), Interval(0.5, 0.75))
    some = Interval(0.0, 1.0)
    known = Intervals(some, some, some, some, precision=sides, recall=sides[::-1], f1=sides)
    found = labels_in_words(
        metrics(
            LabelMetrics("0", 0.97, 0.64, 0.8, 50),
            LabelMetrics("1", 0.011, 1.0, 0.5, 50),
            confusion=((32, 18), (0, 50)),
            intervals=known,
        ),
        ["compliant", "“1”"],
    )
    assert found[0].found.sentence == "Of 100 rows that are compliant, it finds 64 (50.0 to 75.0)."
    assert (
        found[0].right.sentence
        == "Of 100 rows that it calls compliant, 97 are right (95.1 to 99.3)."
    )
    assert found[1].right.sentence == "Of 100 rows that it calls “1”, 1 is right (50.0 to 75.0)."
    assert found[0].rows == 50


def test_what_cannot_be_said_is_not():
    found = labels_in_words(
        metrics(
            LabelMetrics("a", 0.5, 1.0, 0.7, 4),
            LabelMetrics("b", 0.0, 0.0, 0.0, 4),
            LabelMetrics("c", 0.0, 0.0, 0.0, 0),
            confusion=((4, 0, 0), (4, 0, 0), (0, 0, 0)),
        ),
        ["a", "b", "c"],
    )
    assert found[0].found.sentence == "Of 100 rows that are a, it finds all."
    assert found[1].found.sentence == "Of 100 rows that are b, it finds none."
    assert found[1].right.sentence == "It called no test row b."
    assert found[2].found.sentence == "No test row is c: how many it finds cannot be said."
    assert (found[2].found.share, found[2].right.share) == (None, None)


def test_of_which_decisions_figures_tell_is_said_in_a_sentence():
    assert as_it_decides(DecisionRule()) == as_it_decides(DecisionRule(None, 0.9)) == ""
    told = as_it_decides(DecisionRule((0.9, 0.1), None, (9.0, 1.0)))
    assert told.startswith("That is as it decides with these costs")
    assert "person" not in told
    assert "goes to a person counts" in as_it_decides(DecisionRule((0.9, 0.1), 0.9, (9.0, 1.0)))


def test_no_share_is_rounded_to_all_or_none():
    for thousandth in range(1001):
        told = hundredth(thousandth / 1000)
        assert (told == "all") == (thousandth == 1000)
        assert (told == "none") == (thousandth == 0)
        if told.isdigit():
            assert told != "0"
            assert abs(int(told) - thousandth / 10) <= 0.5
