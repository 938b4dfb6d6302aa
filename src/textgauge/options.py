"""The options of the commands."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from .errors import SettingsError, did_you_mean

_MODEL_HELP = "a model's folder, runs:/RUN_ID/model, models:/NAME/VERSION or models:/NAME@ALIAS"
_TABLE_HELP = "CSV, TSV, JSON Lines, Parquet or Arrow file (also .gz), or - for standard input"
_SPARK_TABLE_HELP = (
    "; with --engine spark also a Spark table, a Delta table, a folder or a glob of files"
)


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, and with the nearest known option in the message."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and leave with status 2."""
        start = "unrecognized arguments: "
        if message.startswith(start):
            options = [o for action in self._actions for o in action.option_strings]
            first = message.removeprefix(start).split()[0].partition("=")[0]
            message += "." + did_you_mean(first, options)
        elif "invalid choice" in message:
            known = [name for action in self._actions for name in (action.choices or ())]
            found = message.partition("invalid choice: '")[2].partition("'")[0]
            close = did_you_mean(found, known)
            if message.startswith("argument --"):
                message += "." + close
            else:
                message = f"there is no command {found!r}.{close}"
        self.exit(
            SettingsError.exit_status,
            f"{self.prog}: error: {message}\nSee what there is with: {self.prog} --help\n",
        )


class ShowVersion(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: list[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and stop")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it."""
        from importlib.metadata import version

        sys.stdout.write(f"textgauge {version('textgauge')}\n")
        parser.exit()


def _input_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoding", help="encoding of a text file that is not UTF-8")
    parser.add_argument("--delimiter", help="delimiter of a text file (default: found out)")


def _positive(value: str) -> int:
    if not value.isdigit() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, was {value!r}")
    return int(value)


def _engine_options(parser: argparse.ArgumentParser) -> Any:
    engine = parser.add_argument_group("where the work is done")
    engine.add_argument(
        "--engine",
        choices=("local", "spark"),
        default="local",
        help="local: this process; spark: a cluster, for tables of any size (local)",
    )
    engine.add_argument(
        "--spark-master",
        metavar="URL",
        help="local[2], spark://HOST:7077, yarn … (default: the session that is there, such as on "
        "Databricks, else all cores of this machine)",
    )
    return engine


def _output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object and no more")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _store_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="sqlite:///PATH, an MLflow server, azureml://…, databricks or databricks://PROFILE "
        "(default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)",
    )
    parser.add_argument(
        "--azureml",
        metavar="WORKSPACE",
        help="an Azure ML workspace: SUBSCRIPTION/GROUP/NAME, or its config.json",
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
        ("patience", int, "epochs without gain before it stops (4)"),
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
    tracking.add_argument(
        "--register", metavar="NAME", help="register the model (Unity Catalog: CATALOG.SCHEMA.NAME)"
    )
    alias = tracking.add_mutually_exclusive_group()
    alias.add_argument(
        "--alias", metavar="NAME", help="points to the registered version (challenger)"
    )
    alias.add_argument(
        "--no-alias",
        action="store_true",
        help="set none (in Unity Catalog only a model's owner may)",
    )
    tracking.add_argument("--out", type=Path, metavar="DIR", help="a new folder for the model")


def demo(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge demo`."""
    parser.add_argument("--rows", type=int, default=100_000, help="component notes (100000)")
    _run_options(parser)
    _output_options(parser)


def check(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge check`."""
    parser.add_argument("table", metavar="TABLE", nargs="?", help=_TABLE_HELP)
    tracking = parser.add_argument_group("tracking")
    tracking.add_argument(
        "--tracking",
        action="store_true",
        help="ask the tracking server, not the table: client, login, workspace, right to write",
    )
    tracking.add_argument("--experiment", metavar="NAME", help="MLflow experiment (textgauge)")
    _store_options(tracking)  # type: ignore[arg-type]
    parser.add_argument(
        "--show-encoding", metavar="TEXT", help="how a text is read: its tokens, ids and numbers"
    )
    _config_options(parser, "table")
    _input_options(parser)
    _output_options(parser)


def train(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge train`."""
    parser.add_argument("table", metavar="TABLE", help=_TABLE_HELP + _SPARK_TABLE_HELP)
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    _config_options(parser, "table", "training")
    _run_options(parser)
    engine = _engine_options(parser)
    engine.add_argument(
        "--spark-workers",
        type=_positive,
        metavar="N",
        help="processes that train together (default: by the number of texts)",
    )
    engine.add_argument(
        "--spark-folder",
        metavar="DIR",
        help="where driver and executors share files (default: a temporary folder on this machine)",
    )
    _input_options(parser)
    _output_options(parser)


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge evaluate`."""
    parser.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    parser.add_argument("table", metavar="TABLE", help=_TABLE_HELP)
    parser.add_argument(
        "--slice", metavar="COLUMN", help="judge the rows of each value of this column, too"
    )
    _config_options(parser)
    _store_options(parser)
    _input_options(parser)
    _output_options(parser)


def explain(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge explain`."""
    parser.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    parser.add_argument("what", metavar="TEXT|TABLE", help=f"a text, or a table: {_TABLE_HELP}")
    parser.add_argument("--text", default=None, metavar="COLUMN", help="column with the texts")
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help="texts of a table at most (10; with --overall 1000)",
    )
    parser.add_argument(
        "--overall",
        action="store_true",
        help="not each text of the table, but what matters over all: words, numbers",
    )
    _store_options(parser)
    _input_options(parser)
    _output_options(parser)


def score(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge score`."""
    parser.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    parser.add_argument("table", metavar="TABLE", help=_TABLE_HELP + _SPARK_TABLE_HELP)
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="CSV, TSV, JSON Lines, Parquet or Arrow file; with --engine spark a folder of that "
        "name, or a table",
    )
    parser.add_argument("--text", default=None, metavar="COLUMN", help="column with the texts")
    _engine_options(parser)
    _store_options(parser)
    _input_options(parser)
    _output_options(parser)


def sync(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge sync`."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="*", help="only these (default: all that servers may lack)"
    )
    parser.add_argument(
        "--to", metavar="URI", help="another server, for all runs of the store or those named"
    )
    parser.add_argument(
        "--azureml", metavar="WORKSPACE", help="as --to: SUBSCRIPTION/GROUP/NAME, or config.json"
    )
    _output_options(parser)


def ui(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge ui`."""
    _store_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (5000)")
