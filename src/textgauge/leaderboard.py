"""The leaderboard of a comparison: its rows, which of them no other beats, and which is the best.

Nothing is chosen by the test part: the best of an architecture and the best of all are those of
validation. The test part says how good what was chosen is, and which entries are on the front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from typing import Any

COST_STEP = 1.1
"""Costs that differ by less than this factor count as the same: they are measured, with noise."""

RULE = (
    "Best is the model with the highest macro F1 on validation; models whose macro F1 there is not "
    "lower beyond chance (95 %, paired bootstrap) count as equal to it, and of these the cheapest "
    "to predict with is taken."
)


@dataclass(frozen=True)
class Entry:
    """A row: the best trial of an architecture, or a peer.

    Attributes:
        model: name of the architecture, or of the peer.
        kind: "model" or "peer".
        run_id: of the trial's run; None for a peer. As in the run's own record, where it can be
            found; `journal_run_id` is its id in the local store.
        trial: its number, from 1; None for a peer.
        changed: its settings that differ from the defaults.
        val_accuracy: on validation, over rows.
        val_macro_f1: likewise.
        accuracy: on the test part, over rows.
        macro_f1: likewise.
        accuracy_interval: 95 %, over distinct texts.
        macro_f1_interval: likewise.
        train_seconds: of its training, on one thread where no other number was set.
        predict_ms: milliseconds for a thousand texts, without torch, on one thread.
        megabytes: of the saved model, or of the pickled peer.
        bundle: the saved model's folder; None for a peer.
        front: no other is at least as good on the test part and cheaper to predict with.
        best: this one was chosen.

    """

    model: str
    kind: str
    run_id: str | None
    trial: int | None
    changed: Mapping[str, Any]
    val_accuracy: float
    val_macro_f1: float
    accuracy: float
    macro_f1: float
    accuracy_interval: tuple[float, float]
    macro_f1_interval: tuple[float, float]
    train_seconds: float
    predict_ms: float
    megabytes: float
    bundle: str | None = None
    journal_run_id: str | None = None
    front: bool = False
    best: bool = False

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            **asdict(self),
            "accuracy_interval": list(self.accuracy_interval),
            "macro_f1_interval": list(self.macro_f1_interval),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Entry:
        """The same again."""
        pairs = {n: tuple(values[n]) for n in ("accuracy_interval", "macro_f1_interval")}
        return cls(**{**values, **pairs})

    @property
    def settings_told(self) -> str:
        """Its settings that differ from the defaults, in a line; nothing of a peer."""
        if self.kind == "peer":
            return ""
        return settings_told(self.changed)


def settings_told(changed: Mapping[str, Any]) -> str:
    """Settings that differ from the defaults, in a line.

    >>> settings_told({"lr": 0.02, "bidirectional": True}), settings_told({})
    ('lr 0.02, bidirectional', 'the defaults')
    """
    told = (
        name
        if value is True
        else f"no {name}"
        if value is False
        else f"{name} {value:g}"
        if isinstance(value, int | float)
        else f"{name} {value}"
        for name, value in changed.items()
    )
    return ", ".join(told) or "the defaults"


@dataclass(frozen=True)
class Leaderboard:
    """The rows, the highest macro F1 on validation first.

    Attributes:
        entries: all of them.
        why: why the best is the best, in a sentence.

    """

    entries: tuple[Entry, ...]
    why: str = field(default="")

    @property
    def best(self) -> Entry:
        """The chosen model."""
        return next(entry for entry in self.entries if entry.best)

    @property
    def better_beside(self) -> list[Entry]:
        """What stands in the way of the best on the front: as good on test, and cheaper."""
        return [entry for entry in self.entries if _beats(entry, self.best)]

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as plain JSON values."""
        return [entry.to_json() for entry in self.entries]

    def to_csv(self) -> str:
        """The rows as a CSV file, intervals in two columns."""
        out = io.StringIO()
        rows = [_flat(entry) for entry in self.entries]
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows as people read them."""
        header = [
            "model", "val. macro F1", "test accuracy", "95 %", "test macro F1", "95 %", "train s",
            "ms / 1,000 texts", "MB", "front",
        ]  # fmt: skip
        rows = [
            [
                name_told(each),
                f"{each.val_macro_f1:.4f}",
                f"{each.accuracy:.4f}",
                interval_told(each.accuracy_interval),
                f"{each.macro_f1:.4f}",
                interval_told(each.macro_f1_interval),
                number_told(each.train_seconds),
                number_told(each.predict_ms),
                number_told(each.megabytes),
                front_told(each),
            ]
            for each in self.entries
        ]
        return header, rows

    def to_markdown(self) -> str:
        """The table and what to make of it, as the run's description."""
        header, rows = self.cells()
        lines = [
            "| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)
        ]
        settings = [
            f"- {each.model}: {each.settings_told} (run `{each.run_id}`)"
            for each in self.entries
            if each.kind == "model"
        ]
        return "\n".join([*lines, "", *settings, "", self.why])

    def to_html(self, title: str) -> str:
        """A page of its own, which loads nothing."""
        header, rows = self.cells()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        body = "\n".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        settings = "\n".join(
            f"<li><b>{escape(each.model)}</b>: {escape(each.settings_told)}; run "
            f"<code>{escape(each.run_id or '')}</code></li>"
            for each in self.entries
            if each.kind == "model"
        )
        return _PAGE.format(
            title=escape(title), head=head, body=body, settings=settings, why=escape(self.why)
        )


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }}
div {{ overflow-x: auto }}
table {{ border-collapse: collapse }}
th, td {{ padding: .3em .7em; text-align: right; border-bottom: 1px solid #ccc }}
th:first-child, td:first-child {{ text-align: left }}
td {{ font-variant-numeric: tabular-nums; white-space: nowrap }}
</style></head><body>
<h1>{title}</h1>
<div><table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></div>
<p>{why}</p>
<ul>
{settings}
</ul>
</body></html>
"""


def make_leaderboard(entries: Sequence[Entry], equal: Mapping[str, bool]) -> Leaderboard:
    """Order the rows, mark those on the front, and choose the best.

    Args:
        entries: one model at least.
        equal: of each model by name, whether its macro F1 on validation is not lower than that of
            the highest beyond chance.

    """
    ordered = sorted(entries, key=lambda each: (-each.val_macro_f1, each.predict_ms))
    models = [each for each in ordered if each.kind == "model"]
    highest = models[0]
    ties = [each for each in models if equal[each.model] or each is highest]
    cheapest = min(each.predict_ms for each in ties)
    best = next(each for each in ties if each.predict_ms <= cheapest * COST_STEP)
    return Leaderboard(
        tuple(
            replace(
                each,
                front=not any(_beats(other, each) for other in ordered),
                best=each is best,
            )
            for each in ordered
        ),
        _why(best, highest, ties),
    )


def _beats(one: Entry, other: Entry) -> bool:
    """At least as good and cheaper, or better and as cheap."""
    return (one.macro_f1 >= other.macro_f1 and one.predict_ms < other.predict_ms) or (
        one.macro_f1 > other.macro_f1 and one.predict_ms <= other.predict_ms
    )


def _why(best: Entry, highest: Entry, ties: Sequence[Entry]) -> str:
    figures = f"macro F1 {best.val_macro_f1:.4f} on validation"
    if best is not highest:
        return (
            f"Best: {best.model} ({figures}). {highest.model} has {highest.val_macro_f1:.4f} "
            "there, which is no more than chance, and takes "
            f"{highest.predict_ms / best.predict_ms:.1f} times as long to predict."
        )
    if len(ties) > 1:
        others = " and ".join(each.model for each in ties if each is not best)
        return (
            f"Best: {best.model} ({figures}, the highest of all models). {others} "
            f"{'is' if len(ties) == 2 else 'are'} not worse there beyond chance, but not cheaper "
            "to predict with."
        )
    return f"Best: {best.model} ({figures}, the highest of all models)."


def name_told(entry: Entry) -> str:
    """Its name; the best is told."""
    return f"{entry.model} (best)" if entry.best else entry.model


def front_told(entry: Entry) -> str:
    """Whether it is on the front."""
    return "yes" if entry.front else ""


def interval_told(interval: tuple[float, float]) -> str:
    """Both ends.

    >>> interval_told((0.91249, 1.0))
    '0.912-1.000'
    """
    return f"{interval[0]:.3f}-{interval[1]:.3f}"


def number_told(value: float) -> str:
    """Three digits, and all before the point.

    >>> [number_told(value) for value in (0.0123, 1.234, 12.34, 1234.5)]
    ['0.0123', '1.23', '12.3', '1,234']
    """
    if value >= 100:
        return f"{value:,.0f}"
    digits = next((n for bound, n in ((10, 1), (1, 2), (0.1, 3)) if value >= bound), 4)
    return f"{value:.{digits}f}"


def _flat(entry: Entry) -> dict[str, Any]:
    """A row of the CSV file."""
    values: dict[str, Any] = {}
    for name, value in entry.to_json().items():
        if name == "changed":
            values["settings"] = entry.settings_told
        elif isinstance(value, list):
            values[f"{name.removesuffix('_interval')}_low"] = value[0]
            values[f"{name.removesuffix('_interval')}_high"] = value[1]
        else:
            values[name] = value
    return values
