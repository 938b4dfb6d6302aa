"""The report of whole trainings on odd tables: it is written, sound, and says the right thing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest
from e2e import Quick

pytest_plugins = ["e2e_fixtures"]

VOID = {"meta", "br", "input", "link", "img", "hr"}
TINY = {"epochs": 1, "hidden_size": 8, "embedding_size": 8, "batch_size": 64}


class Page(HTMLParser):
    """What a browser shows of a page, and what it would have to forgive."""

    def __init__(self, html: str, result: Any) -> None:
        super().__init__()
        self.result = result
        self.html, self.open, self.faults = html, list[str](), list[str]()
        self.shown, self.scripts = list[str](), 0
        self.feed(html)
        self.close()
        self.words = " ".join("".join(self.shown).split())

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        pass  # Of drawings.

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.shown.append(data)


def page_of(quick: Quick, rows: Sequence[tuple[str, ...]], **settings: Any) -> Page:
    """The report of a training, after one epoch, on rows of text, label and maybe part."""
    columns = ["text", "label", "part"][: len(rows[0])]
    how = {"split_column": "part"} if "part" in columns else {}
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    result = quick.train(frame, **{**TINY, **how, **settings})
    files = dict(told for kind, told in quick.tracker.told if kind == "artifact")
    page = Page(files["report.html"].decode("utf-8"), result)
    assert (page.faults, page.open, page.scripts) == ([], [], 1)
    assert len(page.html) < 2_000_000
    assert not re.search(r"\b(?:nan|inf|None)\b", page.words)
    return page


def split(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Of five rows three train, one validates, one tests."""
    parts = ("train", "train", "train", "val", "test")
    return [(text, label, parts[n // 2 % 5]) for n, (text, label) in enumerate(rows)]


NOTES = [
    (f"{'good' if n % 2 else 'bad'} part {n} of {n % 7}", "yes" if n % 2 else "no")
    for n in range(200)
]


LEARNED = {"epochs": 6, "lr": 0.05}
"""Enough to tell the labels of `NOTES` apart."""


@pytest.mark.parametrize("right", [True, False])
def test_all_right_and_all_wrong(quick: Quick, right: bool) -> None:
    other = {"yes": "no", "no": "yes"}
    rows = [
        (text, label if right or part != "test" else other[label], part)
        for text, label, part in split(NOTES)
    ]
    page = page_of(quick, rows, **LEARNED)
    if right:
        assert "it finds all (" in page.words
        assert "are right (" in page.words
        assert "It gets every test text right; there is no error to show." in page.words
        assert "It takes no test row for what it is not." in page.words or "100.0%" in page.words
    else:
        assert "it finds none (" in page.words
        assert "none is right (" in page.words
        assert "40 distinct test texts are decided wrongly." in page.words
        assert "In the worst 20, words that spoke for" in page.words


def test_a_test_part_without_a_class(quick: Quick) -> None:
    rows = [row for row in split(NOTES) if row[1:] != ("no", "test")]
    page = page_of(quick, rows)
    assert "No test row is “no”: how many it finds cannot be said." in page.words


def test_150_labels(quick: Quick) -> None:
    rows = [(f"box {n} of kind {n % 150}", f"label {n % 150}") for n in range(1500)]
    page = page_of(quick, rows)
    assert "It tells 150 labels apart" in page.words
    assert "150 labels: these are the most frequent confusions." in page.words
    assert "Certainty tells" not in page.words or "and 0.7% where it could" in page.words
    assert page.html.count("<h3>speaks for") <= 40


def test_no_numbers(quick: Quick) -> None:
    words = ["iron", "steel", "wood", "glass", "paper", "stone", "wool", "cork", "clay"]
    rows = [
        (f"{'good' if n % 2 else 'bad'} {words[n % 9]} {words[n // 9 % 9]}", f"{n % 2}")
        for n in range(162)
    ]
    page = page_of(quick, rows)
    assert "a number" not in page.words
    assert "Probability by the number" not in page.words
    assert "By first number" not in page.words


def test_markup_in_texts_labels_and_columns(quick: Quick) -> None:
    attack = "<script>alert(1)</script> & <b>bold</b>"
    rows = [(f"{attack} {text}", f'<i>"{label}"</i>') for text, label in NOTES]
    page = page_of(quick, rows)
    assert '<i>"yes"</i>' in page.words
    assert "<i>" not in re.sub(r"&lt;.*?&gt;", "", page.html)


def test_very_long_texts(quick: Quick) -> None:
    filler = " ".join(f"w{'abcdefgh'[n % 8]}{'klmnop'[n % 6]}" for n in range(240))
    rows = [(f"{text} {filler} {n}", label) for n, (text, label) in enumerate(NOTES)]
    page = page_of(quick, rows, epochs=1, lr=1e-6)
    errors = page.html.count("<tr data-label=")
    assert errors > 10
    assert page.html.count('class="moved"') <= min(errors, 20)
    # All of the worst can be explained, if coarsely.
    first = min(errors, 20)
    assert f"In the worst {first}, words that spoke for" in page.words
    assert "too long" not in page.words
    assert "neighbouring words were tried together" in page.words


def test_far_too_long_texts_are_told_to_be_so(quick: Quick) -> None:
    filler = "and so on " * 1300
    rows = [(f"{text} {filler} {n}", label) for n, (text, label) in enumerate(NOTES)]
    page = page_of(quick, rows, max_tokens=4000, lr=1e-6, hidden_size=2, embedding_size=2)
    assert "worst are too long to be explained" in page.words
    assert "so long that fewer than 30 could be explained" in page.words


def test_costs_and_a_band(quick: Quick) -> None:
    page = page_of(quick, NOTES, cost={"false-no": 50.0}, review_rate=0.2)
    assert "That is as it decides with these costs" in page.words
    assert "counts as it would have been decided" in page.words
    assert "Certainty tells how sure it is" in page.words
    # The card and the rules that imitate the model tell of the same decisions.
    review, rules = page.result.review, page.result.rules
    assert review.decided.confusion != review.model.evaluation.rows.confusion
    settings = json.loads((page.result.bundle / "textgauge.json").read_text(encoding="utf-8"))
    assert len(settings["in_words"]) == 5
    for sentence in settings["in_words"]:
        assert sentence in page.words
    called = [sum(column) for column in zip(*review.decided.confusion, strict=True)]
    assert rules.agreement.most_frequent == pytest.approx(max(called) / sum(called))
