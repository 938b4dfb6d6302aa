"""What registering a run came to: gates, proof, the comparison with the champion, what changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .bundle.proof import Proof
from .review.head_to_head import HeadToHead
from .review.repetition import Difference
from .tracking.promotion import Promoted


@dataclass(frozen=True)
class Gate:
    """Something that has to hold before a model is registered.

    Attributes:
        name: a metric of the run, or "not worse than champion".
        needed: the least value.
        found: the value.

    """

    name: str
    needed: float
    found: float

    @property
    def holds(self) -> bool:
        """Whether it does; what is no number does not."""
        return self.found >= self.needed

    @property
    def told(self) -> str:
        """In a line.

        >>> Gate("eval_macro_f1", 0.9, 0.96875).told
        'eval_macro_f1 0.9688 >= 0.9'
        """
        sign = ">=" if self.holds else "<"
        return f"{self.name} {self.found:.4g} {sign} {self.needed:.4g}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        finite = {n: v if math.isfinite(v) else None for n, v in vars(self).items() if n != "name"}
        return {"name": self.name, **finite, "holds": self.holds}


@dataclass(frozen=True)
class Judged:
    """The champion and the new model on the same texts.

    Attributes:
        version: of the champion.
        table: the texts' table.
        found: both models' figures.
        champion_trained_on: of the texts, how many the champion was trained on; None: not known.
        trained_on: how many the new model was trained on; None: not known.

    """

    version: str
    table: str
    found: HeadToHead
    champion_trained_on: int | None
    trained_on: int | None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "version": self.version,
            "table": self.table,
            **self.found.to_json(),
            "texts_the_champion_was_trained_on": self.champion_trained_on,
            "texts_the_new_model_was_trained_on": self.trained_on,
        }


@dataclass(frozen=True)
class Registered:
    """What came of it.

    Attributes:
        run_id: of the run.
        name: of the registered model.
        alias: that was to point to the version.
        where: the store or server, for messages.
        gates: all that had to hold.
        proof: of the saved model in a fresh process.
        champion: the comparison with the champion; None where there was none to compare with.
        champion_check: "compared", "no champion", "is the champion" or "left out".
        changes: what differs from the champion.
        promoted: what was changed in the registry; None where a gate did not hold.

    """

    run_id: str
    name: str
    alias: str
    where: str
    gates: tuple[Gate, ...]
    proof: Proof
    champion: Judged | None
    champion_check: str
    changes: tuple[Difference, ...]
    promoted: Promoted | None

    @property
    def registered(self) -> bool:
        """Whether the alias points to the run's version."""
        return self.promoted is not None

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge register --json` prints it."""
        done = self.promoted
        return {
            "run_id": self.run_id,
            "name": self.name if done is None else done.name,
            "alias": self.alias,
            "registered": self.registered,
            "version": None if done is None else done.version,
            "new_version": done is not None and done.created,
            "previous_champion": None if done is None else done.previous,
            "gates": [gate.to_json() for gate in self.gates],
            "proof": vars(self.proof).copy(),
            "champion_check": self.champion_check,
            "champion": None if self.champion is None else self.champion.to_json(),
            "changes": [each.to_json() for each in self.changes],
        }


def version_tags(result: Registered, metrics: Mapping[str, float]) -> dict[str, str]:
    """What the version says of how it came here."""
    tags = {
        "textgauge.gates": "; ".join(gate.told for gate in result.gates) or "none",
        "textgauge.champion_check": result.champion_check,
        "textgauge.proof": f"{result.proof.texts} texts, {result.proof.largest_difference:.2g}",
    }
    for name in ("eval_accuracy", "eval_macro_f1"):
        if name in metrics:
            tags[f"textgauge.{name}"] = f"{metrics[name]:.6g}"
    if result.champion is not None:
        tags["textgauge.compared_with"] = f"version {result.champion.version}"
        tags["textgauge.compared_on"] = result.champion.table
    return tags


def version_description(result: Registered) -> str:
    """The same in Markdown, for the version's page."""
    lines = [f"Gates: {'; '.join(gate.told for gate in result.gates) or 'none'}."]
    if result.champion is not None:
        found = result.champion.found
        lines.append(
            f"On {result.champion.table} ({found.rows:,} rows) its macro F1 is "
            f"{found.new.macro_f1:.4f}, that of the champion before (version "
            f"{result.champion.version}) {found.old.macro_f1:.4f}."
        )
    if result.changes:
        lines += ["", "| changed | champion before | this |", "| --- | --- | --- |"]
        for each in result.changes:
            cells = [" ".join(str(v).split()) for v in (each.name, each.recorded, each.now)]
            lines.append("| " + " | ".join(cell.replace("|", "\\|")[:80] for cell in cells) + " |")
    return "\n".join(lines)
