"""Tables and names of labels, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DASH = "\N{EN DASH}"
"""Stands where there is nothing to take a share of."""


def printable(text: str, longest: int | None = None) -> str:
    r"""What a terminal shows of a text as it is: quoted where it would obey it; cut if too long.

    >>> printable("an iron part"), printable("an iron part", 8), printable("\x1b[2J")
    ('an iron part', 'an iron…', "'\\x1b[2J'")
    """
    shown = text if text.isprintable() else repr(text)
    return shown if longest is None or len(shown) <= longest else f"{shown[: longest - 1]}…"


def one_line(text: str, longest: int | None = None) -> str:
    r"""The same of a text that may have several lines, all in one.

    >>> one_line("an  iron\npart", 8)
    'an iron…'
    """
    return printable(" ".join(text.split()), longest)


def named(label: str, label_names: Mapping[str, str]) -> str:
    """A label with its name, where it has one; a label that no line can hold is quoted.

    >>> named("1", {"1": "non-compliant"}), named("x", {})
    ('1 non-compliant', 'x')
    """
    shown = printable(label)
    return f"{shown} {printable(label_names[label])}" if label in label_names else shown


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by spaces: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "   ".join([first, *others]).rstrip()

    return "\n".join([line(header), line(["─" * width for width in widths]), *map(line, rows)])
