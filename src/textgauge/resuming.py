"""Interrupted runs: what is kept of them, whom it belongs to, and how it is gone on from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from .config import OF_THE_DECISION, Config
from .data.corpus import Corpus
from .errors import ProofError, TextgaugeError, TrackingError
from .folders import WAITING
from .tracking.protocol import Tracker
from .training.progress import Progress

if TYPE_CHECKING:
    from .training.checkpoints import Checkpoint, CheckpointKeeper


class SaveOnFailure:
    """Writes the newest checkpoint when training is interrupted or fails, and says how to go on."""

    def __init__(self, keeper: CheckpointKeeper, tracker: Tracker, progress: Progress) -> None:
        self._keeper, self._tracker, self._progress = keeper, tracker, progress

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, ProofError):
            return
        try:
            run_id = self._tracker.ready(timeout=20).run_id
            if self._keeper.write() is not None:
                self._progress.note(f"Go on with: --resume {run_id}")
        except TextgaugeError:
            pass  # The first error is the one to tell.


def run_id_of(tracker: Tracker, patience: float = 0.0) -> str | None:
    """The run's id; None while it has none yet, after `patience` seconds."""
    try:
        return tracker.ready(timeout=patience).run_id
    except TrackingError:
        return None


def checkpoint_path(tracker: Tracker) -> Path | None:
    """Where the run's checkpoint lies; None while the run has no id yet."""
    run_id = run_id_of(tracker)
    return None if run_id is None else _checkpoint_of(run_id)


def checkpoint_to_go_on_from(
    resume: str | None, config: Config, corpus: Corpus
) -> Checkpoint | None:
    """What the run `resume` had come to. Raises where settings or table are others by now."""
    if resume is None:
        return None
    from .training.checkpoints import Checkpoint

    return Checkpoint.load(_checkpoint_of(resume), identity_of(config, corpus))


def _checkpoint_of(run_id: str) -> Path:
    return WAITING / run_id / "checkpoint.safetensors"


def identity_of(config: Config, corpus: Corpus) -> str:
    """What a checkpoint belongs to: the settings that shape the weights, and the data."""
    others = ("epochs", "patience", "slice_column", *OF_THE_DECISION)
    shaping = {k: v for k, v in config.to_json().items() if k not in others}
    content = json.dumps(shaping, sort_keys=True) + corpus.digest
    return hashlib.sha256(content.encode()).hexdigest()
