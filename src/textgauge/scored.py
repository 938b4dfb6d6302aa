"""What the scoring of a table came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data.problems import counted
from .text.reading import NOTHING_READ, RowsRead


@dataclass(frozen=True)
class Scored:
    """What a scoring came to. `seconds` counts reading, predicting and writing.

    Attributes:
        rows: rows that were scored, those without a text included.
        unique_texts: distinct texts among them.
        seconds: whole, of this process.
        out: file, "standard output", or with Spark a folder or a table's name.
        estimated: whether `unique_texts` is an estimate, as beyond 65,536.
        unreadable_rows: rows that could not be read, and are not among `rows`.
        unreadable: where these are kept; None if there are none.
        continued_from: rows that an earlier process had scored; 0 if this one began.
        read: how much of the rows the model could read.
        reads_numbers: whether the model reads numbers as magnitudes, so that they have a range.
        warnings: where the rows hold what the model was not trained for, a sentence each.

    """

    rows: int
    unique_texts: int
    seconds: float
    out: Path | str
    estimated: bool = False
    unreadable_rows: int = 0
    unreadable: str | None = None
    continued_from: int = 0
    read: RowsRead = NOTHING_READ
    reads_numbers: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def rows_without_text(self) -> int:
        """Of `rows`, those whose text is missing, which have no prediction."""
        return self.rows - self.read.rows

    def told(self) -> list[str]:
        """The result for people, in a few lines."""
        about = "about " if self.estimated else ""
        distinct = f"{about}{counted(self.unique_texts, 'distinct text')}"
        rows = counted(self.rows, "row")
        lines = [f"{rows} ({distinct}) scored in {self.seconds:.1f} s: {self.out}"]
        if self.continued_from:
            lines.append(f"of these, {self.continued_from:,} had been scored before")
        if self.rows_without_text:
            lines.append(f"{counted(self.rows_without_text, 'row')} without a text or prediction")
        if self.unreadable_rows:
            rows = counted(self.unreadable_rows, "row")
            lines.append(f"{rows} that could not be read: {self.unreadable}")
        lines.append(self.read_told)
        return lines

    @property
    def read_told(self) -> str:
        """How much of the rows the model could read, for people."""
        told = f"words that the model does not know: {self.read.unknown_share:.1%}"
        if self.reads_numbers:
            share = f"{self.read.outside_share:.1%}"
            told += f"; rows with a number outside the range that it was trained on: {share}"
        return told

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge score --json` prints it."""
        scored_here = self.rows - self.continued_from
        return {
            "rows": self.rows,
            "unique_texts": self.unique_texts,
            "unique_texts_estimated": self.estimated,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(scored_here / max(self.seconds, 1e-9)),
            "out": str(self.out),
            "rows_without_text": self.rows_without_text,
            "unreadable_rows": self.unreadable_rows,
            "unreadable": self.unreadable,
            "continued_from": self.continued_from,
            "unknown_word_share": self.read.unknown_share,
            "outside_number_range_share": self.read.outside_share if self.reads_numbers else None,
            "warnings": list(self.warnings),
        }
