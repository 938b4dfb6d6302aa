"""The parser, and options that several commands have."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, NoReturn

from ..errors import SettingsError, did_you_mean

MODEL_HELP = "a model's folder, runs:/RUN_ID/model, models:/NAME/VERSION or models:/NAME@ALIAS"
TABLE_HELP = "CSV, TSV, JSON Lines, Parquet or Arrow file (also .gz), or - for standard input"
SPARK_TABLE_HELP = (
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
        from ..installed import installed_version

        sys.stdout.write(f"textgauge {installed_version()}\n")
        parser.exit()


def input_options(parser: argparse.ArgumentParser) -> None:
    """How a text file is read."""
    parser.add_argument("--encoding", help="encoding of a text file that is not UTF-8")
    parser.add_argument("--delimiter", help="delimiter of a text file (default: found out)")


def positive(value: str) -> int:
    """A whole number of 1 or more."""
    if not value.isdigit() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, was {value!r}")
    return int(value)


def seconds(value: str) -> float:
    """A number of seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds, was {value!r}")
    return number


def engine_options(parser: argparse.ArgumentParser) -> Any:
    """Where the work is done; gives the group, for more."""
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


def output_options(parser: argparse.ArgumentParser) -> None:
    """What is printed."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and no more")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def store_options(parser: argparse.ArgumentParser) -> None:
    """Where runs and models are."""
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
