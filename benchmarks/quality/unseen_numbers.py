"""Numbers that training has not seen: accuracy of every rung on notes that a planted rule labels.

    python benchmarks/quality/unseen_numbers.py run OUT.jsonl [--sets "gap, mm"] [--entrants lstm]
    python benchmarks/quality/unseen_numbers.py table OUT.jsonl
    python benchmarks/quality/unseen_numbers.py show

Nothing is read: the notes are made here. A component note breaks its regulation by its year, its
condition or its material; train has the odd years up to 2011, the test all others, and each of the
2,400 different notes stands there once. A workshop note breaks its rule by what was measured, in
several wordings and often with other numbers beside it (of parts, orders, bays, dates); of the
values measured, train lacks every third and the highest, which the test has. Notes with a decimal
comma are German, as are their dates and thousands. `show` prints some.
What OUT has already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from ladder import read, rung
from peers import PEERS, Fit, Rows, tfidf, vector_machine

TRAIN_ROWS, TEST_ROWS = 1_200, 1_200
RUNGS = {
    "linear": {"model": "linear"},
    "bag": {"model": "bag"},
    "cnn": {"model": "cnn"},
    "lstm": {"model": "lstm"},
    "lstm, both ways": {"model": "lstm", "bidirectional": True},
    "encoder": {"model": "encoder"},
    "encoder, labels as they are": {"model": "encoder", "label_smoothing": 0.0},
}
PEER_FITS: dict[str, Fit] = {
    "TF-IDF words": PEERS["TF-IDF + SVM"],
    "TF-IDF characters": tfidf(vector_machine, analyzer="char", ngram_range=(1, 5)),
}
GOOD, BAD = "good", "bad"


@dataclass(frozen=True)
class Measured:
    """What a workshop note measures.

    Attributes:
        wordings: of the measurement; `{}` stands for value and unit.
        units: ways to write the unit, behind the value.
        values: all that are measured, rising; their first two, and then two of three, train.
        write: a value as a note has it.
        is_bad: the rule.
        language: of the rest of the note.

    """

    wordings: tuple[str, ...]
    units: tuple[str, ...]
    values: tuple[float, ...]
    write: Callable[[float, np.random.Generator], str]
    is_bad: Callable[[float], bool]
    language: Language


@dataclass(frozen=True)
class Language:
    """What stands in a note beside the measurement.

    Attributes:
        places: where it was measured.
        tails: what may follow.
        others: other numbers, before what was measured or behind.

    """

    places: tuple[str, ...]
    tails: tuple[str, ...]
    others: tuple[Callable[[np.random.Generator], str], ...]


def signed(value: float, random: np.random.Generator) -> str:
    """With a hyphen for a minus, or now and then the sign itself."""
    return f"{value:g}".replace("-", "-" if random.random() < 0.8 else "\u2212")


def comma(written: str) -> str:
    """With a comma for the decimal point, and dots between thousands."""
    return written.translate(str.maketrans(",.", ".,"))


def grid(low: int, high: int, step: int, divisor: int) -> tuple[float, ...]:
    """`low`, `low` + `step` … `high`, divided."""
    return tuple(value / divisor for value in range(low, high + 1, step))


ENGLISH = Language(
    (
        "at the left hinge", "at the right hinge", "on the front bearing", "on the rear bearing",
        "at the pump", "on the gear box", "at the coupling", "on the main shaft",
        "at the valve block", "on the conveyor", "at the press", "on the feed unit",
    ),
    ("", "", ", noted by the night shift", ", to be watched", ", photo taken", ", no leak seen"),
    (
        lambda random: f"part no {random.integers(1_000, 10_000)}",
        lambda random: f"P/N {random.integers(100, 1_000)}-{random.integers(10, 100)}",
        lambda random: f"bay {random.integers(1, 25)}",
        lambda random: f"order {random.integers(10_000, 100_000):,}",
        lambda random: f"2024-{random.integers(1, 13):02}-{random.integers(1, 29):02}",
        lambda random: f"{random.integers(1, 29)} March 2023",
        lambda random: f"crew of {random.integers(2, 7)}",
    ),
)  # fmt: skip
GERMAN = Language(
    (
        "am linken Scharnier", "am rechten Scharnier", "am vorderen Lager", "am hinteren Lager",
        "an der Pumpe", "am Getriebe", "an der Kupplung", "an der Hauptwelle", "am Ventilblock",
        "am Förderband", "an der Presse", "am Vorschub",
    ),
    ("", "", ", Nachtschicht", ", beobachten", ", Foto gemacht", ", keine Leckage"),
    (
        lambda random: f"Teil Nr. {random.integers(1_000, 10_000)}",
        lambda random: f"Art. {random.integers(100, 1_000)}-{random.integers(10, 100)}",
        lambda random: f"Halle {random.integers(1, 25)}",
        lambda random: "Auftrag " + comma(f"{random.integers(10_000, 100_000):,}"),
        lambda random: comma(f"{random.integers(1_000, 9_000):,}") + " Betriebsstunden",
        lambda random: f"{random.integers(1, 29):02}.{random.integers(1, 13):02}.2024",
        lambda random: f"am {random.integers(1, 29)}. März 2023",
        lambda random: f"Trupp von {random.integers(2, 7)}",
    ),
)  # fmt: skip

GERMAN_GAPS = (
    "Spaltmaß {} {place}",
    "Spiel von {} {place} gemessen",
    "{place} beträgt der Spalt {}",
    "{place}: Spiel {}, Scheibe eingelegt",
    "{} Luft {place} bei der Prüfung gefunden",
)


MEASURED = {
    "gap, mm": Measured(
        (
            "gap {} {place}",
            "measured a gap of {} {place}",
            "clearance {place} is {}",
            "{place}: play {}, shim fitted",
            "{} gap found {place} at inspection",
        ),
        (" mm", "mm", " millimetres"),
        grid(3, 80, 1, 100),
        lambda value, random: f"{value:.2f}",
        lambda value: value > 0.30,
        ENGLISH,
    ),
    "speed, rpm": Measured(
        (
            "spindle ran at {} {place}",
            "speed {} {place} during the test run",
            "{place} turning with {}",
            "tachometer shows {} {place}",
            "idle at {}, vibration {place}",
        ),
        (" rpm", "rpm", " r/min"),
        grid(610, 2_000, 10, 1),
        lambda value, random: f"{value:,.0f}",
        lambda value: value > 1_200,
        ENGLISH,
    ),
    "temperature, °C": Measured(
        (
            "temperature {} {place}",
            "coolant at {} {place}",
            "{place} {} at start-up",
            "sensor {place} reads {}",
            "cold store {}, seal {place} stiff",
        ),
        (" °C", "°C", " degrees C"),
        grid(-400, 200, 5, 10),
        signed,
        lambda value: value < -12,
        ENGLISH,
    ),
    "gap, mm, decimal comma": Measured(
        GERMAN_GAPS,
        (" mm", "mm", " Millimeter"),
        grid(3, 80, 1, 100),
        lambda value, random: comma(f"{value:.2f}"),
        lambda value: value > 0.30,
        GERMAN,
    ),
    "gap, mm, decimal comma, two or three digits": Measured(
        GERMAN_GAPS,
        (" mm", "mm", " Millimeter"),
        grid(3, 80, 1, 100),
        lambda value, random: comma(f"{value:.{random.integers(2, 4)}f}"),
        lambda value: value > 0.30,
        GERMAN,
    ),
    "speed, rpm, decimal comma": Measured(
        (
            "Spindel lief {place} mit {}",
            "Drehzahl {} {place} im Probelauf",
            "{place} dreht mit {}",
            "Drehzahlmesser zeigt {place} {}",
            "Leerlauf bei {}, Schwingung {place}",
        ),
        (" U/min", "U/min", " 1/min"),
        grid(6_100, 20_000, 125, 10),
        lambda value, random: comma(f"{value:,.1f}"),
        lambda value: value > 1_200,
        GERMAN,
    ),
}


def main() -> None:
    """Measure, or print what was measured, or what is measured on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("run")
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--sets", default=";".join(TABLES))
    measuring.add_argument("--entrants", default=";".join([*PEER_FITS, *RUNGS]))
    measuring.add_argument("--seeds", type=int, default=3)
    telling = commands.add_parser("table")
    telling.add_argument("out", type=Path)
    showing = commands.add_parser("show")
    showing.add_argument("--notes", type=int, default=8, help="of each table")
    options = parser.parse_args()
    if options.command == "run":
        measure(options)
    elif options.command == "table":
        tell(options.out)
    else:
        show(options.notes)


def measure(options: argparse.Namespace) -> None:
    """Append a line for each table, entrant and seed."""
    done = {(each["set"], each["entrant"], each["seed"]) for each in read(options.out)}
    for name in options.sets.split(";"):
        known, judged = TABLES[name]()
        for entrant in options.entrants.split(";"):
            for seed in range(1 if entrant in PEER_FITS else options.seeds):
                if (name, entrant, seed) in done:
                    continue
                began = time.perf_counter()
                fit = PEER_FITS.get(entrant) or rung(RUNGS[entrant])
                predict = fit(known, seed)
                seconds = time.perf_counter() - began
                labels, _ = predict(judged.texts)
                right = np.array(labels) == np.array(judged.labels)
                found = {"set": name, "entrant": entrant, "seed": seed}
                found |= {"accuracy": round(float(right.mean()), 4), "seconds": round(seconds, 2)}
                found |= {"wrong": [judged.texts[at] for at in np.flatnonzero(~right)[:5]]}
                print(json.dumps(found, ensure_ascii=False), flush=True)
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")


# ---- the notes


def component_notes() -> tuple[Rows, Rows]:
    """The notes of `textgauge demo`, each different one once; whole years are held out."""
    from textgauge.data.component_notes import make_component_notes

    notes = make_component_notes(100_000, seed=0).unique().sort("text")
    assert len(notes) == 2_400, "so many rows have every different note"
    notes = notes.sample(fraction=1.0, shuffle=True, seed=0)
    unseen = (pl.col("year") % 2 == 0) | (pl.col("year") >= 2012)
    known, judged = notes.filter(~unseen), notes.filter(unseen)
    return tuple(Rows(each["text"].to_list(), each["label"].to_list()) for each in (known, judged))


def workshop_notes(*names: str, seed: int = 0) -> tuple[Rows, Rows]:
    """Different notes that measure one thing each, of those named."""
    random = np.random.default_rng(seed)
    parts = []
    for rows, wanted in ((TRAIN_ROWS, False), (TEST_ROWS, True)):
        found: dict[str, str] = {}
        while len(found) < rows:
            measured = MEASURED[names[random.integers(len(names))]]
            values = [v for v, unseen in zip(measured.values, held_out(measured), strict=True)
                      if unseen == wanted]  # fmt: skip
            value = values[random.integers(len(values))]
            found[workshop_note(measured, value, random)] = BAD if measured.is_bad(value) else GOOD
        parts.append(Rows(list(found), list(found.values())))
    return parts[0], parts[1]


def held_out(measured: Measured) -> list[bool]:
    """Which values only the test has: every third, and the highest tenth.

    The two values beside the bound train: what lies between them, no reader can know.
    """
    values = measured.values
    bound = next(
        at for at, v in enumerate(values) if measured.is_bad(v) != measured.is_bad(values[0])
    )
    highest = int(0.9 * len(values))
    return [at >= highest or (at - bound) % 3 == 1 for at in range(len(values))]


def workshop_note(measured: Measured, value: float, random: np.random.Generator) -> str:
    """A note that says so, in one of many ways."""

    def one_of(choices: Any) -> Any:
        return choices[random.integers(len(choices))]

    written = measured.write(value, random) + one_of(measured.units)
    note = (
        one_of(measured.wordings)
        .replace("{place}", one_of(measured.language.places))
        .format(written)
    )
    note += one_of(measured.language.tails)
    for _ in range(random.choice([0, 1, 2], p=[0.35, 0.45, 0.2])):
        other = one_of(measured.language.others)(random)
        note = f"{other}, {note}" if random.random() < 0.5 else f"{note}, {other}"
    return note


TABLES: dict[str, Callable[[], tuple[Rows, Rows]]] = {
    "component notes, years": component_notes,
    **{name: lambda name=name: workshop_notes(name) for name in MEASURED},
    "all three measured": lambda: workshop_notes(
        *(name for name in MEASURED if MEASURED[name].language is ENGLISH)
    ),
}


# ---- the table


def tell(path: Path) -> None:
    """Print a row a table, a column an entrant: median accuracy of the seeds, and the least."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for each in read(path):
        found[each["set"], each["entrant"]].append(each["accuracy"])
    names, entrants = (list(dict.fromkeys(key[at] for key in found)) for at in (0, 1))
    print("| table | " + " | ".join(entrants) + " |")
    print("| --- |" + " ---: |" * len(entrants))
    for name in names:
        cells = []
        for entrant in entrants:
            of_seeds = found.get((name, entrant), [])
            cell = f"{np.median(of_seeds):.4f}" if of_seeds else ""
            cells.append(cell + (f" ({min(of_seeds):.4f})" if len(of_seeds) > 1 else ""))
        print(f"| {name} | " + " | ".join(cells) + " |")


def show(notes: int) -> None:
    """Print some notes of each table, and how many rows and labels it has."""
    for name, make in TABLES.items():
        for part, rows in zip(("train", "test"), make(), strict=True):
            shares = {label: rows.labels.count(label) for label in sorted(set(rows.labels))}
            print(f"{name}, {part}: {len(rows.texts):,} rows, {shares}")
            for text, label in list(zip(rows.texts, rows.labels, strict=True))[:notes]:
                print(f"  {label:>4}  {text}")


if __name__ == "__main__":
    main()
