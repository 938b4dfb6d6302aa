"""How the numbers of a table are written, and so how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import polars as pl

MINUS = "\u2212"
"""The sign itself; most texts have a hyphen in its place."""

APOSTROPHES = "['\u2019]"
"""What may stand between thousands, as in Switzerland, straight and curly."""


@dataclass(frozen=True)
class Notation:
    """How numbers are written.

    Attributes:
        signed: whether a minus is part of its number, or a token of its own.
        decimal_comma: whether a comma is the decimal sign, and dots stand between thousands; a
            point that cannot do so ("0.35") is still a decimal one. Else it is the other way round.
        apostrophes: whether these stand between thousands, too.

    """

    signed: bool = False
    decimal_comma: bool = False
    apostrophes: bool = False

    @property
    def thousands(self) -> str:
        """The sign between thousands, apostrophes aside."""
        return "." if self.decimal_comma else ","

    @property
    def decimal(self) -> str:
        """The decimal sign."""
        return "," if self.decimal_comma else "."

    @property
    def grouped(self) -> str:
        """What is found in those numbers that have `thousands` between thousands, if any has."""
        return rf"^[-{MINUS}]?{_THOUSANDS}(?:,|$)" if self.decimal_comma else ""

    @property
    def unsigned(self) -> str:
        """What matches a number without its minus."""
        ways = (
            # More than three digits behind a dot are no thousand.
            (r"[0-9]+\.[0-9]{4,}", rf"{_THOUSANDS}(?:,[0-9]+)?", r"[0-9]+(?:[.,][0-9]+)?")
            if self.decimal_comma
            else (r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", r"[0-9]+(?:\.[0-9]+)?")
        )
        if self.apostrophes:
            sign = "[.,]" if self.decimal_comma else r"\."
            ways = (rf"[0-9]{{1,3}}(?:{APOSTROPHES}[0-9]{{3}})+(?:{sign}[0-9]+)?", *ways)
        return "|".join(ways)

    @property
    def number(self) -> str:
        r"""What matches a number.

        A minus that belongs to it stands right before it and not right behind a letter or a digit,
        as in "-12 °C", but not in "2024-06-28", "5-10 mm" or "valve-12".
        """
        return rf"(?:\B[-{MINUS}])?(?:{self.unsigned})" if self.signed else self.unsigned

    @property
    def with_signs(self) -> Notation:
        """The same, with each minus part of its number."""
        return replace(self, signed=True)

    def to_json(self) -> dict[str, bool]:
        """What differs from `PLAIN`, besides the minus, which the scale of numbers tells."""
        names = (field.name for field in fields(self) if field.name != "signed")
        return {name: True for name in names if getattr(self, name)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Notation:
        """What `to_json` gave. Raises TypeError for anything else."""
        if not all(isinstance(value, bool) for value in values.values()):
            raise TypeError("its notation must be of true and false")
        return cls(**values)


_THOUSANDS = r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+"

PLAIN = Notation()
"""How numbers are read where no other is known to be written."""

SIGNED = PLAIN.with_signs
"""Likewise, where it is not known either whether some are negative."""

# ---- learned from texts --------------------------------------------------------------------------

LEAST = 0.1
"""Of the numbers that have a comma or a point, those that must be decimal commas at least."""

_WRITTEN = r"[0-9]+(?:[.,'\u2019][0-9]+)+\.?"
"""Digits with signs between, and the dot that ends a sentence, or a German ordinal."""

_DAY, _END = r"(?:0?[1-9]|[12][0-9]|3[01])", r"\.?$"
_MAYBE_A_DATE = "|".join(
    rf"^{each}$"
    for each in (
        rf"{_DAY}\.(?:0[1-9]|1[0-2])\.?",  # 24.12
        rf"{_DAY}\.[1-9]\.",  # 6.1.
        r"(?:0?[1-9]|1[0-2])\.(?:19|20)[0-9]{2}\.?",  # 12.2024
        rf"{_DAY},(?:19|20)[0-9]{{2}}\.?",  # December 24,2024
    )
)


def _only_decimal(sign: str, other: str) -> str:
    """What matches a number whose `sign` stands before decimals, and not between thousands."""
    return "|".join(
        rf"^{each}{_END}"
        for each in (
            rf"[0-9]+{sign}[0-9]{{1,2}}",
            rf"[0-9]{{1,3}}{sign}[0-9]{{4,}}",
            rf"(?:0[0-9]*|[0-9]{{4,}}){sign}[0-9]{{3}}",
            rf"[0-9]{{1,3}}(?:(?:{other}|{APOSTROPHES})[0-9]{{3}})+{sign}[0-9]+",
        )
    )


_COMMA, _POINT, _EITHER, _APOSTROPHES = "comma", "point", "either", "apostrophes"
_KINDS = {
    _COMMA: _only_decimal(",", r"\."),
    # Several commas stand between thousands, or in a list.
    _POINT: _only_decimal(r"\.", ",") + rf"|^[0-9]+(?:,[0-9]+){{2,}}(?:\.[0-9]+)?{_END}",
    _EITHER: rf"^[1-9][0-9]{{0,2}}[.,][0-9]{{3}}{_END}",
    _APOSTROPHES: rf"^[0-9]{{1,3}}(?:{APOSTROPHES}[0-9]{{3}})+(?:[.,][0-9]+)?{_END}",
}


def learn_notation(normalised: pl.Series) -> Notation:
    """How these texts in normal form write numbers, which may be negative.

    >>> learn_notation(pl.Series(["spalt 0,35 mm", "1.200 u/min"])).decimal_comma
    True
    """
    return notation_by(dict(count_written(normalised).iter_rows()))


def count_written(normalised: pl.Series) -> pl.DataFrame:
    """How many numbers are written in which way: columns `kind` and `n`.

    Counts of parts of a column can be added up, and go to `notation_by`.
    """
    found = normalised.str.extract_all(_WRITTEN).explode().drop_nulls()
    found = found.filter(~found.str.contains(_MAYBE_A_DATE))
    counts = [int(found.str.contains(pattern).sum()) for pattern in _KINDS.values()]
    return pl.DataFrame({"kind": list(_KINDS), "n": pl.Series(counts, dtype=pl.Int64)})


def notation_by(counts: Mapping[str, int]) -> Notation:
    """The notation that explains the counts of `count_written`.

    A comma is the decimal sign where more numbers can only have a decimal comma than cannot have
    one, and these are not few among those that might have one: a single list ("bolts 3,4") does
    not make 1.2 of all the "1,200".
    """
    comma, point = counts[_COMMA], counts[_POINT]
    return Notation(
        signed=True,
        decimal_comma=comma > point and comma >= LEAST * (comma + point + counts[_EITHER]),
        apostrophes=counts[_APOSTROPHES] > 0,
    )
