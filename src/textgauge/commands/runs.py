"""What is done with tracked runs: `verify`, `sync`, `ui`."""

from __future__ import annotations

import argparse
import sys

from ..errors import TrackingError
from .shared import print_json, progress_of, tracking_uri_of


def verify(options: argparse.Namespace) -> int:
    """Train again from what a run recorded; 0 where the same comes out."""
    from ..terminal.progress import close
    from ..terminal.verify import verified_text
    from ..verifying import verify_run

    progress = progress_of(options)
    try:
        found = verify_run(
            options.run_id,
            table=options.table,
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
        print(verified_text(found))
    return 0 if found.same else 1


def sync(options: argparse.Namespace) -> int:
    """Send runs that a tracking server missed."""
    from ..terminal.sync import sync_text
    from ..tracking.sync import refused, sync

    options.tracking_uri = options.to
    to = tracking_uri_of(options)

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
        print_json(
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


def ui(options: argparse.Namespace) -> int:
    """Serve MLflow's web UI."""
    from ..tracking.open import local_store_of_environment
    from ..tracking.ui import serve_ui

    uri = tracking_uri_of(options) or local_store_of_environment()
    serve_ui(uri, options.host, options.port)
    return 0
