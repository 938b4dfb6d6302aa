"""The checks of `data.checks` for a table on a cluster, in one pass over its rows.

The checks ask for rows one question at a time. So they are run twice: first only to hear what they
ask, then, when one pass has answered all of it, to have their report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from ...config import Config
from ...data.checks import CheckReport, report_on
from ...data.normal_form import normalise
from ...data.profile import PairCounts
from ...data.rows import Found
from ..local import columns_of
from .counting import Reading
from .frames import collected, over_partitions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SCHEMA = "question int, value string, n long, text string, label string"


class _Questions:
    """Rows that are not known yet: notes what is asked; see `data.rows.Rows`."""

    height = 0

    def __init__(self) -> None:
        self.asked: dict[bytes, tuple[str, pl.Expr, str]] = {}

    def find(self, which: pl.Expr) -> Found:
        self._note("find", which)
        return Found()

    def values(self, column: str, which: pl.Expr) -> dict[str | None, int]:
        self._note("values", which, column)
        return {}

    def histogram(self, value: pl.Expr) -> dict[int, int]:
        self._note("histogram", value)
        return {}

    def _note(self, kind: str, expression: pl.Expr, column: str = "") -> None:
        self.asked[_name(kind, expression, column)] = (kind, expression, column)


class _Answers:
    """Rows of which everything that was asked is known; see `data.rows.Rows`."""

    def __init__(self, height: int, names: list[bytes], found: pl.DataFrame) -> None:
        self.height = height
        self._found = {names[n]: part for (n,), part in found.group_by("question")}

    def find(self, which: pl.Expr) -> Found:
        part = self._of("find", which)
        if part is None:
            return Found()
        first = part.sort("text", "label").row(0, named=True)
        example = {name: first[name] for name in ("text", "label")}
        return Found(int(part["n"].sum()), (), example)

    def values(self, column: str, which: pl.Expr) -> dict[str | None, int]:
        return self._counted(self._of("values", which, column))

    def histogram(self, value: pl.Expr) -> dict[int, int]:
        counted = self._counted(self._of("histogram", value))
        return {int(number): n for number, n in counted.items() if number is not None}

    def _of(self, kind: str, expression: pl.Expr, column: str = "") -> pl.DataFrame | None:
        return self._found.get(_name(kind, expression, column))

    @staticmethod
    def _counted(part: pl.DataFrame | None) -> dict[str | None, int]:
        total: Counter[str | None] = Counter()
        for value, n in part.select("value", "n").iter_rows() if part is not None else ():
            total[value] += n
        return dict(total)


def _name(kind: str, expression: pl.Expr, column: str) -> bytes:
    return f"{kind} {column} ".encode() + expression.meta.serialize()


def check_table(
    rows: DataFrame, reading: Reading, counts: PairCounts, config: Config
) -> tuple[CheckReport, int]:
    """All problems of a table on a cluster and its profile, and how many rows it has.

    Args:
        rows: columns named by their roles.
        reading: of the table.
        counts: of its texts and labels.
        config: names the columns.

    """

    def report(asked: _Questions | _Answers) -> CheckReport:
        return report_on(
            asked,
            counts,
            reading.table,
            columns_of(config),
            label_names=config.label_names,
            fractions=config.fractions,
        )

    questions = _Questions()
    report(questions)
    names = list(questions.asked)
    asked = list(questions.asked.values())

    def answer(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        height = 0
        found: list[pl.DataFrame] = []
        for frame in frames:
            height += len(frame)
            read = reading.read(frame)
            read = read.with_columns(normalised=normalise(read["text"]))
            for number, (kind, expression, column) in enumerate(asked):
                found += _answer(read, number, kind, expression, column)
            if len(found) > 200:
                found = [_together(found)]
        total = pl.DataFrame(
            {"question": [-1], "value": [None], "n": [height], "text": [None], "label": [None]},
            schema=_TYPES,
        )
        yield _together([total, *found])

    found = collected(over_partitions(rows, answer, _SCHEMA))
    height = int(found.filter(pl.col("question") == -1)["n"].sum())
    answers = _Answers(height, names, found.filter(pl.col("question") >= 0))
    return report(answers), height


_TYPES = {
    "question": pl.Int32,
    "value": pl.String,
    "n": pl.Int64,
    "text": pl.String,
    "label": pl.String,
}


def _answer(
    read: pl.DataFrame, number: int, kind: str, expression: pl.Expr, column: str
) -> list[pl.DataFrame]:
    """What a batch has to say to a question: nothing, or a frame with `_TYPES`."""
    if kind == "find":
        hits = read.filter(expression)
        if hits.is_empty():
            return []
        first = hits.sort("text", "label").head(1)
        made = pl.DataFrame({"value": [None], "n": [len(hits)]}).with_columns(
            text=first["text"], label=first["label"]
        )
    else:
        values = (
            read.filter(expression).select(value=column)
            if kind == "values"
            else read.select(value=expression).drop_nulls()
        )
        made = values.group_by("value").len("n").with_columns(text=None, label=None)
    return [made.with_columns(question=number).select(*_TYPES).cast(_TYPES)]  # type: ignore[arg-type]


def _together(found: list[pl.DataFrame]) -> pl.DataFrame:
    """Add up what several batches said."""
    ordered = pl.concat(found).sort("text", "label", nulls_last=True)
    return ordered.group_by("question", "value", maintain_order=True).agg(
        pl.col("n").sum(), pl.col("text").first(), pl.col("label").first()
    )
