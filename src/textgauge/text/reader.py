"""What reads texts for a model: the small interface that every kind of reader has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .notation import PLAIN, Notation

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from .encoder import Encoded
    from .numbers import NumberScale


class TextReader(Protocol):
    """Turns texts into the ids that a model reads.

    Whatever the reader, the first ids mean the same (`vocabulary.SPECIAL`): 0 fills up behind a
    short text, 1 is what is not known, 2 is a number, whose magnitude stands in `positions`.
    """

    @property
    def numbers(self) -> NumberScale | None:
        """The scale of numbers; None where they are read as words."""

    @property
    def max_tokens(self) -> int:
        """How many tokens of a text are read at most."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each id stands for, the special ones first."""

    @property
    def whole(self) -> int:
        """How many ids, from 0 on, stand for something of their own; others are pieces only."""

    def pieces_of_ids(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """What ids have in common: each piece of each (see `grams`), as often as it stands there.

        Returns:
            The id, and the number of the piece. Shapes: (found,), (found,).

        """

    def encode(self, texts: pl.Series) -> Encoded:
        """Encode raw texts; a text without any token becomes one `<unk>`."""

    def encode_normalised(self, normalised: pl.Series) -> Encoded:
        """Encode texts that are already in normal form."""

    def words(self, normalised: pl.Series) -> list[list[tuple[str, int]]]:
        """The words of each text in normal form, each with the number of tokens it is read as.

        A text's tokens are those of `encode_normalised`, but that one without any has no word.
        """

    def knows(self, words: pl.Series) -> pl.Series:
        """Whether each word, in normal form, is told from others. Shape: as `words`, booleans."""

    def describe(self, text: str) -> list[dict[str, Any]]:
        """How one text is read, token by token: `token`, `id`, `known_as`, `value`, `position`."""

    def unknown_share(self, encoded: Encoded) -> float:
        """Share of tokens that have no id of their own, in [0, 1]."""

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build this reader again, as plain JSON values."""


def notation_of(reader: TextReader) -> Notation:
    """How a reader takes numbers to be written."""
    return PLAIN if reader.numbers is None else reader.numbers.notation


def reader_from_json(values: dict[str, Any]) -> TextReader:
    """The reader that `to_json` described.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: it describes none.

    """
    from .encoder import TextEncoder

    if "tokenizer" in values:
        from .pretrained import PretrainedReader

        return PretrainedReader.from_json(values)
    return TextEncoder.from_json(values)
