"""What sets a table apart from what a model was trained on, or from another table: the facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .distance import Difference


@dataclass(frozen=True)
class NewWord:
    """A word that the reference does not know: the rows and texts that hold it, and one of them."""

    word: str
    rows: int
    texts: int
    example: str


@dataclass(frozen=True)
class GoneWord:
    """A word of the reference that no text holds; `share` is of the reference's rows."""

    word: str
    share: float


@dataclass(frozen=True)
class Beyond:
    """Rows with a number on one side of the reference's range.

    Attributes:
        side: "above" or "below".
        limit: the largest or smallest number of the reference.
        rows: how many.
        share: of all rows.
        example: the text of most of these rows.

    """

    side: str
    limit: float
    rows: int
    share: float
    example: str


@dataclass(frozen=True)
class LabelShare:
    """Share of a label in the labelled rows of the table and of the reference, in [0, 1]."""

    label: str
    rows: int
    share: float
    reference: float


@dataclass(frozen=True)
class Drift:
    """A table held against a reference.

    Attributes:
        reference: what it was held against, in words: "the texts it was trained on", "old.csv".
        rows: of the table that have a text.
        texts: distinct texts among them.
        reference_rows: of the reference.
        reference_texts: distinct texts among them.
        unknown_word_share: what share of the words, numbers and signs the reference does not know.
        normal_unknown_word_share: the same of the model's own test part; None for a table.
        new_words: those, the most frequent.
        gone_words: frequent words of the reference that the table lacks.
        number_range: the smallest and the largest number of the reference, if it has any.
        outside_number_range_share: share of the rows with a number outside that range.
        beyond: these rows, by side.
        differences: how far the "lengths", "numbers", the share of texts "with a number" and the
            "labels" lie apart, as far as both have them.
        labels: shares of the labels; None where one of the two has none.
        new_labels: labels that the reference does not have, and their rows.
        warnings: what a person should know, a sentence each.

    """

    reference: str
    rows: int
    texts: int
    reference_rows: int
    reference_texts: int
    unknown_word_share: float
    normal_unknown_word_share: float | None
    new_words: tuple[NewWord, ...]
    gone_words: tuple[GoneWord, ...]
    number_range: tuple[float, float] | None
    outside_number_range_share: float | None
    beyond: tuple[Beyond, ...]
    differences: Mapping[str, Difference]
    labels: tuple[LabelShare, ...] | None
    new_labels: Mapping[str, int]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        listed = ("new_words", "gone_words", "beyond")
        return {
            **vars(self),
            **{name: [vars(each) for each in getattr(self, name)] for name in listed},
            "number_range": None if self.number_range is None else list(self.number_range),
            "differences": {
                name: {**vars(each), "matters": each.matters}
                for name, each in self.differences.items()
            },
            "labels": None if self.labels is None else [vars(each) for each in self.labels],
            "new_labels": dict(self.new_labels),
            "warnings": list(self.warnings),
        }
