"""A training whose epochs are told to its run, and what a tracker has to say in return."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .tracking.protocol import Tracker
from .training.history import Epoch
from .training.progress import Progress

if TYPE_CHECKING:
    from .training.checkpoints import Checkpoint, CheckpointKeeper


class EpochsToRun:
    """Tells the tracker each epoch once, keeps checkpoints, and stops if the tracker can't go on.

    Its methods `keep` and `after_epoch` are what `training.fit` calls `on_checkpoint` and
    `on_epoch`.

    Args:
        tracker: of the run.
        keeper: of the checkpoints.
        start_from: what the training goes on from; its epochs are told already.
        progress: is told what the tracker has to say.
        after_first: called after the first epoch, once it is told.

    """

    def __init__(
        self,
        tracker: Tracker,
        keeper: CheckpointKeeper,
        start_from: Checkpoint | None,
        progress: Progress,
        after_first: Callable[[], None] = lambda: None,
    ) -> None:
        self._tracker, self._keeper, self._progress = tracker, keeper, progress
        self._told = len(start_from.history) if start_from is not None else 0
        self._first, self._after_first = self._told + 1, after_first
        if start_from is not None:
            progress.note(f"going on after epoch {self._told}")

    def keep(self, checkpoint: Checkpoint) -> None:
        """Tell the epoch, then keep it: the run must not lack an epoch that it is gone on from."""
        self._tell(checkpoint.history[-1])
        self._keeper.keep(checkpoint)

    def after_epoch(self, epoch: Epoch) -> None:
        """Look whether the tracker can go on. Raises TrackingError if not."""
        self._tell(epoch)
        if epoch.epoch == self._first:
            self._after_first()
        tell_news(self._tracker, self._progress)
        problem = self._tracker.failure()
        if problem is not None:
            raise problem

    def _tell(self, epoch: Epoch) -> None:
        if epoch.epoch > self._told:
            self._tracker.log_metrics(epoch.metrics(), step=epoch.epoch)
            self._told = epoch.epoch


def tell_news(tracker: Tracker, progress: Progress) -> None:
    """Pass on what the tracker has to say."""
    for sentence in tracker.news():
        progress.warn(sentence)
