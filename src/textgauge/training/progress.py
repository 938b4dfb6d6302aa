"""Whom the stages tell how far they are; the terminal implements it, a notebook may too."""

from __future__ import annotations

from typing import Protocol

from .history import Epoch


class Progress(Protocol):
    """Receives what happens, as it happens. Returns at once and raises nothing."""

    def stage(self, text: str) -> None:
        """A stage begins; `text` says which, in a few words."""

    def step(self, step: int, steps: int) -> None:
        """Step `step` of `steps` of the current epoch is done."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is over."""

    def rows(self, rows: int, share: float) -> None:
        """So many rows of a table are done, this share of all; 0 where that is not known."""

    def note(self, text: str) -> None:
        """Something that a person should know."""

    def warn(self, text: str) -> None:
        """Something that a person should look into."""


class NoProgress:
    """Says nothing."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def step(self, step: int, steps: int) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch) -> None:
        """Nothing."""

    def rows(self, rows: int, share: float) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""
