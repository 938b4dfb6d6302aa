"""The encoding of a few texts, in Python: for one text, Polars' start costs more than its work.

Only for ASCII texts, on which Python and Polars agree about letters, case and blanks; a test holds
both equal on generated texts. The others are left to `TextEncoder`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .encoder import Encoded, TextEncoder
from .grams import LENGTH
from .reader import notation_of
from .tokens import value_of
from .vocabulary import NUMBER, UNKNOWN

FEWEST_FOR_POLARS = 256
"""Texts from which on Polars is faster."""

_OTHERS = r"[a-z]+(?:'[a-z]+)*|[^\t-\r a-z0-9]"
_DIGITS = frozenset("0123456789")


class FewTexts:
    """Encodes few ASCII texts as the encoder does."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._notation = notation_of(encoder)
        self._token = re.compile(f"{self._notation.number}|{_OTHERS}")
        words = encoder.vocabulary.words
        self._id_of = {word: index for index, word in enumerate(words)}
        self._piece_of = {piece: len(words) + at for at, piece in enumerate(encoder.pieces)}

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode raw ASCII texts; a text without any token becomes one `<unk>`.

        Raises:
            ValueError: a text holds other characters.

        """
        ids: list[int] = []
        numbers: list[float] = []
        places: list[int] = []
        found: list[int] = []
        unknown: list[int] = []
        ends: list[int] = []
        scale, most = self._encoder.numbers, self._encoder.max_tokens
        for text in texts:
            if not text.isascii():
                raise ValueError("only ASCII texts can be encoded here")
            tokens = self._token.findall(text.lower())[:most]
            found.append(len(tokens))
            unknown.append(0)
            for token in tokens:
                if scale is not None and token[-1] in _DIGITS:
                    places.append(len(ids))
                    numbers.append(value_of(token, self._notation))
                    ids.append(NUMBER)
                else:
                    known = self._id_of.get(token)
                    ids += [known] if known is not None else self._in_pieces(token)
                    unknown[-1] += known is None
            if not tokens:
                ids.append(UNKNOWN)
            ends.append(len(ids))
        lengths = np.diff(ends, prepend=0).astype(np.int32)
        positions = np.zeros(len(ids), dtype=np.float32)
        outside = np.zeros(len(ids), dtype=np.bool_)
        if scale is not None and places:
            values = np.array(numbers)
            positions[places], outside[places] = scale.positions(values), scale.outside(values)
        return Encoded(
            np.array(ids, dtype=np.int32),
            positions,
            lengths,
            outside,
            np.array(found, np.int32),
            np.array(unknown, np.int32),
        )

    def _in_pieces(self, word: str) -> list[int]:
        """The ids of an unknown word's pieces."""
        marked = f"<{word}>"
        grams = (marked[at : at + LENGTH] for at in range(len(marked) - LENGTH + 1))
        return [self._piece_of[gram] for gram in grams if gram in self._piece_of] or [UNKNOWN]
