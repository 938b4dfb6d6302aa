"""Two classifiers on the same texts: how far apart their macro F1 could be, had others been drawn.

Both are judged on the same drawn texts each time, so what makes a draw hard for both is no
difference between them: the interval is much shorter than the two classifiers' own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from .intervals import Interval, draws_of, interval_of

Floats = npt.NDArray[np.float64]


def f1_difference(
    texts: LabelledTexts,
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    classes: int,
    *,
    seed: int = 0,
) -> Interval:
    """95 % interval of the macro F1 of the first less that of the second, over rows.

    Percentiles of the paired bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap",
    1993) over distinct texts, each with all its rows.

    Args:
        texts: with their labels.
        first: what it calls each text. Shape: (texts,).
        second: likewise.
        classes: number of labels.
        seed: of the draws.

    """
    if np.array_equal(first, second):
        return Interval(0.0, 0.0)
    # Texts with the same labels, rows and answers are drawn together, by their number.
    rows = np.zeros((len(texts), classes), dtype=np.int64)
    rows[texts.text_index, texts.label] = texts.count
    cells = np.column_stack([rows, first, second])
    kinds, members = np.unique(cells, axis=0, return_counts=True)
    support: Floats = kinds[:, :classes].astype(np.float64)
    answers = kinds[:, classes:]
    drawn = (
        np.random.default_rng(seed)
        .multinomial(len(texts), members / len(texts), size=draws_of(len(members)))
        .astype(np.float64)
    )
    one, other = (_macro_f1(drawn, support, answers[:, at], classes) for at in (0, 1))
    return interval_of(one - other)


def _macro_f1(
    drawn: Floats, support: Floats, answer: npt.NDArray[np.int64], classes: int
) -> Floats:
    """Of each draw. Shapes: (draws, kinds), (kinds, classes), (kinds,) -> (draws,)."""
    called = np.eye(classes)[answer]
    hits = drawn @ (support * called)
    wanted = drawn @ support
    flagged = drawn @ (support.sum(1, keepdims=True) * called)
    seen = wanted + flagged > 0
    f1 = np.where(seen, 2 * hits / np.maximum(wanted + flagged, 1e-12), 0.0)
    macro: Floats = f1.sum(1) / np.maximum(seen.sum(1), 1)
    return macro
