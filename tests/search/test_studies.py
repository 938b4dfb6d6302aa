"""The trials of an architecture: seeded, kept, gone on with by another process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from textgauge.errors import MissingPackageError
from textgauge.search.spaces import LogScale, OneOf, Steps
from textgauge.search.studies import Study, need_optuna, open_storage

CHOICES = (
    LogScale("lr", 0.001, 0.1),
    Steps("dropout", 0.0, 0.5, 0.1),
    OneOf("bidirectional", (False, True)),
)
DEFAULTS = {"lr": 0.01, "dropout": 0.2, "bidirectional": False, "epochs": 40}


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Any]:
    with open_storage(tmp_path) as opened:
        yield opened


def score(chosen: dict[str, Any]) -> float:
    """The nearer to lr 0.03 the better."""
    return 1.0 - abs(chosen["lr"] - 0.03)


def run(study: Study, trials: int) -> None:
    for _ in range(trials):
        trial = study.begin()
        trial.complete(score(trial.chosen))


def settings(study: Study) -> list[Any]:
    return [past.chosen for past in study.past]


def test_the_first_trial_is_the_defaults_and_all_lie_in_the_space(storage: Any) -> None:
    study = Study(storage, "lstm", CHOICES, DEFAULTS, seed=0)
    run(study, 8)
    first, *others = settings(study)
    assert first == {"lr": 0.01, "dropout": 0.2, "bidirectional": False}
    for each in others:
        assert 0.001 <= each["lr"] <= 0.1
        assert each["lr"] == float(f"{each['lr']:.2g}")
        assert each["dropout"] in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
        assert each["bidirectional"] in (False, True)
    assert len({str(each) for each in others}) > 4


def test_a_search_that_was_stopped_tries_what_one_would_that_was_not(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    for folder in (whole, halves):
        folder.mkdir()
    with open_storage(whole) as storage:
        study = Study(storage, "lstm", CHOICES, DEFAULTS, seed=3)
        run(study, 7)
        expected = settings(study)
    for trials in (3, 4):
        (halves / "trials.log.lock").symlink_to("of a process that was killed")
        with open_storage(halves) as storage:
            study = Study(storage, "lstm", CHOICES, DEFAULTS, seed=3)
            run(study, trials)
            if trials == 3:
                begun = study.begin()  # And this one is never ended.
                begun.note(run_id="abc", seconds=1.5)
            found = settings(study)
    assert found == expected
    with open_storage(halves) as storage:
        other = Study(storage, "cnn", CHOICES, DEFAULTS, seed=4)
        run(other, 4)
    assert settings(other)[1:] != expected[1:4]


def test_what_was_begun_and_not_ended_is_gone_on_with(tmp_path: Path) -> None:
    with open_storage(tmp_path) as storage:
        study = Study(storage, "lstm", CHOICES, DEFAULTS, seed=0)
        assert study.paused is None
        run(study, 1)
        begun = study.begin()
        begun.note(run_id="abc")
        assert not begun.is_hopeless(1, 0.5)
    with open_storage(tmp_path) as storage:
        study = Study(storage, "lstm", CHOICES, DEFAULTS, seed=0)
        assert study.paused == {"run_id": "abc"}
        again = study.begin()
        assert (again.number, again.chosen) == (begun.number, begun.chosen)
        # Warnings are errors here: an epoch that was told before may be told again.
        assert not again.is_hopeless(1, 0.5)
        again.complete(0.9)
        assert study.paused is None
        assert [past.score for past in study.past] == [score(DEFAULTS), 0.9]


def test_a_trial_behind_the_median_of_the_earlier_ones_is_hopeless(storage: Any) -> None:
    study = Study(storage, "lstm", CHOICES, DEFAULTS, seed=0)
    for loss in (0.3, 0.5, 0.7):
        trial = study.begin()
        assert not any(trial.is_hopeless(epoch, loss) for epoch in (1, 2, 3))
        trial.complete(1 - loss)
    worse, better = 0.55, 0.45
    trial = study.begin()
    assert [trial.is_hopeless(epoch, worse) for epoch in (1, 2, 3)] == [False, False, True]
    trial.prune("others were further")
    trial = study.begin()
    assert not any(trial.is_hopeless(epoch, better) for epoch in (1, 2, 3))
    trial.fail("no memory")
    assert [past.state for past in study.past[3:]] == ["pruned", "failed"]
    assert [past.facts["reason"] for past in study.past[3:]] == ["others were further", "no memory"]


def test_without_optuna_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'textgauge\[compare\]'"):
        need_optuna()
