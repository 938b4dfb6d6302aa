"""The whole order of a comparison, readable from top to bottom.

table -> trials of each architecture -> the best of each, judged and saved -> leaderboard -> the best

The table is read, checked and cut once. Trials are chosen by validation alone. The test part is
looked at once for each model on the board, the best trial of its architecture: a board that told
the test figures of every trial would invite to choose by them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from . import describe
from .board import deliver_best, entries_of_peers, equal_on_validation, write_board
from .compared import CompareResult, TrialCounts
from .config import Config
from .engines.local import LocalTable, open_table
from .errors import EngineError, ProofError, SettingsError, TextgaugeError
from .folders import WAITING, refuse_full_folder, staging_folder
from .kept import Kept
from .leaderboard import RULE, Entry, make_leaderboard, settings_told
from .review import peers
from .review.deciding import asked_of
from .review.prediction_cost import texts_to_predict
from .reviewing import start_baselines
from .search.schedule import Schedule, seconds_of, told_seconds
from .search.spaces import models_named, searched
from .search.studies import Past, Study, need_optuna, open_storage
from .surroundings import origin
from .tracked import tell_news
from .tracking.open import interrupted_run, open_tracker
from .tracking.protocol import RunPlan, Tracker
from .training.progress import NoProgress, Progress
from .trying import Runs, Tried, Trier

if TYPE_CHECKING:
    from .tracking.protocol import RunRecord

DEFAULT_TRIALS = 10
"""Trials of each architecture at most, where no other number is given."""

PREFLIGHT_PATIENCE = 15.0
"""Seconds that the first epoch waits at most for a server to say whether it takes the run."""

_TYPICAL_EPOCHS = 12
"""Epochs that a training has, about: to say how long one would take that was stopped."""


def compare(
    source: Any,
    settings: Mapping[str, Any] | None = None,
    *,
    models: Sequence[str] | None = None,
    trials: int | None = None,
    budget: str | float | None = None,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    out: Path | str | None = None,
    resume: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Progress | None = None,
    started: float | None = None,
) -> CompareResult:
    """Train several architectures with several settings on a table, and tell which is best.

    Args:
        source: a file, "-" for standard input, or a pandas or Polars DataFrame.
        settings: fields of `Config` that hold for all; what is given is not searched.
        models: names of architectures; None: all that can be trained here.
        trials: of each architecture at most; None: `DEFAULT_TRIALS`.
        budget: the time for all trials, as "10m" or in seconds; None: as long as they take.
        experiment: name of the MLflow experiment; default MLFLOW_EXPERIMENT_NAME, else "textgauge".
        tracking_uri: default MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.
        out: a new folder for the best model, besides the copy that is stored with its run.
        resume: id of the run of a comparison to go on with.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        progress: is told how far it is.
        started: `time.monotonic()` at the start of the process, for the seconds of the whole.

    Raises:
        SettingsError: a setting or a model is wrong, the budget is too small for one trial, or the
            comparison to go on with is another one.
        TableError: the table cannot be read, or not be trained on.
        MissingPackageError: Optuna is not installed.
        TrackingError: the tracking store refused.
        StorageError: a file cannot be written.
        TextgaugeError: all trials failed.

    """
    began = time.monotonic() if started is None else started
    progress = progress or NoProgress()
    plan = _Plan.of(settings or {}, models, trials, budget)
    need_optuna()
    if type(source).__module__.startswith("pyspark."):
        raise EngineError("models are compared in one process: pass a file, or a pandas DataFrame.")
    target = refuse_full_folder(out)
    with ExitStack() as stack:
        staging = Path(stack.enter_context(staging_folder(target)))
        kept = None
        if resume is not None:
            resume, tracking_uri = interrupted_run(resume, tracking_uri)
            kept = Kept.of_run(resume)
        parent = stack.enter_context(open_tracker(tracking_uri, experiment, run_id=resume))
        table = open_table(
            source, plan.config(plan.models[0]), progress, encoding=encoding, delimiter=delimiter
        )
        corpus, name = table.corpus, table.facts.name
        asked = asked_of(plan.config(plan.models[0]), corpus.classes)
        if kept is not None:
            kept.refuse_other(plan.settings, name, corpus.digest)
        parent.start(_parent_plan(plan, table))
        parent.log_dataset(describe.dataset(table.facts, corpus))
        simple = start_baselines(stack, corpus)
        costs = texts_to_predict(corpus.val.texts, corpus.train.texts)
        beside = None
        if kept is None or not kept.peers:
            beside = peers.start(corpus.train, corpus.val.texts, corpus.test.texts, costs)
            stack.callback(beside.stop)
        progress.stage("loading torch")
        from .training import fit  # noqa: F401 - here, so that no trial is charged with it

        progress.stage("opening the tracking store")
        run_id = parent.ready().run_id
        if kept is None:
            kept = Kept(WAITING / run_id, plan.settings, name, corpus.digest).write()
        runs = Runs(parent)
        stack.callback(runs.close)
        stack.enter_context(_SayHowToGoOn(run_id, progress))
        # Of a process that was killed; ours alone writes below the run that is ours.
        (kept.folder / "trials.log.lock").unlink(missing_ok=True)
        with open_storage(kept.folder / "trials.log") as storage:
            search = _Search(plan, table, storage, runs, kept.folder, parent, progress)
            search.go()
            runs.wait()
            bests = {
                model: best for model, study in search.studies.items() if (best := _best(study))
            }
            if not bests:
                raise search.nothing_to_show(run_id)

            if beside is not None:
                progress.stage("measuring the peers")
                found = beside.measure()
                beside.stop()
                kept = kept.with_peers(entries_of_peers(found, corpus))
            failed: dict[str, str] = {}
            (staging / "costs").mkdir()
            pl.DataFrame({"text": costs}).write_ipc(staging / "costs" / "texts.arrow")
            for model, best in bests.items():
                row = kept.rows.get(model)
                if row is not None and row.trial == best.number + 1:
                    continue
                progress.stage(f"judging and saving {model}")
                try:
                    row = deliver_best(
                        model,
                        best,
                        plan.config(model, best.chosen),
                        plan.changed(model, best.chosen),
                        search.trier,
                        table,
                        asked=asked,
                        simple=simple,
                        tracker=runs.open(best.facts["run_id"]),
                        staging=staging / model,
                        costs=staging / "costs" / "texts.arrow",
                        origin=origin(
                            source,
                            engine="local",
                            workers=1,
                            encoding=encoding,
                            delimiter=delimiter,
                        ),
                    )
                except ProofError as error:
                    failed[model] = str(error)
                    continue
                kept = kept.with_row(row)
                search.trier.checkpoint_of(model, best.number).unlink(missing_ok=True)
            rows = [kept.rows[model] for model in bests if model not in failed]
            if not rows:
                raise TextgaugeError("\n".join(failed.values()))
            counts = search.counts()
            left = search.left(run_id)
        progress.stage("making the leaderboard")
        board = make_leaderboard([*rows, *kept.peers], equal_on_validation(rows, corpus))
        result = CompareResult(
            run=parent.ready(),
            leaderboard=board,
            rule=RULE,
            trials=counts,
            failures=tuple([*search.failures, *(f"{m}: {why}" for m, why in failed.items())]),
            left=left,
            resumable=bool(search.schedule.unfinished),
            corpus=corpus,
            check=table.check,
            table=name,
            bundle=Path(board.best.bundle or ""),
            out=target,
            seconds=0.0,
        )
        for path in write_board(staging, result):
            parent.log_artifact(path)
        parent.log_metrics(_figures(board.best))
        parent.set_tags({"mlflow.note.content": board.to_markdown()})
        progress.stage("waiting for the tracking store")
        record = _with_missing(parent.end("FINISHED"), runs.missing)
        tell_news(parent, progress)
        if target is not None:
            copied = staging / "model"
            shutil.copytree(board.best.bundle or "", copied)
            copied.rename(target)
        if not result.resumable:
            kept.discard()
    return replace(
        result,
        run=record,
        bundle=target or result.bundle,
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True)
class _Plan:
    """What is to be compared: settings that hold for all, architectures, trials, time."""

    settings: Mapping[str, Any]
    models: tuple[str, ...]
    trials: int
    budget: float | None

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        models: Sequence[str] | None,
        trials: int | None,
        budget: str | float | None,
    ) -> _Plan:
        """Check all of it. Raises SettingsError."""
        given = {name: value for name, value in settings.items() if name != "model"}
        Config.from_mapping(given)
        named = models_named(models, given)
        number = DEFAULT_TRIALS if trials is None else trials
        if number < 1:
            raise SettingsError(f"trials must be 1 or more, was {number!r}.")
        # As a file keeps them, to be compared with what one kept.
        plain = json.loads(json.dumps(given, default=str))
        return cls(plain, named, number, None if budget is None else seconds_of(budget))

    def config(self, model: str, chosen: Mapping[str, Any] | None = None) -> Config:
        """All settings of a trial."""
        return Config.from_mapping({**self.settings, **(chosen or {}), "model": model})

    def changed(self, model: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Those of its searched settings that are not the defaults."""
        plain = self.config(model)
        return {name: value for name, value in chosen.items() if getattr(plain, name) != value}


def _parent_plan(plan: _Plan, table: LocalTable) -> RunPlan:
    config = plan.config(plan.models[0])
    of_table = describe.plan(table.facts, config, table.corpus)
    return RunPlan(
        f"compare {', '.join(plan.models)} on {table.facts.name}"[:250],
        {
            **plan.settings,
            "models": ",".join(plan.models),
            "trials": plan.trials,
            "budget": None if plan.budget is None else f"{plan.budget:g}s",
            "seed": config.seed,
        },
        of_table.tags,
    )


class _Search:
    """The trials, one after the other, as the schedule deals them out."""

    def __init__(
        self,
        plan: _Plan,
        table: LocalTable,
        storage: Any,
        runs: Runs,
        folder: Path,
        parent: Tracker,
        progress: Progress,
    ) -> None:
        self._plan, self._runs, self._parent, self._progress = plan, runs, parent, progress
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

    def go(self) -> None:
        """Try until there is nothing left to try, or no time."""
        while (turn := self.schedule.next()) is not None:
            study, record = self.studies[turn.model], self.schedule.records[turn.model]
            trial = study.begin()
            changed = self._plan.changed(turn.model, trial.chosen)
            number = f"{turn.model} {trial.number + 1} of {self._plan.trials}"
            self._progress.stage(f"{number}: {settings_told(changed)}")
            begin = time.monotonic()
            config = self._plan.config(turn.model, trial.chosen)
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
        best = _best(study)
        for past in study.past:
            if best is None or past.number != best.number:
                self.trier.checkpoint_of(study.name, past.number).unlink(missing_ok=True)

    def _tell(self, number: str, settings: str, tried: Tried) -> None:
        figures = (
            f"macro F1 {tried.figures['best_val_macro_f1']:.4f} on validation"
            if tried.figures
            else f"{tried.state}: {tried.reason}"
        )
        self._progress.note(
            f"{number}: {figures}, {tried.epochs} epochs, {tried.seconds:.1f} s ({settings})"
        )
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
        """What there was no time for, a sentence each, and how to go on; nothing if all was done."""
        unfinished = self.schedule.unfinished
        if not unfinished:
            return ()
        done = ", ".join(
            f"{model} {self.schedule.records[model].finished} of {self._plan.trials}"
            for model in unfinished
        )
        told = [f"The budget of {_budget(self._plan)} is over; trials that are done: {done}."]
        for model in unfinished:
            if _best(self.studies[model]) is None:
                told.append(
                    f"{model} has no whole trial and is not on the board: "
                    f"{self._how_far(model)} One takes about {told_seconds(self._expected(model))}."
                )
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
        how_far = (
            "" if quickest is None else f"The quickest was {quickest}: {self._how_far(quickest)} "
        )
        return SettingsError(
            f"the budget of {_budget(self._plan)} is too small for one trial. {how_far}Pass about "
            f"--budget {told_seconds(expected)}; what was trained is kept: --resume {run_id}"
        )

    def _how_far(self, model: str) -> str:
        facts = self.studies[model].paused or {}
        epochs, seconds = facts.get("epochs", 0), facts.get("seconds", 0.0)
        return f"it had {epochs} epoch{'' if epochs == 1 else 's'} in {seconds:.1f} s."

    def _expected(self, model: str) -> float:
        """Seconds that a trial takes, about, by one that was stopped."""
        facts = self.studies[model].paused or {}
        seconds, epochs = float(facts.get("seconds", 1.0)), int(facts.get("epochs", 0))
        wanted = min(_TYPICAL_EPOCHS, self._plan.config(model).epochs)
        return seconds / epochs * wanted if epochs else seconds * 2 * wanted


def _best(study: Study) -> Past | None:
    """The trial with the highest macro F1 on validation, of equals the lowest loss there."""
    whole = [past for past in study.past if past.state == "complete" and past.score is not None]
    return max(
        whole,
        key=lambda past: (past.score, -float(past.facts["best_val_loss"]), -past.number),
        default=None,
    )


def _budget(plan: _Plan) -> str:
    return "" if plan.budget is None else told_seconds(plan.budget)


def _figures(best: Entry) -> dict[str, float]:
    """What the run of the comparison shows: the figures of the best."""
    return {
        "eval_accuracy": best.accuracy,
        "eval_macro_f1": best.macro_f1,
        "best_val_accuracy": best.val_accuracy,
        "predict_ms_per_1000": best.predict_ms,
        "model_megabytes": best.megabytes,
        "train_seconds": best.train_seconds,
    }


def _with_missing(record: RunRecord, missing: Sequence[str]) -> RunRecord:
    """The record, which tells also what the server lacks of the runs below."""
    if record.missing is None and missing:
        return replace(record, missing=missing[0])
    return record


class _SayHowToGoOn:
    """Says how to go on where a comparison is interrupted or fails."""

    def __init__(self, run_id: str, progress: Progress) -> None:
        self._run_id, self._progress = run_id, progress

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, SettingsError):
            self._progress.note(f"Go on with: --resume {self._run_id}")
