"""Turns: fair, within the budget, and no trial begun that cannot end."""

from __future__ import annotations

import pytest

from textgauge.errors import SettingsError
from textgauge.search.schedule import MOST_FAILURES, Schedule, seconds_of


class Clock:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def spend(schedule: Schedule, clock: Clock, model: str, seconds: float) -> None:
    """A whole trial."""
    clock.now += seconds
    record = schedule.records[model]
    record.finished += 1
    record.spent += seconds
    record.whole.append(seconds)


def test_without_a_budget_architectures_take_turns_until_each_had_its_trials() -> None:
    clock = Clock()
    schedule, seen = Schedule(["a", "b"], 2, None, clock), []
    while (turn := schedule.next()) is not None:
        assert turn.deadline is None
        seen.append(turn.model)
        spend(schedule, clock, turn.model, 1.0)
    assert seen == ["a", "b", "a", "b"]


def test_each_gets_a_share_first_and_then_the_one_with_the_least_time() -> None:
    clock = Clock()
    schedule, seen = Schedule(["slow", "quick"], 100, 60.0, clock), []
    first = schedule.next()
    assert first is not None
    assert (first.model, first.deadline) == ("slow", 130.0), "half of the time at most"
    spend(schedule, clock, "slow", 20)
    while (turn := schedule.next()) is not None:
        seen.append(turn.model)
        spend(schedule, clock, turn.model, 20 if turn.model == "slow" else 4)
    # After five quick ones both had 20 s; the slow one does not fit any more after 20 + 20 s.
    assert seen == ["quick"] * 5 + ["slow"]
    assert clock.now == 160.0


def test_no_trial_is_begun_that_cannot_end_in_time() -> None:
    clock = Clock()
    schedule = Schedule(["a"], 10, 25.0, clock)
    for seconds in (8.0, 10.0):
        assert schedule.next() is not None
        spend(schedule, clock, "a", seconds)
    assert schedule.left == pytest.approx(7.0)
    assert schedule.next() is None, "its trials took 9 s, and 7 s are left"
    assert schedule.unfinished == ["a"]


def test_what_was_stopped_at_its_share_is_gone_on_with_and_starves_nobody() -> None:
    clock = Clock()
    schedule = Schedule(["a", "b"], 1, 20.0, clock)
    for model in ("a", "b"):
        turn = schedule.next()
        assert turn is not None
        assert turn.model == model
        assert turn.deadline is not None
        clock.now = turn.deadline - (5.0 if model == "b" else 0.0)
        if model == "a":
            schedule.records["a"].paused = True
            schedule.records["a"].spent = 10.0
        else:
            spend(schedule, clock, "b", 0.0)
    turn = schedule.next()
    assert turn is not None
    assert (turn.model, turn.deadline) == ("a", 120.0), "all the time that is left"
    clock.now = 120.0
    assert schedule.next() is None


def test_an_architecture_that_only_fails_is_given_up() -> None:
    schedule = Schedule(["a", "b"], 10)
    schedule.records["a"].failed = schedule.records["a"].finished = MOST_FAILURES
    assert schedule.unfinished == ["b"]
    schedule.records["a"].whole.append(1.0)
    assert schedule.unfinished == ["a", "b"]


@pytest.mark.parametrize("budget", ["", "10", "10 minutes", "-5s", "0s", "m", "1.s", 0, -1.0])
def test_a_budget_that_is_none_is_told(budget: str | float) -> None:
    with pytest.raises(SettingsError, match="must be a time such as 90s, 10m or 2h"):
        seconds_of(budget)
