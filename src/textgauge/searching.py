"""The search of a comparison: what is to be tried, and the trials one after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .compared import TrialCounts
from .config import OF_THE_ENCODER, Config
from .engines.local import LocalTable
from .errors import SettingsError, TextgaugeError
from .leaderboard import settings_told
from .search.schedule import Schedule, seconds_of, told_seconds
from .search.spaces import models_named, searched
from .search.studies import Past, Study
from .tracked import tell_news
from .tracking.protocol import Tracker
from .training.progress import Progress
from .trying import Runs, Tried, Trier, epochs_told

DEFAULT_TRIALS = 10
"""Trials of each architecture at most, where no other number is given."""

PREFLIGHT_PATIENCE = 15.0
"""Seconds that the first epoch waits at most for a server to say whether it takes the run."""

_TYPICAL_EPOCHS = 12
"""Epochs that a training has, about: to say how long one would take that was stopped."""


@dataclass(frozen=True)
class Plan:
    """What is to be compared: settings that hold for all, architectures, trials, time."""

    settings: Mapping[str, Any]
    models: tuple[str, ...]
    trials: int
    budget: float | None
    budget_told: str = ""

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        models: Sequence[str] | None,
        trials: int | None,
        budget: str | float | None,
        *,
        origin: str = "settings",
    ) -> Plan:
        """Check all of it; `origin` holds the settings. Raises SettingsError."""
        given = {name: value for name, value in settings.items() if name != "model"}
        named = models_named(models, given)
        # What is for one architecture alone is right where that is compared, too.
        model = "encoder" if "encoder" in named else named[0]
        Config.from_mapping({**given, "model": model}, origin)
        number = DEFAULT_TRIALS if trials is None else trials
        if number < 1:
            raise SettingsError(f"trials must be 1 or more, was {number!r}.")
        # As a file keeps them, to be compared with what one kept.
        plain = json.loads(json.dumps(given, default=str))
        seconds = None if budget is None else seconds_of(budget)
        told = budget if isinstance(budget, str) else f"{seconds:g}s" if seconds else ""
        return cls(plain, named, number, seconds, told)

    def config(self, model: str, chosen: Mapping[str, Any] | None = None) -> Config:
        """All settings of a trial; what is compared on the validation texts learns none of them."""
        unasked = {"refit": False}
        others = () if model == "encoder" else OF_THE_ENCODER
        own = {name: value for name, value in self.settings.items() if name not in others}
        return Config.from_mapping({**unasked, **own, **(chosen or {}), "model": model})

    def changed(self, model: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Those of its searched settings that are not the defaults."""
        plain = self.config(model)
        return {name: value for name, value in chosen.items() if getattr(plain, name) != value}


class Search:
    """The trials, one after the other, as the schedule deals them out."""

    def __init__(
        self,
        plan: Plan,
        table: LocalTable,
        storage: Any,
        runs: Runs,
        folder: Path,
        parent: Tracker,
        progress: Progress,
    ) -> None:
        self._plan, self._runs, self._parent, self._progress = plan, runs, parent, progress
        self._texts = len(table.corpus.train)
        seed = plan.config(plan.models[0]).seed
        self.studies = {
            model: Study(
                storage,
                model,
                searched(model, plan.settings),  # type: ignore[arg-type]
                vars(plan.config(model)),
                seed,
            )
            for model in plan.models
        }
        self.trier = Trier(
            table, runs, folder, progress, lambda: parent.preflight(PREFLIGHT_PATIENCE)
        )
        self.schedule = Schedule(plan.models, plan.trials, plan.budget)
        for model, study in self.studies.items():
            record = self.schedule.records[model]
            past = study.past
            record.finished = len(past)
            record.failed = sum(each.state == "failed" for each in past)
            record.whole = [each.facts["seconds"] for each in past if each.state == "complete"]
            record.spent = sum(float(each.facts.get("seconds", 0.0)) for each in past)
            record.paused = study.paused is not None
        if any(record.finished for record in self.schedule.records.values()):
            done = sum(record.finished for record in self.schedule.records.values())
            progress.note(f"going on after {done} trial{'' if done == 1 else 's'}")

    def config(self, model: str, chosen: Mapping[str, Any]) -> Config:
        """All settings of a trial, with what the texts decide."""
        return self._plan.config(model, chosen).settled(self._texts)

    def go(self) -> None:
        """Try until there is nothing left to try, or no time."""
        while (turn := self.schedule.next()) is not None:
            study, record = self.studies[turn.model], self.schedule.records[turn.model]
            trial = study.begin()
            changed = self._plan.changed(turn.model, trial.chosen)
            number = f"{turn.model} {trial.number + 1} of {self._plan.trials}"
            self._progress.stage(f"{number}: {settings_told(changed)}")
            begin = time.monotonic()
            config = self.config(turn.model, trial.chosen)
            tried = self.trier.attempt(turn, trial, config, changed)
            took = time.monotonic() - begin
            record.spent += took
            record.paused = tried.state == "stopped"
            if tried.state == "complete":
                record.whole.append(took)
                trial.complete(tried.figures["best_val_macro_f1"])
            elif tried.state == "pruned":
                trial.prune(tried.reason)
            elif tried.state == "failed":
                record.failed += 1
                trial.fail(tried.reason)
            record.finished += not record.paused
            self._tidy(study, trial.number, tried)
            self._tell(number, settings_told(changed), tried)

    def _tidy(self, study: Study, number: int, tried: Tried) -> None:
        """Keep the checkpoint of a trial that is to be gone on with, and of the best."""
        best = best_of(study)
        for past in study.past:
            if best is None or past.number != best.number:
                self.trier.checkpoint_of(study.name, past.number).unlink(missing_ok=True)

    def _tell(self, number: str, settings: str, tried: Tried) -> None:
        told = (
            f"macro F1 {tried.figures['best_val_macro_f1']:.4f} on validation, "
            f"{epochs_told(tried.epochs)}"
            if tried.figures
            else f"{tried.state}: {tried.reason}"
        )
        self._progress.note(f"{number}: {told}, {tried.seconds:.1f} s ({settings})")
        every = [past for study in self.studies.values() for past in study.past]
        scores = [past.score for past in every if past.score is not None]
        if scores:
            self._parent.log_metrics({"best_val_macro_f1": max(scores)}, step=len(every))
        tell_news(self._parent, self._progress)
        if (problem := self._parent.failure()) is not None:
            raise problem

    @property
    def failures(self) -> list[str]:
        """The trials that could not be trained, and why, each once."""
        return [
            f"{model} {past.number + 1}: {past.facts.get('reason', '')}"
            for model, study in self.studies.items()
            for past in study.past
            if past.state == "failed"
        ]

    def bests(self) -> dict[str, Past]:
        """The best trial of each architecture that has a whole one."""
        found = ((model, best_of(study)) for model, study in self.studies.items())
        return {model: best for model, best in found if best is not None}

    @property
    def resumable(self) -> bool:
        """Whether there are trials left."""
        return bool(self.schedule.unfinished)

    def counts(self) -> dict[str, TrialCounts]:
        """How the trials of each architecture ended."""
        found = {}
        for model, study in self.studies.items():
            states = [past.state for past in study.past]
            found[model] = TrialCounts(
                complete=states.count("complete"),
                pruned=states.count("pruned"),
                failed=states.count("failed"),
                stopped=int(study.paused is not None),
            )
        return found

    def left(self, run_id: str) -> tuple[str, ...]:
        """What there was no time for, a sentence each, and how to go on; empty if all was done."""
        unfinished = self.schedule.unfinished
        if not unfinished:
            return ()
        done = ", ".join(
            f"{model} {self.schedule.records[model].finished} of {self._plan.trials}"
            for model in unfinished
        )
        told = [f"The budget of {self._plan.budget_told} is over; trials that are done: {done}."]
        told += [
            f"{model} has no whole trial and is not on the board: {self._how_far(model)} One takes "
            f"about {told_seconds(self._expected(model))}."
            for model in unfinished
            if best_of(self.studies[model]) is None
        ]
        told.append(f"Go on with the same command and --resume {run_id}")
        return tuple(told)

    def nothing_to_show(self, run_id: str) -> TextgaugeError:
        """The error where no trial came to its end."""
        if not self.schedule.unfinished:
            reasons = "\n".join(self.failures)
            return TextgaugeError(f"no trial could be trained:\n{reasons}")
        begun = [model for model, study in self.studies.items() if study.paused is not None]
        expected = sum(self._expected(model) for model in self.studies)
        quickest = min(begun, key=self._expected, default=None)
        how_far = f"The quickest was {quickest}: {self._how_far(quickest)} " if quickest else ""
        budget = self._plan.budget_told
        return SettingsError(
            f"the budget of {budget} is too small for one trial. {how_far}Pass about "
            f"--budget {told_seconds(expected)}; what was trained is kept: --resume {run_id}"
        )

    def _how_far(self, model: str) -> str:
        facts = self.studies[model].paused or {}
        epochs, seconds = facts.get("epochs", 0), facts.get("seconds", 0.0)
        return f"it had {epochs_told(epochs)} in {seconds:.1f} s."

    def _expected(self, model: str) -> float:
        """Seconds that a trial takes, about, by one that was stopped."""
        facts = self.studies[model].paused or {}
        seconds, epochs = float(facts.get("seconds", 1.0)), int(facts.get("epochs", 0))
        wanted = min(_TYPICAL_EPOCHS, self._plan.config(model).epochs)
        return seconds / epochs * wanted if epochs else seconds * 2 * wanted


def best_of(study: Study) -> Past | None:
    """The trial with the highest macro F1 on validation, of equals the lowest loss there."""
    whole = [past for past in study.past if past.state == "complete" and past.score is not None]
    return max(
        whole,
        key=lambda past: (past.score, -float(past.facts["best_val_loss"]), -past.number),
        default=None,
    )
