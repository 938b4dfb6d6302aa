"""Labels in doubt, found in the process of the baselines; `baselines` says who waits for whom."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.corpus import LabelledTexts
from .confusion import MANY_LABELS
from .folds import out_of_sample
from .label_issues import cleanlab_suspects, distinct, find_doubts


def doubts_in(
    path: Path,
    train: LabelledTexts,
    others: Sequence[pl.Series],
    classes: int,
    vectorizer: Callable[..., Any],
) -> Iterator[pl.DataFrame]:
    """The labels in doubt, each time that the other parts' labels and a model's answers come.

    Of more than `MANY_LABELS` labels only those that other rows contradict: probabilities of every
    text for every label would take more room than anything else in a run, and few labels have
    enough texts for one of them to be suspect.
    """
    train, _ = distinct(train)
    known = np.stack([train.text_index, train.label, train.count])
    parts = [train.texts, *(texts.unique(maintain_order=True) for texts in others)]
    ends = np.cumsum([len(part) for part in parts])
    few, cells = classes <= MANY_LABELS, (int(ends[-1]), classes)
    if few:
        probabilities = np.lib.format.open_memmap(
            path / "probabilities.npy", mode="w+", dtype=np.float32, shape=cells
        )
        out_of_sample(pl.concat(parts), known, len(train), probabilities, vectorizer)
        probabilities.flush()
        import cleanlab.filter  # noqa: F401 - while the training still runs

    while sys.stdin.buffer.readline():
        triples = [known]
        for index, begin in enumerate(ends[:-1]):
            found = np.load(path / f"triples_{index}.npy", allow_pickle=False)
            found[0] += begin
            triples.append(found)
        if few:
            both = _with_model(path, ends)
        else:
            shares = np.bincount(known[1], known[2], classes) / known[2].sum()
            both = np.broadcast_to(shares.astype(np.float32), cells)
        yield find_doubts(np.concatenate(triples, axis=1), both, cleanlab_suspects if few else None)


def _with_model(path: Path, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The probabilities, those of validation and test averaged with the trained model's."""
    shutil.copyfile(path / "probabilities.npy", path / "both.npy")  # For the next model, too.
    both: npt.NDArray[np.float32] = np.load(path / "both.npy", mmap_mode="r+", allow_pickle=False)
    for index, begin in enumerate(ends[:-1]):
        model = np.load(path / f"model_{index}.npy", mmap_mode="r", allow_pickle=False)
        # Neither is as good as both.
        part = both[begin : begin + len(model)]
        part += model
        part /= 2
    return both
