"""Texts and their targets, cut into batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..data.corpus import LabelledTexts
from ..text.encoder import Encoded

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One rectangle of texts.

    Attributes:
        ids: Shape: (texts, tokens), int64.
        positions: Shape: as `ids`, float32.
        lengths: Shape: (texts,), int64.
        targets: rows of each text with each label. Shape: (texts, classes), float32.

    """

    ids: Tensor
    positions: Tensor
    lengths: Tensor
    targets: Tensor


@dataclass(frozen=True)
class EncodedTexts:
    """Encoded texts with the label counts of each."""

    encoded: Encoded
    labelled: LabelledTexts
    classes: int

    @cached_property
    def _starts(self) -> Index:
        return self.encoded.starts

    @cached_property
    def _triples(self) -> Index:
        """Where each text's labels begin among the triples; one more entry for the end."""
        return np.searchsorted(self.labelled.text_index, np.arange(len(self.encoded) + 1))

    def batch(self, rows: Index) -> Batch:
        """The chosen texts, padded to the longest of them."""
        ids, positions, lengths = self.encoded.padded(rows, self._starts)
        return Batch(
            torch.from_numpy(ids),
            torch.from_numpy(positions),
            torch.from_numpy(lengths),
            torch.from_numpy(self._targets(rows)),
        )

    def _targets(self, rows: Index) -> npt.NDArray[np.float32]:
        begin, end = self._triples[rows], self._triples[rows + 1]
        labels_of_text = end - begin
        text = np.repeat(np.arange(len(rows)), labels_of_text)
        first = np.cumsum(labels_of_text) - labels_of_text
        triple = np.arange(len(text)) - np.repeat(first - begin, labels_of_text)
        targets = np.zeros((len(rows), self.classes), dtype=np.float32)
        targets[text, self.labelled.label[triple]] = self.labelled.count[triple]
        return targets

    def in_order(self, batch_size: int) -> Iterator[tuple[Index, Batch]]:
        """All texts, the short ones first; each batch with the indices of its texts."""
        order = np.argsort(self.encoded.lengths, kind="stable").astype(np.int64)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            yield rows, self.batch(rows)

    def shuffled(self, batch_size: int, random: np.random.Generator) -> Iterator[Batch]:
        """All texts in random batches of similar length.

        Texts are shuffled, sorted by length within stretches of 50 batches, and the batches are
        shuffled again: hardly any padding, and the composition still changes every epoch.
        """
        order = random.permutation(len(self.encoded))
        stretch = 50 * batch_size
        batches = []
        for start in range(0, len(order), stretch):
            piece = order[start : start + stretch]
            piece = piece[np.argsort(self.encoded.lengths[piece], kind="stable")]
            batches += [piece[i : i + batch_size] for i in range(0, len(piece), batch_size)]
        for index in random.permutation(len(batches)):
            yield self.batch(batches[index])


def choose_batch_size(texts: int) -> int:
    """A power of two from 16 to 256 that makes about 50 steps an epoch.

    Fewer steps learn too little an epoch; larger batches use the processor better, up to about 256
    for a state of 100.

    >>> choose_batch_size(300), choose_batch_size(1440), choose_batch_size(1_000_000)
    (16, 32, 256)
    """
    wanted = max(texts // 40, 1)
    return int(min(max(2 ** (wanted.bit_length() - 1), 16), 256))
