"""`train`, `demo` and `compare`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TrackingError
from ..tracking.protocol import DEFAULT_ALIAS
from .shared import (
    config_of,
    engine_of,
    origin_of,
    print_json,
    progress_of,
    settings_of,
    tracking_uri_of,
)

if TYPE_CHECKING:
    from ..config import Config
    from ..tracking.protocol import Registration

_STARTED = time.monotonic()
"""When the process began, for the figures in `seconds`."""


def train(options: argparse.Namespace) -> int:
    """Train on a table."""
    config = config_of(options)
    return _run_training(options.table, config, options, resume=options.resume)


def demo(options: argparse.Namespace) -> int:
    """Make component notes and train on them."""
    from ..config import Config
    from ..data.component_notes import LABEL_NAMES, write_component_notes

    tracking_uri_of(options), _registration(options)  # What is wrong with them is told at once.
    path = Path("component_notes.csv")
    made = write_component_notes(path, options.rows)
    if not options.quiet:
        print(f"{'made' if made else 'found'} {path}", file=sys.stderr)
    # Whole years are held out: the test asks about years that train has never seen.
    config = Config(label_names=LABEL_NAMES, group_column="year")
    return _run_training(path, config, options)


def compare(options: argparse.Namespace) -> int:
    """Compare several models on a table; 1 where the best was to be registered and was not."""
    from ..api import compare
    from ..searching import Plan
    from ..terminal.leaderboard import compare_text
    from ..terminal.review import missing_text

    settings = {name: value for name, value in settings_of(options).items() if name != "model"}
    # What is wrong with the settings is told with the file's name.
    Plan.of(settings, options.models, options.trials, options.budget, origin=origin_of(options))
    registration = _registration(options)
    if registration is not None and registration.alias is None:
        options.parser.error("--no-alias: compare registers with an alias; name it with --alias")
    result = compare(
        options.table,
        models=options.models,
        trials=options.trials,
        budget=options.budget,
        experiment=options.experiment,
        tracking_uri=tracking_uri_of(options),
        register=None if registration is None else registration.name,
        alias=DEFAULT_ALIAS if registration is None else registration.alias or DEFAULT_ALIAS,
        out=options.out,
        resume=options.resume,
        encoding=options.encoding,
        delimiter=options.delimiter,
        quiet=options.quiet,
        started=_STARTED,
        **settings,
    )
    if options.json:
        print_json(result.to_json())
        for text in missing_text(result.run):
            print(f"warning: {text}", file=sys.stderr)
    else:
        print(compare_text(result))
    if result.registration_problem is not None:
        raise TrackingError(f"the best model is not registered: {result.registration_problem}")
    return 0 if result.registered is None or result.registered.registered else 1


def _run_training(
    table: Any, config: Config, options: argparse.Namespace, resume: str | None = None
) -> int:
    from ..run import train
    from ..terminal.progress import close
    from ..terminal.review import missing_text, review_text

    progress = progress_of(options)
    try:
        result = train(
            table,
            config,
            experiment=options.experiment,
            tracking_uri=tracking_uri_of(options),
            registration=_registration(options),
            out=options.out,
            resume=resume,
            encoding=getattr(options, "encoding", None),
            delimiter=getattr(options, "delimiter", None),
            **engine_of(options),
            progress=progress,
            started=_STARTED,
        )
    finally:
        close(progress)
    if options.json:
        print_json(result.to_json())
        for text in missing_text(result.run):
            print(f"warning: {text}", file=sys.stderr)
    else:
        print(review_text(result, config.label_names))
    return 0


def _registration(options: argparse.Namespace) -> Registration | None:
    """How the model shall be registered."""
    from ..tracking.protocol import DEFAULT_ALIAS, Registration

    if options.register is None:
        if options.alias is not None or options.no_alias:
            given = "--alias" if options.alias is not None else "--no-alias"
            options.parser.error(f"{given} needs --register NAME")
        return None
    alias = None if options.no_alias else options.alias or DEFAULT_ALIAS
    return Registration(options.register, alias)
