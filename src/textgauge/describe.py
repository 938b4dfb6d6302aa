"""What a run says of itself: its settings, its data, its figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .config import Config
from .data.checks import CheckReport
from .data.corpus import Corpus
from .engines.prepared import TableFacts
from .report.wording import IN_SENTENCES, as_it_decides, labels_in_words, spoken
from .review.contenders import Contender, Review
from .review.decision import Band, DecisionFigures
from .review.label_issues import LabelIssues
from .review.rule_summary import RuleSummary
from .review.set_review import SetContender, SetReview
from .surroundings import made_with
from .text.reader import TextReader
from .tracking.protocol import DatasetDescription, RunPlan

if TYPE_CHECKING:
    from .training.fit import Fitted


def plan(table: TableFacts, config: Config, corpus: Corpus, preset: str | None = None) -> RunPlan:
    """The run's name, settings and tags; `preset` is what chose the model."""
    params = {**config.to_json(), "label_names": dict(config.label_names)}
    return RunPlan(
        name=f"{config.model} on {table.name}",
        params=params,
        tags={
            "textgauge.version": metadata.version("textgauge"),
            "textgauge.data_digest": corpus.digest,
            "textgauge.split": corpus.split_method,
            **({} if preset is None else {"textgauge.preset": preset}),
        },
    )


def dataset(table: TableFacts, corpus: Corpus) -> DatasetDescription:
    """The table, for the run's list of datasets."""
    return DatasetDescription(
        name=table.name,
        source=table.name,
        digest=corpus.digest,
        schema=table.schema,
        rows=table.rows,
    )


def bundle_settings(
    table: TableFacts,
    check: CheckReport,
    config: Config,
    corpus: Corpus,
    fitted: Fitted,
    review: Review | SetReview,
    rules: RuleSummary | None,
    issues: LabelIssues | None,
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """What the saved model says of itself (`textgauge.json`).

    `rules` and `issues` are None where a text has any number of labels.
    """
    if isinstance(review, SetReview):
        told = {
            "multi_label": True,
            "decision": review.decision.chosen.to_json(),
            "decision_on_test": _sets_on_test(review),
        }
    else:
        told = {
            "decision": review.decision.chosen.to_json() if review.decision.rule else None,
            "decision_on_test": _decision_on_test(review.decision),
        }
    return {
        "version": metadata.version("textgauge"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": list(corpus.classes),
        "label_names": dict(config.label_names),
        "architecture": fitted.architecture,
        "config": config.to_json(),
        **told,
        "made_with": made_with(),
        "data": {
            **data_facts(table, check, corpus),
            "problems": [
                {"severity": each.severity, "message": each.message, "advice": each.advice}
                for each in check.problems
            ],
            "origin": dict(origin),
        },
        "training": training_facts(fitted),
        "test_predictions": predictions_digest(review.model.probabilities),
        "figures": {
            contender.name: {
                "rows": contender.evaluation.rows.to_json(),
                "texts": contender.evaluation.texts.to_json(),
            }
            for contender in _contenders(review)
        },
        "verdict": review.verdict,
        "in_words": [] if isinstance(review, SetReview) else _in_words(review, config, corpus),
        **({} if rules is None else {"rules": rules.to_json()}),
        **({} if issues is None else {"label_issues": issues.to_json()}),
        "slices": [group.to_json() for group in review.slices],
    }


def _in_words(review: Review, config: Config, corpus: Corpus) -> list[str]:
    """What the model does with each label, a sentence a figure; nothing of many labels."""
    if len(corpus.classes) > IN_SENTENCES:
        return []
    names = spoken(corpus.classes, config.label_names)
    told = [
        told.sentence
        for label in labels_in_words(review.decided, names)
        for told in (label.found, label.right)
    ]
    how = as_it_decides(review.decision.rule)
    return [*told, how] if how else told


def _decision_on_test(found: DecisionFigures) -> dict[str, Any] | None:
    """What the rule of decision comes to; None where nothing was asked."""
    if not found.rule:
        return None
    told = ("cost", "most_probable_cost", "errors", "error", "interval", "band")
    values = found.to_json()
    return {name: values[name] for name in told}


def _contenders(review: Review | SetReview) -> list[Contender | SetContender]:
    """The model first, then the baselines, the best first."""
    baselines: Sequence[Contender | SetContender] = review.baselines
    return [review.model, *reversed(baselines)]


def _sets_on_test(review: SetReview) -> dict[str, Any]:
    """What the thresholds come to on the test part."""
    values = review.decision.to_json()
    return {name: values[name] for name in ("error", "interval", "band")}


def data_facts(table: TableFacts, check: CheckReport, corpus: Corpus) -> dict[str, Any]:
    """What a run says of its table and its parts."""
    parts = {"train": corpus.train, "val": corpus.val, "test": corpus.test}
    return {
        "name": table.name,
        "digest": corpus.digest,
        "rows": table.rows,
        # Of the table, as the report tells it: a text may stand in several parts, or in none.
        "distinct_texts": check.profile.distinct_texts,
        "parts": {n: {"rows": p.rows, "texts": p.texts} for n, p in corpus.sizes.items()},
        # Of a sample, labels would be counted that are not all.
        "labels": {
            name: dict(
                zip(corpus.classes, texts.label_rows(len(corpus.classes)).tolist(), strict=True)
            )
            for name, texts in parts.items()
            if len(texts) == corpus.sizes[name].texts
        },
        "split": corpus.split_method,
        "test_texts_in_train": corpus.test_texts_in_train,
        "random_split_share": corpus.random_split_share,
    }


def training_facts(fitted: Fitted) -> dict[str, Any]:
    """How the training went, but for how long it took."""
    trained, factors = fitted.trained, fitted.factors
    return {
        "best_epoch": trained.best.epoch,
        "batch_size": trained.batch_size,
        "temperature": fitted.calibrated.temperature,
        **({} if factors is None else {"parts": factors._asdict()}),
        "epoch": {str(epoch.epoch): epoch.metrics() for epoch in trained.history},
    }


def predictions_digest(probabilities: npt.NDArray[np.float32]) -> str:
    """The SHA-256 of probabilities, in which every bit plays a role."""
    return hashlib.sha256(np.ascontiguousarray(probabilities, dtype="<f4").tobytes()).hexdigest()


def final_metrics(
    review: Review | SetReview,
    corpus: Corpus,
    fitted: Fitted,
    encoder: TextReader,
    rules: RuleSummary | None,
    issues: LabelIssues | None,
) -> dict[str, float]:
    """The figures that the run shows: of the model, the best baseline, the split, the labels.

    Where a text has any number of labels they mean what `review.set_metrics` says.
    """
    rows, texts = review.model.evaluation.rows, review.model.evaluation.texts
    best = review.best_baseline.evaluation.rows
    own = ["accuracy", "macro_f1"]
    figures: dict[str, float | None] = {}
    if isinstance(review, SetReview):
        of_sets, best_of_sets = review.model.evaluation.rows, review.best_baseline.evaluation.rows
        own += ["micro_f1", "hamming_loss"]
        figures = {
            "eval_micro_f1": of_sets.micro_f1,
            "eval_hamming_loss": of_sets.hamming_loss,
            "eval_label_accuracy": of_sets.label_accuracy,
            "eval_text_micro_f1": review.model.evaluation.texts.micro_f1,
            "baseline_eval_micro_f1": best_of_sets.micro_f1,
        }
    figures |= {
        "eval_loss": rows.loss,
        "eval_accuracy": rows.accuracy,
        "eval_macro_f1": rows.macro_f1,
        "eval_text_loss": texts.loss,
        "eval_text_accuracy": texts.accuracy,
        "eval_text_macro_f1": texts.macro_f1,
        "eval_roc_auc": rows.roc_auc,
        "eval_average_precision": rows.average_precision,
        "eval_brier": rows.brier,
        "eval_ece": rows.ece,
        "baseline_eval_loss": best.loss,
        "baseline_eval_accuracy": best.accuracy,
        "baseline_eval_macro_f1": best.macro_f1,
        "mcnemar_p_value": review.comparison.p_value,
        "rule_agreement": None if rules is None else rules.agreement.rows,
        "best_epoch": float(fitted.trained.best.epoch),
        "test_texts_in_train": float(corpus.test_texts_in_train),
        "random_split_share": corpus.random_split_share,
        "label_issues": None if issues is None else float(len(issues)),
        "label_issue_rows": None if issues is None else float(issues.rows),
        "unknown_token_share": encoder.unknown_share(encoder.encode_normalised(corpus.test.texts)),
    }
    if rows.intervals is not None:
        for name in own:
            interval = getattr(rows.intervals, name)
            figures |= {f"eval_{name}_low": interval.low, f"eval_{name}_high": interval.high}
    if isinstance(review, SetReview):
        figures |= _band_metrics(review.decision.band)
    else:
        figures |= _decision_metrics(review.decision)
    if fitted.vectors is not None:
        figures["vector_coverage"] = fitted.vectors.coverage
    return {name: value for name, value in figures.items() if value is not None}


def _decision_metrics(found: DecisionFigures) -> dict[str, float | None]:
    """Costs are a row; nothing where nothing was asked."""
    figures: dict[str, float | None] = {
        "decision_threshold": found.rule.threshold,
        "decision_cost": found.cost,
        "most_probable_cost": found.most_probable_cost,
    }
    return figures | _band_metrics(found.band)


def _band_metrics(band: Band | None) -> dict[str, float | None]:
    if band is None:
        return {}
    return {"review_coverage": band.coverage, "review_decided_error": band.error}


def note(review: Review | SetReview, corpus: Corpus) -> str:
    """The description on the run's page, in Markdown: the verdict and the figures behind it."""
    lines = [
        review.verdict,
        "",
        "| on the test part | accuracy | macro F1 | loss |",
        "| --- | --- | --- | --- |",
    ]
    for contender in _contenders(review):
        rows = contender.evaluation.rows
        lines.append(
            f"| {contender.name} | {rows.accuracy:.4f} | {rows.macro_f1:.4f} | {rows.loss:.4f} |"
        )
    lines += [
        "",
        f"Split: {corpus.split_method}. Test texts that also stand in train: "
        f"{corpus.test_texts_in_train:,} (a random split of the rows would share "
        f"{corpus.random_split_share:.1%}).",
    ]
    return "\n".join(lines)
