"""The page: whole in itself, escaped, small, and right about odd tables."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from made_up import ROWS, facts_of

from textgauge.config import Config
from textgauge.data.corpus import gather_texts
from textgauge.data.problems import Problem
from textgauge.engines.prepared import TableFacts
from textgauge.errors import StorageError
from textgauge.report.page import report, write_report
from textgauge.report.wording import hundredth
from textgauge.review import baselines
from textgauge.review.contenders import judge
from textgauge.review.deciding import Asked, choose_rule
from textgauge.review.decision import measure
from textgauge.review.explanation import Explanation
from textgauge.review.findings import WrongText
from textgauge.review.intervals import Interval
from textgauge.review.overall import NUMBERS, WordShare
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


def with_costs(report_facts, **asked):
    """The facts as they are where labels are decided by costs."""
    corpus, model = report_facts.corpus, report_facts.review.model
    chosen = choose_rule(Asked(**asked), corpus.test, model.probabilities)
    majority = baselines.Baseline(
        baselines.MAJORITY, report_facts.review.baselines[0].probabilities, 0.0, 1
    )
    review = judge("LSTM", model.probabilities, [majority], corpus.test, corpus.classes, chosen)
    return replace(report_facts, review=review)


def test_with_costs_the_page_tells_of_what_is_decided(report_facts):
    facts = with_costs(report_facts, costs=(100.0, 1.0), review_below=0.6)
    decided, probable = facts.review.decided, facts.review.model.evaluation.rows
    assert decided.confusion != probable.confusion
    read = Reader(report(facts))
    assert read.faults == []
    assert "That is as it decides with these costs" in read.words
    assert "counts as it would have been decided" in read.words
    found = hundredth(decided.labels[0].recall)
    assert f"Of 100 rows that are compliant, it finds {found} (" in read.words
    assert f"So {decided.accuracy:.1%} of the test rows are right (" in read.words
    for line in decided.confusion:
        for cell in line:
            assert f" {cell:,} " in read.words
    # The technical part is of the most probable labels, and says so.
    assert "metrics, are of the most probable label" in read.words
    assert f"accuracy is {decided.accuracy:.4f} and macro F1 {decided.macro_f1:.4f}" in read.words
    assert f"{probable.accuracy:.4f}" in read.words
    plain = Reader(report(report_facts)).words
    assert "these costs" not in plain
    assert "most probable label is judged" not in plain


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


def test_how_it_learned_is_told_as_the_architecture_learns(report_facts):
    def words(model, **settings):
        config = Config(model=model, **settings)
        return Reader(report(replace(report_facts, config=config))).words

    assert "with dropout on" in words("lstm")
    assert "with dropout on" not in words("bag")
    assert "epochs; the weights that are kept" in words("bag")
    assert "found at once" in words("linear")
    assert "found at once" not in words("lstm")
    encoder = words("encoder")
    assert "its linear part was found at once and joined to it in the end" in encoder
    assert "In the end the model learned from the validation texts, too." in encoder
    assert "learned from the validation" not in words("lstm")
    assert "learned from the validation" in words("linear")
    assert "learned from the validation" not in words("linear", refit=False)


def test_it_says_why_the_nearest_centroid_stands_there(report_facts):
    review = report_facts.review
    named = tuple(replace(each, name=baselines.TFIDF_CENTROID) for each in review.baselines)
    why = "the nearest centroid stands in for it"
    there = replace(report_facts, review=replace(review, baselines=named))
    assert why in Reader(report(there)).words
    assert why not in Reader(report(report_facts)).words


def test_the_command_for_corrected_labels_can_be_copied(report_facts):
    config = replace(report_facts.config, text="the text", label="class")
    table = TableFacts("my notes.csv", {}, 600)
    rows = [*ROWS, *[(text, "1" if label == "0" else "0") for text, label in ROWS[:30]]]
    facts = replace(facts_of(rows), config=config, table=table)
    words = Reader(report(facts)).words
    assert "textgauge check 'my notes.csv' \\ --text 'the text' \\ --label class \\ --fix" in words
    assert "check TABLE" not in words


def test_a_problem_and_its_advice_are_two_sentences(report_facts):
    problems = (
        Problem("warning", "a", "3 rows have no text", (), 3, "Look at them."),
        Problem("note", "b", "It is small.", (), 0, "Add more."),
    )
    check = replace(report_facts.check, problems=problems)
    words = Reader(report(replace(report_facts, check=check))).words
    assert "3 rows have no text. Look at them." in words
    assert "It is small. Add more." in words


# ---- single texts --------------------------------------------------------------------------------


def an_error(text, **changes):
    return replace(WrongText(text, 0, 1, 0.61, 0.39, 2), **changes)


def explained(text, shares):
    words = tuple(text.split())
    return Explanation(text, "1", 0.61, words, np.array(shares), 0.1, "1")


def told_of(facts, **changes):
    read = Reader(report(replace(facts, findings=replace(facts.findings, **changes))))
    assert read.faults == []
    return read.words


def test_marks_are_told_in_words_with_what_the_strongest_add(report_facts):
    text = "iron part of steel in 1990"
    one = an_error(text, explanation=explained(text, [0.4, 0.0, 0.01, -0.25, 0.0, 0.1]))
    words = told_of(report_facts, errors=(one,), wrong_texts=1)
    assert "iron (for) part of steel (against) in 1990 (for)" in words
    assert "for non-compliant: iron +0.40, 1990 +0.10; against non-compliant: steel -0.25" in words
    assert "In the worst 1, words that spoke for what was called" in words
    assert "1 distinct test text is decided wrongly." in words
    assert 'title="' not in report(report_facts)


def test_what_goes_to_a_person_is_marked_with_both_probabilities(report_facts):
    errors = (an_error("decided so"), an_error("sent on", review=True, of_label=0.25))
    words = told_of(report_facts, errors=errors, wrong_texts=1, sent_texts=1)
    assert "1 distinct test text is decided wrongly, and 1 more would be, but goes to" in words
    assert "those that go to a person come last" in words
    assert "decided so compliant 39.0% non-compliant 61.0% 2" in words
    assert "sent on compliant 25.0% non-compliant goes to a person 61.0% 2" in words
    words = told_of(report_facts, errors=errors[:1], wrong_texts=1)
    assert "come last" not in words


def test_errors_too_long_to_be_explained_are_told(report_facts):
    errors = tuple(an_error(f"text {n}") for n in range(30))
    words = told_of(report_facts, errors=errors, wrong_texts=30)
    assert "All 20 of the 20 worst are too long" in words
    some = (an_error("a b", explanation=explained("a b", [0.5, 0.0])), *errors)
    words = told_of(report_facts, errors=some, wrong_texts=31, together=True)
    assert "In 1 of them, words that spoke for" in words
    assert "The other 19 of the 20 worst are too long" in words
    assert "neighbouring words were tried together" in words


def test_words_stand_with_an_example_and_numbers_with_their_range(report_facts):
    words = {"1": [WordShare("iron", 0.3, 9, "made of iron"), WordShare(NUMBERS, 0.2, 9, "in 7")]}
    told = told_of(report_facts, words=words, explained=40, numbers=(1970.0, 2019.0))
    assert "iron +0.300 9 as in: made of iron" in told
    assert "a number (the training texts had 1970 to 2019) +0.200 9 as in: in 7" in told
    assert "<number>" not in told
    assert "small shares say little" not in told
    told = told_of(report_facts, words=words, explained=40, numbers=None, together=True)
    assert "small shares say little" in told
    assert "a number +0.200 9" in told


def test_without_words_the_page_says_why(report_facts):
    assert "they are so long that fewer than 30" in told_of(report_facts, words={}, explained=0)
    assert "No words could be told" in told_of(report_facts, words={}, explained=40)
    few = Reader(report(facts_of(ROWS[:50]))).words
    assert "there are 10, and it takes 30" in few


def test_labels_for_which_only_numbers_speak_share_a_sentence():
    rows = [(f"part {n} of kind {n % 40} in box {n // 40}", f"label {n % 40}") for n in range(1200)]
    words = {f"label {n}": [WordShare(NUMBERS, 0.1, 9, "in 7")] for n in range(40)}
    words |= {f"label {n}": [WordShare("box", 0.1, 9, "a box")] for n in range(9)}
    facts = facts_of(rows, words=words)
    html = report(replace(facts, findings=replace(facts.findings, explained=90)))
    assert html.count("<h3>speaks for") == 9
    read = Reader(html)
    assert read.faults == []
    assert "3 more labels" in read.words
    assert "No word, but a number speaks for " in read.words
    assert read.words.count("(+0.100)") == 31
