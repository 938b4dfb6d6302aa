"""JSON lines in pieces: lines that are no objects are told and passed over."""

import pytest

from textgauge.data.streams import json_lines, open_stream
from textgauge.errors import TableError


def read(path, **options):
    pieces = list(open_stream(path, **options).pieces())
    return (
        [row for piece in pieces for row in piece.frame.rows()],
        [(each.line, each.reason, each.content) for p in pieces for each in p.unreadable],
    )


def test_values_are_strings_as_they_are_written_and_a_missing_key_is_null(write):
    lines = '{"text": "a", "n": 1, "yes": true}\n\n{"text": null, "n": [1, 2]}\n{"n": 1.5}\n'
    assert read(write(lines, "x.jsonl")) == (
        [("a", "1", "true"), (None, "[1, 2]", None), (None, "1.5", None)],
        [],
    )


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_each_broken_line_is_told(write, rows):
    lines = [
        b'{"text": "a"}',
        b'{"text": "b",',
        b"[1, 2]",
        b"",
        b'{"text": "\xff"}',
        b'{"text": 1e999}',
        b'{"text": NaN}',
        b'{"text": "c"} x',
        b'{"text": "d"}',
    ]
    assert read(write(b"\n".join(lines), "x.jsonl"), rows=rows) == (
        [("a",), ("d",)],
        [
            (
                2,
                "the line is no JSON: expecting property name enclosed in double quotes",
                '{"text": "b",',
            ),
            (3, "the line is no JSON object", "[1, 2]"),
            (5, "the line has the byte 0xFF, which is not UTF-8", r'{"text": "\xff"}'),
            (6, "a value is out of range", '{"text": 1e999}'),
            (7, "a value is out of range", '{"text": NaN}'),
            (8, "the line is no JSON: extra data", '{"text": "c"} x'),
        ],
    )


def test_a_line_that_never_ends_is_passed_over(write, monkeypatch):
    monkeypatch.setattr(json_lines, "_BLOCK", 1 << 8)
    monkeypatch.setattr(json_lines, "_LONGEST", 1 << 10)
    long = '{"text": "' + "x" * 5000 + '"}'
    lines = f'{{"text": "a"}}\n{long}\n{{"text": "{"b" * 600}"}}\n{{"text": "c"}}\n'
    rows, broken = read(write(lines, "x.jsonl"))
    assert rows == [("a",), ("b" * 600,), ("c",)]
    assert [(line, len(content)) for line, _, content in broken] == [(2, 1000)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"}]', r"^x.jsonl holds one JSON array, not one object a line"),
        ("text\na note\n", r"^x.jsonl is not JSON lines: line 1 \(expecting value\)"),
    ],
)
def test_what_is_wrong_with_a_file_as_a_whole(write, content, message):
    with pytest.raises(TableError, match=message):
        open_stream(write(content, "x.jsonl"))
