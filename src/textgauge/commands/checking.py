"""`check`: a table, or a tracking server."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from .shared import config_of, print_json, settings_of, tracking_uri_of

if TYPE_CHECKING:
    from ..config import Config


def check(options: argparse.Namespace) -> int:
    """Tell what is wrong with a table, or with the way to a tracking server."""
    _refuse_what_excludes(options)
    if options.tracking:
        return _check_tracking(options)
    if options.table is None:
        options.parser.error("the following arguments are required: TABLE (or --tracking)")
    if options.against is not None:
        return _drift(options)
    config = config_of(options)  # What is wrong with the settings is told with the file's name.
    how = {"encoding": options.encoding, "delimiter": options.delimiter}
    if options.show_encoding is not None:
        from ..previewing import preview
        from ..terminal.encoding import encoding_text

        seen = preview(options.table, **how, **settings_of(options))
        rows = seen.encoding(options.show_encoding).to_dicts()
        print_json({"tokens": rows}) if options.json else print(encoding_text(rows))
        return 0
    from ..api import check as check_source

    told: dict[str, Any] = {}
    source = options.table
    if options.fix is not None:
        told["fix"] = _fix(options, config, how)
        source, how = options.out, {}
    report = check_source(source, **how, **settings_of(options))
    if options.json:
        print_json({**report.to_json(), **told})
    else:
        from ..terminal.check import show_check

        show_check(report)
    return 0 if report.ok else 1


def _drift(options: argparse.Namespace) -> int:
    from ..config import Config
    from ..drifting import drift_of_table

    config = config_of(options)  # What is wrong with the settings is told first.
    # Only what was named: the model knows its columns, and a table needs no labels.
    given = {**(Config.read_toml(options.config) if options.config else {}), **vars(options)}
    found = drift_of_table(
        options.table,
        options.against,
        text=given.get("text"),
        label=given.get("label"),
        tracking_uri=tracking_uri_of(options),
        encoding=options.encoding,
        delimiter=options.delimiter,
        separator=config.separator,
    )
    if options.json:
        print_json(found.to_json())
    else:
        from ..terminal.drift import drift_text

        print(drift_text(found))
    return 0


_ALONE = ("fix", "tracking", "against", "show_encoding")
"""Options of which each asks for something else: only one of them at a time."""


def _refuse_what_excludes(options: argparse.Namespace) -> None:
    """End with a wrong usage where options do not go together."""
    if (options.fix is None) != (options.out is None):
        given, lacking = ("--fix", "--out") if options.out is None else ("--out", "--fix")
        options.parser.error(f"{given} needs {lacking} FILE")
    asked = [
        f"--{name.replace('_', '-')}"
        for name in _ALONE
        if getattr(options, name) not in (None, False)
    ]
    advice = "run check once with each"
    if asked == ["--fix", "--against"]:
        advice = f"correct the table first, then: textgauge check {options.out} --against ..."
    if asked == ["--tracking"] and options.table is not None:
        asked.append("TABLE")
    if len(asked) > 1:
        options.parser.error(f"pass {asked[0]} or {asked[1]}, not both; {advice}")


def _fix(options: argparse.Namespace, config: Config, how: dict[str, Any]) -> dict[str, Any]:
    """Write the corrected table and tell what that changed."""
    from ..data.corrections import correct_table
    from ..terminal.corrections import corrections_text, corrections_warnings

    done = correct_table(
        options.table, options.fix, options.out, text=config.text, label=config.label, **how
    )
    for warning in corrections_warnings(done):
        print(f"warning: {warning}", file=sys.stderr)
    if not options.json:
        print(f"{corrections_text(done)}\n")
    return done.to_json()


def _check_tracking(options: argparse.Namespace) -> int:
    from ..tracking.failures import capital
    from ..tracking.preflight import preflight

    def say(step: str) -> None:
        if not options.quiet:
            print(f"{step} …", file=sys.stderr)

    found = preflight(tracking_uri_of(options), options.experiment, on_step=say)
    if options.json:
        print_json(vars(found))
    else:
        print(f"{capital(found.title)} takes runs, in the experiment {found.experiment}.")
    return 0
