"""The commands: parse, call, print. No logic, and nothing heavy is imported to show a help text."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import options as add
from .errors import TextgaugeError, TrackingError
from .terminal.faults import fault_text

if TYPE_CHECKING:
    from .config import Config
    from .tracking.protocol import Registration
    from .training.progress import Progress

Command = Callable[[argparse.Namespace], int]

INTERRUPTED = 130

_STARTED = time.monotonic()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave the process with its exit status.

    Where all is well it returns instead, which comes to the same for a process. A host that calls
    this as a function, such as a wheel's task on Databricks, may take any SystemExit for a failure.
    """
    status = run_command(arguments)
    if status:
        sys.exit(status)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 done, 1 input or surroundings at fault, 2 wrong usage, 130 stopped.

    A fault of the user's or the surroundings' is told in one message, without a traceback.
    """
    options, unknown = make_parser().parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    previous = signal.signal(signal.SIGTERM, _interrupt) if _in_main_thread() else None
    try:
        _let_ctrl_c_interrupt()
        _write_what_can_be_written()
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader of our output went away (| head); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (TextgaugeError, KeyboardInterrupt, ModuleNotFoundError, MemoryError, OSError) as error:
        print(f"textgauge: error: {fault_text(error)}", file=sys.stderr, flush=True)
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        return error.exit_status if isinstance(error, TextgaugeError) else 1
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def _let_ctrl_c_interrupt() -> None:
    """End what blocks at Ctrl-C: reading standard input, waiting for another process.

    Polars sets a handler of its own, after which such calls go on (pola-rs/polars#21739).
    """
    import polars  # noqa: F401 - before, or it would undo this

    if hasattr(signal, "siginterrupt"):
        signal.siginterrupt(signal.SIGINT, True)


def _write_what_can_be_written() -> None:
    """Show a question mark where the terminal's encoding lacks a character, and go on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _config(options: argparse.Namespace) -> Config:
    """Settings of the file named by --config, overruled by those on the command line."""
    import dataclasses

    from .config import Config

    file: Path | None = getattr(options, "config", None)
    values = Config.read_toml(file) if file else {}
    fields = {field.name for field in dataclasses.fields(Config)}
    values |= {name: value for name, value in vars(options).items() if name in fields}
    return Config.from_mapping(values, origin=str(file) if file else "textgauge")


def _progress(options: argparse.Namespace) -> Progress:
    from .terminal.progress import progress_for

    return progress_for(sys.stderr, quiet=options.quiet)


def _print_json(values: dict[str, Any]) -> None:
    print(json.dumps(values, allow_nan=False))  # In ASCII: any terminal and any pipe takes it.


def _train(options: argparse.Namespace) -> int:
    config = _config(options)
    return _run_training(options.table, config, options, resume=options.resume)


def _run_training(
    table: Any, config: Config, options: argparse.Namespace, resume: str | None = None
) -> int:
    from .run import train
    from .terminal.progress import close
    from .terminal.review import missing_text, review_text

    progress = _progress(options)
    try:
        result = train(
            table,
            config,
            experiment=options.experiment,
            tracking_uri=_tracking_uri(options),
            registration=_registration(options),
            out=options.out,
            resume=resume,
            encoding=getattr(options, "encoding", None),
            delimiter=getattr(options, "delimiter", None),
            **_engine(options),
            progress=progress,
            started=_STARTED,
        )
    finally:
        close(progress)
    if options.json:
        _print_json(result.to_json())
        for text in missing_text(result.run):
            print(f"warning: {text}", file=sys.stderr)
    else:
        print(review_text(result, config.label_names))
    return 0


def _engine(options: argparse.Namespace) -> dict[str, Any]:
    """Where the work is done: arguments of `run.train` and `scoring.score_model`."""
    names = ("spark_master", "spark_workers", "spark_folder")
    given = {name: getattr(options, name) for name in names if hasattr(options, name)}
    for name, value in given.items():
        if value is not None and options.engine != "spark":
            options.parser.error(f"--{name.replace('_', '-')} needs --engine spark")
    return {"engine": options.engine, **given} if hasattr(options, "engine") else {}


def _registration(options: argparse.Namespace) -> Registration | None:
    """How the model shall be registered."""
    from .tracking.protocol import DEFAULT_ALIAS, Registration

    if options.register is None:
        if options.alias is not None or options.no_alias:
            given = "--alias" if options.alias is not None else "--no-alias"
            options.parser.error(f"{given} needs --register NAME")
        return None
    alias = None if options.no_alias else options.alias or DEFAULT_ALIAS
    return Registration(options.register, alias)


def _tracking_uri(options: argparse.Namespace) -> str | None:
    """The address that --tracking-uri or --azureml names."""
    if options.azureml is None:
        uri: str | None = options.tracking_uri
        return uri
    if getattr(options, "tracking_uri", None) is not None:
        given = "--to" if options.command == "sync" else "--tracking-uri"
        options.parser.error(f"pass {given} or --azureml, not both")
    from .tracking.servers.azureml import AzureML

    return AzureML.from_name(options.azureml).uri


def _demo(options: argparse.Namespace) -> int:
    from .config import Config
    from .data.component_notes import LABEL_NAMES, write_component_notes

    _tracking_uri(options), _registration(options)  # What is wrong with them is told at once.
    path = Path("component_notes.csv")
    made = write_component_notes(path, options.rows)
    if not options.quiet:
        print(f"{'made' if made else 'found'} {path}", file=sys.stderr)
    # Whole years are held out: the test asks about years that train has never seen.
    config = Config(label_names=LABEL_NAMES, group_column="year")
    return _run_training(path, config, options)


def _check(options: argparse.Namespace) -> int:
    if options.tracking:
        return _check_tracking(options)
    if options.table is None:
        options.parser.error("the following arguments are required: TABLE (or --tracking)")
    config = _config(options)
    how = {"encoding": options.encoding, "delimiter": options.delimiter}
    if options.show_encoding is not None:
        from .run import encode_example
        from .terminal.encoding import encoding_text

        rows = encode_example(options.table, config, options.show_encoding, **how)
        _print_json({"tokens": rows}) if options.json else print(encoding_text(rows))
        return 0
    from .data.checks import check_table
    from .data.tables import read_table
    from .engines.local import columns_of

    table = read_table(options.table, columns_of(config), **how)
    report = check_table(table, label_names=config.label_names, fractions=config.fractions)
    if options.json:
        _print_json(report.to_json())
    else:
        from .terminal.check import show_check

        show_check(report)
    return 0 if report.ok else 1


def _check_tracking(options: argparse.Namespace) -> int:
    from .tracking.failures import capital
    from .tracking.preflight import preflight

    def say(step: str) -> None:
        if not options.quiet:
            print(f"{step} …", file=sys.stderr)

    found = preflight(_tracking_uri(options), options.experiment, on_step=say)
    if options.json:
        _print_json(vars(found))
    else:
        print(f"{capital(found.title)} takes runs, in the experiment {found.experiment}.")
    return 0


def _sync(options: argparse.Namespace) -> int:
    from .terminal.sync import sync_text
    from .tracking.sync import refused, sync

    options.tracking_uri = options.to
    to = _tracking_uri(options)

    def say(text: str) -> None:
        if not options.quiet:
            print(text, file=sys.stderr)

    done = sync(
        options.runs,
        to=to,
        on_begin=lambda run_id, title: say(f"{run_id} → {title} …"),
        on_note=lambda text: say(f"note: {text}."),
    )
    left = [each for each in done if each.problem is not None]
    left_out = [] if options.runs or to else refused()
    if options.json:
        _print_json(
            {
                "runs": [each.to_json() for each in done],
                "left": len(left),
                "refused": [each.to_json() for each in left_out],
            }
        )
    else:
        print(sync_text(done, left_out))
    if left:
        which = (
            "The run is not whole on its server"
            if len(done) == 1
            else f"{len(left):,} of {len(done):,} runs are not whole on their servers"
        )
        raise TrackingError(f"{which}. Nothing is lost: run textgauge sync again.")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from .scoring import evaluate_table, load_predictor
    from .terminal.review import evaluation_text, slices_text

    predictor = load_predictor(options.model, _tracking_uri(options))
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
    if options.json:
        _print_json(result.to_json())
    else:
        print(f"{result.rows:,} rows, {result.unique_texts:,} distinct texts\n")
        print(evaluation_text(result.evaluation, predictor.label_names))
        if result.slices is not None:
            print(f"\n{slices_text(options.slice, result.slices, result.evaluation.rows)}")
    return 0


def _explain(options: argparse.Namespace) -> int:
    from .explaining import explain_model
    from .terminal.explanation import explained_text, overall_text

    result = explain_model(
        options.model,
        options.what,
        text=options.text,
        limit=options.limit or (1_000 if options.overall else 10),
        overall=options.overall,
        tracking_uri=_tracking_uri(options),
        encoding=options.encoding,
        delimiter=options.delimiter,
    )
    if options.json:
        _print_json(result.to_json())
    elif options.overall:
        print(overall_text(result))
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(explained_text(result, colour=colour))
    return 0


def _score(options: argparse.Namespace) -> int:
    from .scoring import score_model
    from .terminal.progress import close

    engine = _engine(options)
    progress = _progress(options)
    try:
        result = score_model(
            options.model,
            options.table,
            options.out,
            text=options.text,
            tracking_uri=_tracking_uri(options),
            encoding=options.encoding,
            delimiter=options.delimiter,
            **engine,
            progress=progress,
        )
    finally:
        close(progress)
    if options.json:
        _print_json(result.to_json())
    else:
        print(
            f"{result.rows:,} rows ({result.texts_told} distinct texts) scored in "
            f"{result.seconds:.1f} s: {result.out}"
        )
    return 0


def _ui(options: argparse.Namespace) -> int:
    from .tracking.open import local_store_of_environment
    from .tracking.ui import serve_ui

    uri = _tracking_uri(options) or local_store_of_environment()
    serve_ui(uri, options.host, options.port)
    return 0


_COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Command, str]] = {
    "demo": (add.demo, _demo, "make component notes, train on them, print the review"),
    "check": (add.check, _check, "what is in a table and what is wrong with it"),
    "train": (add.train, _train, "train a classifier on a table, as a tracked run"),
    "evaluate": (add.evaluate, _evaluate, "figures of a saved model on another table"),
    "explain": (add.explain, _explain, "which words moved a decision"),
    "score": (add.score, _score, "predict every row of a table"),
    "sync": (add.sync, _sync, "send runs that a tracking server missed"),
    "ui": (add.ui, _ui, "look at the runs in MLflow's web UI"),
}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser with all commands."""
    parser = add.Parser(
        prog="textgauge",
        description="From a table of labelled texts to a trained, tracked and usable classifier.",
    )
    parser.add_argument("--version", action=add.ShowVersion)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (add_options, run, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        add_options(command)
        command.set_defaults(run=run, parser=command)
    return parser
