"""The distinct texts of a table with their labels, cut into train, validation and test.

A catalogue repeats itself: 100,000 component notes hold 2,400 different texts. Everything after
this stage works on distinct texts and weighs each by how often it occurs, which gives the same
loss and the same metrics as working on the rows. A text that stands in the table with different
labels keeps them all, with their counts: a soft label.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import TableError
from .label_sets import LabelSets, labels_of_sets, strata
from .normal_form import normalise
from .split import PARTS, TEST, Fractions, Split, shared_by_random_split, split_rows


@dataclass(frozen=True)
class LabelledTexts:
    """Distinct texts of one part, and how often each label occurs with each of them.

    The labels are held as (text, label, count) triples, sorted by text, so that 150
    labels cost no more memory than two.

    Attributes:
        texts: normalised texts, all different. Shape: (texts,).
        text_index: which text a triple is about; rising. Shape: (triples,), int64.
        label: index of the label in `Corpus.classes`. Shape: (triples,), int64.
        count: rows with that text and label, at least 1. Shape: (triples,), int64.
        sets: where a row has several labels: what the sets are, and then `label` is the index of a
            set in `LabelSets.sets`. None: a row has one label.

    """

    texts: pl.Series
    text_index: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    sets: LabelSets | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def rows(self) -> int:
        """How many rows of the table these texts stand for."""
        return int(self.count.sum())

    @cached_property
    def text_rows(self) -> npt.NDArray[np.int64]:
        """Rows of each text. Shape: (texts,)."""
        return np.bincount(self.text_index, self.count, len(self)).astype(np.int64)

    @cached_property
    def main_label(self) -> npt.NDArray[np.int64]:
        """The most frequent label of each text (the first among equals). Shape: (texts,)."""
        order = np.lexsort((self.label, -self.count, self.text_index))
        first = np.searchsorted(self.text_index, np.arange(len(self)))
        return self.label[order][first]

    @cached_property
    def cells(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Each text and each label that it has in some row: text index (rising), label, rows."""
        if self.sets is None:
            return self.text_index, self.label, self.count
        triple, label = self.sets.members(self.label)
        classes = len(self.sets.labels)
        # A text may have a label in several sets.
        cell, place = np.unique(self.text_index[triple] * classes + label, return_inverse=True)
        rows = np.bincount(place, self.count[triple], len(cell)).astype(np.int64)
        return cell // classes, cell % classes, rows

    def label_rows(self, classes: int) -> npt.NDArray[np.int64]:
        """Rows of each label. Shape: (classes,)."""
        _, label, count = self.cells
        return np.bincount(label, count, classes).astype(np.int64)

    def joined(self, other: LabelledTexts) -> LabelledTexts:
        """These texts and behind them those of another part."""
        return LabelledTexts(
            pl.concat([self.texts, other.texts]),
            np.concatenate([self.text_index, other.text_index + len(self)]),
            np.concatenate([self.label, other.label]),
            np.concatenate([self.count, other.count]),
            self.sets,
        )


@dataclass(frozen=True)
class PartSize:
    """How many distinct texts a part has, and how many rows of the table they stand for."""

    texts: int
    rows: int


@dataclass(frozen=True)
class Corpus:
    """What is trained and tested on.

    Where another engine holds more texts than one machine shall, `train` and `test` are samples of
    them, drawn by hash, and `val` is too, or empty; `sizes` and all counts are of the whole.

    Attributes:
        classes: the label values as the table held them, sorted.
        train: distinct texts to learn from.
        val: distinct texts to choose by (early stopping).
        test: distinct texts to report on; touched once.
        sizes: of the parts "train", "val" and "test".
        digest: names every text, label, count and part; the order of the rows plays no role
            (see `digest_of`).
        split_method: in plain words, how the rows were divided.
        left_out_rows: rows whose text already stands in an earlier part.
        test_texts_in_train: distinct test texts that also stand in train.
        random_split_share: share of test texts that a random row split would have had in train.
        dropped_rows: rows without a text or without a label.
        test_slices: where a column was asked for to look into the test part by: its rows counted,
            `key` (the text), `label` (its index), `slice` (the column's value, null where it has
            none) and `rows`.
        sets: where a row has several labels: what the sets of them are (see `LabelledTexts`).

    """

    classes: tuple[str, ...]
    train: LabelledTexts
    val: LabelledTexts
    test: LabelledTexts
    sizes: Mapping[str, PartSize]
    digest: str
    split_method: str
    left_out_rows: int
    test_texts_in_train: int
    random_split_share: float
    dropped_rows: int
    test_slices: pl.DataFrame | None = None
    sets: LabelSets | None = None


def digest_of(classes: Sequence[str], sums: Sequence[int]) -> str:
    """The digest of a corpus.

    Args:
        classes: its labels.
        sums: for each part the sum of the SHA-256 values of its "text, unit separator, label,
            unit separator, count", in which the order of the texts plays no role.

    """
    content = hashlib.sha256("\x1f".join(classes).encode())
    for total in sums:
        content.update((total % 2**256).to_bytes(32, "big"))
    return content.hexdigest()


def _sum_of_hashes(texts: LabelledTexts, classes: Sequence[str]) -> int:
    if texts.sets is not None:
        classes = texts.sets.sets
    triples = zip(texts.texts[texts.text_index], texts.label, texts.count, strict=True)
    return sum(
        int.from_bytes(hashlib.sha256(f"{text}\x1f{classes[label]}\x1f{count}".encode()).digest())
        for text, label, count in triples
    )


def label_order(labels: Sequence[str]) -> list[str]:
    """Sort label values as a person would: by value where all are numbers, else alphabetically.

    >>> label_order(["10", "9", "1"]), label_order(["b", "10", "a"])
    (['1', '9', '10'], ['10', 'a', 'b'])
    """
    try:
        values = [float(label) for label in labels]
    except ValueError:
        return sorted(labels)
    if any(map(math.isnan, values)):  # "nan" has no place in an order of numbers.
        return sorted(labels)
    return [label for _, label in sorted(zip(values, labels, strict=True))]


def refuse_too_few(labels: Sequence[str]) -> None:
    """Raise TableError unless there are two labels at least."""
    if len(labels) >= 2:
        return
    found = f"every labelled row says {labels[0]!r}" if labels else "no row has a text and a label"
    raise TableError(
        f"training needs at least two labels, but {found}. Check the label column (--label NAME)."
    )


def refuse_too_few_in_sets(labels: Sequence[str], sets: Sequence[str], separator: str) -> None:
    """Raise TableError unless there are two labels at least, and two different sets of them."""
    if not labels:
        raise TableError(
            "training needs at least two labels, but no row has any. Check the label column "
            "(--label NAME)."
        )
    if len(labels) == 1:
        raise TableError(
            f"training with --multi-label needs at least two labels, but the only one is "
            f"{labels[0]!r}. Name the other rows, too, and train without --multi-label."
        )
    if len(sets) == 1:
        raise TableError(
            f"every row has the same labels, {sets[0].replace(separator, ' and ')}: nothing can be "
            "learned. Check the label column (--label NAME)."
        )


def build_corpus(
    frame: pl.DataFrame,
    *,
    seed: int,
    fractions: Fractions,
    distinct: bool = True,
    separator: str | None = None,
) -> Corpus:
    """Normalise, drop what can't be used, split, and gather the distinct texts of each part.

    Args:
        frame: columns `text` and `label` (strings, nulls allowed), and at most one of `split`,
            `group` and `time`; `slice` decides nothing.
        seed: the seed of the split.
        fractions: of train, validation and test.
        distinct: False keeps every row as a text of its own (for measuring what it costs).
        separator: where `label` holds sets as `label_sets.as_written` writes them: what joins them.

    Raises:
        TableError: fewer than two labels, or no texts for a part.

    """
    rows = frame.with_columns(key=normalise_once(frame["text"])).filter(
        pl.col("key").is_not_null() & (pl.col("key") != "") & pl.col("label").is_not_null()
    )
    dropped = len(frame) - len(rows)
    if separator is not None:
        found = label_order(labels_of_sets(rows["label"], separator).to_list())
        sets = LabelSets.of(found, rows["label"].unique().to_list(), separator)
        refuse_too_few_in_sets(found, sets.sets, separator)
        split = split_rows(
            rows.with_columns(label=strata(rows, separator)), seed=seed, fractions=fractions
        )
        return _assemble(
            rows, split, tuple(found), dropped, fractions, distinct=distinct, sets=sets
        )
    found = label_order(rows["label"].unique().to_list())
    refuse_too_few(found)
    split = split_rows(rows, seed=seed, fractions=fractions)
    return _assemble(rows, split, tuple(found), dropped, fractions, distinct=distinct)


def _assemble(
    rows: pl.DataFrame,
    split: Split,
    classes: tuple[str, ...],
    dropped_rows: int,
    fractions: Fractions,
    *,
    distinct: bool,
    sets: LabelSets | None = None,
) -> Corpus:
    values = classes if sets is None else sets.sets
    known = {label: index for index, label in enumerate(values)}
    coded = rows.select(
        "key",
        *(["slice"] if "slice" in rows.columns else []),
        label=pl.col("label").replace_strict(known, return_dtype=pl.Int64),
        part=pl.Series(split.parts),
    )
    parts = [
        _gather(coded.filter(pl.col("part") == part), distinct=distinct, sets=sets)
        for part in range(len(PARTS))
    ]
    train, val, test = parts
    missing = sorted(set(classes) - {classes[i] for i in np.unique(train.cells[1])})
    if len(classes) - len(missing) < 2:
        raise TableError(
            f"only one label is left to train on: {', '.join(map(repr, missing))} "
            "stands in too few different texts. Give the rarer labels more examples."
        )
    counts = coded.group_by("key").len("rows")["rows"].cast(pl.Int64).to_numpy()
    shared = test.texts.unique().is_in(train.texts.unique().implode()).sum()
    return Corpus(
        classes=classes,
        train=train,
        val=val,
        test=test,
        sizes={
            name: PartSize(len(texts), texts.rows) for name, texts in zip(PARTS, parts, strict=True)
        },
        digest=digest_of(classes, [_sum_of_hashes(texts, classes) for texts in parts]),
        split_method=split.method,
        left_out_rows=split.left_out_rows,
        test_texts_in_train=int(shared),
        random_split_share=shared_by_random_split(counts, fractions),
        dropped_rows=dropped_rows,
        test_slices=coded.filter(pl.col("part") == TEST)
        .group_by("key", "label", "slice")
        .len("rows")
        if "slice" in coded.columns
        else None,
        sets=sets,
    )


def gather_texts(frame: pl.DataFrame, classes: Sequence[str]) -> LabelledTexts:
    """The distinct texts of a table with columns `text` and `label`, all labels being known."""
    known = {label: index for index, label in enumerate(classes)}
    rows = frame.select(
        key=normalise_once(frame["text"]),
        label=pl.col("label").replace_strict(known, return_dtype=pl.Int64),
    )
    return _gather(rows, distinct=True)


def gather_sets(frame: pl.DataFrame, sets: LabelSets) -> LabelledTexts:
    """As `gather_texts`, where `label` holds sets of labels, all of them known."""
    rows = frame.select(
        key=normalise_once(frame["text"]), label=pl.Series(sets.codes(frame["label"]))
    )
    return _gather(rows, distinct=True, sets=sets)


def normalise_once(texts: pl.Series) -> pl.Series:
    """Normalise each different text once; repeated texts are the rule in catalogues."""
    distinct = texts.unique()
    if len(distinct) > len(texts) // 2:
        return normalise(texts)
    table = pl.DataFrame({"text": distinct, "key": normalise(distinct)})
    return texts.to_frame("text").join(
        table, on="text", how="left", maintain_order="left", nulls_equal=True
    )["key"]


def _gather(rows: pl.DataFrame, *, distinct: bool, sets: LabelSets | None = None) -> LabelledTexts:
    """Count the labels of each distinct text.

    Texts come in alphabetical order, so that the order of the rows in the table changes nothing.
    """
    if not distinct:
        order = rows.sort(["key", "label"])
        index = np.arange(len(order), dtype=np.int64)
        return LabelledTexts(
            order["key"],
            index,
            order["label"].to_numpy(),
            np.ones(len(order), dtype=np.int64),
            sets,
        )
    triples = rows.group_by("key", "label").len("rows").sort(["key", "label"])
    text_index = triples["key"].rle_id().cast(pl.Int64)
    return LabelledTexts(
        texts=triples["key"].unique(maintain_order=True),
        text_index=text_index.to_numpy(),
        label=triples["label"].to_numpy(),
        count=triples["rows"].cast(pl.Int64).to_numpy(),
        sets=sets,
    )
