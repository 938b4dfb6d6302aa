"""Texts to the arrays that a model reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.normal_form import normalise
from .grams import KnownGrams, shared_grams
from .notation import PLAIN, Notation, learn_notation
from .numbers import NumberScale, scale_from_json, scale_to_json
from .reader import notation_of
from .reading import Reading
from .tokens import STARTS_LIKE_A_NUMBER, is_number, number_value, tokenize, value_of
from .vocabulary import NUMBER, SPECIAL, UNKNOWN, Vocabulary

_ODD = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Encoded:
    """Encoded texts of different lengths, laid end to end.

    Attributes:
        ids: token ids, all texts one after another. Shape: (tokens,), int32.
        positions: position on the number scale where the token is a number, else 0. Shape: as ids.
        lengths: tokens of each text, at least 1. Shape: (texts,), int32.
        outside: whether the token is a number outside the scale, which is read as its nearest end;
            None where it is not known. Shape: as ids.
        found: tokens that the text really has, 0 in an empty one, which is read as one `<unk>`, and
            1 a word that is read in pieces; None where it is not known. Shape: (texts,), int32.
        unknown: of these, words that are not known, if not each is an `<unk>`; None: they are.
            Shape: (texts,), int32.
        features: what a part of the model that is not trained makes of each text, computed before;
            None where nothing is. Shape: (texts, width), float32.

    """

    ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int32]
    outside: npt.NDArray[np.bool_] | None = None
    found: npt.NDArray[np.int32] | None = None
    unknown: npt.NDArray[np.int32] | None = None
    features: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each text begins in `ids`. Shape: (texts,)."""
        return np.concatenate(([0], np.cumsum(self.lengths[:-1], dtype=np.int64)))

    def first_alike(self) -> npt.NDArray[np.int64]:
        """For each text the first that reads alike: the same ids and positions. Shape: (texts,).

        Different texts may: they differ in words that are not known, or in numbers beyond the
        scale. Found by a hash of 64 bits, and compared.
        """
        if len(self) < 2:
            return np.zeros(len(self), dtype=np.int64)
        starts, lengths = self.starts, self.lengths
        column = np.arange(len(self.ids)) - np.repeat(starts, lengths)
        hashed = self.positions.view(np.uint32).astype(np.uint64) << np.uint64(32)
        hashed = (hashed | self.ids.astype(np.uint64)) + column.astype(np.uint64) * _ODD[0]
        for odd in _ODD:  # Steele et al. 2014, "Fast splittable pseudorandom number generators".
            hashed = (hashed ^ (hashed >> np.uint64(31))) * odd
        of_texts = np.add.reduceat(hashed, starts)
        _, first, inverse = np.unique(of_texts, return_index=True, return_inverse=True)
        alike = first[inverse.reshape(-1)]
        same = lengths[alike] == lengths
        there = np.minimum(np.repeat(starts[alike], lengths) + column, len(self.ids) - 1)
        equal = (self.ids[there] == self.ids) & (self.positions[there] == self.positions)
        same &= np.logical_and.reduceat(equal, starts)
        found: npt.NDArray[np.int64] = np.where(same, alike, np.arange(len(self)))
        return found

    def reading(self) -> Reading:
        """How much of each text could be read."""
        if not len(self):
            nothing = np.zeros(0, dtype=np.int32)
            return Reading(nothing, nothing, np.zeros(0, dtype=np.bool_))
        starts, unknown = self.starts, self.unknown
        if unknown is None:
            unknown = np.add.reduceat(self.ids == UNKNOWN, starts, dtype=np.int32)
        outside = np.zeros(len(self), dtype=np.bool_)
        if self.outside is not None and self.outside.any():
            outside = np.logical_or.reduceat(self.outside, starts)
        tokens = self.lengths if self.found is None else self.found
        return Reading(tokens, np.minimum(unknown, tokens), outside)

    def padded(
        self, rows: npt.NDArray[np.int64], starts: npt.NDArray[np.int64] | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """The chosen texts as rectangles, padded with id 0 behind the end.

        Returns:
            ids (n, longest), positions (n, longest) and lengths (n,).

        """
        starts = self.starts if starts is None else starts
        lengths = self.lengths[rows].astype(np.int64)
        column = np.arange(lengths.max(initial=1))
        inside = column < lengths[:, None]
        index = np.where(inside, starts[rows][:, None] + column, 0)
        ids = np.where(inside, self.ids[index], 0).astype(np.int64)
        positions = np.where(inside, self.positions[index], np.float32(0))
        return ids, positions, lengths


@dataclass(frozen=True)
class TextEncoder:
    """What was learned from the training texts, and how it turns any text into ids.

    Attributes:
        vocabulary: the words that have an id.
        numbers: the scale of numbers; None where they are read as plain words.
        max_tokens: words of a text that are read at most.
        pieces: of words (see `grams`) with ids behind those of the words: a word that is not known
            is read as the pieces that are.

    """

    vocabulary: Vocabulary
    numbers: NumberScale | None
    max_tokens: int
    pieces: tuple[str, ...] = ()

    @classmethod
    def learn(
        cls,
        normalised: pl.Series,
        *,
        read_numbers: bool,
        number_bins: int,
        min_texts: int,
        max_words: int,
        max_tokens: int,
        pieces: bool = False,
    ) -> TextEncoder:
        """Learn the vocabulary and the number scale from the distinct training texts alone.

        With `pieces`, those that two words have at least, too.
        """
        notation = learn_notation(normalised) if read_numbers else PLAIN
        tokens = tokenize(normalised, max_tokens, notation=notation)
        scale = learn_scale(tokens, number_bins, notation) if read_numbers else None
        if scale is None:
            tokens = tokenize(normalised, max_tokens)
        else:
            words = pl.element().filter(~pl.element().str.contains(STARTS_LIKE_A_NUMBER))
            tokens = tokens.list.eval(words)
        vocabulary = Vocabulary.learn(tokens, min_texts=min_texts, max_words=max_words)
        shared = shared_grams(vocabulary.words[len(SPECIAL) :]) if pieces else ()
        return cls(vocabulary, scale, max_tokens, tuple(shared))

    def encode(self, texts: pl.Series) -> Encoded:
        """Encode raw texts; a text without any token becomes one `<unk>`."""
        return self.encode_normalised(normalise(texts))

    def encode_normalised(self, normalised: pl.Series) -> Encoded:
        """Encode texts that are already in normal form."""
        tokens = self._tokens(normalised.fill_null(""))
        found = tokens.list.len().to_numpy()
        lengths = np.maximum(found, 1).astype(np.int32)
        # Versions of polars differ in whether an empty list leaves a null here, so none is kept.
        flat = tokens.explode().drop_nulls()
        known = self.vocabulary.ids(flat).to_numpy().copy()
        values = np.zeros(len(known), dtype=np.float32)
        beyond = np.zeros(len(known), dtype=np.bool_)
        if self.numbers is not None:
            numeric = is_number(flat)
            found_values = number_value(flat.filter(numeric), self.numbers.notation).to_numpy()
            known[numeric.to_numpy()] = NUMBER
            values[numeric.to_numpy()] = self.numbers.positions(found_values)
            beyond[numeric.to_numpy()] = self.numbers.outside(found_values)
        inside = np.repeat(found > 0, lengths)  # False where an `<unk>` stands for an empty text
        ids = np.full(len(inside), UNKNOWN, dtype=np.int32)
        positions = np.zeros(len(inside), dtype=np.float32)
        outside = np.zeros(len(inside), dtype=np.bool_)
        ids[inside], positions[inside], outside[inside] = known, values, beyond
        encoded = Encoded(ids, positions, lengths, outside, found.astype(np.int32))
        if not self.pieces or UNKNOWN not in known:
            return encoded
        return in_pieces(encoded, *self._pieces_of(flat.filter(pl.Series(known == UNKNOWN))))

    def _tokens(self, normalised: pl.Series) -> pl.Series:
        return tokenize(normalised, self.max_tokens, notation=notation_of(self))

    def _pieces_of(self, words: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """The known pieces of each word: how many, and their ids. Shapes: (words,), (pieces,)."""
        distinct = words.unique()
        word, piece = self._known_grams.find(distinct.to_list())
        counts = np.bincount(word, minlength=len(distinct))
        each = pl.DataFrame({"word": distinct}).with_row_index("at")
        at = pl.DataFrame({"word": words}).join(each, on="word", how="left", maintain_order="left")
        of_word = at["at"].to_numpy()
        found = counts[of_word]
        first = (np.cumsum(counts) - counts)[of_word]
        within = np.arange(found.sum()) - np.repeat(np.cumsum(found) - found, found)
        return found, piece[np.repeat(first, found) + within] + np.int32(len(self.vocabulary))

    @property
    def whole(self) -> int:
        """Where the ids of pieces begin; see `TextReader`."""
        return len(self.vocabulary)

    def pieces_of_ids(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The pieces of each word that has an id, and a piece's own; see `TextReader`."""
        words = self.vocabulary.words[len(SPECIAL) :]
        word, piece = self._known_grams.find(words)
        pieces = np.arange(len(self.pieces), dtype=np.int32)
        return (
            np.append(word + np.int32(len(SPECIAL)), pieces + np.int32(self.whole)),
            np.append(piece, pieces),
        )

    @cached_property
    def _known_grams(self) -> KnownGrams:
        return KnownGrams(self.pieces)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What each id stands for; see `TextReader`. No text can hold the name of a piece."""
        return (*self.vocabulary.words, *(f"##{piece}" for piece in self.pieces))

    def words(self, normalised: pl.Series) -> list[list[tuple[str, int]]]:
        """The words of each text; see `TextReader`."""
        tokens = self._tokens(normalised)
        flat = tokens.explode().drop_nulls()
        size = np.ones(len(flat), dtype=np.int64)
        if self.pieces and len(flat):
            unknown = ~self.knows(flat)
            size[unknown.to_numpy()] = np.maximum(self._pieces_of(flat.filter(unknown))[0], 1)
        sizes = iter(size.tolist())
        return [[(token, next(sizes)) for token in text] for text in tokens.to_list()]

    def knows(self, words: pl.Series) -> pl.Series:
        """Whether each word is told from others: has an id, or is a number with a magnitude."""
        known = self.vocabulary.ids(words) != UNKNOWN
        return known if self.numbers is None else known | is_number(words)

    def describe(self, text: str) -> list[dict[str, Any]]:
        """How one text is read, token by token: `token`, `id`, `known_as`, `value`, `position`."""
        normalised = normalise(pl.Series([text]))
        read = self.words(normalised)[0] or [("", 1)]
        tokens = [word for word, pieces in read for _ in range(pieces)]
        encoded = self.encode_normalised(normalised)
        rows = []
        for token, token_id, position in zip(tokens, encoded.ids, encoded.positions, strict=True):
            number = token_id == NUMBER and self.numbers is not None
            rows.append(
                {
                    "token": token,
                    "id": int(token_id),
                    "known_as": self.names[token_id],
                    "value": value_of(token, notation_of(self)) if number else None,
                    "position": float(position) if number else None,
                }
            )
        return rows

    def unknown_share(self, encoded: Encoded) -> float:
        """Share of words that have no id of their own, in [0, 1]."""
        read = encoded.reading()
        return float(read.unknown.sum() / max(read.tokens.sum(), 1))

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build this encoder again, as plain JSON values."""
        return {
            "words": list(self.vocabulary.words),
            **scale_to_json(self.numbers),
            "max_tokens": self.max_tokens,
            **({"pieces": list(self.pieces)} if self.pieces else {}),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TextEncoder:
        """The encoder that `to_json` described."""
        scale = scale_from_json(values)
        pieces = tuple(values.get("pieces", ()))
        if len(set(pieces)) != len(pieces):
            raise ValueError("pieces must be distinct")
        return cls(Vocabulary(values["words"]), scale, int(values["max_tokens"]), pieces)


def in_pieces(
    encoded: Encoded, counts: npt.NDArray[np.int64], pieces: npt.NDArray[np.int32]
) -> Encoded:
    """The same texts with their unknown words read in pieces; without any, a word stays `<unk>`.

    Args:
        encoded: the texts, each unknown word an `<unk>`.
        counts: how many pieces each of these words has. Shape: (unknown words,).
        pieces: their ids, word by word. Shape: (pieces,).

    """
    assert encoded.found is not None
    in_text = np.repeat(encoded.found > 0, encoded.lengths)
    words = np.flatnonzero((encoded.ids == UNKNOWN) & in_text)
    size = np.ones(len(encoded.ids), dtype=np.int64)
    size[words] = np.maximum(counts, 1)
    ids = np.repeat(encoded.ids, size)
    replaced = np.zeros(len(encoded.ids), dtype=np.bool_)
    replaced[words] = counts > 0
    ids[np.repeat(replaced, size)] = pieces
    of_text = encoded.starts
    return Encoded(
        ids,
        np.repeat(encoded.positions, size),
        np.add.reduceat(size, of_text).astype(np.int32),
        None if encoded.outside is None else np.repeat(encoded.outside, size),
        encoded.found,
        np.add.reduceat(np.bincount(words, minlength=len(size)), of_text).astype(np.int32),
    )


def learn_scale(tokens: pl.Series, bins: int, notation: Notation) -> NumberScale | None:
    """The scale of the numbers among these tokens; None where there are fewer than two.

    Args:
        tokens: lists of strings, a list a distinct training text.
        bins: of the scale at most.
        notation: how numbers are written.

    """
    flat = tokens.explode().drop_nulls()
    values = number_value(flat.filter(is_number(flat)), notation).to_numpy()
    return NumberScale.learn(values, bins, notation=notation)
