"""JSON lines in pieces: lines that are no objects are told and passed over."""

import json

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


def with_late(*late):
    """More than the 256 KB that tell the columns, and then these lines."""
    early = [json.dumps({"text": "x" * 100, "n": n}) for n in range(3_000)]
    return "\n".join([*early, *late]) + "\n"


@pytest.mark.parametrize(
    ("late", "key"),
    [
        ('{"text": "b", "more": 2}', "more"),
        ('{"text": "b", "m\\u00f6re" : 1}', "möre"),
        ('{"text": "b","":{"n": 1}}', ""),
        (r'{"text": "\"", "\",\"n": 1}', '","n'),
    ],
)
def test_a_row_with_a_key_that_comes_up_late_is_told_and_the_others_are_read(write, late, key):
    path = write(with_late('{"text": "a", "n": 1}', late, '{"text": "c"}'), "x.jsonl")
    rows, broken = read(path)
    assert rows[3_000:] == [("a", "1"), ("c", None)]
    reason = f"the key {key!r} does not come up in the first 256 KB, which tell the columns"
    assert broken == [(3_002, reason, late)]
    taken = list(open_stream(path, lines_without=("text", key)).pieces())
    assert [(row.line, row.reason) for piece in taken for row in piece.unreadable] == [
        (3_002, reason)
    ]
    (kept,) = open_stream(path, lines_without=("other",)).pieces()
    assert (kept.lines[3_001], kept.unreadable) == (late, ())


def test_what_only_looks_like_a_key_is_none(write):
    late = [
        '{"text": "a", "n": {"more": [{"most": 1}]}}',
        r'{"text": "\"more\": 1, \\", "n": ":"}',
        r'{"text": "\", \"more\":", "n": "more"}',
        '{"\\u0074ext": "b", "n" : 2}',
    ]
    rows, broken = read(write(with_late(*late), "x.jsonl"))
    assert [text for text, _ in rows[3_000:]] == ["a", '"more": 1, \\', '", "more":', "b"]
    assert broken == []


def test_lines_are_given_as_they_stand_where_that_is_asked_for(write):
    late = ['{"more": 2,"text": "b"}', "", ' {"text": "c", "label": 3} ', "[1]", '{ "text":"ä"}\r']
    path = write(with_late(*late), "x.jsonl")
    for rows in (100, 10_000):
        pieces = list(open_stream(path, rows=rows, lines_without=("label", "text")).pieces())
        lines = [line for piece in pieces for line in piece.lines]
        texts = [text for piece in pieces for text in piece.frame["text"]]
        assert lines[3_000:] == ['{"more": 2,"text": "b"}', '{ "text":"ä"}\r']
        assert [json.loads(line)["text"] for line in lines] == texts
        broken = [(each.line, each.reason) for piece in pieces for each in piece.unreadable]
        assert [line for line, _ in broken] == [3_003, 3_004]
        assert broken[0][1].startswith("the key 'label' does not come up")


def test_other_files_and_columns_of_a_folder_have_no_lines(write, tmp_path):
    (tmp_path / "y=1").mkdir()
    write('{"text": "a"}\n', "y=1/a.jsonl")
    (piece,) = open_stream(tmp_path, lines_without=("label",)).pieces()
    assert (piece.frame.rows(), piece.lines) == ([("a", 1)], None)
    write('{"text": "a"}\n', "a.jsonl")
    write("text\nb\n", "b.csv")
    pieces = list(open_stream(f"{tmp_path}/?.*", lines_without=("label",)).pieces())
    assert [piece.frame["text"].to_list() for piece in pieces] == [["a"], ["b"]]
    assert pieces[1].lines is None


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
