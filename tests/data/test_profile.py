"""A table in numbers: what is counted of its rows, texts and labels."""

import polars as pl

from textgauge.data.checks import check_table
from textgauge.data.profile import Quantiles
from textgauge.data.tables import Columns, read_table


def check(texts, labels=None, **options):
    data = {"text": texts} | ({"label": labels} if labels else {})
    table = read_table(pl.DataFrame(data), Columns(label="label" if labels else None))
    return check_table(table, normalised=table.frame["text"].str.to_lowercase(), **options)


def test_a_worked_profile():
    texts = ["a b", "A b", "c", None, "d e f", "a b"]
    labels = ["x", "y", "x", "x", None, "x"]
    profile = check(texts, labels, label_names={"x": "compliant"}).profile
    assert (profile.rows, profile.missing_texts, profile.missing_labels) == (6, 1, 1)
    assert profile.distinct_texts == 3  # "a b", "c", "d e f"
    assert profile.duplicate_rows == 2
    assert (profile.contradictory_texts, profile.contradictory_rows) == (1, 3)
    assert profile.distinct_labels == 2
    first, second = profile.labels
    assert (first.label, first.name, first.rows, first.distinct_texts) == ("x", "compliant", 4, 2)
    assert first.share == 4 / 5
    assert (second.label, second.name, second.rows, second.distinct_texts) == ("y", None, 1, 1)
    assert profile.imbalance == 4.0
    assert profile.text_words == Quantiles(1, 2, 3, 3)
    assert profile.text_characters == Quantiles(1, 3, 5, 5)


def test_texts_without_labels_have_a_profile_too():
    report = check(["a b", "c"])
    assert report.ok
    assert (report.profile.missing_labels, report.profile.labels) == (0, ())
    assert report.profile.imbalance is None


def test_only_the_thousand_largest_labels_are_listed():
    labels = [str(n) for n in range(1500)]
    report = check([f"text {n}" for n in range(1500)], labels)
    assert len(report.profile.labels) == 1000
    assert report.profile.distinct_labels == 1500
