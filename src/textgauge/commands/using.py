"""What is done with a saved model: `evaluate`, `explain`, `score`."""

from __future__ import annotations

import argparse
import os
import sys

from .shared import engine_of, print_json, progress_of, tracking_uri_of


def evaluate(options: argparse.Namespace) -> int:
    """Judge a saved model on a labelled table."""
    from ..evaluating import evaluate_table
    from ..review.set_metrics import SetEvaluation
    from ..review.set_review import SetDecision
    from ..scoring import load_predictor
    from ..terminal.decision import decision_text
    from ..terminal.review import (
        evaluation_text,
        lower_text,
        sets_decision_text,
        sets_evaluation_text,
        slices_text,
    )

    predictor = load_predictor(options.model, tracking_uri_of(options))
    trained_with = predictor.settings["config"]
    result = evaluate_table(
        predictor,
        options.table,
        text=getattr(options, "text", trained_with["text"]),
        label=getattr(options, "label", trained_with["label"]),
        slice_by=options.slice,
        encoding=options.encoding,
        delimiter=options.delimiter,
    )
    if result.unknown_labels and not options.quiet:
        left_out = ", ".join(
            f"{label!r} ({n:,} rows)" for label, n in result.unknown_labels.items()
        )
        print(f"warning: left out, the model does not know: {left_out}", file=sys.stderr)
    if result.drift is not None and not options.quiet:
        _warn(result.drift.warnings)
    if options.json:
        print_json(result.to_json())
    else:
        print(f"{result.rows:,} rows, {result.unique_texts:,} distinct texts\n")
        names, decision = predictor.label_names, result.decision
        if isinstance(result.evaluation, SetEvaluation):
            print(sets_evaluation_text(result.evaluation, names))
        else:
            print(evaluation_text(result.evaluation, names))
        if isinstance(decision, SetDecision):
            blocks = sets_decision_text(decision, "this table")
        else:
            blocks = decision_text(decision, names, "this table")
        for block in blocks:
            print(f"\n{block}")
        if result.slices is not None:
            print(f"\n{slices_text(options.slice, result.slices)}")
        for line in lower_text(result.groups, result.decided):
            print(f"\n{line}")
    return 0


def explain(options: argparse.Namespace) -> int:
    """Tell which words moved decisions."""
    from ..explaining import explain_model
    from ..terminal.explanation import explained_text, overall_text

    result = explain_model(
        options.model,
        options.what,
        text=options.text,
        limit=options.limit or (1_000 if options.overall else 10),
        overall=options.overall,
        label=options.label,
        tracking_uri=tracking_uri_of(options),
        encoding=options.encoding,
        delimiter=options.delimiter,
    )
    if options.json:
        print_json(result.to_json())
    elif options.overall:
        print(overall_text(result))
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(explained_text(result, colour=colour))
    return 0


def score(options: argparse.Namespace) -> int:
    """Predict every row of a table."""
    from ..scoring import score_model
    from ..terminal.progress import close

    engine, here = engine_of(options), {}
    to_pipe = options.out == "-"
    for name in ("query", "form", "overwrite", "cores"):
        here[name] = getattr(options, name)
        if here[name] and options.engine == "spark":
            option = "format" if name == "form" else name
            options.parser.error(f"--{option} is not for --engine spark")
    if to_pipe and options.json:
        options.parser.error("--json and --out - both print on standard output; pass one of them")
    progress = progress_of(options)
    try:
        result = score_model(
            options.model,
            options.table,
            options.out,
            text=options.text,
            tracking_uri=tracking_uri_of(options),
            encoding=options.encoding,
            delimiter=options.delimiter,
            **engine,
            **here,
            progress=progress,
        )
    finally:
        close(progress)
    if not options.quiet:
        _warn(result.warnings)
    if options.json:
        print_json(result.to_json())
    elif not (to_pipe and options.quiet):
        for line in result.told():
            print(line, file=sys.stderr if to_pipe else sys.stdout)
    return 0


def _warn(sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        print(f"warning: {sentence}", file=sys.stderr)
