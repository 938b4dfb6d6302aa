"""Which texts are for training, which for validation, and which for the test.

The default decides by a hash of the seed and the text's normal form. So equal texts always land in
the same part, the order of the rows plays no role, and any engine that can compute SHA-256 decides
the same. Within each label the texts are ranked by their hash and cut at the fractions, which
keeps the labels' shares equal in all parts (stratified); when a table grows, only texts near a cut
can change sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import TableError, nearest
from .columns import listed

TRAIN, VAL, TEST = 0, 1, 2
PARTS = ("train", "val", "test")
Fractions = tuple[float, float, float]

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VAL),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "holdout"), TEST),
}

NOTHING_TO_TRAIN_ON = ("has no row that says 'train'", "Say 'train' in the rows to learn from.")
"""What is wrong with a split column that names no training part, and what to do."""


@dataclass(frozen=True)
class Split:
    """A part for each row, and what had to give for it.

    Attributes:
        parts: 0 train, 1 validation, 2 test, -1 left out. Shape: (rows,), int8.
        method: in plain words, how it was decided.
        left_out_rows: rows whose text already stands in an earlier part (0 unless rows were
            split by group or by time).

    """

    parts: npt.NDArray[np.int8]
    method: str
    left_out_rows: int = 0


def hash_of(texts: pl.Series, seed: int) -> npt.NDArray[np.uint64]:
    """The first 64 bits of SHA-256 over "SEED, line feed, text" in UTF-8. Shape: (n,).

    >>> hash_of(pl.Series(["steel component"]), seed=7)[0] >> np.uint64(48)
    np.uint64(25274)
    """
    start = hashlib.sha256(f"{seed}\n".encode())

    def first_bits(text: str) -> int:
        digest = start.copy()
        digest.update(text.encode())
        return int.from_bytes(digest.digest()[:8], "big")

    return np.fromiter((first_bits(text) for text in texts), dtype=np.uint64, count=len(texts))


def stratified_parts(
    keys: pl.Series, strata: pl.Series, seed: int, fractions: Fractions
) -> npt.NDArray[np.int8]:
    """A part for each distinct key, by the rank of its hash within its stratum.

    Args:
        keys: distinct strings. Shape: (n,).
        strata: the label of each key. Shape: (n,).
        seed: another seed, another split.
        fractions: train, validation and test; they add up to 1.

    Returns:
        0, 1 or 2 for each key. A stratum of three or more keys has at least one in every part
        that is wanted; of two keys one trains and one tests; a single key trains.

    """
    frame = pl.DataFrame(
        {"key": keys, "stratum": strata, "hash": hash_of(keys, seed)}
    ).with_row_index("index")
    ordered = frame.sort(["stratum", "hash", "key"]).with_columns(
        rank=pl.int_range(pl.len()).over("stratum"), size=pl.len().over("stratum")
    )
    rank, size = ordered["rank"].to_numpy(), ordered["size"].to_numpy()
    tests, vals = _cut_sizes(size, fractions)
    parts = np.where(rank >= size - tests, TEST, np.where(rank >= size - tests - vals, VAL, TRAIN))
    result = np.empty(len(frame), dtype=np.int8)
    result[ordered["index"].to_numpy()] = parts
    return result


def cut_sizes(size: int, fractions: Fractions) -> tuple[int, int]:
    """How many of a stratum's keys test and how many validate; see `stratified_parts`.

    >>> cut_sizes(10, (0.6, 0.2, 0.2)), cut_sizes(2, (0.6, 0.2, 0.2)), cut_sizes(1, (0.6, 0.2, 0.2))
    ((2, 2), (1, 0), (0, 0))
    """
    tests, vals = _cut_sizes(np.array([size]), fractions)
    return int(tests[0]), int(vals[0])


def _cut_sizes(
    size: npt.NDArray[np.int64], fractions: Fractions
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    # Rounding up must not take the last key of another part.
    one_val = _share(size, fractions[VAL], at_least_from=3) > 0
    tests = np.minimum(_share(size, fractions[TEST], at_least_from=2), size - 1 - one_val)
    vals = np.minimum(_share(size, fractions[VAL], at_least_from=3), size - 1 - tests)
    return tests, vals


def _share(
    size: npt.NDArray[np.int64], fraction: float, at_least_from: int
) -> npt.NDArray[np.int64]:
    """`fraction` of each size, rounded half up, and one at least from a certain size on."""
    if fraction == 0:
        return np.zeros_like(size)
    share = np.floor(size * fraction + 0.5).astype(np.int64)
    return np.where(size >= at_least_from, np.maximum(share, 1), 0)


def split_rows(rows: pl.DataFrame, *, seed: int, fractions: Fractions) -> Split:
    """Decide the part of every row.

    Args:
        rows: columns `key` (normal form of the text) and `label`; and at most one of
            `split` (parts named by the user), `group` (rows that must stay together)
            or `time` (the past trains, the future tests).
        seed: the seed of the hash.
        fractions: train, validation and test.

    Returns:
        The split. By default and with `group` or `time`, no text stands in two parts. Parts named
        in a `split` column are the user's word and are kept as they are.

    Raises:
        TableError: a name that means no part, or a part that ends up empty.

    """
    if "split" in rows.columns:
        split = _by_column(rows, seed, fractions)
    elif "group" in rows.columns:
        split = _by_group(rows, seed, fractions)
    elif "time" in rows.columns:
        split = _by_time(rows, fractions)
    else:
        split = _by_text(rows, seed, fractions)
    _refuse_empty_parts(split, rows, fractions)
    return split


def named_parts(names: pl.Series) -> pl.Series:
    """The part that each name means, whatever its case and the blanks around it.

    Returns:
        0 train, 1 validation, 2 test, null where the name means none. Shape: as `names`, Int8.

    >>> named_parts(pl.Series(["Training", " dev ", "holdout", "learn"])).to_list()
    [0, 1, 2, None]

    """
    plain = names.str.strip_chars().str.to_lowercase()
    return plain.replace_strict(_SPLIT_NAMES, default=None, return_dtype=pl.Int8)


def not_a_part(unknown: Sequence[str]) -> tuple[str, str]:
    """What is wrong with a split column that holds these names, and what to do.

    >>> wrong, advice = not_a_part(["spare", "trian"])
    >>> wrong
    "holds 'spare', 'trian', which mean no part of the split"
    >>> advice
    "Say 'train', 'val' or 'test' in every row. For 'trian' did you mean 'train'?"

    """
    verb = "means" if len(unknown) == 1 else "mean"
    advice = "Say 'train', 'val' or 'test' in every row."
    for name in unknown[:12]:  # of the ones that `listed` shows
        if close := nearest(name, _SPLIT_NAMES):
            subject = f"For {name!r} did" if len(unknown) > 1 else "Did"
            advice += f" {subject} you mean {close!r}?"
            break
    return f"holds {listed(unknown)}, which {verb} no part of the split", advice


def empty_parts(parts: npt.NDArray[np.int8], fractions: Sequence[float]) -> list[int]:
    """The parts that should have a share and have no row."""
    return [part for part, share in enumerate(fractions) if share and not (parts == part).any()]


def _main_label(rows: pl.DataFrame, unit: str) -> pl.DataFrame:
    """The most frequent label of each unit (first in alphabetical order among equals)."""
    return (
        rows.group_by(unit, "label")
        .len("rows")
        .sort([unit, "rows", "label"], descending=[False, True, False])
        .unique(unit, keep="first", maintain_order=True)
        .select(unit, "label")
    )


def _hashed(rows: pl.DataFrame, unit: str, seed: int, fractions: Fractions) -> pl.Series:
    """Part of each row, decided by the hash of its unit, stratified by the unit's main label."""
    units = _main_label(rows, unit)
    units = units.select(
        unit, part=pl.Series(stratified_parts(units[unit], units["label"], seed, fractions))
    )
    return rows.select(unit).join(units, on=unit, how="left", maintain_order="left")["part"]


def _by_text(rows: pl.DataFrame, seed: int, fractions: Fractions) -> Split:
    parts = _hashed(rows, "key", seed, fractions)
    return Split(
        parts.to_numpy(), f"hash of the normalised text (seed {seed}), stratified by label"
    )


def _by_group(rows: pl.DataFrame, seed: int, fractions: Fractions) -> Split:
    rows = rows.with_columns(pl.col("group").fill_null(""))
    parts = _hashed(rows, "group", seed, fractions)
    return _keep_earliest(rows, parts, f"whole groups by hash (seed {seed}), stratified by label")


def _by_time(rows: pl.DataFrame, fractions: Fractions) -> Split:
    time = rows["time"]
    if time.null_count():
        first = int(time.is_null().arg_true()[0])
        where = f" (first in row {rows['row'][first]})" if "row" in rows.columns else ""
        raise TableError(
            f"the time column is empty in {time.null_count()} rows{where}. "
            "Fill them in, leave those rows out, or split without --time-column."
        )
    moments = time.rename("time").value_counts(name="rows").sort("time")
    part = time_cuts(moments["time"], moments["rows"], fractions)
    parts = time.to_frame("time").join(
        moments.with_columns(part=part), on="time", how="left", maintain_order="left"
    )["part"]
    return _keep_earliest(rows, parts, "by time: the earliest rows train, the latest test")


def time_cuts(times: pl.Series, rows: pl.Series, fractions: Fractions) -> pl.Series:
    """The part of each moment: the earliest rows train, the latest test.

    Rows of one moment stay together: the cut falls between two different times.

    Args:
        times: different ones, rising. Shape: (moments,).
        rows: of each. Shape: (moments,).
        fractions: train, validation and test.

    >>> time_cuts(pl.Series([1, 2, 3]), pl.Series([6, 2, 2]), (0.6, 0.2, 0.2)).to_list()
    [0, 1, 2]
    """
    before = rows.cast(pl.Int64).cum_sum() - rows.cast(pl.Int64)
    share = before / max(int(rows.sum()), 1)
    cuts = (fractions[TRAIN], fractions[TRAIN] + fractions[VAL])
    return (share >= cuts[0]).cast(pl.Int8) + (share >= cuts[1]).cast(pl.Int8)


def _by_column(rows: pl.DataFrame, seed: int, fractions: Fractions) -> Split:
    found = named_parts(rows["split"])
    if found.null_count():
        unknown = rows["split"].filter(found.is_null()).fill_null("").unique().sort().to_list()
        raise _refusal(not_a_part(unknown))
    parts = found.to_numpy().copy()
    method = "the table's own split column"
    missing = empty_parts(parts, fractions)
    if TRAIN in missing:
        raise _refusal(NOTHING_TO_TRAIN_ON)
    if missing:
        inside = parts == TRAIN
        wanted = [
            share if part in (TRAIN, *missing) else 0.0 for part, share in enumerate(fractions)
        ]
        train, val, test = (share / sum(wanted) for share in wanted)
        cut = _hashed(rows.filter(pl.Series(inside)), "key", seed, (train, val, test))
        parts[inside] = cut.to_numpy()
        names_cut = " and ".join(PARTS[part] for part in missing)
        method += f"; {names_cut} cut from train by hash (seed {seed})"
    return Split(parts, method)


def _refusal(fault: tuple[str, str]) -> TableError:
    wrong, advice = fault
    return TableError(f"the split column {wrong}. {advice}")


def _keep_earliest(rows: pl.DataFrame, parts: pl.Series, method: str) -> Split:
    """Leave out rows whose text already stands in an earlier part, so that none straddles."""
    frame = (
        rows.select("key")
        .with_columns(part=parts)
        .with_columns(first=pl.col("part").min().over("key"))
    )
    kept = frame.select(pl.when(pl.col("part") == pl.col("first")).then("part").otherwise(-1))
    result = kept.to_series().cast(pl.Int8).to_numpy()
    return Split(result, method, left_out_rows=int((result == -1).sum()))


def _refuse_empty_parts(split: Split, rows: pl.DataFrame, fractions: Fractions) -> None:
    empty = [PARTS[part] for part in empty_parts(split.parts, fractions)]
    if empty:
        refuse_empty(empty, distinct=rows["key"].n_unique(), left_out_rows=split.left_out_rows)


def refuse_empty(empty: Sequence[str], *, distinct: int, left_out_rows: int) -> None:
    """Raise TableError if parts are `empty` that should have texts.

    Args:
        empty: their names.
        distinct: different texts of the table.
        left_out_rows: rows whose text stands in an earlier part.

    """
    if not empty:
        return
    reason = (
        f"{left_out_rows} rows were left out because their text stands in an earlier part. "
        "Split without --group-column or --time-column, or use a table with more different texts."
        if left_out_rows
        else f"The table has {distinct} different texts; give it more, or name the parts yourself "
        "with --split-column."
    )
    raise TableError(f"no text is left for {' and '.join(empty)}. {reason}")


def shared_by_random_split(
    counts: npt.NDArray[np.int64],
    fractions: Fractions,
    texts: npt.NDArray[np.int64] | None = None,
) -> float:
    """Share of the test's distinct texts that a random split of the rows would also put in train.

    The expected number of texts in both, over the expected number in test.

    Args:
        counts: how many rows each distinct text has. Shape: (texts,).
        fractions: train, validation and test.
        texts: how many texts have that count each; None: one. Shape: as `counts`.

    Returns:
        A share in [0, 1]. With every text once it is 0; with a text in two rows, train and test
        of one half each, it is 2/3: it stands in test in three of four cases, in both in two.

    >>> round(shared_by_random_split(np.array([2]), (0.5, 0.0, 0.5)), 4)
    0.6667

    """
    train, _, test = fractions
    if texts is None:
        texts = np.ones_like(counts)
    # Each count once, in order: so the order of the texts changes not even the last bit.
    counts, place = np.unique(counts, return_inverse=True)
    weight = np.bincount(place, texts)
    no_test = (1 - test) ** counts
    neither = (1 - test - train) ** counts if test + train < 1 else np.zeros(len(counts))
    in_test = 1 - no_test
    in_both = np.maximum(in_test - (1 - train) ** counts + neither, 0)  # Rounding can go below 0.
    expected = float((weight * in_test).sum())
    return float((weight * in_both).sum()) / expected if expected else 0.0
