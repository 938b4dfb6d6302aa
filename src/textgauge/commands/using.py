"""What is done with a saved model: `evaluate`, `explain`, `score`."""

from __future__ import annotations

import argparse
import os
import sys

from .shared import engine_of, print_json, progress_of, tracking_uri_of


def evaluate(options: argparse.Namespace) -> int:
    """Judge a saved model on a labelled table."""
    from ..api import evaluate
    from ..terminal.evaluation import evaluated_text

    result = evaluate(
        options.model,
        options.table,
        text=getattr(options, "text", None),
        label=getattr(options, "label", None),
        slice_by=options.slice,
        tracking_uri=tracking_uri_of(options),
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
        print(evaluated_text(result, options.slice))
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
        colour = sys.stdout.isatty() and not (
            "NO_COLOR" in os.environ or os.environ.get("TERM") in ("dumb", "unknown")
        )
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
