"""How far a training is: lines in a log, a bar on a terminal, warnings alone with --quiet."""

import io
import os
import pty
import re
import sys

import pytest

from textgauge.terminal import progress as module
from textgauge.terminal.progress import (
    OnlyWarnings,
    Pace,
    PlainProgress,
    TerminalProgress,
    close,
    epoch_row,
    progress_for,
    progress_stream,
)
from textgauge.training.history import Epoch
from textgauge.training.progress import NoProgress, Progress

EPOCHS = [Epoch(n, 0.5 / n, 1 - 0.2 / n, 0.4 / n, 1 - 0.1 / n, 0.001, 1.25 * n) for n in (1, 2)]


def tell_everything(progress: Progress):
    """A short training, as the stages tell it."""
    progress.stage("reading")
    progress.warn("3 rows have no text")
    progress.stage("training")
    for epoch in EPOCHS:
        for step in (1, 2, 3):
            progress.step(step, 3)
        progress.epoch(epoch)
    progress.note("stopped early")
    close(progress)


@pytest.fixture
def terminal(monkeypatch):
    """A stream on a pseudo terminal of 100 columns, and what was written to it."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "30")
    reader, writer = pty.openpty()
    stream = os.fdopen(writer, "w", encoding="utf-8")

    def written():
        stream.close()
        content = b""
        while True:
            try:
                piece = os.read(reader, 65536)
            except OSError:  # Linux's way to say that the other end is closed.
                piece = b""
            if not piece:
                return content.decode()
            content += piece

    yield stream, written
    stream.close()
    os.close(reader)


def screen_after(written, width=100):
    """The lines that stand on the screen after control sequences were obeyed."""
    lines, row, column = [[]], 0, 0
    for command in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]", written):
        if command == "\n":
            row += 1
            if row == len(lines):
                lines.append([])
        elif command == "\r":
            column = 0
        elif command.startswith("\x1b["):
            count = int(re.sub(r"\D", "", command) or 1)
            if command.endswith("A"):
                row = max(row - count, 0)
            elif command.endswith("K"):
                lines[row] = [] if count == 2 else lines[row][:column]
        else:
            assert column < width, "a line is wider than the terminal"
            lines[row] += " " * (column + 1 - len(lines[row]))
            lines[row][column] = command
            column += 1
    return ["".join(line).rstrip() for line in lines]


# ---- which display


def test_a_notebook_shows_progress_where_it_shows_results(monkeypatch, capsys):
    assert progress_stream() is sys.stderr
    of_notebooks = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stdout", of_notebooks)
    assert progress_stream() is of_notebooks


def test_the_display_suits_the_stream(terminal):
    assert type(progress_for(io.StringIO())) is PlainProgress
    assert type(progress_for(terminal[0])) is TerminalProgress
    assert type(progress_for(io.StringIO(), quiet=True)) is OnlyWarnings
    assert type(progress_for(terminal[0], quiet=True)) is OnlyWarnings


# ---- lines


def test_a_log_gets_a_line_for_each_thing_and_the_header_once():
    stream = io.StringIO()
    tell_everything(PlainProgress(stream))
    assert stream.getvalue().splitlines() == [
        "reading …",
        "warning: 3 rows have no text",
        "training …",
        "epoch   train loss   train acc.    val loss    val acc.   seconds",
        "    1       0.5000       80.00%      0.4000      90.00%       1.2",
        "    2       0.2500       90.00%      0.2000      95.00%       2.5",
        "stopped early",
    ]


def test_every_line_is_written_at_once():
    class Stream(io.StringIO):
        flushed = 0

        def flush(self):
            self.flushed += 1

    stream = Stream()
    progress = PlainProgress(stream)
    for count, tell in enumerate(
        (
            lambda: progress.stage("reading"),
            lambda: progress.warn("odd"),
            lambda: progress.note("so"),
        ),
        start=1,
    ):
        tell()
        assert stream.flushed == count


def test_rows_stay_in_their_columns_whatever_the_figures():
    header = "epoch   train loss   train acc.    val loss    val acc.   seconds"
    odd = [
        Epoch(1, 0.0, 0.0, 0.0, 0.0, 0.1, 0.0),
        Epoch(100, 12345.6789, 1.0, 99.5, 1.0, 0.1, 54321.0),
        Epoch(7, float("nan"), 0.5, float("inf"), 0.5, 0.1, 3.0),
    ]
    assert {len(epoch_row(epoch)) for epoch in [*EPOCHS, *odd]} == {len(header)}
    ends = [match.end() for match in re.finditer(r"\S+( \S+)*", header)]
    for epoch in odd:
        assert [match.end() for match in re.finditer(r"\S+", epoch_row(epoch))] == ends


def test_quiet_prints_warnings_and_nothing_else():
    stream = io.StringIO()
    tell_everything(OnlyWarnings(stream))
    assert stream.getvalue() == "warning: 3 rows have no text\n"


def test_no_progress_says_nothing(capfd):
    tell_everything(NoProgress())
    assert capfd.readouterr() == ("", "")


# ---- a terminal


def test_a_terminal_keeps_the_epochs_and_loses_the_bar(terminal):
    stream, written = terminal
    tell_everything(TerminalProgress(stream))
    assert [line for line in screen_after(written()) if line] == [
        "warning: 3 rows have no text",
        "epoch   train loss   train acc.    val loss    val acc.   seconds",
        epoch_row(EPOCHS[0]),
        epoch_row(EPOCHS[1]),
        "stopped early",
    ]


def test_a_terminal_shows_the_stage_and_a_bar_while_it_runs(terminal):
    stream, written = terminal
    progress = TerminalProgress(stream)
    progress.stage("reading")
    progress._bar.refresh()
    progress.epoch(EPOCHS[0])
    progress.step(3, 4)
    progress._bar.refresh()
    stream.flush()
    task = progress._bar.tasks[0]
    assert (task.description, task.completed, task.total) == ("epoch 2", 3, 4)
    progress.stage("saving")
    assert (task.description, task.total) == ("saving", None)
    progress.close()
    shown = written()
    assert "reading" in shown
    assert "epoch 2" in shown
    assert "━" in shown


def test_the_cursor_is_given_back(terminal):
    stream, written = terminal
    progress = TerminalProgress(stream)
    progress.stage("reading")
    close(progress)
    shown = written()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_texts_are_shown_as_they_are_and_not_as_markup(terminal):
    stream, written = terminal
    progress = TerminalProgress(stream)
    progress.warn("column [bold]text[/bold] has 3 gaps [/]")
    progress.note("x" * 300)
    close(progress)
    shown = written().replace("\r\n", "\n")
    assert shown.startswith("warning: column [bold]text[/bold] has 3 gaps [/]\n")
    assert "x" * 300 + "\n" in shown


def test_a_stage_is_shown_as_it_is_and_not_as_markup(terminal):
    stream, written = terminal
    progress = TerminalProgress(stream)
    progress.stage("reading [notes].csv [/]")
    progress._bar.refresh()
    close(progress)
    assert "reading [notes].csv [/]" in written()


def test_closing_is_harmless_before_any_stage_and_twice(terminal):
    stream, written = terminal
    progress = TerminalProgress(stream)
    progress.step(1, 2)
    close(progress)
    close(progress)
    assert "".join(screen_after(written())) == ""


# ---- rows of a table -----------------------------------------------------------------------------


def test_the_pace_counts_from_where_this_process_began():
    pace = Pace()
    assert pace.told(600, 0.6, 10.0) == "600 rows"
    assert pace.told(700, 0.7, 10.5) == "700 rows, 200 a second, 2 s left"
    assert pace.told(1_000, 1.0, 12.0) == "1,000 rows, 200 a second, 0 s left"


@pytest.mark.parametrize(
    ("seconds", "left"), [(59.4, "59 s"), (60, "1 min 00 s"), (3_725, "1 h 02 min")]
)
def test_the_time_left_is_told_as_people_say_it(seconds, left):
    pace = Pace()
    pace.told(0, 0.0, 0.0)
    assert pace.told(1, 0.5, seconds).endswith(f", {left} left")


def test_where_the_end_is_not_known_only_the_speed_is_told():
    pace = Pace()
    pace.told(0, 0.0, 0.0)
    assert pace.told(50, 0.0, 2.0) == "50 rows, 25 a second"


def test_a_log_gets_a_line_now_and_then(monkeypatch):
    stream, now = io.StringIO(), [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    progress = PlainProgress(stream)
    for second in range(1, 26):
        now[0] = float(second)
        progress.rows(second * 100, second / 100)
    assert stream.getvalue().splitlines() == [
        "1,000 rows, 100 a second, 1 min 30 s left",
        "2,000 rows, 100 a second, 1 min 20 s left",
    ]


def test_a_terminal_shows_rows_pace_and_a_bar(terminal):
    stream, read = terminal
    progress = TerminalProgress(stream)
    progress.stage("scoring")
    progress.rows(0, 0.0)
    progress.rows(1_234_567, 0.5)
    progress._bar.refresh()
    close(progress)
    assert "1,234,567 rows" in read()
