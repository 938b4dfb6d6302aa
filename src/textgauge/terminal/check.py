"""What `textgauge check` shows: the profile of a table, its labels, and every problem.

On a terminal this is drawn with rich; elsewhere it is plain text with the same content.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from ..data.checks import CheckReport
from ..data.problems import Problem
from ..data.profile import LabelProfile, Quantiles

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_LABELS = 20  # lines in the table of labels
NARROW = 70  # columns of a terminal on which the table of labels has no bars
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def show_check(report: CheckReport, stream: TextIO | None = None) -> None:
    """Write `report` to `stream` (standard output by default), in colour on a terminal."""
    stream = stream or sys.stdout
    if not stream.isatty():
        stream.write(check_text(report))
        return
    from rich.console import Console

    _draw(report, Console(file=stream, highlight=False, markup=False))


def check_text(report: CheckReport) -> str:
    """Return `report` as plain text: no colours, no line longer than its content needs."""
    lines = [report.table, ""]
    facts = _facts(report)
    width = max(len(name) for name, _ in facts)
    lines += [f"  {name:<{width}}  {value}" for name, value in facts]
    if report.profile.labels:
        lines += ["", *_columns([_HEADINGS, *_label_rows(report)])]
        lines += [f"  {line}" for line in _left_out(report)]
    for problem in report.problems:
        start = f"{problem.severity}: "
        lines += ["", f"{start}{problem.message} [{problem.code}]"]
        lines += [f"{' ' * len(start)}{line}" for line in _details(problem)]
    return "\n".join([*lines, "", _verdict(report), ""])


def _draw(report: CheckReport, console: Console) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console.print(Text(report.table, style="bold"))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(overflow="fold")
    facts.add_column(overflow="fold")
    for name, value in _facts(report):
        facts.add_row(Text(name, style="dim"), Text(value))
    console.print(Padding(facts, (1, 2)))
    if report.profile.labels:
        narrow = console.width < NARROW
        labels = Table(box=None, padding=(0, 1 if narrow else 2), header_style="dim")
        for at, heading in enumerate(_HEADINGS):
            labels.add_column(heading, justify="right" if at else "left", overflow="fold")
        largest = report.profile.labels[0].share
        for row, label in zip(_label_rows(report), report.profile.labels, strict=False):
            bar = "█" * max(1, round(20 * label.share / largest))
            labels.add_row(*map(Text, row), *([] if narrow else [Text(bar, style="blue")]))
        console.print(labels)
        for line in _left_out(report):
            console.print(Padding(Text(line, style="dim"), (0, 2)))
    for problem in report.problems:
        console.print()
        head = Text(f"{problem.severity}: ", style=_STYLES[problem.severity])
        head.append(problem.message, style="default not bold").append(f" [{problem.code}]", "dim")
        console.print(head)
        for line in _details(problem):
            console.print(Padding(Text(line), (0, 0, 0, len(problem.severity) + 2)))
    console.print()
    console.print(Text(_verdict(report), style="green" if report.ok else "bold red"))


# ---- the content, the same in both ---------------------------------------------------------------


_HEADINGS = ("label", "rows", "share", "distinct texts")


def _facts(report: CheckReport) -> list[tuple[str, str]]:
    """Return the name and the value of each line of the profile."""
    profile = report.profile
    facts = [
        ("rows", f"{profile.rows:,}"),
        ("distinct texts", f"{profile.distinct_texts:,}"),
        ("repeated", _of(profile.duplicate_rows, profile.rows)),
        ("missing texts", _of(profile.missing_texts, profile.rows)),
    ]
    if profile.labels or profile.missing_labels:
        facts += [
            ("missing labels", _of(profile.missing_labels, profile.rows)),
            ("contradictory", _of(profile.contradictory_rows, profile.rows)),
            ("labels", f"{profile.distinct_labels:,}"),
        ]
    if profile.imbalance is not None and len(profile.labels) > 1:
        facts.append(("imbalance", f"{profile.imbalance:,.1f} to 1"))
    facts.append(("words a text", _spread(profile.text_words)))
    facts.append(("characters a text", _spread(profile.text_characters)))
    return facts


def _of(rows: int, total: int) -> str:
    return f"{_counted(rows, 'row')} ({rows / total:.1%})" if rows else "none"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _spread(of: Quantiles) -> str:
    return f"{of.min:,} to {of.max:,}, median {of.median:,}, 95 % have at most {of.p95:,}"


def _label_rows(report: CheckReport) -> list[tuple[str, ...]]:
    def named(label: LabelProfile) -> str:
        shown = label.label if label.label.isprintable() else repr(label.label)
        shown = shown if len(shown) <= 40 else f"{shown[:39]}…"
        return f"{shown} ({label.name})" if label.name else shown

    return [
        (named(label), f"{label.rows:,}", f"{label.share:.1%}", f"{label.distinct_texts:,}")
        for label in report.profile.labels[:SHOWN_LABELS]
    ]


def _left_out(report: CheckReport) -> list[str]:
    more = report.profile.distinct_labels - SHOWN_LABELS
    return [f"and {_counted(more, 'more label')}"] if more > 0 else []


def _details(problem: Problem) -> list[str]:
    """Return the rows and the advice of a problem, a line each."""
    lines = []
    if problem.rows:
        rows = ", ".join(f"{row:,}" for row in problem.rows)
        more = problem.count - len(problem.rows)
        noun = "row" if problem.count == 1 else "rows"
        lines.append(f"{noun} {rows}" + (f" and {more:,} more" if more > 0 else ""))
    elif problem.count:
        lines.append(_counted(problem.count, "row"))
    return [*lines, problem.advice] if problem.advice else lines


def _verdict(report: CheckReport) -> str:
    kinds = (("error", len(report.errors)), ("warning", len(report.warnings)))
    found = " and ".join(_counted(count, noun) for noun, count in kinds if count)
    state = "can be trained on" if report.profile.labels else "can be read"
    if not report.ok:
        state = "cannot be trained on yet"
    named = any(problem.rows for problem in report.problems)
    rows = " Row 1 is the first one after the header." if named else ""
    return f"{report.table} {state}: {found or 'no problems'}.{rows}"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Align rows of cells: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"  {first:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        for first, *rest in rows
    ]
