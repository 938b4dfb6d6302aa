"""Options of the commands for runs, and for what they ship."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from .shared import (
    MODEL_HELP,
    TABLE_HELP,
    input_options,
    output_options,
    store_options,
)


def export(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge export`."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="a new folder, which predict.py and all it needs go to",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="store the weights in 8 bits: a quarter of the size; what it costs is measured",
    )
    parser.add_argument(
        "--data",
        metavar="TABLE",
        help=f"of --int8: the labelled table to measure it on: {TABLE_HELP}",
    )
    parser.add_argument("--text", default=None, metavar="COLUMN", help="column with the texts")
    parser.add_argument("--label", default=None, metavar="COLUMN", help="column with the labels")
    store_options(parser)
    input_options(parser)
    output_options(parser)


def register(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge register`."""
    parser.add_argument(
        "run_id",
        metavar="RUN",
        help="a run's id, or its model: a folder, runs:/RUN_ID/model, models:/NAME@ALIAS",
    )
    parser.add_argument(
        "name", metavar="NAME", help="the registered model (Unity Catalog: CATALOG.SCHEMA.NAME)"
    )
    parser.add_argument(
        "--alias", default="champion", metavar="NAME", help="points to the version (champion)"
    )
    gates = parser.add_argument_group("what has to hold")
    gates.add_argument(
        "--min",
        dest="least",
        action="append",
        type=_least,
        default=[],
        metavar="METRIC=VALUE",
        help="the least value of a metric of the run, such as macro_f1=0.9; may be given again",
    )
    gates.add_argument(
        "--no-champion-check",
        dest="champion_check",
        action="store_false",
        help="do not compare with the champion; the version says so",
    )
    gates.add_argument(
        "--margin",
        type=float,
        default=0.0,
        metavar="X",
        help="how much lower than the champion's its macro F1 may be (0)",
    )
    gates.add_argument(
        "--data",
        metavar="TABLE",
        help="labelled table that both are compared on (default: the run's own test part)",
    )
    gates.add_argument("--text", default=None, metavar="COLUMN", help="column with the texts")
    gates.add_argument("--label", default=None, metavar="COLUMN", help="column with the labels")
    store_options(parser)
    input_options(parser)
    output_options(parser)


def _least(value: str) -> tuple[str, float]:
    """`METRIC=VALUE`."""
    name, _, least = value.partition("=")
    try:
        number = float(least)
    except ValueError:
        number = math.nan
    if not name.strip() or not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"must look like macro_f1=0.9, was {value!r}")
    return name.strip(), number


def verify(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge verify`."""
    parser.add_argument(
        "run_id", metavar="RUN", help="a run's id, or its model: a folder or runs:/RUN_ID/model"
    )
    parser.add_argument(
        "--table", metavar="TABLE", help="where the table is now (default: where it was)"
    )
    store_options(parser)
    input_options(parser)
    output_options(parser)


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
    output_options(parser)


def ui(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge ui`."""
    store_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (5000)")
