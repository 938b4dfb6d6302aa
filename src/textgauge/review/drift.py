"""A table held against what a model was trained on, or against another table.

A model decides on any text. What it was not trained for, it does not tell by itself: a word that it
does not know, a number beyond all that it saw, another mix of labels. Here each of these is counted
and, where there is much of it, told in a plain sentence.

Words and numbers that it was not trained on are in these rows, whatever others may hold; where the
shares of something differ, `distance` tells whether that matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.corpus import LabelledTexts
from ..text.counts import TextCounts, count_texts
from ..text.profile import Spread, TextProfile, label_counts
from ..text.reader import TextReader, notation_of
from .cautions import drift_warnings
from .differences import Beyond, Drift, GoneWord, LabelShare, NewWord
from .distance import Difference, difference
from .reference import Labels, Reference

SHOWN = 20
"""Words that are listed at most."""

EXPECTED = 10
"""Texts of a table in which a word or a label should stand for its lack to be told."""

Ints = npt.NDArray[np.int64]


def find_drift(counts: TextCounts, labels: Labels | None, reference: Reference) -> Drift:
    """Hold a table against a reference.

    Args:
        counts: of the table's texts, one at least.
        labels: rows and distinct texts of each label; None where the table has none.
        reference: what it is held against.

    """
    profile = reference.profile
    unknown = counts.words.filter(~reference.knows(counts.words["word"]))
    beyond = tuple(_beyond(counts, reference.span))
    shares, new = _label_shares(labels, profile.labels)
    either = np.zeros(len(counts), dtype=np.bool_)
    if reference.span is not None:
        low, high = reference.span
        either = (counts.lowest < low) | (counts.highest > high)
    drift = Drift(
        reference=reference.name,
        rows=counts.all_rows,
        texts=len(counts),
        reference_rows=profile.rows,
        reference_texts=profile.texts,
        unknown_word_share=int(unknown["occurrences"].sum()) / max(counts.tokens, 1),
        normal_unknown_word_share=profile.unknown_word_share,
        new_words=tuple(
            NewWord(word, rows, texts, counts.texts[first])
            for word, rows, texts, first in unknown.head(SHOWN)
            .select("word", "rows", "texts", "first")
            .iter_rows()
        ),
        gone_words=tuple(_gone(counts, profile)),
        number_range=reference.span,
        outside_number_range_share=None
        if reference.span is None
        else int(counts.rows[either].sum()) / counts.all_rows,
        beyond=beyond,
        differences=_differences(counts, labels, profile),
        labels=shares,
        new_labels=new,
        warnings=(),
    )
    return replace(drift, warnings=tuple(drift_warnings(drift, counts, reference)))


def learn_profile(
    train: LabelledTexts, test: LabelledTexts, classes: Sequence[str], encoder: TextReader
) -> TextProfile:
    """The profile of a model's training part; the test part tells what is normal to differ."""
    magnitudes = encoder.numbers is not None

    def counted(part: LabelledTexts) -> TextCounts:
        return count_texts(
            part.texts,
            part.text_rows,
            max_tokens=encoder.max_tokens,
            magnitudes=magnitudes,
            notation=notation_of(encoder),
        )

    profile = TextProfile.of(counted(train), label_counts(train, classes))
    normal = encoder.encode_normalised(test.texts).reading().summed(test.text_rows)
    far = _differences(counted(test), label_counts(test, classes), profile)
    return replace(
        profile,
        unknown_word_share=normal.unknown_share,
        outside_number_range_share=normal.outside_share if magnitudes else None,
        distances={what: each.distance for what, each in far.items()},
    )


# ---- figures -------------------------------------------------------------------------------------


def _differences(
    counts: TextCounts, labels: Labels | None, profile: TextProfile
) -> dict[str, Difference]:
    once = np.ones_like(counts.rows)
    found = {
        "lengths": _spread_difference(
            profile.lengths, counts.lengths.astype(float), counts.rows, once
        ),
        **_number_differences(counts, profile),
    }
    if labels is not None and profile.labels is not None:
        every = sorted({*labels, *profile.labels})
        table, known = (
            np.array([each.get(label, (0, 0)) for label in every], dtype=np.int64).reshape(-1, 2)
            for each in (labels, profile.labels)
        )
        found["labels"] = difference(table[:, 0], known[:, 0], table[:, 1], known[:, 1])
    return {
        what: replace(each, normal=profile.distances.get(what, 0.0)) for what, each in found.items()
    }


def _spread_difference(spread: Spread, values: Any, rows: Ints, texts: Ints) -> Difference:
    padded = (np.concatenate(([0], each, [0])) for each in (spread.rows, spread.texts))
    other_rows, other_texts = padded
    return difference(
        spread.count(values, rows), other_rows, spread.count(values, texts), other_texts
    )


def _number_differences(counts: TextCounts, profile: TextProfile) -> dict[str, Difference]:
    if profile.numbers is None:
        return {}
    numbered = (int(counts.rows[counts.numbered].sum()), int(counts.numbered.sum()))

    def cells(with_one: int, every: int) -> Ints:
        return np.array([with_one, every - with_one])

    found = {
        "with a number": difference(
            cells(numbered[0], counts.all_rows),
            cells(profile.numbered[0], profile.rows),
            cells(numbered[1], len(counts)),
            cells(profile.numbered[1], profile.texts),
        )
    }
    if len(counts.numbers):
        value, rows, texts = (counts.numbers[n].to_numpy() for n in ("value", "rows", "texts"))
        found["numbers"] = _spread_difference(profile.numbers, value, rows, texts)
    return found


def _beyond(counts: TextCounts, span: tuple[float, float] | None) -> list[Beyond]:
    if span is None:
        return []
    found = []
    for side, limit, outside in (
        ("above", span[1], counts.highest > span[1]),
        ("below", span[0], counts.lowest < span[0]),
    ):
        if outside.any():
            rows = int(counts.rows[outside].sum())
            most = int(np.argmax(np.where(outside, counts.rows, 0)))
            share = rows / counts.all_rows
            found.append(Beyond(side, limit, rows, share, counts.texts[most]))
    return found


def _gone(counts: TextCounts, profile: TextProfile) -> list[GoneWord]:
    """Words that should stand in `EXPECTED` texts and do in none, the most frequent first."""
    there = set(counts.words["word"].to_list())
    gone = [
        GoneWord(word, rows / profile.rows)
        for word, (rows, texts) in profile.words.items()
        if word not in there and texts / profile.texts * len(counts) >= EXPECTED
    ]
    return gone[:SHOWN]


def _label_shares(
    labels: Labels | None, known: Labels | None
) -> tuple[tuple[LabelShare, ...] | None, dict[str, int]]:
    if labels is None or known is None:
        return None, {}
    total = max(sum(rows for rows, _ in labels.values()), 1)
    before = max(sum(rows for rows, _ in known.values()), 1)
    shares = [
        LabelShare(label, rows, rows / total, known.get(label, (0, 0))[0] / before)
        for label in [*known, *(label for label in labels if label not in known)]
        for rows in [labels.get(label, (0, 0))[0]]
    ]
    shares.sort(key=lambda each: (-round(abs(each.share - each.reference), 9), each.label))
    return tuple(shares), {label: rows for label, (rows, _) in labels.items() if label not in known}
