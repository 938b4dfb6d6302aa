"""What the work on Spark costs: a formula, fitted to what measure.py measured, and its forecasts.

    python benchmarks/spark/cost.py [POINTS] [--rows 1000000000] [--slots 64]

POINTS is the file that `measure.py --points` wrote; default the one beside this file. Every formula
is linear in its constants, which are fitted with none below 0; the table shows each point beside
what the formula says when it was fitted without that point, and for scoring what simulation.py says
with the same constants. docs/concepts/scale.md has the text.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls
from simulation import REMEMBERED, scoring_seconds

Point = dict[str, Any]

SPREAD = 0.08
"""How far runs of the same work differ: the relative deviation of the repeated points."""


@dataclass(frozen=True)
class Formula:
    """A sum of constants, each times something that is known beforehand.

    Attributes:
        name: what it tells.
        unit: of the result.
        terms: name of each constant, and what it is multiplied with.
        of: the measured value of a point.

    """

    name: str
    unit: str
    terms: dict[str, Callable[[Point], float]]
    of: Callable[[Point], float]

    def fit(self, points: Sequence[Point]) -> dict[str, float]:
        """The constants with the least relative error."""
        measured = np.array([self.of(point) for point in points])
        known = np.array([[term(point) for term in self.terms.values()] for point in points])
        scale = np.abs(known / measured[:, None]).max(0)
        scale[scale == 0] = 1.0
        found, _ = nnls(known / measured[:, None] / scale, np.ones(len(points)))
        return dict(zip(self.terms, found / scale, strict=True))

    def at(self, constants: dict[str, float], point: Point) -> float:
        """What it says of a point."""
        return sum(constants[name] * term(point) for name, term in self.terms.items())


def kinds(point: Point) -> float:
    """Different texts of the table."""
    return max(int(point["rows"] * point["distinct"]), 1)


def seen(rows: float, of: float, different: float) -> float:
    """Different texts among `rows` of a table of `of` rows, where each text stands equally often.

    >>> round(seen(500, 1_000, 1_000)), round(seen(1_000_000, 2_000_000, 100))
    (500, 100)
    """
    if rows >= of:
        return different
    return different * -math.expm1(of / different * math.log1p(-rows / of))


def predicted(rows: float, of: float, different: float, remembered: float = REMEMBERED) -> float:
    """Texts that a process predicts among `rows` of `of`; it forgets all when its memory is full.

    >>> round(predicted(1_000, 1_000, 100, remembered=200))
    100
    >>> round(predicted(1_000, 1_000, 1_000, remembered=200))
    1000
    """
    if remembered >= different:
        return seen(rows, of, different)
    # Rows until the memory is full, from the inverse of `seen`.
    full = of * -math.expm1(different / of * math.log1p(-remembered / different))
    times, rest = divmod(rows, full)
    return times * remembered + seen(rest, of, different)


def slots(point: Point) -> float:
    """Cores that score."""
    return float(point.get("slots") or (2 if point["where"] != "1 worker" else 1))


def tasks(point: Point) -> float:
    """Tasks that read the table: Spark gives each slot one, of 128 MB at most."""
    return float(point.get("tasks") or slots(point))


SCORING = Formula(
    "Scoring",
    "s",
    {
        "start": lambda p: 1.0,
        "each row": lambda p: p["rows"] / slots(p),
        # A process remembers what it has predicted; the slots do not ask each other.
        "each text that a slot predicts": lambda p: predicted(
            p["rows"] / slots(p), p["rows"], kinds(p)
        ),
    },
    lambda p: p["seconds"],
)

PREPARING = Formula(
    "Data stage",
    "s",
    {
        "start": lambda p: 1.0,
        "each row": lambda p: p["rows"] / slots(p),
        "each text": lambda p: kinds(p) / slots(p),
    },
    lambda p: p["seconds"],
)

RECORDS = Formula(
    "Records that are shuffled",
    "",
    {
        "each text of a task": lambda p: tasks(p) * seen(p["rows"] / tasks(p), p["rows"], kinds(p)),
        "each text": kinds,
    },
    lambda p: p["records"],
)

BYTES = Formula(
    "Bytes that are shuffled",
    "",
    {"each record": lambda p: p["records"], "each text": kinds},
    lambda p: p["shuffled"],
)

STEP = Formula(
    "A training step",
    "ms",
    {
        "each step": lambda p: 1.0,
        "each step of several": lambda p: float(p["workers"] > 1),
        "each text of a worker": lambda p: p["batch"] / p["workers"],
    },
    lambda p: 1000 / p["steps"],
)


def read(file: Path) -> dict[str, list[Point]]:
    """Points by their kind; the stages of one data stage added up, and medians of equal runs."""
    found: dict[str, list[Point]] = defaultdict(list)
    for line in file.read_text(encoding="utf-8").splitlines():
        point = json.loads(line)
        found[point.pop("kind")].append(point)
    return {
        "score": _medians(
            [p for p in found["score"] if "worker" in p["where"]], "seconds"
        ),
        "prepare": _medians(_whole(found["prepare"]), "seconds"),
        "train": _medians(found["train"], "steps"),
    }  # fmt: skip


def _whole(stages: list[Point]) -> list[Point]:
    """Points of the whole data stage; `stages` come in order, `reading` first."""
    added = ("seconds", "shuffled", "records")
    result: list[Point] = []
    for stage in stages:
        if stage["stage"] == "starting Spark":
            continue
        if stage["stage"] == "reading":
            result.append({**stage, "where": "2 workers"})
        else:
            for name in added:
                result[-1][name] += stage[name]
            for name in ("executor", "python", "driver"):
                result[-1][name] = max(result[-1][name], stage[name])
    return result


def _medians(points: list[Point], value: str) -> list[Point]:
    groups: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        known = {name: point[name] for name in ("rows", "distinct", "where", "batch", "workers")
                 if name in point}  # fmt: skip
        groups[json.dumps(known)].append(point)
    return [
        {**group[0], value: float(np.median([point[value] for point in group]))}
        for group in groups.values()
    ]


def show(formula: Formula, points: list[Point]) -> dict[str, float]:
    """Print the constants, and each point beside what the others say of it; gives the constants."""
    constants = formula.fit(points)
    print(f"\n{formula.name}: " + ", ".join(f"{n} {c:.3g}" for n, c in constants.items()))
    print(
        "\n| point | measured | formula | formula without this point |\n| --- | --- | --- | --- |"
    )
    for index, point in enumerate(points):
        others = points[:index] + points[index + 1 :]
        told = formula.at(formula.fit(others), point) if len(others) >= len(constants) else None
        name = ", ".join(
            f"{point[key]:,} {key}" if isinstance(point[key], int) else f"{key} {point[key]}"
            for key in ("rows", "distinct", "where", "batch", "workers")
            if key in point
        )
        without = "" if told is None else f"{told:,.1f}"
        print(
            f"| {name} | {formula.of(point):,.1f} | {formula.at(constants, point):,.1f} | "
            f"{without} |"
        )
    return constants


def simulated(constants: dict[str, float], point: Point) -> str:
    """What the simulation says of a scoring: the median, and 90 % of its outcomes."""
    middle, low, high = scoring_seconds(
        int(point["rows"]),
        kinds(point),
        round(slots(point)),
        round(tasks(point)),
        start=constants["start"],
        each_row=constants["each row"],
        each_text=constants["each text that a slot predicts"],
        spread=SPREAD,
    )
    return f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"


def main() -> None:
    """Fit, compare and forecast."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path(__file__).with_name("points.jsonl")
    parser.add_argument("points", type=Path, nargs="?", default=beside)
    parser.add_argument("--rows", type=float, default=1e9)
    parser.add_argument("--slots", type=int, default=64)
    options = parser.parse_args()
    points = read(options.points)
    fitted = {
        formula.name: show(formula, points[kind])
        for formula, kind in (
            (SCORING, "score"),
            (PREPARING, "prepare"),
            (RECORDS, "prepare"),
            (BYTES, "prepare"),
            (STEP, "train"),
        )
    }
    scoring = fitted[SCORING.name]
    print("\nScoring, simulated: median and 90 % of the outcomes\n")
    print("| point | measured | formula | simulated |\n| --- | --- | --- | --- |")
    for point in points["score"]:
        print(
            f"| {point['rows']:,} rows, {point['distinct']:.0%} different, {point['where']} | "
            f"{SCORING.of(point):,.0f} | {SCORING.at(scoring, point):,.0f} | "
            f"{simulated(scoring, point)} |"
        )
    print(f"\n{options.rows:,.0f} rows on {options.slots} slots\n")
    print("| of them different | scoring, s | simulated, s | data stage | shuffled | an epoch |")
    print("| --- | --- | --- | --- | --- | --- |")
    for share in (0.01, 0.1, 1.0):
        point: Point = {
            "rows": options.rows,
            "distinct": share,
            "where": "",
            "slots": options.slots,
            "tasks": max(options.rows * 60 / 128e6, options.slots),
            "batch": 2048,
            "workers": options.slots,
        }
        point["records"] = RECORDS.at(fitted[RECORDS.name], point)
        texts = 0.6 * kinds(point)
        step = STEP.at(fitted[STEP.name], point) / 1000
        print(
            f"| {share:.0%} | {SCORING.at(scoring, point):,.0f} | {simulated(scoring, point)} | "
            f"{PREPARING.at(fitted[PREPARING.name], point) / 60:,.0f} min | "
            f"{BYTES.at(fitted[BYTES.name], point) / 1e9:,.0f} GB | "
            f"{texts / 2048 * step / 60:,.0f} min |"
        )


if __name__ == "__main__":
    main()
