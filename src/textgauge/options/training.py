"""Options of the commands that check a table and train on it."""

from __future__ import annotations

import argparse
from pathlib import Path

from .settings import config_options, run_options
from .shared import (
    MODEL_HELP,
    SPARK_TABLE_HELP,
    TABLE_HELP,
    engine_options,
    input_options,
    output_options,
    positive,
    store_options,
)


def demo(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge demo`."""
    parser.add_argument("--rows", type=int, default=100_000, help="component notes (100000)")
    run_options(parser)
    output_options(parser)


def check(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge check`."""
    parser.add_argument("table", metavar="TABLE", nargs="?", help=TABLE_HELP)
    tracking = parser.add_argument_group("tracking")
    tracking.add_argument(
        "--tracking",
        action="store_true",
        help="ask the tracking server, not the table: client, login, workspace, right to write",
    )
    tracking.add_argument("--experiment", metavar="NAME", help="MLflow experiment (textgauge)")
    store_options(tracking)  # type: ignore[arg-type]
    parser.add_argument(
        "--against",
        metavar="MODEL|TABLE",
        help="tell how the table differs from what a model was trained on, or from another table: "
        + MODEL_HELP,
    )
    parser.add_argument(
        "--show-encoding", metavar="TEXT", help="how a text is read: its tokens, ids and numbers"
    )
    parser.add_argument(
        "--fix",
        type=Path,
        metavar="FILE",
        help="corrected labels: a table with text, label and corrected_label, such as a filled-in "
        "label_issues.csv; the table goes to --out with them and is checked there",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="of --fix: CSV, TSV, JSON Lines, Parquet or Arrow file",
    )
    config_options(parser, "table")
    input_options(parser)
    output_options(parser)


def compare(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge compare`."""
    parser.add_argument("table", metavar="TABLE", help=TABLE_HELP)
    search = parser.add_argument_group("what is compared")
    search.add_argument(
        "--models",
        type=_names,
        metavar="NAME,…",
        help="architectures: bag, cnn, lstm (default: all that can be trained here)",
    )
    search.add_argument(
        "--trials",
        type=positive,
        metavar="N",
        help="of each architecture at most, the first with its default settings (10)",
    )
    search.add_argument(
        "--budget",
        metavar="TIME",
        help="for all trials together: 90s, 10m, 2h (default: as long as they take)",
    )
    search.add_argument("--resume", metavar="RUN", help="go on with the run of a comparison")
    config_options(parser, "table", "training", "models")
    run_options(parser)
    input_options(parser)
    output_options(parser)


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def train(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge train`."""
    parser.add_argument("table", metavar="TABLE", help=TABLE_HELP + SPARK_TABLE_HELP)
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    config_options(parser, "table", "training")
    run_options(parser)
    engine = engine_options(parser)
    engine.add_argument(
        "--spark-workers",
        type=positive,
        metavar="N",
        help="processes that train together (default: by the number of texts)",
    )
    engine.add_argument(
        "--spark-folder",
        metavar="DIR",
        help="where driver and executors share files (default: a temporary folder on this machine)",
    )
    input_options(parser)
    output_options(parser)
