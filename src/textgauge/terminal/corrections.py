"""What `textgauge check --fix` did to the table, as text."""

from __future__ import annotations

from ..data.corrections import Corrected, shortened
from ..data.problems import counted


def corrections_text(done: Corrected) -> str:
    """How many rows changed, and where they are now."""
    dropped = f"; {counted(done.dropped, 'row')} dropped" if done.dropped else ""
    changed = counted(done.changed, "row")
    return f"{done.out}: {changed} of {done.rows:,} with another label{dropped}."


def corrections_warnings(done: Corrected) -> list[str]:
    """What may be a mistake: corrections without a row, labels that are new."""
    found = []
    if done.unmatched_count:
        lines = [
            f"  {shortened(text)!r}" + ("" if label is None else f" with the label {label!r}")
            for text, label in done.unmatched
        ]
        more = done.unmatched_count - len(lines)
        lines += [f"  and {more:,} more"] if more else []
        verb = "matches" if done.unmatched_count == 1 else "match"
        head = f"{counted(done.unmatched_count, 'correction')} {verb} no row of the table:"
        found.append("\n".join([head, *lines]))
    for label, near in done.new_labels.items():
        hint = "" if near is None else f" Did you mean {near!r}?"
        found.append(f"the label {label!r} is new to the table.{hint}")
    return found
