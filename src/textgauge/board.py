"""The rows of a leaderboard measured, and its files written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import describe
from .compared import FILE_NAME
from .config import Config
from .data.corpus import Corpus, LabelledTexts
from .delivering import Trained, deliver
from .engines.local import LocalTable
from .folders import kept_bundle
from .leaderboard import RULE, Entry, Leaderboard
from .report.front import draw_front
from .review.metrics import Evaluation, evaluate
from .review.paired import f1_difference
from .review.peers import Labels, Peer
from .review.prediction_cost import measure
from .training.progress import NoProgress

if TYPE_CHECKING:
    from .review.baselines import Baselines
    from .review.deciding import Asked
    from .search.studies import Past
    from .tracking.protocol import Tracker
    from .trying import Trier


def deliver_best(
    model: str,
    best: Past,
    config: Config,
    changed: Mapping[str, Any],
    trier: Trier,
    table: LocalTable,
    *,
    asked: Asked,
    simple: Baselines,
    tracker: Tracker,
    staging: Path,
    costs: Path,
    origin: Mapping[str, Any],
) -> Entry:
    """Judge the best trial of an architecture, save it with its run, and measure what it costs.

    Args:
        model: the architecture.
        best: the trial.
        config: its settings.
        changed: those that differ from the defaults.
        trier: that trained it, and has its checkpoint.
        table: that it was trained on.
        asked: what was asked of the decisions.
        simple: the baselines.
        tracker: of the trial's run.
        staging: a new folder.
        costs: an Arrow file of texts to measure with.
        origin: where the table came from.

    Raises:
        ProofError: the saved model does not predict what the trained one did.

    """
    from .training.checkpoints import Checkpoint
    from .training.fit import fit

    staging.mkdir()
    corpus, encoder = table.corpus, trier.encoder_for(config)
    # All its epochs are over: nothing is trained, and the weights of the best are there again.
    checkpoint = Checkpoint.load(trier.checkpoint_of(model, best.number), trier.identity(config))
    fitted = fit(corpus, encoder, config, start_from=checkpoint)
    with tracker:
        tracker.start(describe.plan(table.facts, config, corpus))
        done = deliver(
            Trained(table, config, encoder, fitted, asked, origin),
            simple,
            tracker,
            staging,
            progress=NoProgress(),
        )
        cost = measure(done.bundle, costs)
        size = sum(path.stat().st_size for path in done.bundle.rglob("*") if path.is_file()) / 1e6
        tracker.log_metrics({"predict_ms_per_1000": cost, "model_megabytes": size})
        record = tracker.end("FINISHED")
    figures = done.review.model.evaluation
    assert isinstance(figures, Evaluation)  # Sets of labels are refused.
    return Entry(
        model=model,
        kind="model",
        run_id=record.run_id,
        journal_run_id=record.journal_run_id,
        trial=best.number + 1,
        changed=dict(changed),
        val_accuracy=float(best.facts["best_val_accuracy"]),
        val_macro_f1=float(best.facts["best_val_macro_f1"]),
        **_test_figures(figures),
        train_seconds=float(best.facts["seconds"]),
        predict_ms=cost,
        megabytes=size,
        bundle=str(kept_bundle(record, done.bundle)),
    )


def entries_of_peers(found: Sequence[Peer], corpus: Corpus) -> tuple[Entry, ...]:
    """The rows of the peers."""
    return tuple(
        Entry(
            model=peer.name,
            kind="peer",
            run_id=None,
            trial=None,
            changed={},
            val_accuracy=on_val.rows.accuracy,
            val_macro_f1=on_val.rows.macro_f1,
            **_test_figures(_judged(corpus.test, peer.test, corpus.classes, with_intervals=True)),
            train_seconds=peer.seconds,
            predict_ms=peer.predict_ms,
            megabytes=peer.megabytes,
        )
        for peer in found
        for on_val in (_judged(corpus.val, peer.val, corpus.classes),)
    )


def _judged(
    part: LabelledTexts, labels: Labels, classes: Sequence[str], *, with_intervals: bool = False
) -> Evaluation:
    """A classifier that gives labels and no probabilities."""
    sure = np.eye(len(classes), dtype=np.float32)[labels]
    return evaluate(part, sure, classes, with_intervals=with_intervals)


def _test_figures(found: Evaluation) -> dict[str, Any]:
    rows = found.rows
    assert rows.intervals is not None
    accuracy, macro_f1 = rows.intervals.accuracy, rows.intervals.macro_f1
    return {
        "accuracy": rows.accuracy,
        "macro_f1": rows.macro_f1,
        "accuracy_interval": (accuracy.low, accuracy.high),
        "macro_f1_interval": (macro_f1.low, macro_f1.high),
    }


def equal_on_validation(rows: Sequence[Entry], corpus: Corpus) -> dict[str, bool]:
    """Whether each model's macro F1 on validation is not lower than the highest beyond chance."""
    from .bundle.predictor import Predictor

    called = {
        each.model: Predictor.load(Path(each.bundle or ""))
        .predict(corpus.val.texts)
        .probabilities.argmax(1)
        for each in rows
    }
    highest = max(rows, key=lambda each: (each.val_macro_f1, -each.predict_ms))
    return {
        each.model: f1_difference(
            corpus.val, called[highest.model], called[each.model], len(corpus.classes)
        ).low
        <= 0
        for each in rows
    }


def write_board(folder: Path, board: Leaderboard, table: str) -> Iterator[Path]:
    """Write the board's files into `folder`; gives each when it is whole. `table` is its name."""
    title = f"Models compared on {table}"
    texts = {
        "json": json.dumps(
            {"why": board.why, "rule": RULE, "leaderboard": board.to_json()}, indent=1
        )
        + "\n",
        "csv": board.to_csv(),
        "html": board.to_html(title),
    }
    for kind, text in texts.items():
        path = folder / f"{FILE_NAME}.{kind}"
        path.write_text(text, encoding="utf-8")
        yield path
    picture = folder / f"{FILE_NAME}.png"
    draw_front(board, picture, title=title)
    yield picture
