"""What `check` shows: plain text elsewhere, rich on a terminal, the same content in both."""

import io
import re
import subprocess
import sys

import pytest

from textgauge.data.checks import CheckReport, LabelProfile, Problem, Profile, Quantiles
from textgauge.terminal.check import check_text, show_check

LABELS = (
    LabelProfile("0", "compliant", 1200, 300, 0.6),
    LabelProfile("1", None, 800, 210, 0.4),
)
PROBLEMS = (
    Problem("error", "nul-bytes", "the cell holds NUL bytes", (3, 1700), 2, "Write it again."),
    Problem("warning", "missing-text", "the text is missing", (1, 2, 3, 4, 5), 9, "Fill it in."),
    Problem("note", "duplicate-texts", "74.5% are repeated", (), 1491, "Nothing to do."),
    Problem("warning", "imbalance", "one label is rare", (), 0, ""),
)


def report_of(problems=PROBLEMS, labels=LABELS, **changes):
    values = {
        "rows": 2010,
        "distinct_texts": 510,
        "missing_texts": 9,
        "missing_labels": 1,
        "duplicate_rows": 1491,
        "contradictory_texts": 0,
        "contradictory_rows": 0,
        "distinct_labels": len(labels),
        "labels": labels,
        "text_characters": Quantiles(3, 54, 61, 1200),
        "text_words": Quantiles(1, 8, 10, 200),
        "imbalance": 1.5 if labels else None,
    }
    return CheckReport("notes.csv", problems, Profile(**{**values, **changes}))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drawn(report):
    """What a terminal shows, without the colours."""
    stream = Terminal()
    show_check(report, stream)
    assert "\x1b[" in stream.getvalue()
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


@pytest.fixture(autouse=True)
def eighty_columns_in_colour(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_the_whole_text():
    assert (
        check_text(report_of())
        == """\
notes.csv

  rows               2,010
  distinct texts     510
  repeated           1,491 rows (74.2%)
  missing texts      9 rows (0.4%)
  missing labels     1 row (0.0%)
  contradictory      none
  labels             2
  imbalance          1.5 to 1
  words a text       1 to 200, median 8, 95 % have at most 10
  characters a text  3 to 1,200, median 54, 95 % have at most 61

  label           rows  share  distinct texts
  0 (compliant)  1,200  60.0%             300
  1                800  40.0%             210

error: the cell holds NUL bytes [nul-bytes]
       rows 3, 1,700
       Write it again.

warning: the text is missing [missing-text]
         rows 1, 2, 3, 4, 5 and 4 more
         Fill it in.

note: 74.5% are repeated [duplicate-texts]
      1,491 rows
      Nothing to do.

warning: one label is rare [imbalance]

notes.csv cannot be trained on yet: 1 error and 2 warnings. Row 1 is the first one after the header.
"""
    )


def test_a_table_without_problems():
    text = check_text(report_of(problems=()))
    assert text.endswith("\n\nnotes.csv can be trained on: no problems.\n")


def test_texts_without_labels():
    text = check_text(report_of((), (), missing_labels=0))
    assert text.endswith("notes.csv can be read: no problems.\n")
    assert "label" not in text
    assert "imbalance" not in text


def test_a_column_of_missing_labels_is_shown():
    assert "missing labels     2,010 rows (100.0%)" in check_text(
        report_of((), (), missing_labels=2010)
    )


def test_only_twenty_labels_are_shown():
    labels = tuple(LabelProfile(f"l{n}", None, 10, 10, 0.02) for n in range(50))
    for text in (check_text(report_of(labels=labels)), drawn(report_of(labels=labels))):
        assert "l19" in text
        assert "l20" not in text
        assert "and 30 more labels" in text


def test_odd_labels_keep_to_one_line_and_send_nothing_to_the_terminal():
    labels = (
        LabelProfile("a\n\x1b[31mb", None, 1, 1, 0.5),
        LabelProfile("x" * 99, None, 1, 1, 0.5),
    )
    text = check_text(report_of(labels=labels))
    assert r"'a\n\x1b[31mb'  " in text
    assert f"{'x' * 39}…  " in text
    assert "x" * 40 not in text


def test_a_file_gets_plain_text_and_no_rich():
    stream = io.StringIO()
    show_check(report_of(), stream)
    assert stream.getvalue() == check_text(report_of())
    script = "import sys, textgauge.terminal.check; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_standard_output_is_the_default(capsys):
    show_check(report_of())
    assert capsys.readouterr().out == check_text(report_of())


def test_a_terminal_shows_the_same_content():
    def words(text):
        return sorted(re.sub("█+", " ", text).split())

    assert words(drawn(report_of())) == words(check_text(report_of()))


def test_texts_without_labels_on_a_terminal():
    assert "distinct texts" not in drawn(report_of((), ())).partition("distinct texts")[2]


def test_a_single_row_is_singular():
    problems = (Problem("note", "x", "odd", (3,), 1), Problem("note", "y", "odd", (), 1))
    text = check_text(report_of(problems))
    assert "\n      row 3\n" in text
    assert "\n      1 row\n" in text


def test_a_terminal_aligns_numbers_to_the_right_and_names_to_the_left():
    lines = drawn(report_of()).splitlines()
    (heading,) = [line for line in lines if "share" in line]
    rows = [line for line in lines if "█" in line]
    assert {line.index("%") for line in rows} == {heading.index("share") + 4}
    assert [line[:4] for line in rows] == ["  0 ", "  1 "]


def test_the_verdict_is_green_or_red():
    for problems, colour in ((), "\x1b[32m"), (PROBLEMS, "\x1b[1;31m"):
        stream = Terminal()
        show_check(report_of(problems), stream)
        assert stream.getvalue().splitlines()[-1].startswith(f"{colour}notes.csv can")


def test_a_terminal_gets_bars_in_proportion():
    lines = drawn(report_of()).splitlines()
    bars = [line.count("█") for line in lines if "█" in line]
    assert bars == [20, 13]


@pytest.mark.parametrize("columns", [30, 40])
def test_a_narrow_terminal_shows_every_figure_whole(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = drawn(report_of())
    assert "…" not in shown
    assert "█" not in shown
    assert all(len(line) <= columns for line in shown.splitlines())
    for figure in ("60.0%", "40.0%", "1,200", "300", "210"):
        assert figure in shown


def test_square_brackets_are_no_markup():
    problems = (Problem("warning", "x", "label '[red]' is odd", (1,), 1, "See [bold]."),)
    assert "label '[red]' is odd [x]" in drawn(report_of(problems))
    assert "See [bold]." in drawn(report_of(problems))
