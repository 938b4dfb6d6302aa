"""What a person is told of a table before the training, whichever engine looked at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..data.checks import CheckReport, Problem
from ..data.corpus import Corpus
from ..data.label_checks import lacking_labels
from ..errors import TableError

if TYPE_CHECKING:
    from ..training.progress import Progress


def tell_problems(report: CheckReport, progress: Progress) -> None:
    """Warn of what is probably a mistake; raise TableError with all that stands in the way."""
    for problem in report.warnings:
        progress.warn(_told(problem, report.table))
    if report.errors:
        raise TableError("\n".join(_told(problem, report.table) for problem in report.errors))


def tell_of_split(corpus: Corpus, progress: Progress) -> None:
    """Say where the split leaks by the user's own word, and what it left out."""
    if corpus.test_texts_in_train:
        progress.warn(
            f"{corpus.test_texts_in_train:,} of {corpus.sizes['test'].texts:,} test texts also "
            "stand in train, as the split column wants it: the figures below are partly recall."
        )
    if corpus.left_out_rows:
        progress.note(
            f"{corpus.left_out_rows:,} rows were left out because their text already stands "
            "in an earlier part."
        )


def tell_lacking_labels(corpus: Corpus, report: CheckReport, progress: Progress) -> CheckReport:
    """Warn of labels that train or test lacks; gives the report with that."""
    # In a sample a label may be lacking by chance.
    held = {
        name: {corpus.classes[label] for label in np.unique(part.cells[1])}
        for name, part in (("train", corpus.train), ("test", corpus.test))
        if len(part) == corpus.sizes[name].texts > 0
    }
    found = lacking_labels(corpus.classes, held)
    for problem in found:
        progress.warn(_told(problem, report.table))
    return report.with_problems(found)


def _told(problem: Problem, table: str) -> str:
    """A problem as a sentence or two: where it is, what it is, what to do."""
    where = table
    if problem.rows:
        rows = ", ".join(f"{row:,}" for row in problem.rows)
        more = problem.count - len(problem.rows)
        where += f", row{'s' if problem.count > 1 else ''} {rows}"
        where += f" and {more:,} more" if more > 0 else ""
    return f"{where}: {problem.message}. {problem.advice}".strip()
