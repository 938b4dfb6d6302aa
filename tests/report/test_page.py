"""The page: whole in itself, escaped, small, and right about odd tables."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from made_up import ROWS, facts_of

from textgauge.data.corpus import gather_texts
from textgauge.engines.prepared import TableFacts
from textgauge.errors import StorageError
from textgauge.report.page import report, write_report
from textgauge.report.wording import hundredth
from textgauge.review import baselines
from textgauge.review.contenders import judge
from textgauge.review.deciding import Asked, choose_rule
from textgauge.review.decision import measure
from textgauge.review.intervals import Interval
from textgauge.review.rule_summary import Agreement, RuleSummary
from textgauge.review.rules import Condition, Leaf, Split
from textgauge.review.slices import Slice, SliceGroup

VOID = {"meta", "br", "input", "link", "img", "hr"}


class Reader(HTMLParser):
    """Reads a page as a browser does, and notes what a browser would forgive."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.ids, self.links = [], [], [], []
        self.scripts, self.text, self.addresses = 0, [], []
        self.feed(text)
        self.close()
        self.faults += [f"{tag} stays open" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"])
        for name in ("href", "src", "action", "data", "poster", "srcset"):
            if name in values:
                (self.links if values[name].startswith("#") else self.addresses).append(
                    values[name]
                )
        self.faults += [f"{name} on {tag}" for name in values if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def html(report_facts):
    return report(report_facts)


def test_the_page_is_well_formed_and_every_link_leads_somewhere(html):
    read = Reader(html)
    assert read.faults == []
    assert len(read.ids) == len(set(read.ids))
    assert {link[1:] for link in read.links} <= set(read.ids)


def test_the_page_names_nothing_outside_itself(html):
    read = Reader(html)
    assert read.addresses == []
    assert read.scripts == 1
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", html)
    allowed = "http://www.w3.org/2000/svg"  # a name, not an address
    assert set(re.findall(r"https?://[^\s\"'<)]+", html)) <= {allowed}
    assert "default-src 'none'" in html


def test_the_plots_are_sound_xml(html):
    drawings = re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL)
    plots = [ElementTree.fromstring(drawing) for drawing in drawings if 'class="plot"' in drawing]
    # Band, accuracy, loss, precision and recall, reliability, number.
    assert len(plots) == 6
    assert all(plot.get("aria-label") for plot in plots)


def test_the_figures_are_those_of_the_review(html, report_facts):
    words = Reader(html).words
    rows = report_facts.review.model.evaluation.rows
    assert report_facts.review.verdict in words
    assert f"{rows.accuracy:.1%}" in words
    assert f"{rows.macro_f1:.4f}" in words
    for line in rows.confusion:
        for cell in line:
            assert f"{cell:,}" in words
    found = hundredth(rows.labels[0].recall)
    assert f"Of 100 rows that are compliant, it finds {found} (" in words
    assert report_facts.corpus.digest in words


def test_the_errors_are_shown_with_the_words_that_moved_them(html, report_facts):
    errors = report_facts.findings.errors
    assert errors
    assert html.count("<tr data-label=") == len(errors)
    assert '<mark class="for"' in html
    words = Reader(html).words
    for each in errors:
        assert f"{each.probability:.1%}" in words


def test_markup_and_scripts_are_shown_as_text():
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'&amp; part"
    rows = [(f"{attack} {n}", ["<b>0</b>", "1\"'"][n % 2]) for n in range(120)]
    facts = facts_of(rows, right=0.0, label_names={"<b>0</b>": "<i>zero</i>"})
    facts = replace(facts, table=TableFacts("</title><script>alert(3)</script>.csv", {}, 120))
    read = Reader(report(facts))
    assert (read.faults, read.scripts, read.addresses) == ([], 1, [])
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in read.words
    assert "<i>zero</i>" in read.words


def test_150_labels_stay_below_the_limit():
    rows = [
        (f"part {n} of kind {n % 150} in box {n // 150}", f"label {n % 150}") for n in range(9000)
    ]
    html = report(facts_of(rows))
    read = Reader(html)
    assert read.faults == []
    assert len(html) < 1_000_000
    assert "150 labels: these are the most frequent confusions" in read.words
    assert "matrix" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def test_very_long_texts_are_cut():
    long = " ".join(f"word{n}" for n in range(20_000))
    rows = [(f"{long} {n}", f"{n % 2}") for n in range(60)]
    html = report(facts_of(rows, right=0.0))
    assert len(html) < 1_000_000
    assert "more words" in html


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_wrong_and_all_right(right):
    words = Reader(report(facts_of(ROWS, right=right))).words
    assert "what a person could take" not in words
    if right:
        assert "It gets every test text right; there is no error to show." in words
        assert "It takes no test row for what it is not." in words or "100.0%" in words
        assert "it finds all (" in words
    else:
        assert "it finds none (" in words


def test_a_label_without_test_rows_is_told():
    facts = facts_of([*ROWS, *[(f"odd {n}", "2") for n in range(9)]], right=1.0)
    test = facts.corpus.test
    kept = test.label != 2
    assert kept.sum() < len(kept)
    frame = pl.DataFrame(
        {"text": test.texts.gather(test.text_index[kept]), "label": test.label[kept].astype(str)}
    )
    fewer = gather_texts(frame, ["0", "1", "2"])
    sure = np.eye(3, dtype=np.float32)[fewer.main_label] * 0.7 + 0.1
    majority = baselines.Baseline(baselines.MAJORITY, sure, 0.0, 1)
    facts = replace(
        facts,
        corpus=replace(facts.corpus, test=fewer),
        review=judge("LSTM", sure, [majority], fewer, ["0", "1", "2"]),
    )
    read = Reader(report(facts))
    assert read.faults == []
    assert "No test row is “2”: how many it finds cannot be said." in read.words
    assert "It called no test row “2”." in read.words


def test_a_page_that_cannot_be_written_is_told(report_facts, tmp_path):
    with pytest.raises(StorageError, match=r"report\.html cannot be written"):
        write_report(tmp_path / "none" / "report.html", report_facts)


# ---- what the review found -----------------------------------------------------------------------


def test_costs_and_a_band_are_told_and_drawn(report_facts):
    test, sure = report_facts.corpus.test, report_facts.review.model.probabilities
    chosen = choose_rule(Asked(costs=(10.0, 1.0), review_rate=0.2), test, sure)
    figures = measure(test, sure, report_facts.corpus.classes, chosen)
    facts = replace(report_facts, review=replace(report_facts.review, decision=figures))
    read = Reader(report(facts))
    assert read.faults == []
    assert "only from" in read.words
    assert f"costs {100 * figures.cost:.4g} a 100 rows on the test part" in read.words
    assert "goes to a person" in read.words
    assert "Cost by threshold" in read.words
    assert "Cost by threshold" not in Reader(report(report_facts)).words


def test_slices_that_differ_are_named(report_facts):
    group = SliceGroup(
        "<plant>",
        (
            Slice("north <b>", 90, 9, 0.5, Interval(0.4, 0.6), 0.5, 0.7, "lower"),
            Slice("south", 90, 9, 0.9, Interval(0.8, 1.0), 0.9, 0.1),
        ),
    )
    facts = replace(report_facts, review=replace(report_facts.review, slices=(group,)))
    read = Reader(report(facts))
    assert read.faults == []
    assert "By <plant>" in read.words
    assert "north <b>" in read.words
    assert re.search(r"50\.0% 40\.0% to 60\.0% 0\.500 lower", read.words)


def test_rules_that_stand_are_told_and_others_are_not(report_facts):
    chain = Split(Condition("iron"), Leaf("1", 0.25, 1.0), Leaf("0", 0.75, 0.98))
    agreement = Agreement(0.98, Interval(0.96, 0.99), 0.97, 0.5, 400)
    told = Reader(report(replace(report_facts, rules=RuleSummary(chain, agreement)))).words
    assert "LSTM decides like these rules on 98.0% of the test rows" in told
    assert 'non-compliant: "iron" compliant: all else' in told
    simple = RuleSummary(chain, replace(agreement, rows=0.6))
    told = Reader(report(replace(report_facts, rules=simple))).words
    assert "too simple to stand for it" in told
    assert "compliant: all else" not in told


def test_labels_in_doubt_are_shown_worst_first(report_facts):
    facts = facts_of([*ROWS, *[(text, "1" if label == "0" else "0") for text, label in ROWS[:30]]])
    read = Reader(report(facts))
    assert read.faults == []
    assert f"{facts.issues.rows:,} rows have a label that is in doubt" in read.words
    assert facts.issues.frame["text"][0] in read.words
    none = replace(facts.issues, frame=facts.issues.frame.clear(), pairs={}, rows=0)
    assert "No label is in doubt." in Reader(report(replace(facts, issues=none))).words
