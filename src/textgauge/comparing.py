"""The whole order of a comparison, readable from top to bottom.

table -> trials of each architecture -> the best of each, judged and saved -> board -> the best

The table is read, checked and cut once. Trials are chosen by validation alone. The test part is
looked at once for each model on the board, the best trial of its architecture: a board that told
the test figures of every trial would invite to choose by them.
"""

from __future__ import annotations

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
from .compared import CompareResult
from .engines.local import LocalTable, open_table
from .errors import EngineError, ProofError, SettingsError, TextgaugeError
from .folders import WAITING, refuse_full_folder, staging_folder
from .kept import Kept
from .leaderboard import RULE, Entry, Leaderboard, make_leaderboard
from .review import peers
from .review.deciding import asked_of
from .review.prediction_cost import texts_to_predict
from .reviewing import start_baselines
from .search.studies import need_optuna, open_storage
from .searching import Plan, Search
from .surroundings import origin
from .tracked import tell_news
from .tracking.open import interrupted_run, open_tracker
from .tracking.protocol import RunPlan, Tracker
from .training.progress import NoProgress, Progress
from .trying import Runs

if TYPE_CHECKING:
    from .review.baselines import Baselines
    from .search.studies import Past
    from .tracking.protocol import RunRecord


def compare(  # noqa: PLR0915 - one step after the other
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
        trials: of each architecture at most; None: `searching.DEFAULT_TRIALS`.
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
    progress, how = progress or NoProgress(), {"encoding": encoding, "delimiter": delimiter}
    plan = Plan.of(settings or {}, models, trials, budget)
    if plan.config(plan.models[0]).multi_label:
        raise SettingsError(
            "models are not compared on several labels a row yet: leave --multi-label out, or "
            "train each with `textgauge train --multi-label --model NAME`."
        )
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

        config = plan.config(plan.models[0])
        table = open_table(source, config, progress, **how)
        asked = asked_of(config, table.corpus.classes)
        if kept is not None:
            # Before the run is touched: one that cannot be gone on with stays as it is.
            kept.refuse_other(plan.settings, table.facts.name, table.corpus.digest)
        parent.start(_run_plan(plan, table))
        parent.log_dataset(describe.dataset(table.facts, table.corpus))
        beside = _start_beside(
            stack,
            table,
            staging,
            measured=kept is not None and bool(kept.peers),
            refit=bool(config.refit),
        )
        progress.stage("loading torch")
        from .training import fit  # noqa: F401 - here, so that no trial is charged with it

        if "linear" in plan.models:
            import sklearn.svm  # noqa: F401 - as well

        progress.stage("opening the tracking store")
        run_id = parent.ready().run_id
        if kept is None:
            name, digest = table.facts.name, table.corpus.digest
            kept = Kept(WAITING / run_id, plan.settings, name, digest).write()
        runs = Runs(parent)
        stack.callback(runs.close)
        stack.enter_context(_SayHowToGoOn(run_id, progress))
        with open_storage(kept.folder) as storage:
            search = Search(plan, table, storage, runs, kept.folder, parent, progress)
            search.go()
            runs.wait()
            bests = search.bests()
            if not bests:
                raise search.nothing_to_show(run_id)
            if beside.peers is not None:
                progress.stage("measuring the peers")
                kept = kept.with_peers(entries_of_peers(beside.peers.measure(), table.corpus))
                beside.peers.stop()
            delivery = _Delivery(plan, table, search, runs, beside, staging, asked, progress)
            from_where = origin(source, engine="local", workers=1, **how)
            kept, unproved = delivery.go(kept, bests, from_where)
            rows = [kept.rows[model] for model in bests if model not in unproved]
            failures = (*search.failures, *(f"{name}: {why}" for name, why in unproved.items()))
            if not rows:
                raise TextgaugeError("\n".join(failures))
            counts, left, resumable = search.counts(), search.left(run_id), search.resumable

        progress.stage("making the leaderboard")
        board = make_leaderboard([*rows, *kept.peers], equal_on_validation(rows, table.corpus))
        _log_board(parent, board, staging, table.facts.name)
        progress.stage("waiting for the tracking store")
        record = _with_missing(parent.end("FINISHED"), runs.missing)
        tell_news(parent, progress)
        if target is not None:
            copied = shutil.copytree(board.best.bundle or "", staging / "model")
            copied.rename(target)
        if not resumable:
            kept.discard()
    return CompareResult(
        run=record,
        leaderboard=board,
        rule=RULE,
        trials=counts,
        failures=failures,
        left=left,
        resumable=resumable,
        corpus=table.corpus,
        check=table.check,
        table=table.facts.name,
        bundle=target or Path(board.best.bundle or ""),
        seconds=time.monotonic() - began,
    )


def _run_plan(plan: Plan, table: LocalTable) -> RunPlan:
    """What the run of the comparison says of itself."""
    config = plan.config(plan.models[0])
    return RunPlan(
        f"compare {', '.join(plan.models)} on {table.facts.name}"[:250],
        {
            **plan.settings,
            "models": ",".join(plan.models),
            "trials": plan.trials,
            "budget": plan.budget_told or None,
            "seed": config.seed,
        },
        describe.plan(table.facts, config, table.corpus).tags,
    )


@dataclass(frozen=True)
class _Beside:
    """What works beside the trials, and the texts that the cost of predicting is measured with."""

    simple: Baselines
    peers: peers.Peers | None
    costs: Path


def _start_beside(
    stack: ExitStack, table: LocalTable, staging: Path, *, measured: bool, refit: bool
) -> _Beside:
    """`measured`: the peers were before; `refit`: all learn from the validation texts, too."""
    corpus = table.corpus
    texts = texts_to_predict(corpus.val.texts, corpus.train.texts)
    costs = staging / "costs.arrow"
    pl.DataFrame({"text": texts}).write_ipc(costs)
    found = None
    if not measured:
        found = peers.start(corpus.train, corpus.val, corpus.test.texts, texts, refit=refit)
        stack.callback(found.stop)
    return _Beside(start_baselines(stack, corpus, refit=refit), found, costs)


@dataclass(frozen=True)
class _Delivery:
    """The best trial of each architecture becomes a row of the board, if it is none yet."""

    plan: Plan
    table: LocalTable
    search: Search
    runs: Runs
    beside: _Beside
    staging: Path
    asked: Any
    progress: Progress

    def go(
        self, kept: Kept, bests: Mapping[str, Past], origin: Mapping[str, Any]
    ) -> tuple[Kept, dict[str, str]]:
        """What is kept then, and of which architectures the model did not prove itself, and why."""
        unproved: dict[str, str] = {}
        trier = self.search.trier
        for model, best in bests.items():
            row = kept.rows.get(model)
            if row is not None and row.trial == best.number + 1:
                continue
            self.progress.stage(f"judging and saving {model}")
            try:
                row = deliver_best(
                    model,
                    best,
                    self.search.config(model, best.chosen),
                    self.plan.changed(model, best.chosen),
                    trier,
                    self.table,
                    asked=self.asked,
                    simple=self.beside.simple,
                    tracker=self.runs.open(best.facts["run_id"]),
                    staging=self.staging / model,
                    costs=self.beside.costs,
                    origin=origin,
                )
            except ProofError as error:
                unproved[model] = str(error)
                continue
            kept = kept.with_row(row)
            trier.checkpoint_of(model, best.number).unlink(missing_ok=True)
        return kept, unproved


def _log_board(parent: Tracker, board: Leaderboard, staging: Path, table: str) -> None:
    """Store the board with the run of the comparison."""
    for path in write_board(staging, board, table):
        parent.log_artifact(path)
    parent.log_metrics(_figures(board.best))
    parent.set_tags({"mlflow.note.content": board.to_markdown()})


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
