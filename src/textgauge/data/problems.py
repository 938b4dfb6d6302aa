"""One thing that is wrong with a table, and how lists of faults are worded.

Reading, checking and showing all speak of problems, so this module knows none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]

SHOWN_ROWS = 5  # row numbers kept with a problem


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong or worth knowing.

    `code` is a stable slug, `rows` the first few row numbers, `count` how many rows it concerns
    (0 where it concerns the table as a whole), `advice` the next thing to try.
    """

    severity: Severity
    code: str
    message: str
    rows: tuple[int, ...] = ()
    count: int = 0
    advice: str = ""


def some(items: Iterable[str]) -> str:
    """Join the first few items with semicolons, and say how many more there are.

    >>> some(f"line {n}" for n in range(1, 9))
    'line 1; line 2; line 3; line 4; line 5; and 3 more'
    """
    every = list(items)
    more = [f"and {len(every) - SHOWN_ROWS:,} more"] if len(every) > SHOWN_ROWS else []
    return "; ".join([*every[:SHOWN_ROWS], *more])


def counted(number: int, noun: str) -> str:
    """Return the number with its noun.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
