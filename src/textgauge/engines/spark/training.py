"""Training on the executors with Spark's TorchDistributor: the loop is the one of one machine.

The driver starts the workers and follows a folder that all see: rank 0 puts each epoch there, and a
checkpoint now and then; a worker that fails puts its error there. The workers know nothing of
tracking; what they have to say comes back through the driver. When a worker is lost, Spark ends all
of them, and they begin again from the newest checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import EngineError, TextgaugeError
from ...training.checkpoints import Checkpoint
from ...training.history import Epoch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ATTEMPTS = 4
"""How often training is begun again at most after a worker was lost."""

_LOOK = 0.3
"""Seconds between two looks into the folder."""

CHECKPOINT = "checkpoint.safetensors"
_EPOCH, _STOP, _ERROR = "epoch-{:06d}.json", "stop", "error-{}.json"
EVERY = 20.0
"""Seconds between two checkpoints."""


@dataclass(frozen=True)
class Assignment:
    """What the workers are told, as plain values.

    Attributes:
        folder: that driver and workers share, for this training alone.
        model: name of the architecture.
        sizes: of it.
        train: shards to learn from (`ShardsOnDisk.to_json`).
        val: shards to stop by.
        plan: fields of `training.loop.TrainingPlan`.
        threads: of each worker.
        identity: of the checkpoints.
        vectors: a file with the first weights, or None: as the seed makes them.
        freeze: whether the word vectors are trained on.

    """

    folder: str
    model: str
    sizes: dict[str, Any]
    train: str
    val: str
    plan: dict[str, Any]
    threads: int
    identity: str
    vectors: str | None = None
    freeze: bool = False

    def to_json(self) -> str:
        """As text, for the workers."""
        return json.dumps(asdict(self))


def run_workers(
    spark: SparkSession,
    assignment: Assignment,
    workers: int,
    *,
    begin_after: int = 0,
    on_epoch: Callable[[Epoch], None],
    on_checkpoint: Callable[[Checkpoint], None] = lambda checkpoint: None,
    on_note: Callable[[str], None] = lambda text: None,
) -> tuple[Checkpoint, int]:
    """Train; gives the last state (history and weights, the best ones too) and the batch size.

    Args:
        spark: with so many slots free.
        assignment: the work.
        workers: processes that train together.
        begin_after: epochs that the folder's checkpoint has already.
        on_epoch: told each epoch once, in order; what it raises ends the training.
        on_checkpoint: given each checkpoint that was written, before its epoch is told.
        on_note: told what is worth knowing, such as a worker that was lost.

    Raises:
        EngineError: a worker failed, with its own message; or workers were lost too often.
        whatever `on_epoch` raises, after the workers have stopped.

    """
    folder = Path(assignment.folder)
    folder.mkdir(parents=True, exist_ok=True)
    told, seen = begin_after, 0.0
    for attempt in range(1, ATTEMPTS + 1):
        for old in (*folder.glob(_ERROR.format("*")), folder / _STOP):
            old.unlink(missing_ok=True)
        run = _Run(spark, assignment, workers)
        run.start()
        stopped: BaseException | None = None
        while run.is_alive():
            run.join(_LOOK)
            try:
                seen = _new_checkpoint(folder, assignment.identity, seen, on_checkpoint)
                told = _tell(folder, told, on_epoch)
            except BaseException as error:
                # The workers end after their epoch, all together.
                stopped = stopped or error
                (folder / _STOP).touch()
        if stopped is not None:
            raise stopped
        told = _tell(folder, told, on_epoch)
        if run.result is not None:
            state = Checkpoint.load(folder / CHECKPOINT, assignment.identity)
            return state, int(run.result)
        failed = _errors(folder)
        if failed:
            raise EngineError(failed)
        if attempt == ATTEMPTS:
            break
        begun = (folder / CHECKPOINT).exists()
        after = "from its newest checkpoint" if begun else "from the start"
        on_note(f"a training worker was lost ({run.reason()}); training goes on {after}")
    raise EngineError(
        f"training workers were lost {ATTEMPTS} times ({run.reason()}). Look at the executors' "
        "logs: most often they have too little memory."
    )


class _Run(threading.Thread):
    """One attempt; `result` is the batch size if it went well."""

    def __init__(self, spark: SparkSession, assignment: Assignment, workers: int) -> None:
        super().__init__(daemon=True, name="textgauge-training")
        self._spark, self._assignment, self._workers = spark, assignment, workers
        self.result: int | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        from pyspark.ml.torch.distributor import TorchDistributor

        try:
            distributor = TorchDistributor(
                num_processes=self._workers, local_mode=False, use_gpu=False
            )
            distributor.logger.setLevel(logging.WARNING)
            self.result = distributor.run(train_on_worker, self._assignment.to_json())
        except BaseException as error:  # told by the one who waits
            self._error = error

    def reason(self) -> str:
        """The telling line of what Spark said."""
        lines = [line.strip() for line in str(self._error).splitlines() if line.strip()]
        found = [line for line in lines if "lost" in line.lower() or "killed" in line.lower()]
        return (found or lines or ["it gave no reason"])[0][:200]


def _new_checkpoint(
    folder: Path, identity: str, seen: float, on_checkpoint: Callable[[Checkpoint], None]
) -> float:
    """Hand over a checkpoint that was written since, and give when the newest was."""
    file = folder / CHECKPOINT
    written = file.stat().st_mtime if file.exists() else seen
    if written > seen:
        on_checkpoint(Checkpoint.load(file, identity))
    return written


def _tell(folder: Path, told: int, on_epoch: Callable[[Epoch], None]) -> int:
    """Tell the epochs that are new, and give how many were told by now."""
    while (file := folder / _EPOCH.format(told + 1)).exists():
        told += 1
        on_epoch(Epoch(**json.loads(file.read_text(encoding="utf-8"))))
    return told


def _errors(folder: Path) -> str | None:
    """What the first worker that failed said."""
    for file in sorted(folder.glob(_ERROR.format("*"))):
        with contextlib.suppress(OSError, ValueError):
            error = json.loads(file.read_text(encoding="utf-8"))
            return f"training failed on worker {error['rank']}: {error['message']}"
    return None


def train_on_worker(assignment_json: str) -> int | None:
    """What each worker does; gives the batch size, or None where it failed and said so.

    Started by TorchDistributor, which sets RANK, WORLD_SIZE and the address of rank 0.
    """
    import os

    assignment = Assignment(**json.loads(assignment_json))
    rank, folder = int(os.environ["RANK"]), Path(assignment.folder)
    try:
        return _train(assignment, rank, int(os.environ["WORLD_SIZE"]))
    except Exception as error:
        # Nothing is raised: TorchDistributor would show its own stack, and not this reason.
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, TextgaugeError):
            said = str(error)
        if "gloo" not in said and "onnection" not in said:  # Else another one has gone: it told.
            message = {"rank": rank, "message": said, "trace": traceback.format_exc()}
            with contextlib.suppress(OSError):
                (folder / _ERROR.format(rank)).write_text(json.dumps(message), encoding="utf-8")
        return None


def _train(assignment: Assignment, rank: int, workers: int) -> int:
    import torch

    from ...models import build_model
    from ...training.loop import TrainingPlan, train_model
    from .shards import ShardsOnDisk
    from .workers import joined

    folder = Path(assignment.folder)
    torch.set_num_threads(assignment.threads)
    plan = TrainingPlan(**assignment.plan)
    torch.manual_seed(plan.seed)
    model = build_model(assignment.model, assignment.sizes)
    if assignment.vectors is not None:
        from safetensors.torch import load_file

        model.load_state_dict(load_file(assignment.vectors))
        model.embedding.weight.requires_grad_(not assignment.freeze)
    start_from = None
    if (folder / CHECKPOINT).exists():
        start_from = Checkpoint.load(folder / CHECKPOINT, assignment.identity)
    newest: list[Checkpoint] = []
    written = time.monotonic()

    def keep(checkpoint: Checkpoint) -> None:
        nonlocal written
        newest[:] = [checkpoint]
        if rank == 0 and time.monotonic() - written >= EVERY:
            checkpoint.save(folder / CHECKPOINT, assignment.identity)
            written = time.monotonic()

    def tell(epoch: Epoch) -> None:
        if rank == 0:
            # A file for each: cloud storage that is mounted as a folder takes no appending.
            partial = folder / f"{_EPOCH.format(epoch.epoch)}.partial"
            partial.write_text(json.dumps(epoch.to_json()), encoding="utf-8")
            partial.replace(folder / _EPOCH.format(epoch.epoch))
        if world.any((folder / _STOP).exists()):
            raise EngineError("it was stopped")

    with joined(rank, workers) as world:
        trained = train_model(
            model,
            ShardsOnDisk.from_json(assignment.train).share_of(rank, workers),
            ShardsOnDisk.from_json(assignment.val).share_of(rank, workers),
            plan,
            world=world,
            on_epoch=tell,
            on_checkpoint=keep,
            start_from=start_from,
        )
        if rank == 0:
            newest[0].save(folder / CHECKPOINT, assignment.identity)
    return trained.batch_size
