"""The whole order of a training run, readable from top to bottom.

table -> corpus -> tokens -> model -> training -> review -> bundle -> tracked run

This is the only file that knows all stages, and the only one that touches the test texts; it
does so once. Three things happen beside the training, in processes of their own: the tracking,
the baselines, and at the end the proof that the saved model predicts what the trained one did.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import describe
from .config import Config
from .data.corpus import Corpus
from .engines.local import open_table
from .errors import ProofError, StorageError, TextgaugeError, TrackingError
from .result import Clock, TrainResult
from .review import baselines
from .review.contenders import Review, judge
from .tracking.open import interrupted_run, open_tracker
from .tracking.protocol import Registration, RunRecord, Tracker
from .training.history import Epoch
from .training.progress import NoProgress, Progress

if TYPE_CHECKING:
    from .bundle.proof import RunningProof
    from .engines.prepared import Prepared
    from .text.encoder import TextEncoder
    from .training.checkpoints import Checkpoint, CheckpointKeeper
    from .training.fit import Fitted

WAITING = Path(".textgauge")
"""Where interrupted runs wait to be resumed, below the working folder."""

PREFLIGHT_PATIENCE = 15.0
"""Seconds that the first epoch waits at most for a server to say whether it takes the run."""

PROOF_TEXTS = 20_000
"""Test texts that the round-trip proof predicts again at most."""


def train(
    source: Any,
    config: Config | None = None,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    registration: Registration | None = None,
    out: Path | str | None = None,
    resume: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    engine: str = "local",
    spark_master: str | None = None,
    spark_workers: int | None = None,
    spark_folder: Path | str | None = None,
    progress: Progress | None = None,
    started: float | None = None,
) -> TrainResult:
    """Train a classifier on a table, track the run, and leave a model that proved itself.

    Args:
        source: a file, "-" for standard input, or a pandas or Polars DataFrame; with Spark also a
            table's name, a folder, a glob, or a Spark DataFrame.
        config: the settings.
        experiment: name of the MLflow experiment; default MLFLOW_EXPERIMENT_NAME, else "textgauge".
        tracking_uri: default MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.
        registration: the model becomes a version of a registered model.
        out: a new folder for the model, besides the copy that is stored with the run.
        resume: id of an interrupted run to go on with, in the local store or on its server.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        engine: "local" or "spark"; a Spark DataFrame is worked on by Spark in any case.
        spark_master: where no Spark session is active; default all cores of this machine.
        spark_workers: processes that train together; default by the number of texts and slots.
        spark_folder: a folder that driver and executors share; default a temporary one, where all
            of them are on this machine.
        progress: is told how far it is.
        started: `time.monotonic()` at the start of the process, for the figures in `seconds`.

    Raises:
        TableError: the table cannot be read, or not be trained on.
        TrackingError: the tracking store refused.
        StorageError: a file cannot be written.
        EngineError: Spark is not there, or its cluster cannot do the work.
        ProofError: the saved model does not predict what the trained one did.
    """
    config, progress, clock = config or Config(), progress or NoProgress(), Clock(started)
    target = _refuse_full_folder(out)
    clock.lap("start")
    with ExitStack() as stack:
        # Before the tracker, so that this is there until the tracker has stored what lies in it.
        staging = Path(stack.enter_context(_staging(target)))
        if resume is not None:
            resume, tracking_uri = interrupted_run(resume, tracking_uri)
        tracker = stack.enter_context(
            open_tracker(tracking_uri, experiment, run_id=resume, registration=registration)
        )

        table = _prepared(
            stack,
            source,
            config,
            progress,
            spark={"master": spark_master, "workers": spark_workers, "folder": spark_folder}
            if engine == "spark" or _is_sparks(source)
            else None,
            how={"encoding": encoding, "delimiter": delimiter},
        )
        corpus = table.corpus
        # Before the run is touched: one that cannot be gone on with stays as it is.
        start_from = _checkpoint_to_go_on_from(resume, config, corpus)
        tracker.start(describe.plan(table.facts, config, corpus))
        tracker.log_dataset(describe.dataset(table.facts, corpus))
        simple = baselines.start(corpus.train, corpus.test.texts, len(corpus.classes))
        stack.callback(simple.stop)
        encoder = table.learn_encoder()
        clock.lap("data")

        progress.stage("loading torch")
        from .training import checkpoints, loop  # noqa: F401 - here, so that the clock sees it

        clock.lap("loading torch")
        progress.stage("training")
        keeper = checkpoints.CheckpointKeeper(
            lambda: _checkpoint_path(tracker), _identity(config, corpus)
        )
        stack.enter_context(_SaveOnFailure(keeper, tracker, progress))
        fitted = _fit(table, encoder, tracker, keeper, start_from, progress)
        clock.lap("training")

        progress.stage("testing")
        review = _review(fitted, config, corpus, simple)
        clock.lap("testing")

        progress.stage("saving")
        bundle = staging / "model"
        settings = describe.bundle_settings(table.facts, config, corpus, fitted, review)
        _save(bundle, fitted, encoder, corpus, settings)
        proof = _start_proof(bundle, corpus, review)
        stack.callback(proof.stop)
        for path in _pictures_and_history(
            staging, fitted, f"{config.model.upper()} on {table.facts.name}"
        ):
            tracker.log_artifact(path)
        tracker.log_metrics(describe.final_metrics(review, corpus, fitted, encoder))
        tracker.set_tags({"mlflow.note.content": describe.note(review, corpus)})
        clock.lap("saving")

        progress.stage("proving the saved model")
        proved = proof.wait().largest_difference
        tracker.log_metrics({"proof_largest_difference": proved})
        # Only now: no run's model/ holds a model that was not proved.
        tracker.log_model(bundle, example=corpus.test.texts.head(3).to_list())
        clock.lap("proof")
        progress.stage("waiting for the tracking store")
        record = tracker.end("FINISHED")
        _tell(tracker, progress)
        clock.lap("tracking")
        keeper.discard()
        kept = bundle.rename(target) if target else _kept_bundle(record, bundle)
    return TrainResult(
        run=record,
        bundle=kept,
        corpus=corpus,
        check=table.check,
        review=review,
        history=fitted.trained.history,
        best_epoch=fitted.trained.best,
        proved=proved,
        seconds=clock.seconds,
    )


def _prepared(
    stack: ExitStack,
    source: Any,
    config: Config,
    progress: Progress,
    *,
    spark: dict[str, Any] | None,
    how: dict[str, Any],
) -> Prepared:
    """Read, check and cut the table, here or on Spark, whose session lasts as long as `stack`."""
    if spark is None:
        return open_table(source, config, progress, **how)
    from .engines.spark.opening import prepared_table

    return stack.enter_context(prepared_table(source, config, progress, **spark, **how))


def _is_sparks(source: Any) -> bool:
    """Whether it is a Spark DataFrame; pyspark is not imported to see that."""
    return type(source).__module__.startswith("pyspark.")


def _fit(
    table: Prepared,
    encoder: TextEncoder,
    tracker: Tracker,
    keeper: CheckpointKeeper,
    start_from: Checkpoint | None,
    progress: Progress,
) -> Fitted:
    """Train, tell the tracker each epoch, and stop if the tracker can't go on."""
    logged = len(start_from.history) if start_from is not None else 0
    first_epoch = logged + 1

    def log(epoch: Epoch) -> None:
        nonlocal logged
        if epoch.epoch > logged:
            tracker.log_metrics(epoch.metrics(), step=epoch.epoch)
            logged = epoch.epoch

    def keep(checkpoint: Checkpoint) -> None:
        # Told before it is kept: the run must not lack an epoch that it is gone on from.
        log(checkpoint.history[-1])
        keeper.keep(checkpoint)

    def after_epoch(epoch: Epoch) -> None:
        log(epoch)
        if epoch.epoch == first_epoch:
            # Here and not before: until now the server was asked beside the work.
            tracker.preflight(PREFLIGHT_PATIENCE)
        _tell(tracker, progress)
        problem = tracker.failure()
        if problem is not None:
            raise problem

    if start_from is not None:
        progress.note(f"going on after epoch {len(start_from.history)}")
    return table.fit(
        encoder,
        progress=progress,
        on_epoch=after_epoch,
        on_checkpoint=keep,
        start_from=start_from,
    )


def _tell(tracker: Tracker, progress: Progress) -> None:
    """Pass on what the tracker has to say."""
    for sentence in tracker.news():
        progress.warn(sentence)


def _review(fitted: Fitted, config: Config, corpus: Corpus, simple: baselines.Baselines) -> Review:
    """Judge model and baselines: the one time that the test texts are looked at."""
    from .bundle.predictor import to_probabilities
    from .training.loop import predict_logits

    probabilities = to_probabilities(predict_logits(fitted.model, fitted.encode(corpus.test)))
    return judge(config.model.upper(), probabilities, simple.wait(), corpus.test, corpus.classes)


def encode_example(source: Any, config: Config, text: str, **how: Any) -> list[dict[str, Any]]:
    """How a model trained on this table would read `text`, token by token.

    `how` are `encoding` and `delimiter`, as in `train`. Raises TableError.
    """
    return open_table(source, config, NoProgress(), **how).learn_encoder().describe(text)


class _SaveOnFailure:
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


def _checkpoint_path(tracker: Tracker) -> Path | None:
    try:
        return _checkpoint_of(tracker.ready(timeout=0).run_id)
    except TrackingError:
        return None


def _checkpoint_to_go_on_from(
    resume: str | None, config: Config, corpus: Corpus
) -> Checkpoint | None:
    if resume is None:
        return None
    from .training.checkpoints import Checkpoint

    return Checkpoint.load(_checkpoint_of(resume), _identity(config, corpus))


def _checkpoint_of(run_id: str) -> Path:
    return WAITING / run_id / "checkpoint.safetensors"


def _identity(config: Config, corpus: Corpus) -> str:
    """What a checkpoint belongs to: the settings that shape the weights, and the data."""
    shaping = {k: v for k, v in config.to_json().items() if k not in ("epochs", "patience")}
    content = json.dumps(shaping, sort_keys=True) + corpus.digest
    return hashlib.sha256(content.encode()).hexdigest()


def _refuse_full_folder(out: Path | str | None) -> Path | None:
    """`out` as a path, if a model can be put there. Raises StorageError otherwise."""
    if out is None:
        return None
    folder = Path(out)
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise StorageError(
                f"{folder} is not empty; give a new folder with --out, or remove it first."
            )
        # Find out now, not after the training, whether anything can be written there.
        in_the_way = next((p for p in (folder, *folder.parents) if p.exists()), folder)
        if not in_the_way.is_dir():
            raise StorageError(
                f"{in_the_way} is a file, so there can be no folder {folder}. "
                "Give another folder with --out."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as error:
        raise StorageError(
            f"nothing can be written in {folder.parent.resolve()}: {error.strerror or error}. "
            "Give another folder with --out."
        ) from error
    return folder


def _staging(target: Path | None) -> tempfile.TemporaryDirectory[str]:
    """A folder that lasts as long as the training, where renaming to `target` is possible.

    The model lies there until it is proved and tracked: `target` holds a good model or nothing.
    """
    if target is None:
        return tempfile.TemporaryDirectory(prefix="textgauge-")
    return tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent)


def _pictures_and_history(folder: Path, fitted: Fitted, title: str) -> tuple[Path, Path]:
    """Write `training_results.png` and `history.json`."""
    from .review.curves import draw_curves

    trained = fitted.trained
    picture, history = folder / "training_results.png", folder / "history.json"
    draw_curves(trained.history, picture, title=title)
    content = {
        "best_epoch": trained.best.epoch,
        "batch_size": trained.batch_size,
        "epochs": [epoch.to_json() for epoch in trained.history],
    }
    history.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return picture, history


def _save(
    bundle: Path, fitted: Fitted, encoder: TextEncoder, corpus: Corpus, settings: dict[str, Any]
) -> None:
    from .bundle.card import model_card
    from .bundle.save import save_bundle
    from .text.fills import learn_fills

    fills = learn_fills(corpus.train.texts, encoder)
    save_bundle(bundle, fitted.model, encoder, fills, settings=settings, card=model_card(settings))


def _start_proof(bundle: Path, corpus: Corpus, review: Review) -> RunningProof:
    from .bundle.proof import start_proof

    expected = review.model.probabilities[:PROOF_TEXTS]
    return start_proof(bundle, corpus.test.texts.head(PROOF_TEXTS), expected)


def _kept_bundle(record: RunRecord, bundle: Path) -> Path:
    """Where the model stays once the temporary folder is gone."""
    if record.artifact_folder is not None:
        return record.artifact_folder / "model"
    kept = WAITING / record.run_id / "model"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle, kept, dirs_exist_ok=True)
    return kept
