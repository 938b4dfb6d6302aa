"""The trials of an architecture, kept by Optuna in a file that outlives this process.

A trial that was begun and has neither been told as finished nor as failed is gone on with, also by
another process: nothing that was learned is lost, and nothing is trained twice.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import MissingPackageError
from .spaces import Choice, LogScale, OneOf

State = Literal["complete", "pruned", "failed"]

_FILE = "trials.log"

_RANDOM_TRIALS = 4
"""Trials that are drawn at random before the search learns from them, the defaults included."""

_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS = 3, 2
"""Whole trials that come before any is stopped early, and epochs that each may have."""


def need_optuna() -> None:
    """Raise MissingPackageError unless Optuna is installed."""
    from importlib.util import find_spec

    if find_spec("optuna") is None:
        raise MissingPackageError(
            "comparing needs the package 'optuna', which is not installed. Install it: "
            "pip install 'textgauge[compare]'."
        )


@dataclass(frozen=True)
class Past:
    """A trial that is over.

    Attributes:
        number: from 0, in the order in which the trials were begun.
        state: "complete", "pruned" (stopped early) or "failed".
        chosen: its settings, those that are searched.
        score: macro F1 on validation; None where it is not complete.
        facts: what was noted of it.

    """

    number: int
    state: State
    chosen: Mapping[str, Any]
    score: float | None
    facts: Mapping[str, Any]


class Trial:
    """A trial at work."""

    def __init__(self, study: Any, trial: Any, chosen: dict[str, Any]) -> None:
        self._study, self._trial = study, trial
        self._known = set(study.trials[trial.number].intermediate_values)
        self.number: int = trial.number
        self.chosen = chosen

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was noted of it, by an earlier process, too."""
        return dict(self._trial.user_attrs)

    def note(self, **facts: Any) -> None:
        """Remember plain values."""
        for name, value in facts.items():
            self._trial.set_user_attr(name, value)

    def is_hopeless(self, epoch: int, val_loss: float) -> bool:
        """Whether a median trial had come further after so many epochs; remembers the loss."""
        if epoch not in self._known:
            self._trial.report(-val_loss, epoch)
        return bool(self._trial.should_prune())

    def complete(self, score: float) -> None:
        """It came to its end, with this macro F1 on validation."""
        self._study.tell(self.number, score)

    def prune(self, reason: str) -> None:
        """It was stopped early."""
        self._end("PRUNED", reason)

    def fail(self, reason: str) -> None:
        """It could not be trained."""
        self._end("FAIL", reason)

    def _end(self, state: str, reason: str) -> None:
        from optuna.trial import TrialState

        self.note(reason=reason)
        self._study.tell(self.number, state=TrialState[state])


class Study:
    """All trials of one architecture.

    Args:
        storage: what `open_storage` gave.
        name: of the architecture.
        choices: what is searched.
        defaults: the values of the first trial.
        seed: with the same seed the same settings are tried, stopped and gone on with or not.

    """

    def __init__(
        self,
        storage: Any,
        name: str,
        choices: Sequence[Choice],
        defaults: Mapping[str, Any],
        seed: int,
    ) -> None:
        import optuna

        self.name, self._choices, self._seed = name, choices, seed
        self._study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS + 1),
        )
        if not self._study.trials:
            self._study.enqueue_trial({choice.name: defaults[choice.name] for choice in choices})

    @property
    def past(self) -> list[Past]:
        """The trials that are over, in their order."""
        states: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        return [
            Past(
                each.number,
                states[each.state.name],
                self._rounded(each.params),
                each.value,
                each.user_attrs,
            )
            for each in self._study.trials
            if each.state.name in states
        ]

    @property
    def paused(self) -> Mapping[str, Any] | None:
        """What was noted of a trial that was begun and is not over; None if there is none."""
        trial = self._unfinished()
        return None if trial is None else dict(trial.user_attrs)

    def begin(self) -> Trial:
        """The trial that was begun and is not over, else the next."""
        import optuna

        # Of the seed and the number alone: what is tried next does not hang on where it stopped.
        begun = len(self._study.trials)
        content = f"{self._seed}/{self.name}/{begun}".encode()
        seed = int.from_bytes(hashlib.sha256(content).digest()[:4], "big")
        self._study.sampler = optuna.samplers.TPESampler(n_startup_trials=_RANDOM_TRIALS, seed=seed)
        unfinished = self._unfinished()
        trial = (
            self._study.ask()
            if unfinished is None
            else optuna.trial.Trial(self._study, unfinished._trial_id)
        )
        for choice in self._choices:
            _suggest(trial, choice)
        return Trial(self._study, trial, self._rounded(trial.params))

    def _unfinished(self) -> Any | None:
        running = (each for each in self._study.trials if each.state.name == "RUNNING")
        return next(running, None)

    def _rounded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        by_name = {choice.name: choice for choice in self._choices}
        return {
            name: float(f"{value:.2g}")
            if isinstance(by_name.get(name), LogScale)
            else round(value, 6)
            if isinstance(value, float)
            else value
            for name, value in values.items()
        }


@contextmanager
def open_storage(folder: Path) -> Iterator[Any]:
    """Optuna's storage in a file of `folder`, a line for each change; made where there is none.

    The folder is this process' alone: a lock that stands in the way is of one that was killed.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        (folder / f"{_FILE}.lock").unlink(missing_ok=True)
        yield JournalStorage(JournalFileBackend(str(folder / _FILE)))


def _suggest(trial: Any, choice: Choice) -> None:
    """Draw a setting of the trial, unless it has been drawn before."""
    if isinstance(choice, OneOf):
        trial.suggest_categorical(choice.name, choice.values)
    elif isinstance(choice, LogScale):
        trial.suggest_float(choice.name, choice.low, choice.high, log=True)
    else:
        trial.suggest_float(choice.name, choice.low, choice.high, step=choice.step)
