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
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import EngineError, TextgaugeError
from ...training.checkpoints import Checkpoint
from ...training.history import Epoch
from .executors import require_slots
from .jobs import Job

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

RETURN_PATIENCE = 120.0
"""Seconds that a cluster has to replace a lost executor."""

_OF_A_PEER = ("gloo", "nccl", "connection", "socket", "peer")
"""What torch says, in a RuntimeError, to a worker that lost another one."""

STOP_PATIENCE = 3.0
"""Seconds that workers have to end by themselves, before they are ended in the middle."""


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
        gpu: whether each worker has a GPU of its own.
        identity: of the checkpoints.
        every: seconds between two checkpoints.
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
    gpu: bool
    identity: str
    every: float
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
        EngineError: a worker failed, with its own message; or workers were lost too often, or
            were not replaced.
        whatever `on_epoch` raises, after the workers have stopped.

    """
    folder = Path(assignment.folder)
    folder.mkdir(parents=True, exist_ok=True)
    told, reason = begin_after, ""
    for attempt in range(1, ATTEMPTS + 1):
        for old in (*folder.glob(_ERROR.format("*")), folder / _STOP):
            old.unlink(missing_ok=True)
        job = _start_workers(spark, assignment, workers)
        told = _follow(job, assignment, told, on_epoch, on_checkpoint)
        if job.error is None and job.result is not None:
            return Checkpoint.load(folder / CHECKPOINT, assignment.identity), job.result
        error = _error(folder)
        if error is not None and not error["of_a_peer"]:
            raise EngineError(f"training failed on worker {error['rank']}: {error['message']}")
        reason = _reason(job.error or (error and error["message"]))
        if attempt < ATTEMPTS:
            begun = (folder / CHECKPOINT).exists()
            after = "from its newest checkpoint" if begun else "from the start"
            on_note(f"a training worker was lost ({reason}); training goes on {after}")
            require_slots(spark, workers, RETURN_PATIENCE)
    raise EngineError(
        f"training workers were lost {ATTEMPTS} times ({reason}). Look at the executors' logs: "
        "most often they have too little memory."
    )


def _follow(
    job: Job[int | None],
    assignment: Assignment,
    told: int,
    on_epoch: Callable[[Epoch], None],
    on_checkpoint: Callable[[Checkpoint], None],
) -> int:
    """Tell epochs and checkpoints until the workers have ended; gives how many epochs were told.

    What is raised here (by `on_epoch`, or by Ctrl-C) ends the workers first.
    """
    folder, seen, ended = Path(assignment.folder), 0.0, False
    try:
        while not ended:
            ended = job.wait(_LOOK)  # Asked before the last look, which then misses nothing.
            seen = _new_checkpoint(folder, assignment.identity, seen, on_checkpoint)
            told = _tell(folder, told, on_epoch)
    except BaseException:
        (folder / _STOP).touch()
        if not job.wait(STOP_PATIENCE):  # They end after their epoch, all together.
            job.cancel()
        raise
    return told


def _start_workers(spark: SparkSession, assignment: Assignment, workers: int) -> Job[int | None]:
    """Begin one attempt; its result is the batch size, or None where a worker failed."""

    def work() -> int | None:
        from pyspark.ml.torch.distributor import TorchDistributor

        distributor = TorchDistributor(
            num_processes=workers, local_mode=False, use_gpu=assignment.gpu
        )
        distributor.logger.setLevel(logging.WARNING)
        result: int | None = distributor.run(train_on_worker, assignment.to_json())
        return result

    job = Job(spark, "textgauge: training", work)
    job.start()
    return job


def _reason(error: object) -> str:
    """The telling line of what Spark, or else a worker, said."""
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
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


def _error(folder: Path) -> dict[str, Any] | None:
    """What a worker that failed said: one by itself, before one that only lost another."""
    found: list[dict[str, Any]] = []
    for file in sorted(folder.glob(_ERROR.format("*"))):
        with contextlib.suppress(OSError, ValueError):
            found.append(json.loads(file.read_text(encoding="utf-8")))
    return min(found, key=lambda error: (error["of_a_peer"], error["rank"]), default=None)


def train_on_worker(assignment_json: str) -> int | None:
    """What each worker does; gives the batch size, or None where it failed and said so.

    Started by TorchDistributor, which sets RANK, WORLD_SIZE and the address of rank 0.
    """
    assignment = Assignment(**json.loads(assignment_json))
    rank, folder = int(os.environ["RANK"]), Path(assignment.folder)
    try:
        return _train(assignment, rank, int(os.environ["WORLD_SIZE"]))
    except Exception as error:
        # Nothing is raised: TorchDistributor would show its own stack, and not this reason.
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, TextgaugeError):
            said = str(error)
        message = {
            "rank": rank,
            "message": said,
            "of_a_peer": _of_a_peer(error),
            "trace": traceback.format_exc(),
        }
        with contextlib.suppress(OSError):
            (folder / _ERROR.format(rank)).write_text(json.dumps(message), encoding="utf-8")
        return None


def _of_a_peer(error: Exception) -> bool:
    """Whether this worker failed because another one has gone, which is the one to tell why.

    A storage that refuses a connection is an OSError, and this worker's own failure.
    """
    from torch.distributed import DistError

    said = str(error).lower()
    return isinstance(error, DistError) or (
        type(error) is RuntimeError and any(sign in said for sign in _OF_A_PEER)
    )


def _train(assignment: Assignment, rank: int, workers: int) -> int:
    import torch

    from ...models import build_model
    from ...training.loop import TrainingPlan, train_model
    from .shards import ShardsOnDisk
    from .workers import device_of, joined

    folder = Path(assignment.folder)
    torch.set_num_threads(assignment.threads)
    plan = TrainingPlan(**assignment.plan)
    torch.manual_seed(plan.seed)
    model = build_model(assignment.model, assignment.sizes)
    if assignment.vectors is not None:
        from safetensors.torch import load_file

        model.load_state_dict(load_file(assignment.vectors))
        model.get_parameter("embedding.weight").requires_grad_(not assignment.freeze)
    start_from = None
    if (folder / CHECKPOINT).exists():
        start_from = Checkpoint.load(folder / CHECKPOINT, assignment.identity)
    newest: list[Checkpoint] = []
    written = time.monotonic()

    def keep(checkpoint: Checkpoint) -> None:
        nonlocal written
        newest[:] = [checkpoint]
        if rank == 0 and time.monotonic() - written >= assignment.every:
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

    device = device_of(assignment.gpu, int(os.environ.get("LOCAL_RANK", "0")))
    with joined(rank, workers, device) as world:
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
