"""From a trained model to its run's results: judged, saved, described, proved, and handed over.

fitted -> review -> bundle -> documents -> proof -> model of the run

What `run` does once its training is over, and `comparing` for each model that ends on its board.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import describe
from .config import Config
from .data.corpus import Corpus
from .documents import PICTURE, write_documents
from .report.page import ReportFacts
from .resuming import run_id_of
from .review.contenders import Review
from .review.label_issues import LabelIssues
from .review.rule_summary import RuleSummary
from .reviewing import doubted_labels, look_at_texts, review_model
from .tracking.protocol import Tracker
from .training.progress import Progress

if TYPE_CHECKING:
    from .bundle.proof import RunningProof
    from .engines.prepared import Prepared
    from .review.baselines import Baselines
    from .review.deciding import Asked
    from .review.findings import Findings
    from .review.set_findings import SetFindings
    from .review.set_review import SetReview
    from .text.reader import TextReader
    from .training.fit import Fitted

RUN_PATIENCE = 15.0
"""Seconds that the report waits at most for the id of its run, which a short training outruns."""

PROOF_TEXTS = 20_000
"""Test texts that the round-trip proof predicts again at most; fewer with a large network."""


@dataclass(frozen=True)
class Trained:
    """What is there once a training is over.

    Attributes:
        table: what it was trained on.
        config: the settings.
        encoder: what reads its texts.
        fitted: the model.
        asked: what was asked of its decisions.
        origin: where the table came from (see `surroundings.origin`).

    """

    table: Prepared
    config: Config
    encoder: TextReader
    fitted: Fitted
    asked: Asked
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Delivered:
    """What became of it.

    Attributes:
        bundle: the folder of the saved model.
        review: the model beside the baselines.
        rules: a few rules that imitate the model; None where a text has any number of labels.
        issues: the labels in doubt; None as well.
        proved: the largest difference of a probability in the round-trip proof.
        picture: `training_results.png`.

    """

    bundle: Path
    review: Review | SetReview
    rules: RuleSummary | None
    issues: LabelIssues | None
    proved: float
    picture: bytes


def deliver(
    trained: Trained,
    simple: Baselines,
    tracker: Tracker,
    staging: Path,
    *,
    progress: Progress,
    lap: Callable[[str], None] = lambda stage: None,
) -> Delivered:
    """Judge a trained model on the test texts, once, and store with its run all that it comes to.

    Args:
        trained: the model, and what it was made of.
        simple: the baselines, which may still be at work.
        tracker: of its run, which is not ended here.
        staging: a folder of this model's own, which stays until the tracker has ended.
        progress: is told the stages.
        lap: called after each stage with its name.

    Raises:
        ProofError: the saved model does not predict what the trained one did.
        StorageError: a file cannot be written.
        TextgaugeError: the baselines could not be fitted.

    """
    table, config, fitted = trained.table, trained.config, trained.fitted
    corpus = table.corpus
    progress.stage("testing")
    review, rules = review_model(fitted, config, corpus, simple, trained.asked)
    lap("testing")

    progress.stage("saving")
    bundle = staging / "model"
    issues = doubted_labels(corpus, simple)
    settings = describe.bundle_settings(
        table.facts, table.check, config, corpus, fitted, review, rules, issues, trained.origin
    )
    _save(bundle, fitted, trained.encoder, corpus, settings)
    with ExitStack() as stack:
        proof = _start_proof(stack, bundle, corpus, review, PROOF_TEXTS // fitted.model.effort)
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
        tracker.log_metrics(
            describe.final_metrics(review, corpus, fitted, trained.encoder, rules, issues)
        )
        tracker.set_tags({"mlflow.note.content": describe.note(review, corpus)})
        lap("saving")

        progress.stage("proving the saved model")
        proved = proof.wait().largest_difference
    tracker.log_metrics({"proof_largest_difference": proved})
    # Only now: no run's model/ holds a model that was not proved.
    tracker.log_model(bundle, example=corpus.test.texts.head(3).to_list())
    lap("proof")
    picture = (staging / PICTURE).read_bytes()
    return Delivered(bundle, review, rules, issues, proved, picture)


def _save(
    bundle: Path, fitted: Fitted, encoder: TextReader, corpus: Corpus, settings: dict[str, Any]
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
    stack: ExitStack, bundle: Path, corpus: Corpus, review: Review | SetReview, most: int
) -> RunningProof:
    """Begin to prove the saved model; the proof's process lasts as long as `stack` at most."""
    from .bundle.proof import start_proof

    expected = review.model.probabilities[:most]
    proof = start_proof(bundle, corpus.test.texts.head(most), expected, rule=review.decision.rule)
    stack.callback(proof.stop)
    return proof
