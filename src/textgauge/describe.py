"""What a run says of itself: its settings, its data, its figures."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from .config import Config
from .data.corpus import Corpus
from .engines.prepared import TableFacts
from .review.contenders import Review
from .text.encoder import TextEncoder
from .tracking.protocol import DatasetDescription, RunPlan

if TYPE_CHECKING:
    from .training.fit import Fitted


def plan(table: TableFacts, config: Config, corpus: Corpus) -> RunPlan:
    """The run's name, settings and tags."""
    params = {**config.to_json(), "label_names": dict(config.label_names)}
    return RunPlan(
        name=f"{config.model} on {table.name}",
        params=params,
        tags={
            "textgauge.version": metadata.version("textgauge"),
            "textgauge.data_digest": corpus.digest,
            "textgauge.split": corpus.split_method,
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
    config: Config,
    corpus: Corpus,
    fitted: Fitted,
    review: Review,
) -> dict[str, Any]:
    """What the saved model says of itself (`textgauge.json`)."""
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
            "rows": table.rows,
            "distinct_texts": sum(part.texts for part in corpus.sizes.values()),
            "parts": {n: {"rows": p.rows, "texts": p.texts} for n, p in corpus.sizes.items()},
            "split": corpus.split_method,
            "test_texts_in_train": corpus.test_texts_in_train,
            "random_split_share": corpus.random_split_share,
        },
        "figures": {
            contender.name: {
                "rows": contender.evaluation.rows.to_json(),
                "texts": contender.evaluation.texts.to_json(),
            }
            for contender in (review.model, *reversed(review.baselines))
        },
    }


def final_metrics(
    review: Review, corpus: Corpus, fitted: Fitted, encoder: TextEncoder
) -> dict[str, float]:
    """The figures that the run shows: of the model, of the best baseline, of the split."""
    rows, texts = review.model.evaluation.rows, review.model.evaluation.texts
    best = review.best_baseline.evaluation.rows
    figures: dict[str, float | None] = {
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
        "best_epoch": float(fitted.trained.best.epoch),
        "test_texts_in_train": float(corpus.test_texts_in_train),
        "random_split_share": corpus.random_split_share,
        "unknown_token_share": encoder.unknown_share(encoder.encode_normalised(corpus.test.texts)),
    }
    if rows.intervals is not None:
        for name in ("accuracy", "macro_f1"):
            interval = getattr(rows.intervals, name)
            figures |= {f"eval_{name}_low": interval.low, f"eval_{name}_high": interval.high}
    if fitted.vectors is not None:
        figures["vector_coverage"] = fitted.vectors.coverage
    return {name: value for name, value in figures.items() if value is not None}


def note(review: Review, corpus: Corpus) -> str:
    """The description on the run's page, in Markdown: the verdict and the figures behind it."""
    lines = [
        review.verdict,
        "",
        "| on the test part | accuracy | macro F1 | loss |",
        "| --- | --- | --- | --- |",
    ]
    for contender in (review.model, *reversed(review.baselines)):
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
