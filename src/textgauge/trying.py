"""One trial of a comparison: an architecture with some settings, trained as a run of its own.

The run stands below that of the comparison. It may end whole, be stopped early because others were
further by then, be stopped because the time is over (and be gone on with later), or fail; each
of these is told in the run's tag `textgauge.trial`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import describe
from .config import Config
from .engines.local import LocalTable
from .errors import BundleError, EngineError, MissingPackageError, SettingsError, TableError
from .leaderboard import settings_told
from .resuming import identity_of, run_id_of
from .review.metrics import evaluate
from .reviewing import probabilities_on_val
from .search.schedule import Turn
from .search.studies import Trial
from .tracked import EpochsToRun
from .tracking.protocol import RunPlan, Tracker
from .training.progress import NoProgress, Progress

if TYPE_CHECKING:
    from .text.reader import TextReader
    from .training.checkpoints import Checkpoint
    from .training.history import Epoch

State = Literal["complete", "pruned", "stopped", "failed"]

STATE_TAG = "textgauge.trial"
"""How a trial ended: "complete", or one of the others with the reason behind."""

_MOST_ENDING = 4
"""Runs that are still being written or sent while the next trials are at work."""

_REFUSED = (
    SettingsError, TableError, EngineError, MissingPackageError, ModuleNotFoundError,
    MemoryError, RuntimeError,
)  # fmt: skip
"""What a trial may fail by while the others go on; RuntimeError is torch's for a full memory."""


class _StopTrial(Exception):  # noqa: N818 - it is no error
    """Ends a training from inside."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


@dataclass(frozen=True)
class Tried:
    """How a trial ended.

    Attributes:
        state: "complete", "pruned", "stopped" (to be gone on with) or "failed".
        reason: why, if it is not complete.
        epochs: that it had.
        figures: macro F1, accuracy and loss on validation; empty unless it is complete.
        seconds: of its training, with those before it was gone on with.

    """

    state: State
    reason: str = ""
    epochs: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class Runs:
    """The runs of the trials, below the run of the comparison.

    A run's process takes seconds to start and, where a server is slow, to end: the next is started
    ahead, and those that end do so beside the next trials.
    """

    def __init__(self, parent: Tracker) -> None:
        self._parent = parent
        self._spare: Tracker | None = None
        self._ending: list[threading.Thread] = []
        self._failures: list[Exception] = []
        self.missing: list[str] = []
        """Why a server lacks something of a run, a sentence each."""

    def open(self, run_id: str | None = None, *, ahead: bool = True) -> Tracker:
        """A tracker for a new run, or for one that exists.

        Raises TrackingError, also for what went wrong with a run before.
        """
        self._raise_failures()
        if run_id is not None:
            return self._parent.child(run_id)
        found, self._spare = self._spare or self._parent.child(), None
        if ahead:
            self._spare = self._parent.child()
        return found

    def end(self, tracker: Tracker, status: Literal["FINISHED", "FAILED"]) -> None:
        """End a run; what is left to write or to send of it is not waited for."""
        while len(self._ending) >= _MOST_ENDING:
            self._ending.pop(0).join()
        thread = threading.Thread(target=self._end, args=(tracker, status), daemon=True)
        thread.start()
        self._ending.append(thread)

    def _end(self, tracker: Tracker, status: Literal["FINISHED", "FAILED"]) -> None:
        try:
            missing = tracker.end(status).missing
        except Exception as error:
            self._failures.append(error)
        else:
            if missing is not None and missing not in self.missing:
                self.missing.append(missing)

    def wait(self) -> None:
        """Wait until all runs have ended. Raises TrackingError if one could not be written."""
        self.drop_spare()
        for thread in self._ending:
            thread.join()
        self._ending.clear()
        self._raise_failures()

    def close(self) -> None:
        """Wait likewise, whatever became of them."""
        self.drop_spare()
        for thread in self._ending:
            thread.join()

    def drop_spare(self) -> None:
        """Let go of the run that was opened ahead: nobody will need it."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _raise_failures(self) -> None:
        if self._failures:
            raise self._failures[0]


class Trier:
    """Trains trials on one table.

    Args:
        table: read, checked and cut once for all of them.
        runs: the runs of the trials.
        folder: where checkpoints lie.
        progress: is told what a person should know.
        after_first_epoch: called once, after the first epoch of all.

    """

    def __init__(
        self,
        table: LocalTable,
        runs: Runs,
        folder: Path,
        progress: Progress,
        after_first_epoch: Callable[[], None],
    ) -> None:
        self._table, self._runs, self._folder = table, runs, folder
        self._progress = _OnlyNews(progress)
        self._after_first: Callable[[], None] = after_first_epoch
        self._encoders: dict[tuple[Any, ...], TextReader] = {}

    def checkpoint_of(self, model: str, number: int) -> Path:
        """Where the checkpoint of a trial lies."""
        return self._folder / f"{model}-{number + 1}.safetensors"

    def identity(self, config: Config) -> str:
        """What a checkpoint of a trial with these settings belongs to."""
        return identity_of(config, self._table.corpus)

    def encoder_for(self, config: Config) -> TextReader:
        """What reads texts with these settings; learned once for all trials that share them."""
        from .text.learn import learn_encoder

        names = ("numbers", "number_bins", "min_texts", "max_words", "max_tokens", "encoder")
        own = config.model == "encoder"  # It has a tokenizer of its own.
        key = (own, *(getattr(config, name) for name in names))
        if key not in self._encoders:
            self._encoders[key] = learn_encoder(self._table.corpus.train.texts, config)
        return self._encoders[key]

    def attempt(
        self, turn: Turn, trial: Trial, config: Config, changed: Mapping[str, Any]
    ) -> Tried:
        """Train a trial, from its checkpoint if there is one, and tell its run and its study.

        Args:
            turn: until when it may take.
            trial: what is noted of it.
            config: all its settings.
            changed: those that differ from the defaults.

        Raises:
            TrackingError: the store cannot be written.
            StorageError: a checkpoint cannot be written.

        """
        start_from = self._begun(turn.model, trial, config)
        with ExitStack() as stack:
            known = trial.facts.get("run_id") if start_from is not None else None
            tracker = stack.enter_context(self._runs.open(known))
            plan = describe.plan(self._table.facts, config, self._table.corpus)
            number = str(trial.number + 1)
            tags = {**plan.tags, "textgauge.trial_number": number}
            tracker.start(
                RunPlan(f"{turn.model} {number}: {settings_told(changed)}"[:250], plan.params, tags)
            )
            tracker.log_dataset(describe.dataset(self._table.facts, self._table.corpus))
            tried = self._train(turn, trial, config, tracker, start_from)
            trial.note(run_id=tracker.ready().run_id, epochs=tried.epochs, **tried.figures)
            tracker.log_metrics({**tried.figures, "train_seconds": tried.seconds})
            told = f"{tried.state}: {tried.reason}" if tried.reason else tried.state
            tracker.set_tags({STATE_TAG: told})
            stack.pop_all()  # From here on it is ended beside.
            self._runs.end(tracker, "FAILED" if tried.state == "failed" else "FINISHED")
        return tried

    def _begun(self, model: str, trial: Trial, config: Config) -> Checkpoint | None:
        from .training.checkpoints import Checkpoint

        path = self.checkpoint_of(model, trial.number)
        if not path.exists() or not trial.facts.get("run_id"):
            return None
        try:
            return Checkpoint.load(path, self.identity(config))
        except BundleError:
            return None  # It was cut off: once more from the beginning.

    def _train(
        self,
        turn: Turn,
        trial: Trial,
        config: Config,
        tracker: Tracker,
        start_from: Checkpoint | None,
    ) -> Tried:
        from .training.checkpoints import CheckpointKeeper
        from .training.fit import fit

        path, corpus = self.checkpoint_of(turn.model, trial.number), self._table.corpus
        keeper = CheckpointKeeper(lambda: path, self.identity(config))
        told = EpochsToRun(tracker, keeper, start_from, self._progress, self._first_epoch)
        epochs = len(start_from.history) if start_from else 0
        before = float(trial.facts.get("seconds", 0.0)) if start_from else 0.0
        begin = time.monotonic()

        def seconds() -> float:
            return before + time.monotonic() - begin

        def stop_if_over() -> None:
            if turn.deadline is not None and time.monotonic() >= turn.deadline:
                raise _StopTrial("stopped", f"its time was over after {epochs_told(epochs)}")

        def after_epoch(epoch: Epoch) -> None:
            nonlocal epochs
            epochs = epoch.epoch
            told.after_epoch(epoch)
            if (run_id := run_id_of(tracker)) is not None:
                # For whoever goes on after this process was killed.
                trial.note(run_id=run_id, seconds=seconds())
            if trial.is_hopeless(epoch.epoch, epoch.val_loss):
                raise _StopTrial(
                    "pruned",
                    f"earlier trials had a lower validation loss after {epochs_told(epochs)}",
                )

        try:
            fitted = fit(
                corpus,
                self.encoder_for(config),
                config,
                progress=self._progress,
                on_epoch=after_epoch,
                on_step=stop_if_over,
                on_checkpoint=told.keep,
                start_from=start_from,
            )
        except _StopTrial as stop:
            if stop.state == "stopped":
                keeper.write()
            trial.note(seconds=seconds())
            return Tried(stop.state, stop.reason, epochs, seconds=seconds())
        except _REFUSED as error:
            return Tried("failed", _reason(error), epochs, seconds=seconds())
        except KeyboardInterrupt:
            trial.note(run_id=tracker.ready(timeout=20).run_id, seconds=seconds())
            keeper.write()
            raise
        keeper.write()
        trial.note(seconds=seconds())
        took = seconds()
        found = evaluate(corpus.val, probabilities_on_val(fitted, corpus), corpus.classes).rows
        figures = {
            "best_val_macro_f1": found.macro_f1,
            "best_val_accuracy": found.accuracy,
            "best_val_loss": found.loss,
        }
        return Tried("complete", "", epochs, figures, took)

    def _first_epoch(self) -> None:
        after_first, self._after_first = self._after_first, lambda: None
        after_first()


class _OnlyNews(NoProgress):
    """Passes on what a trial has to say that no trial said before; no stages and no epochs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said: set[str] = set()

    def step(self, step: int, steps: int) -> None:
        """Move the bar."""
        self._progress.step(step, steps)

    def warn(self, text: str) -> None:
        """Pass on a warning once."""
        if text not in self._said:
            self._said.add(text)
            self._progress.warn(text)


def _reason(error: BaseException) -> str:
    """Why a trial failed, in a line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, MemoryError):
        return f"there is not enough memory{f' ({first})' if first else ''}"
    return (first or type(error).__name__).removesuffix(".")


def epochs_told(number: int) -> str:
    """A number of epochs, in words."""
    return f"{number} epoch{'' if number == 1 else 's'}"
