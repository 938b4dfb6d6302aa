"""`textgauge` with a tracker that throws everything away: what tracking is measured against.

python benchmarks/tracking/untracked.py train TABLE …    (as `textgauge train TABLE …`)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Self

import textgauge.run
from textgauge.cli import main
from textgauge.tracking.protocol import RunRecord


class Nowhere:
    """A `Tracker` that keeps nothing and starts no process."""

    def __getattr__(self, name: str) -> Any:
        """Take whatever is logged."""
        return lambda *_, **__: None

    def news(self) -> list[str]:
        """Nothing."""
        return []

    def ready(self, timeout: float | None = None) -> RunRecord:
        """Name a run that is nowhere."""
        return RunRecord("untracked", "0", "none", "none", "none")

    def end(self, status: str = "FINISHED") -> RunRecord:
        """As `ready`."""
        return self.ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


if __name__ == "__main__":
    textgauge.run.open_tracker = lambda *_, **__: Nowhere()
    Path(".textgauge").mkdir(exist_ok=True)
    main(sys.argv[1:])
