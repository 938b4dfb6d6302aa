"""What `textgauge register` shows: the gates first, then what it came to and what changed."""

from __future__ import annotations

from ..registered import Judged, Registered
from .tables import table

_CHECKS = {
    "no champion": "{name} has no champion yet, so there was none to compare with.",
    "is the champion": "The run's version is the champion already.",
    "left out": "The comparison with the champion was left out.",
}
_SHOWN = 24
_WIDTH, _BEFORE = 32, 12
"""Characters of a value, and how many of them stand before the first that differs."""


def registered_text(found: Registered) -> str:
    """The gates, the comparison, what changed, the outcome."""
    blocks = [
        f"Proved in a fresh process on {found.proof.texts:,} texts; a probability differs by "
        f"{found.proof.largest_difference:.2g} at most."
    ]
    if found.gates:
        rows = [
            [g.name, f"{g.needed:.4g}", f"{g.found:.4g}", "yes" if g.holds else "NO"]
            for g in found.gates
        ]
        blocks.append(table(["gate", "at least", "found", "holds"], rows))
    if found.champion is not None:
        blocks.append(_compared(found.champion))
    elif found.champion_check in _CHECKS:
        blocks.append(_CHECKS[found.champion_check].format(name=found.name))
    if found.changes:
        rows = [[e.name, *_values(e.recorded, e.now)] for e in found.changes[:_SHOWN]]
        left = len(found.changes) - len(rows)
        more = f"\n(and {left:,} more; see --json)" if left > 0 else ""
        blocks.append(table(["what changed", "champion before", "this run"], rows) + more)
    return "\n\n".join([*blocks, _outcome(found)])


def _compared(judged: Judged) -> str:
    duel = judged.found
    sentences = [
        f"On {judged.table} ({duel.rows:,} rows, {duel.texts:,} distinct texts) the champion "
        f"(version {judged.version}) has macro F1 {duel.old.macro_f1:.4f}, this run "
        f"{duel.new.macro_f1:.4f}.",
        f"Texts that only this run gets right: {duel.comparison.gained:,}; only the champion: "
        f"{duel.comparison.lost:,} (McNemar's test: p = {duel.comparison.p_value:.3g}).",
    ]
    for who, known in (
        ("The champion", judged.champion_trained_on),
        ("This run", judged.trained_on),
    ):
        if known is None:
            sentences.append(f"Whether {who.lower()} was trained on some of them is not known.")
        elif known:
            sentences.append(
                f"{who} was trained on {known:,} of these texts, which flatters it: better compare "
                "on texts that neither has seen (--data)."
            )
    return " ".join(sentences)


def _outcome(found: Registered) -> str:
    done = found.promoted
    if done is None:
        failed = [gate.told for gate in found.gates if not gate.holds]
        return f"Not registered, and nothing was changed: {'; '.join(failed)}."
    told = f"{done.name} version {done.version} {'is new' if done.created else 'was there'}"
    told += f", and {found.alias!r} points to it: models:/{done.name}@{found.alias}"
    if done.previous is not None:
        told += f". Version {done.previous} was the champion, and is 'previous' now"
    return f"{told}."


def _values(recorded: object, now: object) -> tuple[str, str]:
    """Two values; of long ones, the part in which they differ.

    >>> _values("hash of the normalised text (seed 0)", "hash of the normalised text (seed 12)")
    ('…text (seed 0)', '…text (seed 12)')
    """
    both = _value(recorded), _value(now)
    if max(map(len, both)) <= _WIDTH:
        return both
    pairs = enumerate(zip(*both, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(map(len, both)))
    begin = max(same - _BEFORE, 0)
    begin += both[0][begin:same].find(" ") + 1 if begin else 0
    return _part(both[0], begin), _part(both[1], begin)


def _part(text: str, begin: int) -> str:
    shown = text if begin == 0 else f"…{text[begin:]}"
    return shown if len(shown) <= _WIDTH else f"{shown[: _WIDTH - 1]}…"


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = " ".join(str(value).split()) if not isinstance(value, int) else str(value)
    return text if text.isprintable() else repr(text)
