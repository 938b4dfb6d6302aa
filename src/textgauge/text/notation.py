"""How the numbers of a table are written."""

from __future__ import annotations

from dataclasses import dataclass

MINUS = "\u2212"
"""The sign itself; most texts have a hyphen in its place."""

_NUMBER = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?"


@dataclass(frozen=True)
class Notation:
    """How numbers are written, and so how they are read.

    Attributes:
        signed: whether a minus is part of its number, or a token of its own.

    """

    signed: bool = False

    @property
    def unsigned(self) -> str:
        """What matches a number without its minus: decimal, with optional thousands."""
        return _NUMBER

    @property
    def number(self) -> str:
        r"""What matches a number.

        A minus that belongs to it stands right before it and not right behind a letter or a digit,
        as in "-12 °C", but not in "2024-06-28", "5-10 mm" or "valve-12".
        """
        return rf"(?:\B[-{MINUS}])?(?:{self.unsigned})" if self.signed else self.unsigned


PLAIN = Notation()
"""How numbers are read where no other is known to be written."""

SIGNED = Notation(signed=True)
"""How numbers are read where it is not known yet whether some are negative."""
