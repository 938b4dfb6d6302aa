"""Whose turn it is: time shared fairly between architectures, and a budget that is heeded."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from ..errors import SettingsError

MOST_FAILURES = 3
"""Failed trials after which an architecture without a whole one is given up."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass
class Record:
    """What is known of an architecture's trials.

    Attributes:
        finished: trials that are over, however they ended.
        failed: of these, those that could not be trained.
        whole: seconds that each took that came to its end.
        spent: seconds of all of them.
        paused: a trial was stopped because its share of the time was over.

    """

    finished: int = 0
    failed: int = 0
    whole: list[float] = field(default_factory=list)
    spent: float = 0.0
    paused: bool = False


@dataclass(frozen=True)
class Turn:
    """A trial may begin: of which architecture, and when on the clock it has to stop."""

    model: str
    deadline: float | None


class Schedule:
    """Deals out turns.

    Without a budget the architectures take turns. With one, each that has no whole trial gets its
    share of the time for one, and then that one is next on which the least time was spent. A trial
    begins only if there is time for one as long as those of the architecture were so far (their
    median); one that was stopped when its share was over is gone on with in any time.

    Args:
        models: the architectures, in their order.
        trials: of each at most.
        budget: seconds from now on; None: as long as it takes.
        clock: seconds.

    """

    def __init__(
        self,
        models: Sequence[str],
        trials: int,
        budget: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trials, self._clock = trials, clock
        self.records: Mapping[str, Record] = {model: Record() for model in models}
        self._end = None if budget is None else clock() + budget
        self._had_share: set[str] = set()

    @property
    def left(self) -> float | None:
        """Seconds that are left; None without a budget."""
        return None if self._end is None else max(self._end - self._clock(), 0.0)

    def next(self) -> Turn | None:
        """Whose turn it is; None where nothing more can be begun."""
        able = [model for model in self.records if self._goes_on(model)]
        if self._end is None:
            first = min(able, key=lambda model: self.records[model].finished, default=None)
            return None if first is None else Turn(first, None)
        left = self._end - self._clock()
        if left <= 0:
            return None
        new = [m for m in able if not self.records[m].whole and m not in self._had_share]
        if new:
            self._had_share.add(new[0])
            return Turn(new[0], self._clock() + left / len(new))
        fitting = [model for model in able if self.fits(model, left)]
        first = min(fitting, key=lambda model: self.records[model].spent, default=None)
        return None if first is None else Turn(first, self._end)

    def fits(self, model: str, seconds: float) -> bool:
        """Whether one more trial can be expected to end within so many seconds."""
        record = self.records[model]
        return record.paused or not record.whole or median(record.whole) <= seconds

    @property
    def unfinished(self) -> list[str]:
        """The architectures that have trials left, whether there is time for them or not."""
        return [model for model in self.records if self._goes_on(model)]

    def _goes_on(self, model: str) -> bool:
        record = self.records[model]
        given_up = record.failed >= MOST_FAILURES and not record.whole
        return record.finished < self._trials and not given_up


def seconds_of(budget: str | float) -> float:
    """The seconds of a budget such as "90s", "10m", "1.5h", or of a number of seconds.

    Raises SettingsError.

    >>> seconds_of("10m"), seconds_of("1.5h"), seconds_of(90)
    (600.0, 5400.0, 90.0)
    """
    if isinstance(budget, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", budget.strip().lower())
        found = float(match[1]) * _UNITS[match[2]] if match else 0.0
    else:
        found = float(budget)
    if not 0 < found < float("inf"):
        raise SettingsError(
            f"the budget must be a time such as 90s, 10m or 2h, more than none, was {budget!r}."
        )
    return found


def told_seconds(seconds: float) -> str:
    """A time as `seconds_of` reads it, rounded up so that it suffices.

    >>> told_seconds(0.4), told_seconds(61), told_seconds(700), told_seconds(4000)
    ('1s', '70s', '12m', '67m')
    """
    if seconds <= 10:
        return f"{max(int(-(-seconds // 1)), 1)}s"
    if seconds <= 180:
        return f"{int(-(-seconds // 10)) * 10}s"
    return f"{int(-(-seconds // 60))}m"
