"""The whole order of a training run, readable from top to bottom.

table -> corpus -> tokens -> model -> training -> review -> bundle -> tracked run

What follows the training, from the review on, is in `delivering`. The test texts are judged once,
in `reviewing`. Three things happen beside the training, in processes of their own: the tracking,
the baselines, and at the end the proof that the saved model predicts what the trained one did.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import describe
from .config import Config
from .delivering import Trained, deliver
from .engines.local import open_table
from .errors import SettingsError
from .folders import kept_bundle, refuse_full_folder, staging_folder
from .result import Clock, TrainResult
from .resuming import SaveOnFailure, checkpoint_path, checkpoint_to_go_on_from, identity_of
from .review.deciding import asked_of
from .reviewing import start_baselines
from .surroundings import origin
from .tracked import EpochsToRun, tell_news
from .tracking.open import interrupted_run, open_tracker
from .tracking.protocol import Registration, Tracker
from .training.progress import NoProgress, Progress

if TYPE_CHECKING:
    from .engines.prepared import Prepared
    from .text.reader import TextReader
    from .training.checkpoints import Checkpoint, CheckpointKeeper
    from .training.fit import Fitted

PREFLIGHT_PATIENCE = 15.0
"""Seconds that the first epoch waits at most for a server to say whether it takes the run."""


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
        SettingsError: a cost names a label that the table does not have.
        TrackingError: the tracking store refused.
        StorageError: a file cannot be written.
        EngineError: Spark is not there, or its cluster cannot do the work.
        ProofError: the saved model does not predict what the trained one did.
    """
    config, progress, clock = config or Config(), progress or NoProgress(), Clock(started)
    target = refuse_full_folder(out)
    clock.lap("start")
    with ExitStack() as stack:
        # Before the tracker, so that this is there until the tracker has stored what lies in it.
        staging = Path(stack.enter_context(staging_folder(target)))
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
        corpus, preset, config = table.corpus, config.preset, table.config
        asked = asked_of(config, corpus.classes)
        # Before the run is touched: one that cannot be gone on with stays as it is.
        start_from = checkpoint_to_go_on_from(resume, config, corpus)
        tracker.start(describe.plan(table.facts, config, corpus, preset))
        tracker.log_dataset(describe.dataset(table.facts, corpus))
        simple = start_baselines(stack, corpus, refit=bool(config.refit))
        encoder = table.learn_encoder()
        clock.lap("data")

        progress.stage("loading torch")
        from .training import checkpoints, loop  # noqa: F401 - here, so that the clock sees it

        clock.lap("loading torch")
        progress.stage("training")
        keeper = checkpoints.CheckpointKeeper(
            lambda: checkpoint_path(tracker), identity_of(config, corpus)
        )
        stack.enter_context(SaveOnFailure(keeper, tracker, progress))
        fitted = _fit(table, encoder, tracker, keeper, start_from, progress)
        clock.lap("training")

        found = deliver(
            Trained(
                table,
                config,
                encoder,
                fitted,
                asked,
                origin(
                    source,
                    engine=engine,
                    workers=table.workers,
                    encoding=encoding,
                    delimiter=delimiter,
                ),
            ),
            simple,
            tracker,
            staging,
            progress=progress,
            lap=clock.lap,
        )
        progress.stage("waiting for the tracking store")
        record = tracker.end("FINISHED")
        tell_news(tracker, progress)
        clock.lap("tracking")
        keeper.discard()
        kept = found.bundle.rename(target) if target else kept_bundle(record, found.bundle)
    return TrainResult(
        run=record,
        bundle=kept,
        corpus=corpus,
        check=table.check,
        review=found.review,
        label_issues=found.issues,
        history=fitted.trained.history,
        best_epoch=fitted.trained.best,
        proved=found.proved,
        seconds=clock.seconds,
        rules=found.rules,
        picture=found.picture,
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
    if config.preset is not None:
        raise SettingsError(
            "a preset chooses among models that are not trained on Spark: leave --engine spark "
            "out, or pass --model lstm or cnn in its place."
        )
    if config.multi_label:
        raise SettingsError(
            "Spark does not train on several labels a row yet: leave --engine spark out, or "
            "--multi-label."
        )
    from .engines.spark.opening import prepared_table

    return stack.enter_context(prepared_table(source, config, progress, **spark, **how))


def _is_sparks(source: Any) -> bool:
    """Whether it is a Spark DataFrame; pyspark is not imported to see that."""
    return type(source).__module__.startswith("pyspark.")


def _fit(
    table: Prepared,
    encoder: TextReader,
    tracker: Tracker,
    keeper: CheckpointKeeper,
    start_from: Checkpoint | None,
    progress: Progress,
) -> Fitted:
    """Train, tell the tracker each epoch, and stop if the tracker can't go on."""
    # After the first epoch and not before: until then the server is asked beside the work.
    told = EpochsToRun(
        tracker,
        keeper,
        start_from,
        progress,
        after_first=lambda: tracker.preflight(PREFLIGHT_PATIENCE),
    )
    return table.fit(
        encoder,
        progress=progress,
        on_epoch=told.after_epoch,
        on_checkpoint=told.keep,
        start_from=start_from,
    )
