"""What several commands make of their options."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..config import Config
    from ..training.progress import Progress


def config_of(options: argparse.Namespace) -> Config:
    """Settings of the file named by --config, overruled by those on the command line."""
    from ..config import Config

    return Config.from_mapping(settings_of(options), origin=origin_of(options))


def origin_of(options: argparse.Namespace) -> str:
    """What holds the settings, for messages: the file of --config, if any."""
    file: Path | None = getattr(options, "config", None)
    return str(file) if file else "textgauge"


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, in the file or on the command line, not yet checked."""
    import dataclasses

    from ..config import Config

    file: Path | None = getattr(options, "config", None)
    values = Config.read_toml(file) if file else {}
    fields = {field.name for field in dataclasses.fields(Config)}
    return values | {name: value for name, value in vars(options).items() if name in fields}


def progress_of(options: argparse.Namespace) -> Progress:
    """What shows the progress on the terminal."""
    from ..terminal.progress import progress_for

    return progress_for(sys.stderr, quiet=options.quiet)


def print_json(values: dict[str, Any]) -> None:
    """Print the one JSON object of a command."""
    print(json.dumps(values, allow_nan=False))  # In ASCII: any terminal and any pipe takes it.


def engine_of(options: argparse.Namespace) -> dict[str, Any]:
    """Where the work is done: arguments of `run.train` and `scoring.score_model`."""
    names = ("spark_master", "spark_workers", "spark_folder")
    given = {name: getattr(options, name) for name in names if hasattr(options, name)}
    for name, value in given.items():
        if value is not None and options.engine != "spark":
            options.parser.error(f"--{name.replace('_', '-')} needs --engine spark")
    return {"engine": options.engine, **given} if hasattr(options, "engine") else {}


def tracking_uri_of(options: argparse.Namespace) -> str | None:
    """The address that --tracking-uri or --azureml names."""
    if options.azureml is None:
        uri: str | None = options.tracking_uri
        return uri
    if getattr(options, "tracking_uri", None) is not None:
        given = "--to" if options.command == "sync" else "--tracking-uri"
        options.parser.error(f"pass {given} or --azureml, not both")
    from ..tracking.servers.azureml import AzureML

    return AzureML.from_name(options.azureml).uri
