"""The commands: parse, call, print. No logic, and nothing heavy is imported to show a help text."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import SettingsError, TextgaugeError, did_you_mean

if TYPE_CHECKING:
    from .config import Config
    from .training.progress import Progress

INTERRUPTED = 130

_STARTED = time.monotonic()

_MODEL_HELP = "a model's folder, runs:/RUN_ID/model, models:/NAME/VERSION or models:/NAME@ALIAS"
_TABLE_HELP = "CSV, TSV, JSON Lines, Parquet or Arrow file (also .gz), or - for standard input"


class _Parser(argparse.ArgumentParser):
    """argparse, with the nearest known option in the message."""

    def error(self, message: str) -> NoReturn:
        start = "unrecognized arguments: "
        if message.startswith(start):
            options = [o for action in self._actions for o in action.option_strings]
            message += "." + did_you_mean(message.removeprefix(start).split()[0], options)
        elif "invalid choice" in message:
            known = [name for action in self._actions for name in (action.choices or ())]
            found = message.partition("invalid choice: '")[2].partition("'")[0]
            message += did_you_mean(found, known)
        self.print_usage(sys.stderr)
        self.exit(SettingsError.exit_status, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave the process with its exit status."""
    sys.exit(run_command(arguments))


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 done, 1 input or surroundings at fault, 2 wrong usage, 130 stopped.

    A fault of the user's or the surroundings' is told in one message, without a traceback.
    """
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest:
        _COMMANDS[options.command][0].error(f"unrecognized arguments: {' '.join(rest)}")
    previous = signal.signal(signal.SIGTERM, _interrupt) if _in_main_thread() else None
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except TextgaugeError as error:
        _say_error(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        _say_error("interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (| head); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        _say_error("there is not enough memory. Use a smaller table, or a machine with more.")
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say_error(f"{where}{error.strerror or error}.")
        return 1
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _say_error(message: str) -> None:
    print(f"textgauge: error: {message}", file=sys.stderr, flush=True)


# ---------------------------------------------------------------------------------------------
# The parser
# ---------------------------------------------------------------------------------------------


def make_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = _Parser(
        prog="textgauge",
        description="From a table of labelled texts to a trained, tracked and usable classifier.",
    )
    parser.add_argument("--version", action="version", version=_Version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (add_options, run, text) in {
        "demo": (_demo_options, _demo, "make component notes, train on them, print the review"),
        "check": (_check_options, _check, "what is in a table and what is wrong with it"),
        "train": (_train_options, _train, "train a classifier on a table, as a tracked run"),
        "evaluate": (_evaluate_options, _evaluate, "figures of a saved model on another table"),
        "score": (_score_options, _score, "predict every row of a table"),
        "ui": (_ui_options, _ui, "look at the runs in MLflow's web UI"),
    }.items():
        command = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        _COMMANDS[name] = (command,)
        add_options(command)
        command.set_defaults(run=run)
    return parser


_COMMANDS: dict[str, tuple[_Parser, ...]] = {}


class _Version:
    """Looks the version up only when it is asked for."""

    def __mod__(self, _: object) -> str:
        from importlib.metadata import version

        return f"textgauge {version('textgauge')}"

    def __contains__(self, _: object) -> bool:
        return False


def _input_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoding", help="encoding of a text file that is not UTF-8")
    parser.add_argument("--delimiter", help="delimiter of a text file (default: found out)")


def _output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object and no more")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _store_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow store or server (default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)",
    )


def _config_options(parser: argparse.ArgumentParser, *groups: str) -> None:
    """Options for fields of `Config`; those not given stay out of the parsed result."""
    given: dict[str, Any] = {"default": argparse.SUPPRESS}
    table = parser.add_argument_group("the table")
    table.add_argument("--text", metavar="COLUMN", help="column with the texts", **given)
    table.add_argument("--label", metavar="COLUMN", help="column with the labels", **given)
    if "table" not in groups:
        return
    table.add_argument(
        "--label-names", type=_label_names, metavar="0=good,1=bad", help="names of labels", **given
    )
    split = parser.add_argument_group("the split (default: by a hash of the text)")
    for name, text in (
        ("split", "that says train, val or test in each row"),
        ("group", "whose equal values stay in one part"),
        ("time", "by which the earliest rows train and the latest test"),
    ):
        split.add_argument(f"--{name}-column", metavar="COLUMN", help=f"column {text}", **given)
    split.add_argument("--val-fraction", type=float, metavar="X", help="share (0.2)", **given)
    split.add_argument("--test-fraction", type=float, metavar="X", help="share (0.2)", **given)
    split.add_argument("--seed", type=int, metavar="N", help="decides all chance (0)", **given)
    words = parser.add_argument_group("text to numbers")
    words.add_argument(
        "--no-numbers", dest="numbers", action="store_false", help="read numbers as words", **given
    )
    words.add_argument("--number-bins", type=int, metavar="N", help="at most (64)", **given)
    words.add_argument(
        "--min-texts", type=int, metavar="N", help="texts that a known word stands in (2)", **given
    )
    words.add_argument("--max-words", type=int, metavar="N", help="at most (50000)", **given)
    words.add_argument("--max-tokens", type=int, metavar="N", help="of a text (256)", **given)
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings from a file")
    if "training" not in groups:
        return
    words.add_argument(
        "--vectors", metavar="PATH", help="GloVe/word2vec text, .npz, .npy or a package", **given
    )
    words.add_argument(
        "--freeze-vectors", action="store_true", help="do not train them further", **given
    )
    model = parser.add_argument_group("model and training")
    model.add_argument("--model", metavar="NAME", help="architecture: lstm", **given)
    for name, kind, text in (
        ("embedding-size", int, "width of a word (100)"),
        ("hidden-size", int, "width of the state (100)"),
        ("dropout", float, "of the inputs (0.2)"),
        ("recurrent-dropout", float, "of the state (0.2)"),
        ("epochs", int, "at most (40)"),
        ("patience", int, "epochs without gain before it stops (3)"),
        ("batch-size", int, "texts a step (default: by the number of texts)"),
        ("lr", float, "learning rate of Adam (0.001)"),
        ("threads", int, "of the training (1)"),
    ):
        metavar = "N" if kind is int else "X"
        model.add_argument(f"--{name}", type=kind, metavar=metavar, help=text, **given)
    model.add_argument(
        "--class-weights", metavar="HOW", help="none, or balanced: labels weigh alike", **given
    )
    model.add_argument(
        "--every-row",
        dest="distinct",
        action="store_false",
        help="train on every row, not on distinct texts (slower, for comparison)",
        **given,
    )


def _label_names(value: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in value.split(",") if pair]
    if not pairs or not all(label and equals and name for label, equals, name in pairs):
        raise argparse.ArgumentTypeError(
            f"must look like 0=compliant,1=non-compliant, was {value!r}"
        )
    return {label.strip(): name.strip() for label, _, name in pairs}


def _run_options(parser: argparse.ArgumentParser) -> None:
    tracking = parser.add_argument_group("tracking")
    tracking.add_argument("--experiment", metavar="NAME", help="MLflow experiment (textgauge)")
    _store_options(tracking)  # type: ignore[arg-type]
    tracking.add_argument("--out", type=Path, metavar="DIR", help="a new folder for the model")


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=100_000, help="component notes (100000)")
    _run_options(parser)
    _output_options(parser)


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help=_TABLE_HELP)
    parser.add_argument(
        "--show-encoding", metavar="TEXT", help="how a text is read: its tokens, ids and numbers"
    )
    _config_options(parser, "table")
    _input_options(parser)
    _output_options(parser)


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help=_TABLE_HELP)
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    _config_options(parser, "table", "training")
    _run_options(parser)
    _input_options(parser)
    _output_options(parser)


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    parser.add_argument("table", metavar="TABLE", help=_TABLE_HELP)
    _config_options(parser)
    _store_options(parser)
    _input_options(parser)
    _output_options(parser)


def _score_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    parser.add_argument("table", metavar="TABLE", help=_TABLE_HELP)
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="CSV, TSV, JSON Lines, Parquet or Arrow file"
    )
    parser.add_argument("--text", default=None, metavar="COLUMN", help="column with the texts")
    _store_options(parser)
    _input_options(parser)
    _output_options(parser)


def _ui_options(parser: argparse.ArgumentParser) -> None:
    _store_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (5000)")


# ---------------------------------------------------------------------------------------------
# The commands
# ---------------------------------------------------------------------------------------------


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
    print(json.dumps(values, ensure_ascii=False, allow_nan=False))


def _train(options: argparse.Namespace) -> int:
    config = _config(options)
    return _run_training(options.table, config, options, resume=options.resume)


def _run_training(
    table: Any, config: Config, options: argparse.Namespace, resume: str | None = None
) -> int:
    from .run import train
    from .terminal.progress import close
    from .terminal.review import review_text

    progress = _progress(options)
    try:
        result = train(
            table,
            config,
            experiment=options.experiment,
            tracking_uri=options.tracking_uri,
            out=options.out,
            resume=resume,
            encoding=getattr(options, "encoding", None),
            delimiter=getattr(options, "delimiter", None),
            progress=progress,
            started=_STARTED,
        )
    finally:
        close(progress)
    if options.json:
        _print_json(result.to_json())
    else:
        print(review_text(result, config.label_names))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from .config import Config
    from .data.component_notes import LABEL_NAMES, write_component_notes

    path = Path("component_notes.csv")
    made = write_component_notes(path, options.rows)
    if not options.quiet:
        print(f"{'made' if made else 'found'} {path}", file=sys.stderr)
    return _run_training(path, Config(label_names=LABEL_NAMES), options)


def _check(options: argparse.Namespace) -> int:
    from .data.checks import check_table
    from .data.tables import read_table
    from .run import columns_of

    config = _config(options)
    table = read_table(
        options.table, columns_of(config), encoding=options.encoding, delimiter=options.delimiter
    )
    if options.show_encoding is not None:
        from .run import encode_example
        from .terminal.encoding import encoding_text

        rows = encode_example(table, config, options.show_encoding)
        _print_json({"tokens": rows}) if options.json else print(encoding_text(rows))
        return 0
    report = check_table(table, label_names=config.label_names, fractions=config.fractions)
    if options.json:
        _print_json(report.to_json())
    else:
        from .terminal.check import show_check

        show_check(report)
    return 0 if report.ok else 1


def _evaluate(options: argparse.Namespace) -> int:
    from .scoring import evaluate_table, load_predictor
    from .terminal.review import evaluation_text

    predictor = load_predictor(options.model, options.tracking_uri)
    trained_with = predictor.settings["config"]
    result = evaluate_table(
        predictor,
        options.table,
        text=getattr(options, "text", trained_with["text"]),
        label=getattr(options, "label", trained_with["label"]),
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
    return 0


def _score(options: argparse.Namespace) -> int:
    from .scoring import load_predictor, score_table

    predictor = load_predictor(options.model, options.tracking_uri)
    result = score_table(
        predictor,
        options.table,
        options.out,
        text=options.text or predictor.settings["config"]["text"],
        encoding=options.encoding,
        delimiter=options.delimiter,
    )
    if options.json:
        _print_json(result.to_json())
    else:
        print(
            f"{result.rows:,} rows ({result.unique_texts:,} distinct texts) scored in "
            f"{result.seconds:.1f} s: {result.out}"
        )
    return 0


def _ui(options: argparse.Namespace) -> int:
    from .tracking.open import local_store_uri
    from .tracking.ui import serve_ui

    uri = options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or local_store_uri()
    serve_ui(uri, options.host, options.port)
    return 0
