"""Made-up notes on car components, with the regulation that labels them: the demonstration data.

The regulation: a component is out of compliance if it was manufactured before 1995, or is in fair
or poor condition, or is made with plastic or iron. The notes say so in three wordings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ..errors import StorageError

COMPLIANT, NON_COMPLIANT = "0", "1"
LABEL_NAMES = {COMPLIANT: "compliant", NON_COMPLIANT: "non-compliant"}

FIRST_COMPLIANT_YEAR = 1995
YEARS = tuple(range(1970, 2020))
CONDITIONS = ("poor", "fair", "good", "new")
MATERIALS = ("plastic", "carbon fiber", "steel", "iron")
TEMPLATES = (
    "manufactured in {year} made of {material} in {condition} condition",
    "{material} component manufactured in {year} in {condition} condition",
    "{condition} condition {material} component manufactured in {year}",
)


def is_non_compliant(year: int, condition: str, material: str) -> bool:
    """Whether the regulation forbids such a component.

    >>> is_non_compliant(1999, "good", "carbon fiber"), is_non_compliant(1994, "new", "steel")
    (False, True)
    """
    return (
        year < FIRST_COMPLIANT_YEAR
        or condition in ("fair", "poor")
        or material in ("plastic", "iron")
    )


def make_component_notes(rows: int = 100_000, seed: int = 0) -> pl.DataFrame:
    """Notes with columns `text`, `label` and `year`, one half of each label, in random order.

    The year stands in the text too; as a column it allows whole years to be held out.

    Args:
        rows: how many notes; there are 2,400 different ones, so many repeat.
        seed: equal seeds give equal tables.

    """
    notes = pl.DataFrame(
        [
            (template.format(year=year, condition=condition, material=material), label, year)
            for year in YEARS
            for condition in CONDITIONS
            for material in MATERIALS
            for label in [
                NON_COMPLIANT if is_non_compliant(year, condition, material) else COMPLIANT
            ]
            for template in TEMPLATES
        ],
        schema=["text", "label", "year"],
        orient="row",
    )
    random = np.random.default_rng(seed)
    halves = [
        half[random.integers(len(half), size=n)]
        for label, n in ((COMPLIANT, rows - rows // 2), (NON_COMPLIANT, rows // 2))
        for half in [notes.filter(pl.col("label") == label)]
    ]
    return pl.concat(halves)[random.permutation(rows)]


def write_component_notes(path: Path, rows: int = 100_000, seed: int = 0) -> bool:
    """Write the notes as CSV, unless that very file is there already.

    Returns:
        Whether the file was written.

    Raises:
        StorageError: another file of that name is there, or nothing can be written.

    """
    content = make_component_notes(rows, seed).write_csv().encode()
    try:
        if path.exists():
            if path.read_bytes() == content:
                return False
            raise StorageError(
                f"{path} is there already and holds something else; rename it, or run the demo in "
                "another folder."
            )
        partial = path.with_name(path.name + ".partial")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
    return True
