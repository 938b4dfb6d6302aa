"""What is wrong with the labels of a table: too few, too many, alike, contradictory."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import polars as pl

from ..errors import did_you_mean
from .label_sets import separator_in
from .problems import Problem, Severity, counted
from .profile import PairCounts
from .rows import Rows, problem_of

MANY_LABELS = 0.3  # different labels for each row from which on they are hardly labels
IMBALANCE = 50.0  # rows of the largest label for one row of the smallest


def _share(flags: pl.Series) -> float:
    return int(flags.sum()) / len(flags) if len(flags) else 0.0


def few_labels(labels: pl.DataFrame, parts: int, column: str) -> list[Problem]:
    """Find one label only, labels too rare for every part of the split, and great imbalance."""
    if labels.height == 1:
        message = f"every label in column {column!r} is {labels['label'][0]!r}: nothing to learn"
        advice = "Add rows with another label, or pass --label with another column."
        return [Problem("error", "one-label", message, (), 0, advice)]
    found = []
    few = labels.filter(pl.col("distinct") < parts)
    if few.height:
        named = ", ".join(f"{label!r} ({texts})" for label, _, texts in few.head(10).iter_rows())
        more = f" and {few.height - 10:,} more" if few.height > 10 else ""
        message = f"labels with fewer than {parts} distinct texts, one for each part of the split"
        message += f": {named}{more}"
        enough = labels.height - few.height
        if enough < 2:
            message += f"; {'only one label has' if enough else 'no label has'} enough"
            advice = "Add rows; at least two labels need enough distinct texts."
        else:
            advice = "Add rows for them, join them with other labels, or delete them."
        count = int(few["rows"].sum())
        severity: Severity = "warning" if enough >= 2 else "error"
        found.append(Problem(severity, "few-texts", message, (), count, advice))
    most, least = labels.row(0), labels.row(-1)
    if most[1] >= IMBALANCE * least[1]:
        message = (
            f"label {most[0]!r} has {most[1] / least[1]:,.0f} times as many rows as {least[0]!r}"
        )
        message += f" ({most[1]:,} and {least[1]:,})"
        advice = "Judge by macro F1, not by accuracy; try --class-weights balanced."
        found.append(Problem("warning", "imbalance", message, (), 0, advice))
    return found


def lacking_labels(labels: Sequence[str], parts: Mapping[str, Collection[str]]) -> list[Problem]:
    """Find labels that no row of a part of the split has.

    Args:
        labels: all labels of the table.
        parts: the labels of the parts that are known; "train" and "test" are looked at.

    """
    found = []
    for part, consequence in (
        ("train", "what such texts are like cannot be learned"),
        ("test", "how well such texts are found cannot be measured"),
    ):
        lacking = [label for label in labels if part in parts and label not in parts[part]]
        if not lacking:
            continue
        named = ", ".join(map(repr, lacking[:10]))
        named += f" and {len(lacking) - 10:,} more" if len(lacking) > 10 else ""
        several = "s" if len(lacking) > 1 else ""
        message = f"no row of the {part} part has the label{several} {named}: {consequence}"
        advice = f"Put such rows into the {part} part, or split in another way."
        found.append(Problem("warning", f"label-not-in-{part}", message, (), 0, advice))
    return found


def label_column(labels: pl.DataFrame, column: str) -> list[Problem]:
    """Tell whether the label column holds free text, measurements or ids rather than labels."""
    rows = int(labels["rows"].sum())
    if labels.height < 20 or labels.height <= MANY_LABELS * rows:
        return []
    values = labels["label"]
    words = int(values.str.count_matches(r"\S+").sum()) / labels.height
    many = f"column {column!r} has {labels.height:,} different values in {rows:,} rows"
    advice = "Pass --label with the column that holds the labels. Is it mixed up with --text?"
    if words >= 3:
        message = f"{many}, of {words:.0f} words on average: it looks like free text"
        return [Problem("error", "label-is-text", message, (), 0, advice)]
    numbers = _share(values.cast(pl.Float64, strict=False).is_not_null()) >= 0.9
    message = f"{many}: it looks like {'measurements' if numbers else 'ids'} rather than labels"
    return [Problem("warning", "label-is-id", message, (), 0, advice)]


def joined_labels(rows: Rows, labels: pl.DataFrame, column: str) -> list[Problem]:
    """Tell whether the label column looks as if it held several labels a row, joined."""
    found = separator_in(labels)
    if found is None:
        return []
    mark, _, example = found
    hits = rows.find(pl.col("label").str.contains(mark, literal=True))
    message = f"column {column!r} looks as if rows had several labels, joined by {mark!r}, such as "
    message += f"{example!r}"
    option = "" if mark == "|" else f" --label-separator {mark!r}"
    advice = f"If so, pass --multi-label{option}; else each such value is a label of its own."
    return [problem_of("warning", "joined-labels", message, hits, advice)]


def sets_of_labels(rows: Rows, labels: pl.DataFrame, column: str, separator: str) -> list[Problem]:
    """Tell of rows without a label, and of a column in which no row has several."""
    found = []
    if not labels.height:
        message = f"no row has a label in column {column!r}: nothing to learn"
        advice = "Pass --label with the name of the column that holds the labels."
        return [Problem("error", "no-labels", message, (), 0, advice)]
    hits = rows.find(pl.col("label") == "")
    if hits.count:
        message = "the row has no label; it is learned from as such"
        advice = "Nothing to do where none fits; else fill these rows in or delete them."
        found.append(problem_of("note", "rows-without-labels", message, hits, advice))
    if not rows.find(pl.col("label").str.contains(separator, literal=True)).count:
        message = f"no row has several labels in column {column!r}: {separator!r} joins none"
        advice = "Pass --label-separator with what joins them, or leave --multi-label out."
        found.append(Problem("warning", "no-joined-labels", message, (), 0, advice))
    return found


def similar_labels(rows: Rows, labels: pl.DataFrame, separator: str | None = None) -> list[Problem]:
    """Find labels that differ only by case or spaces; with a `separator` rows have sets of them."""
    plain = pl.col("label").str.strip_chars().str.to_lowercase().str.replace_all(r"\s+", " ")
    alike = labels.group_by(plain.alias("plain"), maintain_order=True).agg("label")
    groups = alike.filter(pl.col("label").list.len() > 1)["label"].to_list()
    if not groups:
        return []
    named = "; ".join(" and ".join(map(repr, group)) for group in groups[:5])
    rarer = [label for group in groups for label in group[1:]]
    if separator is None:
        hits = rows.find(pl.col("label").is_in(rarer))
    else:
        end = re.escape(separator)
        any_of = "|".join(map(re.escape, rarer))
        hits = rows.find(pl.col("label").str.contains(f"(^|{end})({any_of})($|{end})"))
    message = f"labels that differ only by case or spaces: {named}"
    advice = "Write them in the same way if they mean the same."
    return [problem_of("warning", "similar-labels", message, hits, advice)]


def unknown_names(labels: pl.DataFrame, names: Mapping[str, str], column: str) -> list[Problem]:
    """Find names that were given to labels which are not in the table."""
    known = labels["label"].to_list()
    unknown = [label for label in names if label not in set(known)]
    if not unknown:
        return []
    message = f"column {column!r} has no label {' or '.join(map(repr, unknown[:5]))}"
    message += f", but --label-names names {'it' if len(unknown) == 1 else 'them'}."
    message += did_you_mean(unknown[0], known)
    more = f" and {len(known) - 10:,} more" if len(known) > 10 else ""
    advice = f"The labels are {', '.join(map(repr, known[:10]))}{more}."
    return [Problem("error", "unknown-label-names", message, (), 0, advice)]


def contradictions(rows: Rows, counts: PairCounts) -> list[Problem]:
    """Find equal texts under different labels; the first one, with its rows, is the example."""
    if not counts.conflicts:
        return []
    same = (pl.col("normalised") == counts.conflict) & pl.col("label").is_not_null()
    hits = rows.find(same)
    example = hits.example.get("text") or ""
    shown = example if len(example) <= 60 else f"{example[:57]}..."
    times = ", ".join(f"{label!r} in {counted(n, 'row')}" for label, n in counts.conflict_labels)
    texts = "1 text stands" if counts.conflicts == 1 else f"{counts.conflicts:,} texts stand"
    message = f"{texts} under more than one label, for example {shown!r}: {times}"
    advice = (
        "Settle which label is right; until then training takes each label's share of the rows."
    )
    count = counts.conflict_rows
    return [Problem("warning", "contradictory-texts", message, hits.rows, count, advice)]
