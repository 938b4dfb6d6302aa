"""Texts to the ids of a pretrained encoder: its own tokenizer, with numbers as magnitudes.

Carried along with every saved model; `tokenizers` is imported where a reader is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..data.normal_form import normalise
from ..errors import MissingPackageError
from .encoder import Encoded, learn_scale
from .grams import shared_pieces
from .notation import learn_notation
from .numbers import NumberScale, scale_from_json, scale_to_json
from .reader import notation_of
from .tokens import number_value, tokenize
from .vocabulary import NUMBER, SPECIAL, UNKNOWN

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

PLACE = "\ue000"
"""Stands in the place of each number; a text that holds this private character loses it."""

FIRST = len(SPECIAL)
"""The id of the tokenizer's piece 0: pieces follow behind the special ids."""

SPACES = ("\u2581", "\u0120")
"""How tokenizers write a space within a piece: SentencePiece, and those that read bytes."""

TEXTS_AT_A_TIME = 20_000
"""Texts whose pieces are held as Python's lists."""


class PretrainedReader:
    """Reads texts as a pretrained encoder does; see `TextReader`.

    A number is replaced by one placeholder, whatever its digits, and its magnitude stands in
    `positions`. What the encoder puts around a text ("[CLS]", "[SEP]") is not among the ids: the
    model adds it.

    Args:
        tokenizer: the contents of a `tokenizer.json`.
        numbers: the scale of numbers; None where they are read as the tokenizer reads them.
        max_tokens: pieces of a text that are read at most.

    Raises:
        MissingPackageError: `tokenizers` is not installed.
        ValueError: it is no tokenizer.

    """

    def __init__(
        self, tokenizer: Mapping[str, Any], numbers: NumberScale | None, max_tokens: int
    ) -> None:
        self.numbers, self.max_tokens, self._json = numbers, max_tokens, tokenizer
        self._tokenizer = make_tokenizer(tokenizer)
        pieces = self._tokenizer.get_vocab(with_added_tokens=True)
        self._names = [*SPECIAL, *[""] * (1 + max(pieces.values()))]
        for name, piece in pieces.items():
            self._names[FIRST + piece] = name
        self._tokenizer.add_tokens([_placeholder()])
        place = self._tokenizer.token_to_id(PLACE)
        if place is None or place in pieces.values():
            raise ValueError("its pieces are not numbered without gaps")
        self._id_of = np.arange(FIRST, FIRST + place + 1, dtype=np.int32)
        self._id_of[place] = NUMBER
        unknown = unknown_piece(tokenizer)
        if unknown is not None:
            self._id_of[unknown] = UNKNOWN

    @classmethod
    def learn(
        cls,
        normalised: pl.Series,
        tokenizer: Mapping[str, Any],
        *,
        read_numbers: bool,
        number_bins: int,
        max_tokens: int,
    ) -> PretrainedReader:
        """Learn the number scale from the distinct training texts alone."""
        scale = None
        if read_numbers:
            notation = learn_notation(normalised)
            tokens = tokenize(normalised, max_tokens, notation=notation)
            scale = learn_scale(tokens, number_bins, notation)
        return cls(tokenizer, scale, max_tokens)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What each id stands for; see `TextReader`."""
        return tuple(self._names)

    @property
    def whole(self) -> int:
        """All of them; see `TextReader`."""
        return len(self._names)

    def pieces_of_ids(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """What the tokenizer's pieces have in common; see `TextReader`."""
        inside = self._json["model"].get("continuing_subword_prefix")
        marked = [_marked(name, inside) for name in self._names[FIRST:]]
        of, piece = shared_pieces(marked)
        return of + np.int32(FIRST), piece

    def encode(self, texts: pl.Series) -> Encoded:
        """Encode raw texts; a text without any piece becomes one `<unk>`."""
        return self.encode_normalised(normalise(texts))

    def encode_normalised(self, normalised: pl.Series) -> Encoded:
        """Encode texts that are already in normal form."""
        texts = normalised.fill_null("")
        parts = [
            self._encode_some(texts.slice(start, TEXTS_AT_A_TIME))
            for start in range(0, max(len(texts), 1), TEXTS_AT_A_TIME)
        ]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _encode_some(self, texts: pl.Series) -> Encoded:
        placed, values = self._placed(texts)
        read = self._tokenizer.encode_batch_fast(placed.to_list(), add_special_tokens=False)
        pieces = [each.ids[: self.max_tokens] or [-1] for each in read]
        lengths = np.fromiter(map(len, pieces), dtype=np.int32, count=len(pieces))
        flat = np.fromiter(
            (piece for text in pieces for piece in text), dtype=np.int64, count=int(lengths.sum())
        )
        nothing = flat < 0
        ids = np.where(nothing, UNKNOWN, self._id_of[flat]).astype(np.int32)
        positions = np.zeros(len(ids), dtype=np.float32)
        outside = np.zeros(len(ids), dtype=np.bool_)
        numeric = ids == NUMBER
        if self.numbers is not None and numeric.any():
            # Of each text the first numbers, as many as were read before it was cut.
            read_numbers = np.add.reduceat(numeric, np.cumsum(lengths) - lengths, dtype=np.int64)
            known = [
                number
                for of_text, most in zip(values.to_list(), read_numbers.tolist(), strict=True)
                for number in of_text[:most]
            ]
            digits = pl.Series(known, dtype=pl.String)
            numbers = number_value(digits, self.numbers.notation).to_numpy()
            positions[numeric] = self.numbers.positions(numbers)
            outside[numeric] = self.numbers.outside(numbers)
        found = np.where(nothing[np.cumsum(lengths) - lengths], 0, lengths).astype(np.int32)
        return Encoded(ids, positions, lengths, outside, found)

    def _placed(self, texts: pl.Series) -> tuple[pl.Series, pl.Series]:
        """The texts with a placeholder for each number, and the numbers of each as texts."""
        clean = texts.str.replace_all(PLACE, " ", literal=True)
        if self.numbers is None:
            return clean, pl.Series([], dtype=pl.List(pl.String))
        number = self.numbers.notation.number
        return clean.str.replace_all(number, PLACE), clean.str.extract_all(number)

    def words(self, normalised: pl.Series) -> list[list[tuple[str, int]]]:
        """The words of each text, as the tokenizer tells them apart; see `TextReader`."""
        texts = normalised.fill_null("")
        placed, values = self._placed(texts)
        numbers = values.to_list() if self.numbers is not None else [[]] * len(texts)
        read = self._tokenizer.encode_batch(placed.to_list(), add_special_tokens=False)
        return [
            _words(text, encoding, self.max_tokens, numbers_of)
            for text, encoding, numbers_of in zip(placed.to_list(), read, numbers, strict=True)
        ]

    def knows(self, words: pl.Series) -> pl.Series:
        """Whether each word has pieces, and each of them is told from others."""
        encoded = self.encode_normalised(words)
        if not len(words):
            return pl.Series([], dtype=pl.Boolean)
        unknown = np.logical_or.reduceat(encoded.ids == UNKNOWN, encoded.starts)
        return pl.Series(~unknown)

    def describe(self, text: str) -> list[dict[str, Any]]:
        """How one text is read, piece by piece; see `TextReader`."""
        normalised = normalise(pl.Series([text]))
        encoded = self.encode_normalised(normalised)
        _, values = self._placed(normalised)
        numbers = iter(number_value(values.explode(), notation_of(self)).to_list())
        rows = []
        for piece, position in zip(encoded.ids.tolist(), encoded.positions.tolist(), strict=True):
            number = piece == NUMBER
            value = next(numbers) if number else None
            rows.append(
                {
                    "token": f"{value:g}" if number else self.names[piece],
                    "id": piece,
                    "known_as": self.names[piece],
                    "value": value,
                    "position": position if number else None,
                }
            )
        return rows

    def unknown_share(self, encoded: Encoded) -> float:
        """Share of pieces that have no id of their own, in [0, 1]."""
        return float((encoded.ids == UNKNOWN).mean()) if len(encoded.ids) else 0.0

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build this reader again, as plain JSON values."""
        return {
            "tokenizer": dict(self._json),
            **scale_to_json(self.numbers),
            "max_tokens": self.max_tokens,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> PretrainedReader:
        """The reader that `to_json` described."""
        return cls(values["tokenizer"], scale_from_json(values), int(values["max_tokens"]))


def make_tokenizer(values: Mapping[str, Any]) -> Tokenizer:
    """A tokenizer that adds nothing, cuts nothing, and reads the names of special tokens as text.

    Raises:
        MissingPackageError: `tokenizers` is not installed.
        ValueError: these are not the contents of a `tokenizer.json`.

    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingPackageError(
            "this model reads its texts with the package tokenizers, which is not installed; run "
            "pip install tokenizers."
        ) from None
    try:
        tokenizer = Tokenizer.from_str(json.dumps(values))
    except Exception as error:  # Its errors have no class of their own.
        raise ValueError(f"it is no tokenizer: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    if not tokenizer.get_vocab_size():
        raise ValueError("its vocabulary is empty")
    return tokenizer


def unknown_piece(values: Mapping[str, Any]) -> int | None:
    """The piece that a tokenizer gives for what it does not know; None where it knows all."""
    model = values["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    name, pieces = model.get("unk_token"), model.get("vocab")
    found = pieces.get(name) if name is not None and isinstance(pieces, Mapping) else None
    return None if found is None else int(found)


def _marked(name: str, inside: str | None) -> str:
    """A tokenizer's piece with a mark where it begins a word.

    Some tokenizers tell what does not begin a word (`inside` stands before it), some what does: a
    space stands before it, written as one of `SPACES`. Whether a word ends is told by none.
    """
    if inside:
        return name[len(inside) :] if name.startswith(inside) else f"<{name}"
    return f"<{name[1:]}" if name.startswith(SPACES) else name


def _placeholder() -> Any:
    from tokenizers import AddedToken

    # A space before it belongs to it: where spaces are pieces of their own, none is left over.
    return AddedToken(PLACE, normalized=False, special=False, lstrip=True)


def _words(
    text: str, encoding: Encoding, max_tokens: int, numbers: list[str]
) -> list[tuple[str, int]]:
    """The words of one text with their pieces; of a number, its digits."""
    found: list[list[Any]] = []  # of each: begin, end, pieces, the tokenizer's number of the word
    for word, (begin, end) in list(zip(encoding.word_ids, encoding.offsets, strict=True))[
        :max_tokens
    ]:
        if found and word is not None and word == found[-1][3]:
            found[-1][1:3] = max(end, found[-1][1]), found[-1][2] + 1
        elif found and not text[found[-1][0] : found[-1][1]].strip():
            # Pieces of nothing but space go with what follows.
            found[-1][1:] = end, found[-1][2] + 1, word
        else:
            found.append([begin, end, 1, word])
    left = iter(numbers)
    return [
        (next(left) if word == PLACE else word, pieces)
        for begin, end, pieces, _ in found
        for word in [text[begin:end].strip()]
    ]


def _joined(parts: list[Encoded]) -> Encoded:
    def all_of(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Encoded(*map(all_of, ("ids", "positions", "lengths", "outside", "found")))
