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
