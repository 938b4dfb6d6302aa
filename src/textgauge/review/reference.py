"""What a table is held against: the texts that a model was trained on, or another table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from ..bundle import files
from ..bundle.predictor import Predictor
from ..data.corpus import gather_sets, gather_texts
from ..data.label_sets import LabelSets, labels_of_sets
from ..errors import BundleError
from ..text.counts import TextCounts, count_column
from ..text.notation import SIGNED, Notation
from ..text.profile import TextProfile, label_counts
from ..text.reader import notation_of

Labels = Mapping[str, tuple[int, int]]
"""Rows and distinct texts of each label."""


@dataclass(frozen=True)
class Reference:
    """What a table is held against.

    Attributes:
        name: "the texts it was trained on", or a table's name.
        profile: its figures.
        knows: whether it knows each of some words.
        span: the range of its numbers; None where there are none, or they are read as words.
        is_model: whether a model was trained on it.
        max_tokens: tokens of a text that are read; None: all.
        magnitudes: whether numbers are read as such, or as words.
        notation: how numbers are written.

    """

    name: str
    profile: TextProfile
    knows: Callable[[pl.Series], pl.Series]
    span: tuple[float, float] | None
    is_model: bool
    max_tokens: int | None = None
    magnitudes: bool = True
    notation: Notation = SIGNED

    @classmethod
    def of_model(cls, predictor: Predictor) -> Reference | None:
        """What a model was trained on; None where its bundle does not tell (one of before).

        Raises:
            BundleError: what it tells is damaged.

        """
        if predictor.profile is None:
            return None
        try:
            profile = TextProfile.from_json(predictor.profile)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise BundleError(
                f"{files.PROFILE} of the model is damaged ({type(error).__name__}: {error}); copy "
                "the model again or train again."
            ) from None
        return cls(
            "the texts it was trained on",
            profile,
            predictor.encoder.knows,
            number_span(predictor),
            is_model=True,
            max_tokens=predictor.encoder.max_tokens,
            magnitudes=predictor.encoder.numbers is not None,
            notation=notation_of(predictor.encoder),
        )

    @classmethod
    def of_table(
        cls, name: str, counts: TextCounts, labels: Labels | None, notation: Notation = SIGNED
    ) -> Reference:
        """Another table, whose texts were counted with numbers in this notation."""
        profile = TextProfile.of(counts, labels)
        numbers = profile.numbers
        span = None if numbers is None else (numbers.low, numbers.high)
        known = counts.words["word"]
        return cls(
            name,
            profile,
            lambda words: words.is_in(known.implode()),
            span,
            is_model=False,
            notation=notation,
        )

    def count(self, texts: pl.Series) -> TextCounts:
        """Count a column of raw texts as this reads them."""
        return count_column(
            texts, max_tokens=self.max_tokens, magnitudes=self.magnitudes, notation=self.notation
        )


def number_span(predictor: Predictor) -> tuple[float, float] | None:
    """The range of the numbers that a model was trained on; None where it reads them as words."""
    scale = predictor.encoder.numbers
    return None if scale is None else (float(scale.edges[0]), float(scale.edges[-1]))


def labels_of(frame: pl.DataFrame, separator: str | None = None) -> Labels | None:
    """Count the labels of a table with columns `text` and, maybe, `label`; None without any.

    With a `separator` the labels were read as sets (see `data.tables.read_table`).
    """
    if "label" not in frame.columns:
        return None
    if separator is not None:
        rows = frame.filter(pl.col("text").is_not_null())
        labels = labels_of_sets(rows["label"], separator).to_list()
        sets = LabelSets.of(labels, rows["label"].unique().to_list(), separator)
        return label_counts(gather_sets(rows, sets), labels) if labels else None
    labelled = frame.filter(pl.col("text").is_not_null() & pl.col("label").is_not_null())
    classes = sorted(labelled["label"].unique().to_list())
    return label_counts(gather_texts(labelled, classes), classes) if classes else None
