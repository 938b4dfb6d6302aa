"""What is wrong with a table: all problems at once, in a report with its profile.

Every check is a few Polars expressions over whole columns; rows are named by the number that a
person would count, from 1 after the header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from ..errors import TableError
from . import label_checks
from .label_sets import each_label, strata
from .normal_form import normalise
from .problems import Problem
from .profile import (
    CHARACTERS,
    LabelProfile,
    PairCounts,
    Profile,
    Quantiles,
    count_pairs,
    make_profile,
)
from .rows import Rows, RowsOfFrame, problem_of
from .split import (
    NOTHING_TO_TRAIN_ON,
    PARTS,
    TRAIN,
    Fractions,
    empty_parts,
    named_parts,
    not_a_part,
    split_rows,
)

if TYPE_CHECKING:
    from .columns import Columns
    from .tables import Table

__all__ = [
    "CheckReport",
    "LabelProfile",
    "Problem",
    "Profile",
    "Quantiles",
    "check_table",
]

LONG_TEXT = 100_000  # characters

_SEVERITIES = {"error": 0, "warning": 1, "note": 2}
_CONTROL = r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"
# UTF-8 read as Windows-1252: a lead byte shows as one of Â Ã â, the bytes after it as one of these
_TRAIL = (
    r"[\u{80}-\u{bf}\u{152}\u{153}\u{160}\u{161}\u{178}\u{17d}\u{17e}\u{192}\u{2c6}\u{2dc}"
    r"\u{2013}-\u{2022}\u{2026}\u{2030}\u{2039}\u{203a}\u{20ac}\u{2122}]"
)
_MOJIBAKE = rf"[\u{{c2}}\u{{c3}}]{_TRAIL}|\u{{e2}}\u{{20ac}}{_TRAIL}|\u{{ef}}\u{{bb}}\u{{bf}}"
_STAND_IN = r"(?i)^\s*(?:nan|na|n/a|#n/a|<na>|null|nat)\s*$"


@dataclass(frozen=True)
class CheckReport:
    """The problems of a table, the gravest first, and its profile."""

    table: str
    problems: tuple[Problem, ...]
    profile: Profile

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What stands in the way of training."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is probably a mistake, but can be trained on."""
        return tuple(p for p in self.problems if p.severity == "warning")

    def with_problems(self, found: Iterable[Problem]) -> CheckReport:
        """The report with more problems, the gravest first."""
        return replace(self, problems=_ordered((*self.problems, *found)))

    @property
    def ok(self) -> bool:
        """Whether the table can be trained on."""
        return not self.errors

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values for `json.dumps`: table, ok, problems, profile."""
        problems = [{**asdict(p), "rows": list(p.rows)} for p in self.problems]
        profile = asdict(self.profile)
        profile["labels"] = list(profile["labels"])  # a tuple would compare unequal to parsed JSON
        return {"table": self.table, "ok": self.ok, "problems": problems, "profile": profile}


def check_table(
    table: Table,
    *,
    normalised: pl.Series | None = None,
    label_names: Mapping[str, str] | None = None,
    fractions: Fractions = (0.6, 0.2, 0.2),
    seed: int | None = None,
    separator: str | None = None,
) -> CheckReport:
    """Return all problems of `table`, those found while reading it included, and its profile.

    `normalised` holds, for each row, the text as the split compares it (String, null where the text
    is missing); without it the texts are normalised here. `label_names` maps labels to names for
    people. A label needs as many distinct texts as there are `fractions` above 0, unless a column
    of the table decides the split. With the `seed` of the split, a table whose columns decide it is
    split, too, to find what its parts lack; a hash gives every part each label that has enough.
    With a `separator` the labels were read as sets (see `tables.read_table`).
    """
    if normalised is None:
        normalised = normalise(table.frame["text"])
    frame = table.frame.with_columns(normalised.alias("normalised"))
    if table.columns.label is None:
        frame = frame.with_columns(label=pl.lit(None, pl.String))
    pairs = (  # one row for each distinct text and label: usually far fewer than rows
        frame.lazy()
        .group_by("normalised", "label")
        .agg(pl.len().alias("rows"), pl.col("row").min().alias("first"))
        .collect()
    )
    counted = count_pairs(pairs, separator)
    report = report_on(
        RowsOfFrame(frame),
        counted,
        table.name,
        table.columns,
        problems=table.problems,
        label_names=label_names,
        fractions=fractions,
        separator=separator,
    )
    decides = {"split", "group", "time"} & set(frame.columns)
    if seed is None or not decides or not report.ok or table.columns.label is None:
        return report
    labels = counted.labels["label"].to_list()
    return report.with_problems(_parts(frame, labels, seed, fractions, separator))


def report_on(
    rows: Rows,
    counts: PairCounts,
    name: str,
    columns: Columns,
    *,
    problems: Sequence[Problem] = (),
    label_names: Mapping[str, str] | None = None,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    separator: str | None = None,
) -> CheckReport:
    """Check a table wherever its rows lie.

    Args:
        rows: the table's rows.
        counts: what was counted of its texts and labels.
        name: of the table.
        columns: its columns by their roles.
        problems: what was noticed while reading.
        label_names: see `check_table`.
        fractions: see `check_table`.
        separator: see `check_table`.

    """
    labels, names = counts.labels, label_names or {}
    profile = make_profile(rows, counts, names, sets=separator is not None)
    found = [*problems, *_missing(rows, columns), *_characters(rows)]
    found += _text_column(rows, profile, columns.text)
    found += _split_column(rows, columns, fractions)
    if (column := columns.label) is not None and separator is not None:
        found += label_checks.sets_of_labels(rows, labels, column, separator)
    if (column := columns.label) is not None and labels.height:
        parts = sum(fraction > 0 for fraction in fractions) if columns.split is None else 1
        found += label_checks.few_labels(labels, parts, column)
        found += label_checks.label_column(labels, column)
        found += label_checks.similar_labels(rows, labels, separator)
        if separator is None:
            found += label_checks.joined_labels(rows, labels, column)
        found += label_checks.unknown_names(labels, names, column)
        found += label_checks.contradictions(rows, counts)
    if (count := profile.duplicate_rows) > 0:
        message = f"{count / profile.rows:.1%} of the rows repeat the text of an earlier row"
        advice = "Nothing to do: equal texts are kept in one part of the split."
        if columns.split is not None:
            advice = "Nothing to do where equal texts stand in one part of your split; see that."
        found.append(Problem("note", "duplicate-texts", message, (), count, advice))
    if columns.label is None:
        profile = replace(profile, missing_labels=0)
    return CheckReport(name, _ordered(found), profile)


def _ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: _SEVERITIES[problem.severity]))


def _parts(
    frame: pl.DataFrame,
    labels: Sequence[str],
    seed: int,
    fractions: Fractions,
    separator: str | None,
) -> list[Problem]:
    """Split as a training would, and find parts without texts and parts without a label."""
    usable = (pl.col("normalised") != "") & pl.col("label").is_not_null()
    rows = frame.filter(usable).with_columns(key=pl.col("normalised"))
    try:
        cut = rows if separator is None else rows.with_columns(label=strata(rows, separator))
        parts = split_rows(cut, seed=seed, fractions=fractions).parts
    except TableError as error:
        message, _, advice = str(error).partition(". ")
        return [Problem("error", "empty-part", message, (), 0, advice)]
    cells = rows.select("label", part=pl.Series(parts))
    if separator is not None:
        cells = each_label(cells, separator)
    held = {
        name: set(cells["label"].filter(cells["part"] == part))
        for part, name in enumerate(PARTS)
        if (parts == part).any()
    }
    return label_checks.lacking_labels(labels, held)


# ---- checks --------------------------------------------------------------------------------------


def _missing(rows: Rows, columns: Columns) -> list[Problem]:
    """Find missing texts and labels, words that stand for them, and rows without their part."""
    found = []
    for role in ("text", "label"):
        if (column := getattr(columns, role)) is None:
            continue
        hits = rows.find(pl.col(role).is_null())
        if hits.count == rows.height:
            message = f"column {column!r} is empty: there are no {role}s at all"
            advice = f"Pass --{role} with the name of the column that holds the {role}s."
            found.append(problem_of("error", f"missing-{role}", message, hits, advice))
        elif hits.count:
            message = f"the {role} is missing or empty"
            advice = "Fill these rows in or delete them; training leaves them out."
            found.append(problem_of("warning", f"missing-{role}", message, hits, advice))
        hits = rows.find(pl.col(role).str.contains(_STAND_IN))
        if hits.count:
            seen = hits.example[role]
            message = f"the {role} is {seen!r} or the like, which often stands for a missing value"
            advice = f"Leave the cell empty where the {role} is not known."
            found.append(problem_of("warning", f"stand-in-{role}", message, hits, advice))
    for role in ("split", "group", "time"):
        if (column := getattr(columns, role)) is None:
            continue
        hits = rows.find(pl.col(role).is_null())
        if hits.count and role == "group":
            message = f"column {column!r} is empty; such rows stay together as one group"
            advice = "Fill these rows in if they belong to different groups."
            found.append(problem_of("warning", "missing-group", message, hits, advice))
        elif hits.count:
            message = f"column {column!r} is empty, so the row belongs to no part of the split"
            advice = f"Fill these rows in or delete them, or leave --{role}-column out."
            found.append(problem_of("error", f"missing-{role}", message, hits, advice))
    return found


def _characters(rows: Rows) -> list[Problem]:
    """Find what tells of a damaged file or of a wrong encoding, and texts of great length."""

    def anywhere(pattern: str) -> pl.Expr:
        return pl.any_horizontal(pl.col("text", "label").str.contains(pattern))

    found = []
    hits = rows.find(anywhere(r"\x00"))
    if hits.count:
        message = "the cell holds NUL bytes: the file is damaged or has another encoding"
        advice = "Write these rows again, or pass the file's --encoding."
        found.append(problem_of("error", "nul-bytes", message, hits, advice))
    hits = rows.find(anywhere(_CONTROL))
    if hits.count:
        message = "the cell holds control characters"
        advice = "Take them out, unless the texts to be judged later hold them too."
        found.append(problem_of("warning", "control-characters", message, hits, advice))
    hits = rows.find(anywhere("\ufffd"))
    if hits.count:
        message = (
            "the cell holds \ufffd, which some program wrote for a character it could not read"
        )
        advice = "Export the table again from its source, as UTF-8."
        found.append(problem_of("warning", "lost-characters", message, hits, advice))
    hits = rows.find(anywhere(_MOJIBAKE))
    if hits.count:
        cells = [hits.example[name] for name in ("text", "label")]
        seen, meant = _mended(" ".join(cell for cell in cells if cell is not None))
        message = f"the cell looks like UTF-8 that was read as cp1252: {seen!r} for {meant!r}"
        advice = "Export the table again from its source, as UTF-8."
        found.append(problem_of("warning", "mojibake", message, hits, advice))
    hits = rows.find(pl.col("text").str.len_chars() > LONG_TEXT)
    if hits.count:
        longest = max(rows.histogram(CHARACTERS))
        message = f"the text has more than {LONG_TEXT:,} characters; the longest has {longest:,}"
        advice = "See that no whole file was pasted into the cell; training reads its beginning."
        found.append(problem_of("warning", "long-text", message, hits, advice))
    return found


def _mended(text: str) -> tuple[str, str]:
    """Return the first word of `text` that looks like mojibake, and the word that was meant."""
    words = pl.Series(re.split("[ \t\r\n]+", text))  # mojibake may hold other spaces
    word = str(words.filter(words.str.contains(_MOJIBAKE))[0])
    meant = bytearray()
    for character in word:
        try:
            meant += character.encode("cp1252")
        except UnicodeEncodeError:  # a byte that cp1252 leaves open was kept as it was
            meant += character.encode("latin-1", "replace")
    return word, meant.decode("utf-8", "replace")


def _text_column(rows: Rows, profile: Profile, column: str) -> list[Problem]:
    """Tell whether the text column holds numbers, ids or labels rather than texts."""
    text, texts = pl.col("text"), profile.rows - profile.missing_texts
    few = texts >= 20 and profile.distinct_texts <= 0.1 * texts
    numbers = rows.find(text.str.strip_chars().cast(pl.Float64, strict=False).is_not_null())
    digits = rows.find(text.str.contains(r"\d"))
    if texts and numbers.count >= 0.9 * texts:
        code, looks = "text-is-number", "holds numbers, not texts"
    elif profile.text_words.p95 > 1 or not texts:
        return []
    elif not few and digits.count >= 0.9 * texts:
        code, looks = "text-is-id", "looks like ids: one word a row, with digits in it"
    elif few:
        different = f"{profile.distinct_texts:,} different ones"
        code, looks = "text-is-label", f"looks like labels: one word a row, {different}"
    else:
        return []
    advice = "Pass --text with the name of the column that holds the texts."
    return [Problem("warning", code, f"column {column!r} {looks}", (), 0, advice)]


def _split_column(rows: Rows, columns: Columns, fractions: Sequence[float]) -> list[Problem]:
    """Find names that mean no part of the split, and parts that no row is in."""
    if (column := columns.split) is None:
        return []
    # The other rows are left out of training, so it does not matter which part they name.
    usable = pl.col("normalised").is_not_null() & (pl.col("normalised") != "")
    if columns.label is not None:
        usable &= pl.col("label").is_not_null()
    said = rows.values("split", usable)
    names = sorted(name for name in said if name is not None)
    parts = named_parts(pl.Series(names, dtype=pl.String))
    unknown = [name for name, part in zip(names, parts, strict=True) if part is None]
    if unknown:
        wrong, advice = not_a_part(unknown)
        hits = rows.find(usable & pl.col("split").is_in(unknown))
        return [problem_of("error", "unknown-part", f"column {column!r} {wrong}", hits, advice)]
    if not said or None in said:
        return []  # The rows without a part may be the ones that a part lacks.
    empty = empty_parts(parts.to_numpy(), fractions)
    if TRAIN in empty:
        wrong, advice = NOTHING_TO_TRAIN_ON
        return [Problem("error", "no-train", f"column {column!r} {wrong}", (), 0, advice)]
    if not empty:
        return []
    named = " or ".join(repr(PARTS[part]) for part in empty)
    message = f"column {column!r} has no row that says {named}; training takes "
    message += f"{'this part' if len(empty) == 1 else 'these parts'} from the rows of 'train'"
    advice = "Nothing to do, unless rows are missing from the table."
    return [Problem("note", "part-taken-from-train", message, (), 0, advice)]
