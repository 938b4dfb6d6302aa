"""The model card: what it answers, and that no label breaks its tables."""

import copy
import re

import pytest

from textgauge.bundle.card import model_card


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
        "## Limits",
    ]
    assert card.endswith("calibrated.\n")


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


def test_the_code_that_it_shows_is_python(settings):
    (code,) = re.findall(r"```python\n(.*?)```", model_card(settings), flags=re.DOTALL)
    compile(code, "the card", "exec")
    assert "textgauge.load(" in code


def test_every_row_of_a_table_has_the_columns_of_its_header(settings):
    figures = settings["figures"]["LSTM, epoch 2"]["rows"]["labels"]
    figures[0]["label"], figures[1]["label"] = "a | b", "line\nbreak  |"
    settings["label_names"] = {}
    settings["figures"]["with | a bar"] = settings["figures"]["LSTM, epoch 2"]
    tables = tables_of(model_card(settings))
    assert len(tables) == 3
    for table in tables:
        assert {len(row) for row in table} == {len(table[0])}
        assert table[1] == ["---"] * len(table[0])
    assert [row[0] for row in tables[2][2:]] == [r"a \| b", r"line break \|"]


def test_of_many_labels_the_first_20_are_listed_and_the_rest_counted(settings):
    settings["classes"] = [f"part {number}" for number in range(150)]
    card = model_card(settings)
    assert "gives one of 150 labels: `part 0`, `part 1`, " in card
    assert "`part 19` and 130 more. Trained by" in card
    assert "`part 20`" not in card


def test_20_labels_are_listed_without_a_rest(settings):
    settings["classes"] = [f"part {number}" for number in range(20)]
    assert "`part 19`. Trained by" in model_card(settings)


def test_rules_that_may_stand_for_the_model_are_listed(settings):
    rules = {
        "agreement": {"rows": 0.98},
        "stands": True,
        "sentences": {"1": 'number < 1995, or\n"iron"', "0": "all else"},
        "leaves": [{}, {}],
    }
    settings = {**settings, "label_names": {"1": "bad"}}
    card = model_card({**settings, "rules": rules})
    assert "## What it goes by\n\nOn 98.0% of the test rows it decides" in card
    assert '- bad: number < 1995, or "iron"\n- 0: all else\n' in card
    for others in ({**rules, "stands": False}, {**rules, "leaves": [{}]}, None):
        assert "What it goes by" not in model_card({**settings, "rules": others})
    assert "What it goes by" not in model_card(settings)


def test_the_review_is_told_in_plain_words(settings):
    rows = next(iter(settings["figures"].values()))["rows"]
    side = [[0.9, 1.0]] * 2
    rows["intervals"] = {
        "accuracy": [0.91, 0.97], "macro_f1": [0.9, 0.96], "precision": side, "recall": side,
    }  # fmt: skip
    settings |= {
        "verdict": "The deep model is worth it.",
        "in_words": ["Of 100 texts that are compliant, it finds 98 (97.1 to 98.9)."],
        "label_issues": {"rows": 1234},
        "slices": [
            {
                "what": "length",
                "slices": [
                    {"value": "1 to\n5 words", "accuracy": 0.5, "interval": [0.4, 0.6],
                     "rows": 900, "than_all": "lower"},
                    {"value": "6 words", "accuracy": 0.9, "interval": [0.8, 1.0],
                     "rows": 900, "than_all": ""},
                ],
            }
        ],
    }  # fmt: skip
    card = model_card(settings)
    assert "## In plain words\n\nThe deep model is worth it.\n\n- Of 100 texts that are" in card
    assert "The labels of 1,234 rows are in doubt" in card
    assert "accuracy lies between 91.0% and 97.0%, its macro F1 between 90.0% and 96.0%" in card
    assert "- length 1 to 5 words: accuracy 50.0% (40.0% to 60.0%) in 900 rows\n" in card
    assert "6 words" not in card
    assert "(0.900 to 1.000)" in tables_of(card)[2][2][1]
