"""How a text is read, as a table: every token with its id, and numbers with their place."""

import polars as pl

from textgauge.terminal.encoding import encoding_text
from textgauge.text.encoder import TextEncoder

ROWS = [
    {"token": "steel", "id": 4, "known_as": "steel", "value": None, "position": None},
    {"token": "8", "id": 2, "known_as": "<num>", "value": 8.0, "position": 0.5},
    {"token": "bolt", "id": 1, "known_as": "<unk>", "value": None, "position": None},
    {"token": "1,234,567.5", "id": 2, "known_as": "<num>", "value": 1234567.5, "position": 12.0},
]


def test_a_line_a_token_below_the_header():
    assert encoding_text(ROWS).splitlines() == [
        "token         id   read as       value   position on train's quantiles",
        "───────────   ──   ───────   ─────────   ─────────────────────────────",
        "steel          4     steel",
        "8              2     <num>           8                            0.50",
        "bolt           1     <unk>",
        "1,234,567.5    2     <num>   1234567.5                           12.00",
    ]


def test_large_and_small_numbers_are_shown_whole():
    for value, shown in ((20240501.0, "20240501"), (0.125, "0.125"), (1995.0, "1995")):
        row = {**ROWS[1], "value": value}
        assert encoding_text([row]).splitlines()[2].split()[3] == shown


def test_what_an_encoder_describes_can_be_shown():
    encoder = TextEncoder.learn(
        pl.Series(["steel bolt 8", "steel nut 10"]),
        read_numbers=True, number_bins=4, min_texts=1, max_words=9, max_tokens=20,
    )  # fmt: skip
    lines = encoding_text(encoder.describe("Steel screw 9")).splitlines()[2:]
    assert [line.split() for line in lines] == [
        ["steel", "3", "steel"],
        ["screw", "1", "<unk>"],
        ["9", "2", "<num>", "9", "0.50"],
    ]
    assert encoding_text(encoder.describe("")).splitlines()[2].split() == ["1", "<unk>"]


def test_a_token_that_a_terminal_would_obey_is_quoted():
    row = {**ROWS[0], "token": "\x1b", "known_as": "\x07"}
    shown = encoding_text([row])
    assert "'\\x1b'" in shown
    assert shown.replace("\n", "").isprintable()
