"""Which words moved a decision: shares of the probability, from a saved model alone.

The question is contrastive: why this label and not another? For each text, others are drawn that
could stand there too (`text.fills`: each word replaced by what stands between its neighbours in the
training texts, each number by another of them), and of these the ones on which the model decides
otherwise are kept. Between such a text and the real one, words are exchanged one by one, in random
orders and backwards, and what an exchange adds to the probability of the decision is the word's: a
mean over orders and texts, which is the Shapley value (Strumbelj and Kononenko, 2014; Lundberg and
Lee, 2017) by sampling. The shares of a text add up to its probability less the mean of the texts it
was compared with.

All chance comes from the text itself, so that the same text is explained alike every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..bundle import files
from ..bundle.decision import DecisionRule
from ..bundle.predictor import Predictor
from ..bundle.stored import StoredFiles
from ..data.normal_form import normalise
from ..errors import BundleError
from ..text.encoder import Encoded
from ..text.fills import Fills
from ..text.vocabulary import NUMBER
from .effort import FINEST, Effort

FEW = 2
"""Others that must be decided otherwise, or more are drawn."""

_CELLS = 8_000_000
"""Tokens that are held at a time, roughly."""

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Explanation:
    """Why a text was decided so.

    Attributes:
        text: as it was given.
        decision: what the model decides: a label, or `review`.
        probability: of `label`, in [0, 1].
        words: the tokens that were read, in the text's order.
        contributions: what each adds to the probability; positive pushes towards the decision. They
            add up to `probability` - `reference`. Shape: (words,).
        reference: mean probability of that label for the texts it was compared with.
        label: the label that is explained: the one that is decided, or would be, had not a person
            to decide.
        decided: where a text has any number of labels: whether `label` is among those that are
            decided, or would be; `decision` then names them all. None: a text has one label.

    """

    text: str
    decision: str
    probability: float
    words: tuple[str, ...]
    contributions: npt.NDArray[np.float64]
    reference: float
    label: str
    decided: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """As `textgauge explain --json` prints it."""
        return {
            "text": self.text,
            "decision": self.decision,
            "label": self.label,
            **({} if self.decided is None else {"decided": self.decided}),
            "probability": self.probability,
            "reference": self.reference,
            "words": [
                {"word": word, "contribution": float(value)}
                for word, value in zip(self.words, self.contributions, strict=True)
            ],
        }


@dataclass(frozen=True)
class _Texts:
    """Encoded texts as rectangles. Shapes: (texts, longest), (texts, longest), (texts,)."""

    ids: Ids
    positions: Floats
    lengths: Ids

    def encoded(self) -> Encoded:
        inside = np.arange(self.ids.shape[1]) < self.lengths[:, None]
        return Encoded(
            self.ids[inside].astype(np.int32),
            self.positions[inside],
            self.lengths.astype(np.int32),
        )


@dataclass(frozen=True)
class _Others:
    """Texts that others are compared with, of the same lengths.

    Attributes:
        ids: Shape: (number, texts, longest).
        positions: Shape: as `ids`.
        of_label: probability of the label that the real text has. Shape: (number, texts).
        used: whether the text is compared with it. Shape: (number, texts).

    """

    ids: Ids
    positions: Floats
    of_label: npt.NDArray[np.float64]
    used: npt.NDArray[np.bool_]

    def first(self, number: int) -> _Others:
        """So many of them: those in use, as they were drawn; then those that come nearest."""
        nearest = np.where(self.used, 0.0, self.of_label)
        order = np.lexsort((nearest, ~self.used), axis=0)[:number]
        each = np.arange(self.ids.shape[1])
        return _Others(
            *(getattr(self, name)[order, each] for name in ("ids", "positions", "of_label", "used"))
        )


@dataclass(frozen=True)
class _Walk:
    """From one text to another by exchanging the words at `groups`, one group after another.

    Attributes:
        text: which text of the chunk it leads to.
        other: which of the drawn texts it begins at.
        groups: positions that are exchanged together, in the order of the walk.
        first: the row of the walk's first text between both.

    """

    text: int
    other: int
    groups: list[Ids]
    first: int


class Explainer:
    """Explains the decisions of a saved model."""

    def __init__(self, predictor: Predictor, fills: Fills) -> None:
        self.predictor, self._fills = predictor, fills

    @classmethod
    def load(cls, folder: Path | str, cores: int | None = None) -> Explainer:
        """Load a bundle; `cores` are the threads of the network, None takes all.

        Raises:
            BundleError: a file is missing or damaged, or a newer textgauge wrote it.

        """
        predictor, path = Predictor.load(folder, cores), Path(folder) / files.FILLS
        stored = StoredFiles(Path(folder))
        if not stored.has(files.FILLS):
            raise BundleError(
                f"{folder} cannot explain its decisions: it has no {files.FILLS}. An older "
                "textgauge saved it, or the file was not copied along; train again or copy the "
                "whole folder."
            )
        values = stored.json(files.FILLS)
        try:
            fills = Fills.from_json(values)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BundleError(
                f"{path} is damaged ({type(error).__name__}: {error}); copy the model again or "
                "train again."
            ) from None
        words = len(predictor.encoder.names)
        if fills.vocabulary != words:
            raise BundleError(
                f"{folder} holds files of different models: {files.FILLS} knows "
                f"{fills.vocabulary} words and {files.VOCABULARY} {words}; copy the model again or "
                "train again."
            )
        return cls(predictor, fills)

    def explain(
        self, texts: Sequence[str | None] | pl.Series, effort: Effort = FINEST
    ) -> list[Explanation]:
        """Explain raw texts; null is read as an empty text.

        Where a text has any number of labels, the first of what `explain_labels` tells of it.

        Args:
            texts: raw texts.
            effort: how finely.

        Raises:
            ValueError: `texts` is a single string.

        """
        return [each[0] for each in self.explain_labels(texts, effort, most=1)]

    def explain_labels(
        self,
        texts: Sequence[str | None] | pl.Series,
        effort: Effort = FINEST,
        *,
        label: int | None = None,
        most: int | None = None,
    ) -> list[tuple[Explanation, ...]]:
        """Explain raw texts, each label that is decided of each by itself.

        Args:
            texts: raw texts; null is read as an empty text.
            effort: how finely.
            label: the index of the one label to explain, decided or not; None: those that are
                decided, the most certain first, and where none is, the one that comes nearest.
            most: labels of a text at most.

        Raises:
            ValueError: `texts` is a single string.

        """
        if isinstance(texts, str):
            raise ValueError("texts must be a sequence of texts, was a single string; pass [text].")
        column = normalise(pl.Series("text", texts, dtype=pl.String).fill_null(""))
        distinct = column.unique(maintain_order=True)
        encoded = self.predictor.encoder.encode_normalised(distinct)
        found: dict[str, list[Explanation]] = {text: [] for text in distinct.to_list()}
        for rows in _chunks(encoded.lengths, effort):
            chunk, some = distinct.gather(rows), _Texts(*encoded.padded(rows))
            probabilities = self.predictor.probabilities_of(some.encoded())
            place, labels = self._asked(probabilities, label, most)
            # A text with many labels stands as often among those that are worked on together.
            for begin in range(0, len(place), max(len(rows), 1)):
                part = slice(begin, begin + max(len(rows), 1))
                at = place[part]
                told = self._explain(
                    chunk.gather(at),
                    _Texts(some.ids[at], some.positions[at], some.lengths[at]),
                    probabilities[at],
                    labels[part],
                    effort,
                )
                for explanation in told:
                    found[explanation.text].append(explanation)
        return [
            tuple(replace(each, text=raw or "") for each in found[normal])
            for raw, normal in zip(list(texts), column.to_list(), strict=True)
        ]

    def _asked(self, probabilities: Floats, label: int | None, most: int | None) -> tuple[Ids, Ids]:
        """Which labels of which texts are explained; see `explain_labels`. Shapes: (asked,)."""
        each = np.arange(len(probabilities))
        if label is not None:
            return each, np.full(len(each), label)
        rule = self.predictor.rule
        if isinstance(rule, DecisionRule):
            return each, rule.decide(probabilities).label
        # How far beyond its threshold a label lies, in the odds.
        t, p = np.array(rule.thresholds), np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-9)
        beyond = np.log(p / (1 - p)) - np.log(t / (1 - t))
        members = rule.members(probabilities)
        order = np.argsort(-np.where(members, beyond, -np.inf), axis=1, kind="stable")
        size = np.minimum(members.sum(1), members.shape[1] if most is None else most)
        found = [
            row[: max(count, 1)] if count else [nearest]
            for row, count, nearest in zip(order, size, beyond.argmax(1), strict=True)
        ]
        place = np.repeat(each, [len(row) for row in found])
        return place, np.array([at for row in found for at in row], dtype=np.int64)

    def _as_decided(self, probabilities: Floats, label: Ids) -> npt.NDArray[np.bool_]:
        """Whether each label is decided of each text. Shapes: (texts, classes), (texts,)."""
        rule = self.predictor.rule
        if isinstance(rule, DecisionRule):
            same: npt.NDArray[np.bool_] = rule.decide(probabilities).label == label
            return same
        return rule.members(probabilities)[np.arange(len(label)), label]

    def _explain(
        self,
        normalised: pl.Series,
        texts: _Texts,
        probabilities: Floats,
        label: Ids,
        effort: Effort,
    ) -> Iterator[Explanation]:
        predicted = self.predictor.predicted(probabilities, None)
        decided, sets = self._as_decided(probabilities, label), self.predictor.has_sets
        seeds = np.array([_seed(text) for text in normalised.to_list()], dtype=np.uint64)
        others = self._others(texts, label, decided, seeds, effort)
        full = probabilities[np.arange(len(label)), label].astype(np.float64)
        walks = list(_walks(texts, others, seeds, effort.steps))
        compared = others.used.sum(0)
        between = self._between(texts, others, walks, label)
        shares = np.zeros(texts.ids.shape)
        for walk in walks:
            start, end = others.of_label[walk.other, walk.text], full[walk.text]
            middle = between[walk.first : walk.first + len(walk.groups) - 1]
            for group, rise in zip(
                walk.groups, np.diff(np.concatenate(([start], middle, [end]))), strict=True
            ):
                shares[walk.text, group] += rise / len(group) / (2 * compared[walk.text])
        read = self.predictor.encoder.words(normalised)
        for at, (text, words, decision) in enumerate(
            zip(normalised.to_list(), read, predicted.decision, strict=True)
        ):
            yield Explanation(
                text=text,
                decision=decision,
                probability=float(full[at]),
                words=tuple(word for word, _ in words),
                contributions=_by_word(shares[at], [tokens for _, tokens in words]),
                reference=float(others.of_label[others.used[:, at], at].mean()),
                label=self.predictor.classes[label[at]],
                decided=bool(decided[at]) if sets else None,
            )

    def _others(
        self,
        texts: _Texts,
        label: Ids,
        decided: npt.NDArray[np.bool_],
        seeds: npt.NDArray[np.uint64],
        effort: Effort,
    ) -> _Others:
        """What each text is compared with: texts in which the label is decided otherwise."""
        found = self._drawn(texts, label, decided, seeds, effort.drawn, stream=0)
        few = np.flatnonzero(found.used.sum(0) < FEW)
        kept = found.first(effort.kept)
        if len(few):
            some = _Texts(texts.ids[few], texts.positions[few], texts.lengths[few])
            more = self._drawn(some, label[few], decided[few], seeds[few], effort.more, stream=3)
            more = more.first(effort.kept)
            for name in ("ids", "positions", "of_label", "used"):
                getattr(kept, name)[:, few] = getattr(more, name)
        kept.used[:, ~kept.used.any(0)] = True  # Better than nothing: those that come nearest.
        return kept

    def _drawn(
        self,
        texts: _Texts,
        label: Ids,
        decided: npt.NDArray[np.bool_],
        seeds: npt.NDArray[np.uint64],
        number: int,
        stream: int,
    ) -> _Others:
        """Texts that could stand there too; used are those that are decided otherwise."""
        count, longest = texts.ids.shape
        ids = self._fills.draw(texts.ids, texts.lengths, _uniform(seeds, stream, (number, longest)))
        positions = np.zeros(ids.shape, dtype=np.float32)
        scale = self.predictor.encoder.numbers
        if scale is not None:
            # Edges are quantiles of the training texts' numbers, so each is as likely.
            chance = _uniform(seeds, stream + 1, (number, longest))
            edge = np.floor(chance * (scale.bins + 1))
            positions = np.where(ids == NUMBER, edge, 0).astype(np.float32)
        flat = _Texts(
            ids.reshape(-1, longest),
            positions.reshape(-1, longest),
            np.tile(texts.lengths, number),
        )
        probabilities = self._distinct(flat).reshape(number, count, -1)
        of_label = probabilities[:, np.arange(count), label].astype(np.float64)
        theirs = self._as_decided(
            probabilities.reshape(number * count, -1), np.tile(label, number)
        ).reshape(number, count)
        return _Others(ids, positions, of_label, theirs != decided)

    def _between(
        self, texts: _Texts, others: _Others, walks: list[_Walk], label: Ids
    ) -> npt.NDArray[np.float64]:
        """Probability of the label for each text between, walk after walk."""
        ids, positions, lengths, labels = [], [], [], []
        for walk in walks:
            other, mine = walk.other, walk.text
            steps = len(walk.groups) - 1
            if not steps:
                continue
            place = np.full(texts.ids.shape[1], len(walk.groups))
            for step, group in enumerate(walk.groups):
                place[group] = step
            real = place <= np.arange(steps)[:, None]
            ids.append(np.where(real, texts.ids[mine], others.ids[other, mine]))
            positions.append(np.where(real, texts.positions[mine], others.positions[other, mine]))
            lengths.append(np.full(steps, texts.lengths[mine]))
            labels.append(np.full(steps, label[mine]))
        if not ids:
            return np.zeros(0)
        rows = _Texts(np.concatenate(ids), np.concatenate(positions), np.concatenate(lengths))
        of_label = np.concatenate(labels)
        found = self._distinct(rows)[np.arange(len(of_label)), of_label]
        result: npt.NDArray[np.float64] = found.astype(np.float64)
        return result

    def _distinct(self, texts: _Texts) -> Floats:
        """Probabilities, computed once for rows that are equal. Shape: (texts, classes)."""
        both = np.concatenate([texts.ids, texts.positions.view(np.int32)], axis=1, dtype=np.int64)
        mixed = np.random.default_rng(0).integers(1, 2**62, both.shape[1], dtype=np.int64) | 1
        with np.errstate(over="ignore"):
            keys = (both * mixed).sum(1) * 31 + texts.lengths
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        few = _Texts(texts.ids[first], texts.positions[first], texts.lengths[first])
        result: Floats = self.predictor.probabilities_of(few.encoded())[place.reshape(-1)]
        return result


def _by_word(shares: npt.NDArray[np.float64], tokens: Sequence[int]) -> npt.NDArray[np.float64]:
    """What the tokens of each word add, together. Shapes: (longest,), (words,) -> (words,).

    >>> _by_word(np.array([0.5, 0.25, -1.0, 0.0]), [1, 2]).tolist()
    [0.5, -0.75]
    """
    if not tokens:
        return np.zeros(0)
    first = np.cumsum(tokens, dtype=np.int64) - np.array(tokens, dtype=np.int64)
    found: npt.NDArray[np.float64] = np.add.reduceat(shares[: int(np.sum(tokens))], first)
    return found


def _walks(
    texts: _Texts, others: _Others, seeds: npt.NDArray[np.uint64], steps: int
) -> Iterator[_Walk]:
    """Two from each of the others that are used: an order of exchanges, and the same backwards."""
    first = 0
    chance = _uniform(seeds, 2, (len(others.ids), texts.ids.shape[1]))
    differ = (texts.ids != others.ids) | (texts.positions != others.positions)
    for number, used in enumerate(others.used):
        for text in np.flatnonzero(used):
            at = np.flatnonzero(differ[number, text])
            if not len(at):
                continue
            size = -(-len(at) // steps)
            groups = [at[begin : begin + size] for begin in range(0, len(at), size)]
            order = np.argsort(chance[number, text, at[::size]])
            there = [groups[index] for index in order]
            for walk in (there, there[::-1]):
                yield _Walk(int(text), number, walk, first)
                first += len(walk) - 1


def _chunks(lengths: npt.NDArray[np.int32], effort: Effort) -> Iterator[Ids]:
    """Texts that are worked on together: of similar length, few enough for the memory."""
    order = np.argsort(lengths, kind="stable")
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order):
            longest = int(lengths[order[end]])
            if (end + 1 - begin) * longest * (
                effort.drawn + effort.more + 2 * effort.kept * min(longest, effort.steps)
            ) > _CELLS:
                break
            end += 1
        yield order[begin:end]
        begin = end


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _uniform(
    seeds: npt.NDArray[np.uint64], stream: int, shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Chance in [0, 1) that depends on a text's seed and the place alone (SplitMix64).

    Shape: (shape[0], texts, shape[1]).
    """
    rows, columns = shape
    # A place has the same number however long the longest text is.
    row = np.arange(rows, dtype=np.uint64) << np.uint64(20)
    place = row[:, None, None] + np.arange(columns, dtype=np.uint64)
    step = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        counter = np.multiply(place + np.uint64(1 + (stream << 40)), step, dtype=np.uint64)
        state: npt.NDArray[np.uint64] = np.add(seeds[:, None], counter, dtype=np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
        state = state ^ (state >> np.uint64(31))
    result: npt.NDArray[np.float64] = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return result
