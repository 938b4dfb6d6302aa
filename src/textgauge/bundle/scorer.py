"""A predictor that remembers: each text of a catalogue is computed once, in bounded memory.

Used where a table comes in pieces: by `textgauge score`, and in each process of Spark's executors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.normal_form import normalise
from ..data.predictions import ADDED
from ..text.reading import RowsRead
from ..text.tally import COUNTED, Tally
from .decision import REVIEW
from .predictor import Predictor, distinct_texts

MEMORY_BYTES = 256 * 2**20
"""Bytes of remembered texts and predictions, about, after which the oldest are forgotten."""

_ENTRY_BYTES = 250
"""What a remembered text takes beside its own bytes: a Python string, its place in a dictionary
and in the columns. Of 1,000,000 texts it was 184 each; it is more while the columns grow."""

_COLUMNS: dict[str, type[np.generic]] = {
    "label": np.int32,  # which of `_Names` is predicted
    "probability": np.float64,
    "decision": np.int32,  # which of them is decided
    "hash": np.uint64,  # of the normal form
    "tokens": np.int32,
    "unknown": np.int32,
    "outside": np.bool_,
}
"""What is remembered of a text; the last three as in `text.reading.Reading`."""


_NAMED = ("label", "decision")
"""Of these, the columns of numbers that stand for names."""


class _Names:
    """What is predicted and decided, numbered: the classes and `review`, or sets as they come."""

    def __init__(self, known: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(known)}
        self._column = pl.Series(known, dtype=pl.String)
        self._known = len(known)

    @property
    def grew(self) -> bool:
        """Whether there are sets beside those that every process numbers alike."""
        return len(self._column) > self._known

    def numbers(self, names: Sequence[str]) -> npt.NDArray[np.int32]:
        """Of each of these; new ones get the next."""
        new = [name for name in dict.fromkeys(names) if name not in self._place]
        if new:
            self._place |= {name: len(self._place) + at for at, name in enumerate(new)}
            self._column = pl.concat([self._column, pl.Series(new, dtype=pl.String)])
        return np.array([self._place[name] for name in names], dtype=np.int32)

    def gather(self, numbers: npt.NDArray[np.int32]) -> pl.Series:
        """The names that have these numbers."""
        return self._column.gather(numbers)


class Scorer:
    """A predictor that remembers what it predicted.

    Attributes:
        predictor: the model.
        memory: bytes that may be remembered, about; see `MEMORY_BYTES`.
        forgotten: how often texts were forgotten; the places of all others changed then.

    """

    def __init__(self, predictor: Predictor, memory: int = MEMORY_BYTES) -> None:
        self.predictor, self.memory, self.forgotten = predictor, memory, 0
        self._place: dict[str, int] = {}
        self._bytes = 0
        self._columns = _no_entries()
        self._names = _Names([*predictor.classes, REVIEW])

    def __len__(self) -> int:
        """How many texts are remembered."""
        return len(self._place)

    def score(self, texts: pl.Series, *, remember: bool = True) -> tuple[pl.DataFrame, Tally]:
        """Predictions for each text, null where it is null, and what was seen.

        Args:
            texts: of any number. Shape: (texts,), String.
            remember: whether to look them up and to remember them. Where hardly a text comes
                twice, that takes a fifth of the time and is of no use.

        Returns:
            The columns of `ADDED`. Shape: (texts, 3). And rows, distinct texts, and how much of
            them the model could read.

        """
        there = texts.is_not_null().to_numpy()
        known = texts.drop_nulls()
        distinct, of = distinct_texts(known)
        if remember:
            places = self._places(distinct)
            columns = {name: self._column(name) for name in _COLUMNS}
        else:
            places = np.arange(len(distinct))
            columns = self._predict(distinct) if len(distinct) else _no_entries()
        hashes = np.unique(columns["hash"][places])[:COUNTED]
        rows = places if of is None else places[of]
        read = RowsRead(
            len(known),
            *(int(columns[name][rows].sum()) for name in ("tokens", "unknown", "outside")),
        )
        frame = self._frame(columns, rows, there)
        if remember:
            self._forget_all_but(places)
        return frame, Tally(len(texts), hashes if len(hashes) else None, read)

    def remembered(self, begin: int = 0) -> pl.DataFrame:
        """What is remembered from the `begin`-th text on, in the order it was learned.

        `remember` takes it back.
        """
        columns = {name: pl.Series(name, self._column(name)[begin:]) for name in _COLUMNS}
        if self._names.grew:
            # Another process may number sets otherwise.
            for name in _NAMED:
                columns[name] = self._names.gather(self._column(name)[begin:]).alias(name)
        texts = pl.Series("text", list(islice(self._place, begin, None)), dtype=pl.String)
        return pl.DataFrame([texts, *columns.values()])

    def remember(self, entries: pl.DataFrame) -> None:
        """Take over what another scorer of the same model remembered, behind what is known."""
        values = {
            name: self._names.numbers(entries[name].to_list())
            if entries[name].dtype == pl.String
            else entries[name].to_numpy()
            for name in _COLUMNS
        }
        self._add(entries["text"].to_list(), int(entries["text"].str.len_bytes().sum()), values)

    def _places(self, distinct: pl.Series) -> npt.NDArray[np.int64]:
        """Where each text is remembered; those that are not are predicted first."""
        texts = distinct.to_list()
        places = np.fromiter((self._place.get(text, -1) for text in texts), np.int64, len(texts))
        new = places < 0
        if new.any():
            begin = len(self._place)
            self._learn(distinct if new.all() else distinct.filter(pl.Series(new)))
            places[new] = np.arange(begin, len(self._place))
        return places

    def _learn(self, new: pl.Series) -> None:
        self._add(new.to_list(), int(new.str.len_bytes().sum()), self._predict(new))

    def _predict(self, new: pl.Series) -> dict[str, npt.NDArray[Any]]:
        """The values of `_COLUMNS` for each text."""
        normalised = normalise(new)
        predicted = self.predictor.predict_normalised(normalised)
        assert predicted.reading is not None
        reading = predicted.reading.each()
        number = self._names.numbers((*predicted.names, REVIEW))
        return {
            "label": number[predicted.label_index],
            "probability": predicted.probability.astype(np.float64),
            "decision": number[predicted.decision_index],
            "hash": normalised.hash(seed=0).to_numpy(),
            "tokens": reading.tokens,
            "unknown": reading.unknown,
            "outside": reading.outside,
        }

    def _add(self, texts: Sequence[str], size: int, values: dict[str, npt.NDArray[Any]]) -> None:
        begin = len(self._place)
        end = begin + len(texts)
        self._place.update(zip(texts, range(begin, end), strict=True))
        self._bytes += size + _ENTRY_BYTES * len(texts)
        for name, column in self._columns.items():
            if len(column) < end:  # Half as much again, so that growing costs little in sum.
                grown = np.empty(end + end // 2, column.dtype)
                grown[:begin] = column[:begin]
                self._columns[name] = grown
            self._columns[name][begin:end] = values[name]

    def _column(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name][: len(self._place)]

    def _frame(
        self,
        columns: dict[str, npt.NDArray[Any]],
        rows: npt.NDArray[np.int64],
        there: npt.NDArray[np.bool_],
    ) -> pl.DataFrame:
        told = {
            "predicted_label": self._names.gather(columns["label"][rows]),
            "probability": pl.Series(columns["probability"][rows]),
            "decision": self._names.gather(columns["decision"][rows]),
        }
        frame = pl.DataFrame(told, schema=ADDED)
        return frame if there.all() else _spread(frame, there)

    def _forget_all_but(self, places: npt.NDArray[np.int64]) -> None:
        """Where too much is remembered, keep what was needed last."""
        if self._bytes <= self.memory:
            return
        kept = np.unique(places)
        texts = list(self._place)
        entries = [texts[place] for place in kept]
        values = {name: self._column(name)[kept] for name in _COLUMNS}
        self._place, self._bytes, self._columns = {}, 0, _no_entries()
        self._add(entries, sum(len(text.encode()) for text in entries), values)
        self.forgotten += 1


def _no_entries() -> dict[str, npt.NDArray[Any]]:
    return {name: np.empty(0, kind) for name, kind in _COLUMNS.items()}


def _spread(frame: pl.DataFrame, there: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """The rows of `frame` where `there` is True, null elsewhere. Shape: (there, columns)."""
    place = pl.Series(np.cumsum(there) - 1).set(pl.Series(~there), None)
    return frame.select(pl.all().gather(place))
