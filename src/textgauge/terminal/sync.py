"""What `textgauge sync` says in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..tracking.sync import Synced


def sync_text(done: Sequence[Synced], left_out: Sequence[Synced]) -> str:
    """What came of each run, and which were not tried.

    Args:
        done: the runs that were tried.
        left_out: runs that their servers refused before, and that nobody named now.

    """
    lines = [f"{each.run_id}: {each.problem or each.run_url}" for each in done]
    if not done:
        lines.append("No run is waiting to be sent.")
    elif all(each.problem is None for each in done):
        lines.append(f"{len(done):,} run{'s' if len(done) > 1 else ''} sent whole.")
    if left_out:
        lines.append("Not tried, because the server refused the run when it was trained:")
        lines += [f"  {each.run_id}: {each.problem}" for each in left_out]
        lines.append("Once that is mended: textgauge sync RUN, with the run's id.")
    return "\n".join(lines)
