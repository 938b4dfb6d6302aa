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
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import Config
from .data.checks import CheckReport, check_table
from .data.corpus import Corpus, build_corpus
from .data.tables import Columns, Table, read_table
from .errors import ProofError, StorageError, TableError, TextgaugeError, TrackingError
from .review import baselines as baseline_process
from .review.baselines import TFIDF_LR, Baseline, Baselines
from .review.metrics import Evaluation, evaluate
from .review.verdict import verdict
from .text.learn import learn_encoder
from .tracking.model_folder import carry_code
from .tracking.open import open_tracker
from .tracking.protocol import DatasetDescription, RunPlan, RunRecord, Tracker
from .training.checkpoints import Checkpoint, CheckpointKeeper
from .training.history import Epoch
from .training.progress import NoProgress, Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .text.encoder import TextEncoder
    from .training.fit import Fitted

CHECKPOINTS = Path(".textgauge")
"""Where an interrupted run waits to be resumed, below the working folder."""

PROOF_TEXTS = 20_000
"""Test texts that the round-trip proof predicts again at most."""


@dataclass(frozen=True)
class Contender:
    """A classifier with its figures on the test texts."""

    name: str
    evaluation: Evaluation


@dataclass(frozen=True)
class TrainResult:
    """What a training run came to.

    Attributes:
        run: where the run is tracked.
        bundle: the folder with the saved model.
        corpus: what was trained on.
        check: what was found in the table.
        model: the trained model and its figures.
        baselines: the simple classifiers beside it, the best last.
        verdict: whether the model is worth it, in one sentence.
        history: every epoch.
        best_epoch: the epoch whose weights were kept.
        proved: the largest difference of a probability in the round-trip proof.
        seconds: wall time of the whole, and of each stage.

    """

    run: RunRecord
    bundle: Path
    corpus: Corpus
    check: CheckReport
    model: Contender
    baselines: tuple[Contender, ...]
    verdict: str
    history: tuple[Epoch, ...]
    best_epoch: Epoch
    proved: float
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge train --json` prints it."""
        parts = {name: self.corpus.part(name) for name in ("train", "val", "test")}
        best = self.baselines[-1]
        return {
            "run_id": self.run.run_id,
            "experiment": self.run.experiment,
            "tracking_uri": self.run.tracking_uri,
            "run_url": self.run.run_url,
            "bundle": str(self.bundle),
            "eval_loss": self.model.evaluation.rows.loss,
            "eval_accuracy": self.model.evaluation.rows.accuracy,
            "eval_macro_f1": self.model.evaluation.rows.macro_f1,
            "eval_text_accuracy": self.model.evaluation.texts.accuracy,
            "baseline": {
                "name": best.name,
                "eval_accuracy": best.evaluation.rows.accuracy,
                "eval_macro_f1": best.evaluation.rows.macro_f1,
            },
            "verdict": self.verdict,
            "rows": {name: part.rows for name, part in parts.items()},
            "unique_texts": {name: len(part) for name, part in parts.items()},
            "test_texts_in_train": self.corpus.test_texts_in_train,
            "random_split_share": self.corpus.random_split_share,
            "epochs": len(self.history),
            "best_epoch": self.best_epoch.epoch,
            "seconds": round(self.seconds["whole"], 3),
            "stages": {name: round(value, 3) for name, value in self.seconds.items()},
        }


class _Clock:
    """Notes how long each stage took."""

    def __init__(self, started: float | None) -> None:
        self._start = time.monotonic() if started is None else started
        self._last = self._start
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
        self.seconds["whole"] = now - self._start


def train(
    source: Any,
    config: Config | None = None,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    out: Path | str | None = None,
    resume: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Progress | None = None,
    started: float | None = None,
) -> TrainResult:
    """Train a classifier on a table, track the run, and leave a model that proved itself.

    Args:
        source: a file, "-" for standard input, or a pandas or Polars DataFrame.
        config: the settings.
        experiment: name of the MLflow experiment; default MLFLOW_EXPERIMENT_NAME, else "textgauge".
        tracking_uri: default MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.
        out: a new folder for the model, besides the copy that is stored with the run.
        resume: id of an interrupted run to go on with.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        progress: is told how far it is.
        started: `time.monotonic()` at the start of the process, for the figure in `seconds`.

    Raises:
        TableError: the table cannot be read, or not be trained on.
        TrackingError: the tracking store refused.
        StorageError: a file cannot be written.
        ProofError: the saved model does not predict what the trained one did.

    """
    config, progress, clock = config or Config(), progress or NoProgress(), _Clock(started)
    target = _refuse_full_folder(out)
    with ExitStack() as stack:
        tracker = stack.enter_context(open_tracker(tracking_uri, experiment, run_id=resume))
        progress.stage("reading")
        table = read_table(source, columns_of(config), encoding=encoding, delimiter=delimiter)
        corpus, report = checked_corpus(table, config, progress)
        identity = _identity(config, corpus)
        clock.lap("data")

        simple = baseline_process.start(corpus.train, corpus.test.texts, len(corpus.classes))
        stack.callback(simple.stop)
        tracker.start(_plan(table, config, corpus))
        tracker.log_dataset(_dataset(table, corpus))

        progress.stage("loading torch")
        from .training.fit import fit

        clock.lap("imports")
        encoder = learn_encoder(corpus.train.texts, config)
        progress.stage("training")
        keeper = CheckpointKeeper(lambda: _checkpoint_path(tracker), identity)
        stack.enter_context(_SaveOnFailure(keeper, tracker, progress))

        def after_epoch(epoch: Epoch) -> None:
            tracker.log_metrics(epoch.metrics(), step=epoch.epoch)
            _raise_if_failed(tracker)

        fitted = fit(
            corpus,
            encoder,
            config,
            progress=progress,
            on_epoch=after_epoch,
            on_checkpoint=keeper.keep,
            start_from=_checkpoint_of(resume, identity),
        )
        clock.lap("training")

        progress.stage("testing")
        probabilities = _probabilities(fitted, corpus)
        model = Contender(
            f"{config.model.upper()}, epoch {fitted.trained.best.epoch}",
            evaluate(corpus.test, probabilities, corpus.classes),
        )
        staging = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="textgauge-")))
        history = fitted.trained.history
        _write_history(staging / "history.json", history, fitted)
        tracker.log_artifact(staging / "history.json")

        progress.stage("waiting for the baselines")
        clock.lap("testing")
        fitted_baselines, ranked = _judged_baselines(simple, corpus)
        clock.lap("baselines")
        best = next(b for b in fitted_baselines if b.name == ranked[-1].name)
        sentence = verdict(
            corpus.test,
            (config.model.upper(), probabilities, model.evaluation),
            (best.name, best.probabilities, ranked[-1].evaluation),
        )

        progress.stage("saving")
        bundle = target or staging / "model"
        settings = _bundle_settings(table, config, corpus, fitted, model, ranked)
        _save(bundle, fitted, encoder, settings)
        clock.lap("saving")
        proof = _start_proof(bundle, corpus, probabilities)
        stack.callback(proof.stop)
        tracker.log_model(bundle, example=corpus.test.texts.head(3).to_list())
        from .review.curves import draw_curves

        picture = staging / "training_results.png"
        draw_curves(history, picture, title=f"{config.model.upper()} on {table.name}")
        tracker.log_artifact(picture)
        tracker.log_metrics(_final_metrics(model, ranked, corpus, fitted, encoder))
        tracker.set_tags({"textgauge.verdict": sentence})
        clock.lap("picture")

        progress.stage("proving the saved model")
        try:
            proved = proof.wait()
        except ProofError:
            tracker.close("FAILED")
            raise
        clock.lap("proof")
        tracker.log_metrics({"proof_largest_difference": proved.largest_difference})
        record = tracker.end("FINISHED")
        clock.lap("tracking")
        keeper.discard()
        kept = target or _kept_bundle(record, bundle)
    return TrainResult(
        run=record,
        bundle=kept,
        corpus=corpus,
        check=report,
        model=model,
        baselines=tuple(ranked),
        verdict=sentence,
        history=history,
        best_epoch=fitted.trained.best,
        proved=proved.largest_difference,
        seconds=clock.seconds,
    )


def columns_of(config: Config) -> Columns:
    """The columns that a configuration asks for."""
    return Columns(
        text=config.text,
        label=config.label,
        split=config.split_column,
        group=config.group_column,
        time=config.time_column,
    )


def checked_corpus(table: Table, config: Config, progress: Progress) -> tuple[Corpus, CheckReport]:
    """Check the table and cut it into parts.

    Raises:
        TableError: with all that is wrong, together.

    """
    progress.stage("checking")
    report = check_table(table, label_names=config.label_names, fractions=config.fractions)
    for problem in report.warnings:
        progress.warn(f"{problem.message} {problem.advice}".strip())
    if report.errors:
        raise TableError("\n".join(f"{p.message} {p.advice}".strip() for p in report.errors))
    progress.stage("splitting")
    frame = table.frame
    corpus = build_corpus(
        frame, seed=config.seed, fractions=config.fractions, distinct=config.distinct
    )
    if corpus.test_texts_in_train:
        progress.warn(
            f"{corpus.test_texts_in_train:,} of {len(corpus.test):,} test texts also stand in "
            "train, as the split column wants it: the figures below are partly recall."
        )
    if corpus.split.left_out_rows:
        progress.note(
            f"{corpus.split.left_out_rows:,} rows were left out because their text already stands "
            "in an earlier part."
        )
    return corpus, report


def encode_example(table: Table, config: Config, text: str) -> list[dict[str, Any]]:
    """How a model trained on this table would read `text`, token by token."""
    corpus, _ = checked_corpus(table, config, NoProgress())
    return learn_encoder(corpus.train.texts, config).describe(text)


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


def _raise_if_failed(tracker: Tracker) -> None:
    problem = tracker.failure()
    if problem is not None:
        raise problem


def _checkpoint_path(tracker: Tracker) -> Path | None:
    try:
        return CHECKPOINTS / tracker.ready(timeout=0).run_id / "checkpoint.safetensors"
    except TrackingError:
        return None


def _checkpoint_of(resume: str | None, identity: str) -> Checkpoint | None:
    if resume is None:
        return None
    return Checkpoint.load(CHECKPOINTS / resume / "checkpoint.safetensors", identity)


def _identity(config: Config, corpus: Corpus) -> str:
    """What a checkpoint belongs to: the settings that shape the weights, and the data."""
    shaping = {k: v for k, v in config.to_json().items() if k not in ("epochs", "patience")}
    content = json.dumps(shaping, sort_keys=True) + corpus.digest
    return hashlib.sha256(content.encode()).hexdigest()


def _refuse_full_folder(out: Path | str | None) -> Path | None:
    if out is None:
        return None
    folder = Path(out)
    try:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        elif folder.exists():
            raise StorageError(
                f"{folder} is not empty; give a new folder with --out, or remove it first."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Find out now, not after the training, whether anything can be written there.
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as error:
        raise StorageError(
            f"nothing can be written in {folder.parent.resolve()}: {error.strerror or error}. "
            "Give another folder with --out."
        ) from error
    return folder


def _plan(table: Table, config: Config, corpus: Corpus) -> RunPlan:
    params = {**config.to_json(), "label_names": dict(config.label_names)}
    return RunPlan(
        name=f"{config.model} on {table.name}",
        params=params,
        tags={
            "textgauge.version": metadata.version("textgauge"),
            "textgauge.data_digest": corpus.digest,
            "textgauge.split": corpus.split.method,
        },
    )


def _dataset(table: Table, corpus: Corpus) -> DatasetDescription:
    return DatasetDescription(
        name=table.name,
        source=table.name,
        digest=corpus.digest,
        schema={name: str(kind) for name, kind in table.frame.schema.items() if name != "row"},
        rows=len(table.frame),
    )


def _probabilities(fitted: Fitted, corpus: Corpus) -> npt.NDArray[np.float32]:
    from .bundle.predictor import to_probabilities
    from .training.loop import predict_logits

    return to_probabilities(predict_logits(fitted.model, fitted.encode(corpus.test)))


def _judged_baselines(simple: Baselines, corpus: Corpus) -> tuple[list[Baseline], list[Contender]]:
    fitted = simple.wait()
    judged = [
        Contender(b.name, evaluate(corpus.test, b.probabilities, corpus.classes)) for b in fitted
    ]
    # The best stands last; logistic regression wins a draw, for it reads the text.
    judged.sort(key=lambda c: (c.evaluation.rows.macro_f1, c.name == TFIDF_LR))
    return fitted, judged


def _write_history(path: Path, history: tuple[Epoch, ...], fitted: Fitted) -> None:
    content = {
        "best_epoch": fitted.trained.best.epoch,
        "batch_size": fitted.trained.batch_size,
        "epochs": [epoch.to_json() for epoch in history],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _bundle_settings(
    table: Table,
    config: Config,
    corpus: Corpus,
    fitted: Fitted,
    model: Contender,
    ranked: list[Contender],
) -> dict[str, Any]:
    parts = {name: corpus.part(name) for name in ("train", "val", "test")}
    return {
        "version": metadata.version("textgauge"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": list(corpus.classes),
        "label_names": dict(config.label_names),
        "architecture": fitted.architecture,
        "config": config.to_json(),
        "data": {
            "name": table.name,
            "digest": corpus.digest,
            "rows": len(table.frame),
            "distinct_texts": sum(len(part) for part in parts.values()),
            "parts": {n: {"rows": p.rows, "texts": len(p)} for n, p in parts.items()},
            "split": corpus.split.method,
            "test_texts_in_train": corpus.test_texts_in_train,
            "random_split_share": corpus.random_split_share,
        },
        "figures": {
            contender.name: {
                "rows": contender.evaluation.rows.to_json(),
                "texts": contender.evaluation.texts.to_json(),
            }
            for contender in (model, *reversed(ranked))
        },
    }


def _save(bundle: Path, fitted: Fitted, encoder: TextEncoder, settings: dict[str, Any]) -> None:
    from .bundle.card import model_card
    from .bundle.save import save_bundle

    save_bundle(bundle, fitted.model, encoder, settings=settings, card=model_card(settings))
    carry_code(bundle)


def _start_proof(bundle: Path, corpus: Corpus, expected: npt.NDArray[np.float32]) -> Any:
    from .bundle.proof import start_proof

    return start_proof(bundle, corpus.test.texts.head(PROOF_TEXTS), expected[:PROOF_TEXTS])


def _final_metrics(
    model: Contender,
    ranked: list[Contender],
    corpus: Corpus,
    fitted: Fitted,
    encoder: TextEncoder,
) -> dict[str, float]:
    rows, texts = model.evaluation.rows, model.evaluation.texts
    best = ranked[-1].evaluation.rows
    figures = {
        "eval_loss": rows.loss,
        "eval_accuracy": rows.accuracy,
        "eval_macro_f1": rows.macro_f1,
        "eval_text_loss": texts.loss,
        "eval_text_accuracy": texts.accuracy,
        "eval_text_macro_f1": texts.macro_f1,
        "baseline_eval_loss": best.loss,
        "baseline_eval_accuracy": best.accuracy,
        "baseline_eval_macro_f1": best.macro_f1,
        "best_epoch": float(fitted.trained.best.epoch),
        "test_texts_in_train": float(corpus.test_texts_in_train),
        "random_split_share": corpus.random_split_share,
        "unknown_token_share": encoder.unknown_share(encoder.encode_normalised(corpus.test.texts)),
    }
    if fitted.vectors is not None:
        figures["vector_coverage"] = fitted.vectors.coverage
    return figures


def _kept_bundle(record: RunRecord, bundle: Path) -> Path:
    """Where the model stays once the temporary folder is gone."""
    if record.artifact_folder is not None:
        return record.artifact_folder / "model"
    kept = CHECKPOINTS / "models" / record.run_id
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle, kept, dirs_exist_ok=True)
    return kept
