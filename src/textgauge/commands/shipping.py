"""A saved model leaves this machine: `export`, `register`."""

from __future__ import annotations

import argparse

from .shared import print_json, progress_of, tracking_uri_of


def export(options: argparse.Namespace) -> int:
    """Write a folder that predicts with numpy and onnxruntime only."""
    from ..exporting import export_model
    from ..terminal.export import exported_text

    found = export_model(
        options.model,
        options.folder,
        int8=options.int8,
        data=options.data,
        text=options.text,
        label=options.label,
        tracking_uri=tracking_uri_of(options),
        encoding=options.encoding,
        delimiter=options.delimiter,
    )
    if options.json:
        print_json(found.to_json())
    else:
        print(exported_text(found))
    return 0


def register(options: argparse.Namespace) -> int:
    """Register a run's model; 0 where the alias points to it."""
    from ..registering import register_run
    from ..terminal.progress import close
    from ..terminal.register import registered_text

    progress = progress_of(options)
    try:
        found = register_run(
            options.run_id,
            options.name,
            alias=options.alias,
            least=dict(options.least),
            champion_check=options.champion_check,
            margin=options.margin,
            data=options.data,
            text=options.text,
            label=options.label,
            tracking_uri=tracking_uri_of(options),
            encoding=options.encoding,
            delimiter=options.delimiter,
            progress=progress,
        )
    finally:
        close(progress)
    if options.json:
        print_json(found.to_json())
    else:
        print(registered_text(found))
    return 0 if found.registered else 1
