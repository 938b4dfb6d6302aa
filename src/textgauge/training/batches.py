"""Texts and their targets, cut into batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..data.corpus import LabelledTexts
from ..text.encoder import Encoded

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BatchSets:
    """The sets of labels that the rows of a batch have.

    Attributes:
        rows: of each text. Shape: (texts,), float32.
        text: of each triple of text, set and count. Shape: (triples,), int64.
        members: the labels of its set. Shape: (triples, classes), bool.
        count: its rows. Shape: (triples,), float32.

    """

    rows: Tensor
    text: Tensor
    members: Tensor
    count: Tensor

    def on(self, device: torch.device) -> BatchSets:
        """The same in the memory of another device."""
        tensors = (self.rows, self.text, self.members, self.count)
        return BatchSets(*(tensor.to(device, non_blocking=True) for tensor in tensors))

    def of(self, begin: int, end: int) -> BatchSets:
        """Those of the texts from `begin` to before `end`."""
        here = (self.text >= begin) & (self.text < end)
        return BatchSets(
            self.rows[begin:end], self.text[here] - begin, self.members[here], self.count[here]
        )


@dataclass(frozen=True)
class Batch:
    """One rectangle of texts.

    Attributes:
        ids: Shape: (texts, tokens), int64.
        positions: Shape: as `ids`, float32.
        lengths: Shape: (texts,), int64.
        targets: rows of each text with each label. Shape: (texts, classes), float32.
        sets: where a row has several labels: which rows have which.
        features: see `Encoded.features`. Shape: (texts, width), float32.

    """

    ids: Tensor
    positions: Tensor
    lengths: Tensor
    targets: Tensor
    sets: BatchSets | None = None
    features: Tensor | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a model's `forward` takes."""
        read = (self.ids, self.positions, self.lengths)
        return read if self.features is None else (*read, self.features)

    def on(self, device: torch.device) -> Batch:
        """The same in the memory of another device."""
        if self.ids.device == device:
            return self
        ids, positions, lengths, targets = (
            tensor.to(device, non_blocking=True)
            for tensor in (self.ids, self.positions, self.lengths, self.targets)
        )
        sets = None if self.sets is None else self.sets.on(device)
        features = self.features
        if features is not None:
            features = features.to(device, non_blocking=True)
        return Batch(ids, positions, lengths, targets, sets, features)

    def parts(self, most_tokens: int | None) -> Iterator[Batch]:
        """The same texts in batches of so many tokens at most, or of one text; None: in one.

        Each takes as many texts as go in, so short ones beside a long one do not lie alone.
        """
        if most_tokens is None or self.ids.numel() <= most_tokens:
            yield self
            return
        for begin, end, longest in self._ranges(most_tokens):
            some = slice(begin, end)
            yield Batch(
                self.ids[some, :longest],
                self.positions[some, :longest],
                self.lengths[some],
                self.targets[some],
                None if self.sets is None else self.sets.of(begin, end),
                None if self.features is None else self.features[some],
            )

    def _ranges(self, most_tokens: int) -> Iterator[tuple[int, int, int]]:
        """Begin, end and longest text of each part."""
        begin = longest = 0
        for at, length in enumerate(self.lengths.tolist()):
            if at > begin and max(longest, length) * (at + 1 - begin) > most_tokens:
                yield begin, at, longest
                begin, longest = at, 0
            longest = max(longest, length)
        yield begin, len(self.lengths), longest


class Texts(Protocol):
    """Labelled texts to train or to judge on, wherever they lie.

    The counts are those of all texts; the batches are those of this worker's share.
    """

    @property
    def classes(self) -> int:
        """Number of labels."""

    @property
    def texts(self) -> int:
        """How many texts there are."""

    @property
    def rows(self) -> int:
        """How many rows of the table they stand for."""

    @property
    def label_rows(self) -> Index:
        """Rows of each label. Shape: (classes,)."""

    @property
    def has_sets(self) -> bool:
        """Whether a row has a set of labels, not one."""

    def shuffled(self, batch_size: int, random: np.random.Generator) -> Iterator[Batch]:
        """All texts of the share in random batches."""

    def in_order(self, batch_size: int) -> Iterator[tuple[Index, Batch]]:
        """All texts of the share in batches, each with the indices of its texts."""


@dataclass(frozen=True)
class EncodedTexts:
    """Encoded texts in memory, with the label counts of each; see `Texts`."""

    encoded: Encoded
    labelled: LabelledTexts
    classes: int

    @property
    def texts(self) -> int:
        """See `Texts.texts`."""
        return len(self.encoded)

    @property
    def rows(self) -> int:
        """See `Texts.rows`."""
        return self.labelled.rows

    @property
    def label_rows(self) -> Index:
        """See `Texts.label_rows`."""
        return self.labelled.label_rows(self.classes)

    @property
    def has_sets(self) -> bool:
        """See `Texts.has_sets`."""
        return self.labelled.sets is not None

    @cached_property
    def _starts(self) -> Index:
        return self.encoded.starts

    @cached_property
    def _triples(self) -> Index:
        """Where each text's labels begin among the triples; one more entry for the end."""
        return np.searchsorted(self.labelled.text_index, np.arange(len(self.encoded) + 1))

    @cached_property
    def _cells(self) -> Index:
        """The same among `LabelledTexts.cells`."""
        if self.labelled.sets is None:
            return self._triples
        return np.searchsorted(self.labelled.cells[0], np.arange(len(self.encoded) + 1))

    def joined(self, other: EncodedTexts) -> EncodedTexts:
        """These texts and others, of the same table."""
        both = self.encoded, other.encoded
        features = [each.features for each in both if each.features is not None]
        return EncodedTexts(
            Encoded(
                np.concatenate([each.ids for each in both]),
                np.concatenate([each.positions for each in both]),
                np.concatenate([each.lengths for each in both]),
                features=np.concatenate(features) if features else None,
            ),
            self.labelled.joined(other.labelled),
            self.classes,
        )

    def take(self, rows: Index) -> EncodedTexts:
        """The chosen texts, each once, in the order of `rows`."""
        labels = self._triples[rows + 1] - self._triples[rows]
        triple = _ranges(self._triples[rows], labels)
        token = _ranges(self._starts[rows], self.encoded.lengths[rows].astype(np.int64))
        return EncodedTexts(
            Encoded(
                self.encoded.ids[token],
                self.encoded.positions[token],
                self.encoded.lengths[rows],
                features=None if self.encoded.features is None else self.encoded.features[rows],
            ),
            LabelledTexts(
                self.labelled.texts[rows],
                np.repeat(np.arange(len(rows)), labels),
                self.labelled.label[triple],
                self.labelled.count[triple],
                self.labelled.sets,
            ),
            self.classes,
        )

    def batch(self, rows: Index) -> Batch:
        """The chosen texts, padded to the longest of them."""
        ids, positions, lengths = self.encoded.padded(rows, self._starts)
        return Batch(
            torch.from_numpy(ids),
            torch.from_numpy(positions),
            torch.from_numpy(lengths),
            torch.from_numpy(self._targets(rows)),
            self._sets(rows),
            None
            if self.encoded.features is None
            else torch.from_numpy(self.encoded.features[rows]),
        )

    def targets(self) -> npt.NDArray[np.float32]:
        """Rows of each text with each label. Shape: (texts, classes)."""
        return self._targets(np.arange(len(self.encoded)))

    def _targets(self, rows: Index) -> npt.NDArray[np.float32]:
        begin, end = self._cells[rows], self._cells[rows + 1]
        text = np.repeat(np.arange(len(rows)), end - begin)
        cell = _ranges(begin, end - begin)
        targets = np.zeros((len(rows), self.classes), dtype=np.float32)
        _, label, count = self.labelled.cells
        targets[text, label[cell]] = count[cell]
        return targets

    def _sets(self, rows: Index) -> BatchSets | None:
        sets = self.labelled.sets
        if sets is None:
            return None
        begin, end = self._triples[rows], self._triples[rows + 1]
        text = np.repeat(np.arange(len(rows)), end - begin)
        triple = _ranges(begin, end - begin)
        return BatchSets(
            torch.from_numpy(self.labelled.text_rows[rows].astype(np.float32)),
            torch.from_numpy(text),
            torch.from_numpy(sets.matrix(self.labelled.label[triple])),
            torch.from_numpy(self.labelled.count[triple].astype(np.float32)),
        )

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


def _ranges(begins: Index, lengths: Index) -> Index:
    """The numbers begin, begin + 1 … of each range, one range after another.

    >>> _ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    first = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(first - begins, lengths)


def choose_batch_size(texts: int) -> int:
    """A power of two from 16 to 256 that makes about 50 steps an epoch.

    Fewer steps learn too little an epoch; larger batches use the processor better, up to about 256
    for a state of 100.

    >>> choose_batch_size(300), choose_batch_size(1440), choose_batch_size(1_000_000)
    (16, 32, 256)
    """
    wanted = max(texts // 40, 1)
    return int(min(max(2 ** (wanted.bit_length() - 1), 16), 256))
