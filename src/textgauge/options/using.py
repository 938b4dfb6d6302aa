"""Options of the commands that use a saved model."""

from __future__ import annotations

import argparse
from pathlib import Path

from .settings import config_options
from .shared import (
    MODEL_HELP,
    TABLE_HELP,
    engine_options,
    input_options,
    output_options,
    positive,
    seconds,
    store_options,
)


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge evaluate`."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("table", metavar="TABLE", help=TABLE_HELP)
    parser.add_argument(
        "--slice", metavar="COLUMN", help="judge the rows of each value of this column, too"
    )
    config_options(parser)
    store_options(parser)
    input_options(parser)
    output_options(parser)


def explain(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge explain`."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("what", metavar="TEXT|TABLE", help=f"a text, or a table: {TABLE_HELP}")
    parser.add_argument("--text", default=None, metavar="COLUMN", help="column with the texts")
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="texts of a table at most (10; with --overall 1000)",
    )
    parser.add_argument(
        "--overall",
        action="store_true",
        help="not each text of the table, but what matters over all: words, numbers",
    )
    parser.add_argument(
        "--label",
        default=None,
        metavar="LABEL",
        help="of a model of several labels a text: the one to explain (default: those decided)",
    )
    store_options(parser)
    input_options(parser)
    output_options(parser)


def score(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge score`."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "table",
        metavar="TABLE",
        help="CSV, TSV, JSON Lines, Parquet or Arrow file (also .gz), a glob or a folder of these, "
        "a Delta table, an SQL address, or - for standard input; with --engine spark also a "
        "Spark table",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="CSV, TSV, JSON Lines, Parquet or Arrow file, or - for standard output; with "
        "--engine spark a folder of that name, or a table",
    )
    parser.add_argument("--text", default=None, metavar="COLUMN", help="column with the texts")
    parser.add_argument("--query", metavar="SQL", help="what to ask the database that TABLE names")
    parser.add_argument(
        "--format",
        dest="form",
        metavar="NAME",
        help="csv, tsv, jsonl, parquet or arrow (default: by FILE's ending; to a pipe csv)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it is there")
    parser.add_argument(
        "--cores", type=positive, metavar="N", help="that the model uses at most (all)"
    )
    engine_options(parser)
    store_options(parser)
    input_options(parser)
    output_options(parser)


def serve(parser: argparse.ArgumentParser) -> None:
    """Options of `textgauge serve`."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument(
        "--port", type=int, default=8000, help="port to listen on; 0 takes a free one (8000)"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="holds the token that clients must send (default: TEXTGAUGE_TOKEN, else none)",
    )
    parser.add_argument(
        "--watch",
        type=seconds,
        metavar="SECONDS",
        default=30.0,
        help="how often to look where the model's alias points; 0: never (30)",
    )
    parser.add_argument(
        "--cores", type=positive, metavar="N", default=1, help="threads of the network (1)"
    )
    limits = parser.add_argument_group("limits")
    for name, kind, dest, text in (
        ("max-body", positive, "body_bytes", "bytes of a request (1048576)"),
        ("max-table", positive, "table_bytes", "bytes of a table to score (10485760)"),
        ("max-tables", positive, "tables", "tables that are scored at the same time (4)"),
        ("max-texts", positive, "texts", "texts of a request (1000)"),
        ("max-characters", positive, "characters", "characters of a text (20000)"),
        ("max-explained", positive, "explained", "texts explained in a request (16)"),
        ("max-queue", positive, "queue", "requests that may wait for the model (256)"),
        ("queue-seconds", seconds, "queue_seconds", "how long a request may wait (5)"),
        ("read-seconds", seconds, "read_seconds", "how long a client may take to send (10)"),
        ("max-connections", positive, "connections", "open connections (512)"),
        ("shutdown-seconds", seconds, "shutdown_seconds", "for what is in flight (10)"),
        ("cache", int, "cached_characters", "characters of texts remembered (2000000)"),
    ):
        limits.add_argument(
            f"--{name}",
            type=kind,
            dest=dest,
            metavar="SECONDS" if kind is seconds else "N",
            help=text,
            default=argparse.SUPPRESS,
        )
    store_options(parser)
    output_options(parser)
