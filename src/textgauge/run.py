"""The whole order of a training run, readable from top to bottom.

table -> corpus -> tokens -> model -> training -> review -> bundle -> tracked run

This is the only file that knows all stages. The test texts are judged once, in `reviewing`. Three
things happen beside the training, in processes of their own: the tracking, the baselines, and at
the end the proof that the saved model predicts what the trained one did.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import describe
from .config import Config
from .data.corpus import Corpus
from .documents import write_documents
from .engines.local import open_table
from .errors import SettingsError
from .folders import kept_bundle, refuse_full_folder, staging_folder
from .report.page import ReportFacts
from .result import Clock, TrainResult
from .resuming import (
    SaveOnFailure,
    checkpoint_path,
    checkpoint_to_go_on_from,
    identity_of,
    run_id_of,
)
from .review import baselines
from .review.contenders import Review
from .review.deciding import asked_of
from .reviewing import doubted_labels, look_at_texts, review_model
from .surroundings import origin
from .tracking.open import interrupted_run, open_tracker
from .tracking.protocol import Registration, Tracker
from .training.history import Epoch
from .training.progress import NoProgress, Progress

if TYPE_CHECKING:
    from .bundle.proof import RunningProof
    from .engines.prepared import Prepared
    from .review.findings import Findings
    from .review.set_findings import SetFindings
    from .review.set_review import SetReview
    from .text.encoder import TextEncoder
    from .training.checkpoints import Checkpoint, CheckpointKeeper
    from .training.fit import Fitted

PREFLIGHT_PATIENCE = 15.0
"""Seconds that the first epoch waits at most for a server to say whether it takes the run."""

RUN_PATIENCE = 15.0
"""Seconds that the report waits at most for the id of its run, which a short training outruns."""

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
        corpus = table.corpus
        asked = asked_of(config, corpus.classes)
        # Before the run is touched: one that cannot be gone on with stays as it is.
        start_from = checkpoint_to_go_on_from(resume, config, corpus)
        tracker.start(describe.plan(table.facts, config, corpus))
        tracker.log_dataset(describe.dataset(table.facts, corpus))
        simple = _start_baselines(stack, corpus)
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

        progress.stage("testing")
        review, rules = review_model(fitted, config, corpus, simple, asked)
        clock.lap("testing")

        progress.stage("saving")
        bundle = staging / "model"
        issues = doubted_labels(corpus, simple)
        settings = describe.bundle_settings(
            table.facts,
            table.check,
            config,
            corpus,
            fitted,
            review,
            rules,
            issues,
            origin(
                source,
                engine=engine,
                workers=table.workers,
                encoding=encoding,
                delimiter=delimiter,
            ),
        )
        _save(bundle, fitted, encoder, corpus, settings)
        proof = _start_proof(stack, bundle, corpus, review)
        for path in write_documents(
            staging,
            ReportFacts(
                table=table.facts,
                config=config,
                check=table.check,
                corpus=corpus,
                review=review,
                rules=rules,
                issues=issues,
                findings=_look_at_texts(bundle, config, corpus, fitted, review, settings),
                history=fitted.trained.history,
                batch_size=fitted.trained.batch_size,
                settings=settings,
                run_id=run_id_of(tracker, RUN_PATIENCE),
            ),
        ):
            tracker.log_artifact(path)
        tracker.log_metrics(describe.final_metrics(review, corpus, fitted, encoder, rules, issues))
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
        kept = bundle.rename(target) if target else kept_bundle(record, bundle)
    return TrainResult(
        run=record,
        bundle=kept,
        corpus=corpus,
        check=table.check,
        review=review,
        label_issues=issues,
        history=fitted.trained.history,
        best_epoch=fitted.trained.best,
        proved=proved,
        seconds=clock.seconds,
        rules=rules,
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


def _start_baselines(stack: ExitStack, corpus: Corpus) -> baselines.Baselines:
    """Begin to fit the baselines; their process lasts as long as `stack` at most."""
    simple = baselines.start(
        corpus.train, corpus.test.texts, len(corpus.classes), val_texts=corpus.val.texts
    )
    stack.callback(simple.stop)
    return simple


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


def encode_example(source: Any, config: Config, text: str, **how: Any) -> list[dict[str, Any]]:
    """How a model trained on this table would read `text`, token by token.

    `how` are `encoding` and `delimiter`, as in `train`. Raises TableError.
    """
    return open_table(source, config, NoProgress(), **how).learn_encoder().describe(text)


def _save(
    bundle: Path, fitted: Fitted, encoder: TextEncoder, corpus: Corpus, settings: dict[str, Any]
) -> None:
    from .bundle.card import model_card
    from .bundle.save import save_bundle
    from .review.drift import learn_profile
    from .text.fills import learn_fills

    fills = learn_fills(corpus.train.texts, encoder)
    profile = learn_profile(corpus.train, corpus.test, corpus.classes, encoder)
    card = model_card(settings)
    save_bundle(bundle, fitted.model, encoder, fills, settings=settings, card=card, profile=profile)


def _look_at_texts(
    bundle: Path,
    config: Config,
    corpus: Corpus,
    fitted: Fitted,
    review: Review | SetReview,
    settings: dict[str, Any],
) -> Findings | SetFindings:
    """What single test texts show; the card is written again with what only this can tell."""
    from .bundle import files
    from .bundle.card import model_card

    findings = look_at_texts(bundle, config, corpus, fitted, review)
    moves = {
        label: [{"word": word.word, "share": word.share} for word in words]
        for label, words in findings.words.items()
    }
    card = model_card({**settings, "moves": moves})
    (bundle / files.CARD).write_text(card, encoding="utf-8")
    return findings


def _start_proof(
    stack: ExitStack, bundle: Path, corpus: Corpus, review: Review | SetReview
) -> RunningProof:
    """Begin to prove the saved model; the proof's process lasts as long as `stack` at most."""
    from .bundle.proof import start_proof

    expected = review.model.probabilities[:PROOF_TEXTS]
    proof = start_proof(
        bundle, corpus.test.texts.head(PROOF_TEXTS), expected, rule=review.decision.rule
    )
    stack.callback(proof.stop)
    return proof
