"""Plain sentences on what a model was not trained for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data.problems import counted
from ..text.counts import TextCounts
from ..text.profile import weighted_median
from ..text.reading import RowsRead
from .differences import Drift
from .reference import Reference
from .slices import number_text

UNKNOWN = 0.02
"""Share of words unknown to a model, beyond what is normal for it, from which on it is told."""

UNKNOWN_OF_TABLE = 0.05
"""Share of words that another table lacks: any two tables have some that the other has not."""

OUTSIDE = 0.01
"""Share of rows with a number outside the range, beyond what is normal, that is told."""

_LONGEST = 60
"""Characters of a text that is quoted in a sentence."""


def reading_warnings(
    read: RowsRead, profile: Mapping[str, Any] | None, span: tuple[float, float] | None
) -> tuple[str, ...]:
    """What to know of scored rows, from their sums alone: unknown words, numbers out of range.

    Args:
        read: the sums.
        profile: the bundle's `profile.json`, which tells what is normal; None where it has none.
        span: the range of the model's numbers, if it reads any.

    """
    told = []
    normal = _share_in(profile, "unknown_word_share")
    if normal is not None and read.unknown_share - normal >= UNKNOWN:
        told.append(_unknown_text(read.unknown_share, normal))
    usual = _share_in(profile, "outside_number_range_share")
    if span is not None and usual is not None and read.outside_share - usual >= OUTSIDE:
        low, high = map(number_text, span)
        told.append(
            f"{read.outside_share:.1%} of the rows hold a number below {low} or above {high}, the "
            f"range that the model was trained on ({usual:.1%} in its test part): it reads them as "
            "the nearest end, and its answers there are guesses."
        )
    return tuple(told)


def _share_in(profile: Mapping[str, Any] | None, name: str) -> float | None:
    """What the profile tells; None where it tells no number."""
    found = None if profile is None else profile.get(name)
    return float(found) if isinstance(found, int | float) else None


def drift_warnings(drift: Drift, counts: TextCounts, reference: Reference) -> list[str]:
    """A sentence for each thing in which a table differs so that a person should know."""
    told = [*_of_words(drift, reference), *_of_the_range(drift, reference)]
    profile, name = reference.profile, reference.name
    matters = {what for what, each in drift.differences.items() if each.matters}
    if "with a number" in matters:
        share = int(counts.rows[counts.numbered].sum()) / counts.all_rows
        told.append(
            f"{share:.1%} of the rows hold a number, of {name} "
            f"{profile.numbered[0] / profile.rows:.1%}."
        )
    if "numbers" in matters and profile.numbers is not None:
        value, rows = (counts.numbers[each].to_numpy() for each in ("value", "rows"))
        told.append(
            f"The numbers lie elsewhere than in {name}: half are at most "
            f"{number_text(weighted_median(value, rows))}, there "
            f"{number_text(profile.numbers.median)} ({_far(drift, 'numbers')})."
        )
    if "lengths" in matters:
        now = weighted_median(counts.lengths.astype(float), counts.rows)
        told.append(
            f"The texts are of other lengths than in {name}: half have at most {now:g} words, "
            f"there {profile.lengths.median:g} ({_far(drift, 'lengths')})."
        )
    if "labels" in matters and drift.labels:
        most = "; ".join(
            f"{_quoted(each.label)} {each.share:.1%}, there {each.reference:.1%}"
            for each in drift.labels[:3]
        )
        told.append(
            f"The labels have other shares than in {name} ({_far(drift, 'labels')}): {most}."
        )
    if drift.new_labels:
        first = [f"{_quoted(label)} ({counted(n, 'row')})" for label, n in drift.new_labels.items()]
        more = f" and {len(first) - 5:,} more" if len(first) > 5 else ""
        whose = "that the model cannot give" if reference.is_model else f"that {name} does not have"
        told.append(f"Labels {whose}: {', '.join(first[:5])}{more}.")
    return told


def _of_words(drift: Drift, reference: Reference) -> list[str]:
    normal = drift.normal_unknown_word_share
    least = UNKNOWN_OF_TABLE if normal is None else UNKNOWN + normal
    if drift.unknown_word_share < least:
        return []
    if normal is None:
        told = f"{drift.unknown_word_share:.1%} of the words do not stand in {reference.name}."
    else:
        told = _unknown_text(drift.unknown_word_share, normal)
    most = ", ".join(
        f"{_quoted(each.word)} ({counted(each.rows, 'row')})" for each in drift.new_words[:5]
    )
    return [f"{told} The most frequent: {most}." if most else told]


def _of_the_range(drift: Drift, reference: Reference) -> list[str]:
    normal = reference.profile.outside_number_range_share or 0.0
    if (drift.outside_number_range_share or 0.0) - normal < OUTSIDE:
        return []
    told = []
    for each in drift.beyond:
        limit, end = number_text(each.limit), "largest" if each.side == "above" else "smallest"
        of = "it was trained on" if reference.is_model else f"in {reference.name}"
        so = (
            f" It reads them as {limit}: its answers there are guesses."
            if reference.is_model
            else ""
        )
        told.append(
            f"{each.share:.1%} of the rows hold a number {each.side} {limit}, the {end} {of}, such "
            f"as {_quoted(each.example)}.{so}"
        )
    return told


def _unknown_text(share: float, normal: float) -> str:
    return (
        f"{share:.1%} of the words are unknown to the model ({normal:.1%} in its test part): it "
        "cannot tell them apart."
    )


def _far(drift: Drift, what: str) -> str:
    return f"a distance of {drift.differences[what].distance:.2f}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
