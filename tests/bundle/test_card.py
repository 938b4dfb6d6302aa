"""The model card: what it answers, and that no label breaks its tables."""

import copy
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from textgauge.bundle.card import model_card
from textgauge.bundle.decision import DecisionRule
from textgauge.cli import make_parser
from textgauge.review.deciding import ChosenRule
from textgauge.review.decision import measure


@pytest.fixture
def settings(trained):
    return copy.deepcopy(trained.settings)


def tables_of(card):
    """The tables of a card, each a list of rows of cells."""
    blocks = re.findall(r"(?:^\|.*\n?)+", card, flags=re.MULTILINE)
    return [
        [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in block.splitlines()
        ]
        for block in blocks
    ]


def test_the_headings_are_those_of_a_model_card(settings):
    card = model_card(settings)
    assert re.findall(r"^#+ .*$", card, flags=re.MULTILINE) == [
        "# Text classifier trained on notes.csv",
        "## Use",
        "## Data",
        "## How good it is on the test texts",
        "## Repeat it",
        "## Limits",
    ]
    assert card.endswith("on texts of another kind they may be too sure.\n")


def test_it_says_what_the_model_is_and_where_it_comes_from(settings):
    card = model_card(settings)
    assert (
        "A deep model (LSTM) that reads a short text and gives one of 2 labels: `0` (compliant), "
        "`1` (non-compliant). Trained by textgauge 0.1.0 on 2024-05-01." in card
    )
    data = settings["data"]
    assert f"600 rows, {data['distinct_texts']:,} distinct texts" in card
    assert f"(digest `{data['digest'][:16]}`). Split: {data['split']}." in card
    assert "Test texts that also stand in train: 0. A random split of the rows would have" in card
    assert f"shared {data['random_split_share']:.1%} of them." in card
    words = settings["architecture"]["vocabulary_size"]
    assert f"It knows {words:,} words" in card
    assert "Texts are read up to 256 tokens." in card


def test_the_tables_hold_the_measured_figures(settings):
    parts, classifiers, labels = tables_of(model_card(settings))
    assert parts[0] == ["part", "rows", "distinct texts"]
    assert parts[2:] == [
        [name, f"{part['rows']:,}", f"{part['texts']:,}"]
        for name, part in settings["data"]["parts"].items()
    ]
    ((name, figures),) = settings["figures"].items()
    rows, texts = figures["rows"], figures["texts"]
    assert classifiers[2:] == [
        [
            name,
            *(f"{rows[figure]:.4f}" for figure in ("accuracy", "macro_f1", "loss")),
            f"{texts['accuracy']:.4f}",
        ]
    ]
    assert [row[0] for row in labels[2:]] == ["compliant", "non-compliant"]
    assert labels[2][1:] == [
        *(f"{rows['labels'][0][figure]:.4f}" for figure in ("precision", "recall", "f1")),
        str(rows["labels"][0]["support"]),
    ]


def test_it_tells_how_the_model_decides(settings):
    assert "## How it decides" not in model_card(settings)
    chosen = {"weights": [0.25, 0.75], "costs": [1.0, 10.0], "threshold": 0.75, "review_below": 0.9}
    card = model_card({**settings, "decision": chosen})
    assert (
        "## How it decides\n\nFor the label of least expected cost. A wrong decision costs: "
        "`compliant` 1, `non-compliant` 10. So `non-compliant` is decided where its probability is "
        "more than 0.7500. Where the certainty is less than 0.9000, the decision is `review`.\n"
    ) in card
    assert "test part" not in card


RULE = {"weights": [0.25, 0.75], "costs": [1.0, 10.0], "threshold": 0.75, "review_below": 0.9}


def measured(trained, settings, rule):
    figures = measure(
        trained.corpus.test, trained.probabilities, settings["classes"], ChosenRule(rule)
    )
    told = {"decision": figures.chosen.to_json(), "decision_on_test": figures.to_json()}
    return figures, model_card({**settings, **told})


def test_it_tells_what_the_rule_comes_to_on_the_test_part(trained, settings):
    rule = DecisionRule((0.25, 0.75), 0.6, (1.0, 10.0))
    figures, card = measured(trained, settings, rule)
    band = figures.band
    assert 0 < band.coverage < 1
    assert (
        "Of the rows of the test part:\n\n"
        f"- 100 cost {100 * figures.cost:.4g}, were none sent to a person; deciding the most "
        f"probable label they would cost {100 * figures.most_probable_cost:.4g}.\n"
        f"- {band.coverage:.1%} are decided without a person.\n"
        f"- Of these {band.error:.2%} are wrong ({band.interval.low:.1%} to "
        f"{band.interval.high:.1%}).\n"
        f"- Of those that go to a person {band.sent_error:.2%} would be wrong.\n"
    ) in card
    figures, card = measured(trained, settings, replace(rule, review_below=None))
    low, high = figures.interval.to_json()
    assert f"- {figures.error:.2%} are decided wrongly ({low:.1%} to {high:.1%}).\n" in card
    assert "a person" not in card
    _, card = measured(trained, settings, replace(rule, costs=None, weights=None))
    assert "cost" not in card
    _, card = measured(trained, settings, replace(rule, review_below=1.0))
    assert "- 0.0% are decided without a person.\n- Of those that go" in card


def test_it_tells_what_was_found_in_the_table(settings):
    assert "found in" not in model_card(settings).lower()
    problems = [
        {"severity": "warning", "message": "no row has '<b>'", "advice": "Put it *in*."},
        {"severity": "note", "message": "rows repeat", "advice": ""},
    ]
    data = {**settings["data"], "problems": problems}
    assert (
        "Found in the table:\n\n- warning: no row has '&lt;b>'. Put it \\*in\\*.\n"
        "- note: rows repeat.\n\n## How good"
    ) in model_card({**settings, "data": data})
    sound = {**settings["data"], "problems": []}
    assert "No problem was found in it.\n" in model_card({**settings, "data": sound})


def test_it_tells_how_to_repeat_and_explain_it(settings):
    card = model_card(settings)
    commands = re.findall(r"textgauge (?:verify|explain) [^`#\n]*", card)
    assert len(commands) == 3
    for command in commands:
        make_parser().parse_args(shlex.split(command)[1:])


def test_the_words_that_move_it_are_told_where_they_are_known(settings):
    words = [{"word": f"w{n}", "share": 0.5 - n / 100, "texts": 9} for n in range(20)]
    card = model_card(
        {**settings, "moves": {"1": [{"word": "a`b", "share": 0.6}, *words], "0": []}}
    )
    (line,) = re.findall(r"^- non-compliant: .*$", card, flags=re.MULTILINE)
    assert line.startswith("- non-compliant: ``a`b`` +0.600, `w0` +0.500, ")
    assert line.endswith(", `w6` +0.440")
    assert "## What it goes by\n\nWhat a word adds" in card
    assert "- compliant:" not in card


def test_what_is_not_there_has_a_dash_and_no_share(settings):
    rows = settings["figures"]["LSTM, epoch 2"]["rows"]
    rows["confusion"] = [[5, 0], [0, 0]]
    rows["labels"][1]["support"] = 0
    last = tables_of(model_card(settings))[2][-1]
    assert last[1:] == ["\N{EN DASH}"] * 3 + ["0"]


ODD = [
    'rare "x" <i>',
    "<script>alert(1)</script>",
    "a|b`c``d",
    "*a* _b_ __c__ ~~d~~ [e](f) ![g](h)",
    "# head",
    "> said",
    "- item",
    "12. point",
    "&lt;tag&gt; &amp; <!-- gone -->",
    "back\\slash \\| bar",
    "part_no_5",
    "`",
]


@pytest.mark.parametrize("label", ODD)
def test_what_comes_from_the_table_is_shown_as_it_is(settings, label):
    rows = settings["figures"]["LSTM, epoch 2"]["rows"]
    rows["labels"][0]["label"] = label
    settings |= {
        "classes": [label, "1"],
        "label_names": {"1": label},
        "data": {
            **settings["data"],
            "name": label,
            "problems": [{"severity": "note", "message": label, "advice": label}],
        },
        "verdict": label,
        "in_words": [label],
        "rules": {
            "agreement": {"rows": 0.98},
            "stands": True,
            "sentences": {label: label},
            "leaves": [{}, {}],
        },
        "moves": {label: [{"word": label, "share": 0.5}]},
        "slices": [
            {"what": label, "slices": [{"value": label, "accuracy": 0.5, "interval": [0.4, 0.6],
                                        "rows": 9, "than_all": "lower"}]}
        ],
        "decision": {**RULE},
    }  # fmt: skip
    page = Page(
        MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(model_card(settings))
    )
    assert page.tags <= {
        "h1", "h2", "p", "ul", "li", "pre", "code", "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert page.texts[0] == f"Text classifier trained on {label}"
    assert page.cells.count(label) == 2
    assert page.text.count(label) >= 15


class Page(HTMLParser):
    """What a reader sees of HTML: its tags, its text, its cells."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.cells, self.inside = set(), [], [], False
        self.feed(html)
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attrs):
        assert not attrs or tag == "code"
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")
        self.inside |= tag == "td"

    def handle_endtag(self, tag):
        self.inside &= tag != "td"

    def handle_data(self, data):
        self.texts.append(data)
        if self.inside:
            self.cells[-1] += data
