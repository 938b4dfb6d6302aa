"""The split: leak-free, repeatable, stratified, and what each way of splitting does and refuses."""

import hashlib
from collections import Counter

import numpy as np
import polars as pl
import pytest

from textgauge.data.split import (
    TEST,
    TRAIN,
    VAL,
    hash_of,
    shared_by_random_split,
    split_rows,
    stratified_parts,
)
from textgauge.errors import TableError

USUAL = (0.6, 0.2, 0.2)


def keys(count, first=0):
    return [f"note {n}" for n in range(first, first + count)]


def table(texts, labels=None, **columns):
    labels = labels or ["a", "b"] * (len(texts) // 2) + ["a"] * (len(texts) % 2)
    return pl.DataFrame({"key": texts, "label": labels, **columns})


def parts_of(rows, seed=0, fractions=USUAL):
    return split_rows(rows, seed=seed, fractions=fractions).parts


def part_by_text(rows, **settings):
    """Text -> the set of parts that its rows stand in."""
    found = {}
    for text, part in zip(rows["key"], parts_of(rows, **settings), strict=True):
        found.setdefault(text, set()).add(int(part))
    return found


def sizes(parts):
    return tuple(int((parts == part).sum()) for part in (TRAIN, VAL, TEST))


# ---- the hash


def test_the_hash_is_sha256_over_seed_and_text():
    assert hash_of(pl.Series(["steel component"]), seed=7)[0] >> np.uint64(48) == 25274
    texts = ["steel component", "", "жёлтый кабель", "🙂", "a\nb"]
    for seed in (0, 7, 2**63 - 1):
        expected = [
            int(hashlib.sha256(f"{seed}\n{text}".encode()).hexdigest()[:16], 16) for text in texts
        ]
        hashes = hash_of(pl.Series(texts), seed)
        assert hashes.dtype == np.uint64
        assert [int(h) for h in hashes] == expected


# ---- ranks within a label


def by_hand(texts, labels, seed, fractions):
    """The same decision in plain Python, for strata that are large enough for all parts."""
    parts = {}
    for label in set(labels):
        members = [t for t, own in zip(texts, labels, strict=True) if own == label]
        members.sort(key=lambda t: hashlib.sha256(f"{seed}\n{t}".encode()).digest()[:8])
        vals, tests = (int(len(members) * f + 0.5) for f in fractions[1:])
        for rank, text in enumerate(members):
            left = len(members) - rank
            parts[text] = TEST if left <= tests else VAL if left <= tests + vals else TRAIN
    return [parts[t] for t in texts]


@pytest.mark.parametrize("fractions", [USUAL, (0.8, 0.1, 0.1), (0.34, 0.33, 0.33), (0.7, 0, 0.3)])
def test_parts_equal_an_independent_ranking(fractions):
    texts = keys(400)
    labels = ["x" if n % 7 else "y" for n in range(400)]
    parts = stratified_parts(pl.Series(texts), pl.Series(labels), 3, fractions)
    assert parts.tolist() == by_hand(texts, labels, 3, fractions)


def test_shares_within_each_label_are_exact():
    texts, labels = keys(1110), ["big"] * 1000 + ["mid"] * 100 + ["low"] * 10
    parts = stratified_parts(pl.Series(texts), pl.Series(labels), 0, USUAL)
    assert sizes(parts[:1000]) == (600, 200, 200)
    assert sizes(parts[1000:1100]) == (60, 20, 20)
    assert sizes(parts[1100:]) == (6, 2, 2)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, (1, 0, 0)),
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (4, (2, 1, 1)),
        (5, (3, 1, 1)),
        (7, (5, 1, 1)),
        (8, (4, 2, 2)),
        (12, (8, 2, 2)),
        (13, (7, 3, 3)),
    ],
)
def test_worked_sizes_of_small_labels(count, expected):
    parts = stratified_parts(pl.Series(keys(count)), pl.Series(["a"] * count), 0, USUAL)
    assert sizes(parts) == expected


@pytest.mark.parametrize("fractions", [(0.1, 0.45, 0.45), (0.05, 0.05, 0.9), (0.05, 0.9, 0.05)])
@pytest.mark.parametrize("count", range(1, 12))
def test_rounding_leaves_no_part_of_a_label_empty(count, fractions):
    parts = stratified_parts(pl.Series(keys(count)), pl.Series(["a"] * count), 0, fractions)
    train, val, test = sizes(parts)
    assert train >= 1
    assert val >= (count >= 3)
    assert test >= (count >= 2)


def test_a_part_that_is_not_wanted_gets_nothing():
    texts, labels = pl.Series(keys(9)), pl.Series(["a"] * 9)
    assert sizes(stratified_parts(texts, labels, 0, (0.5, 0, 0.5))) == (4, 0, 5)
    assert sizes(stratified_parts(texts, labels, 0, (0.5, 0.5, 0))) == (4, 5, 0)


# ---- the default: by text


def test_a_text_in_many_rows_never_straddles():
    random = np.random.default_rng(0)
    texts = [f"note {n}" for n in random.integers(0, 200, 2000)]
    labels = random.choice(["a", "b", "c"], 2000).tolist()  # contradictions in plenty
    for seed in range(5):
        assert all(len(p) == 1 for p in part_by_text(table(texts, labels), seed=seed).values())


def test_a_contradictory_text_is_stratified_by_its_main_label():
    texts = ["odd one", *keys(7), *["odd one"] * 3]
    labels = ["b", *["a"] * 7, "a", "a", "b"]  # two rows of each label: the first counts
    assert sizes(parts_of(table(texts, labels))[:8]) == (4, 2, 2)
    labels[-2:] = ["b", "b"]  # now b is the main label, and its only text trains
    parts = parts_of(table(texts, labels))
    assert parts[0] == TRAIN
    assert sizes(parts[1:8]) == (5, 1, 1)


def test_the_order_of_the_rows_plays_no_role():
    random = np.random.default_rng(1)
    rows = table(keys(300) * 2, random.choice(["a", "b"], 600).tolist())
    shuffled = rows[random.permutation(600)]
    assert part_by_text(rows) == part_by_text(shuffled)


def test_how_often_a_text_occurs_plays_no_role():
    rows = table(keys(100))
    repeated = rows[np.repeat(np.arange(100), np.arange(100) % 4 + 1)]
    assert part_by_text(rows) == part_by_text(repeated)


def test_equal_seeds_split_alike_and_others_differently():
    rows = table(keys(500))
    np.testing.assert_array_equal(parts_of(rows, seed=4), parts_of(rows, seed=4))
    same = (parts_of(rows, seed=4) == parts_of(rows, seed=5)).mean()
    assert 0.3 < same < 0.6  # by chance .6² + .2² + .2² = .44


def test_in_a_growing_table_few_texts_change_sides():
    texts = keys(2200)
    before = stratified_parts(pl.Series(texts[:2000]), pl.Series(["a"] * 2000), 0, USUAL)
    after = stratified_parts(pl.Series(texts), pl.Series(["a"] * 2200), 0, USUAL)[:2000]
    moved = before != after
    assert 0 < moved.mean() < 0.03
    assert (np.abs(before[moved] - after[moved]) == 1).all()  # only at a cut


def test_the_method_is_told_in_words():
    split = split_rows(table(keys(20)), seed=9, fractions=USUAL)
    assert split.method == "hash of the normalised text (seed 9), stratified by label"
    assert split.left_out_rows == 0
    assert split.parts.dtype == np.int8


def test_too_few_texts_for_all_parts_are_refused():
    with pytest.raises(TableError) as caught:
        parts_of(table(["x", "y", "x"], ["a", "b", "a"]))
    assert str(caught.value) == (
        "no text is left for val and test. The table has 2 different texts; give it more, or "
        "name the parts yourself with --split-column."
    )


# ---- by group


def test_groups_stay_whole():
    random = np.random.default_rng(2)
    groups = [f"g{n}" for n in random.integers(0, 40, 400)]
    rows = table(keys(400), group=groups)
    parts = {}
    for group, part in zip(groups, parts_of(rows), strict=True):
        parts.setdefault(group, set()).add(int(part))
    assert all(len(found) == 1 for found in parts.values())
    assert Counter(min(found) for found in parts.values()).keys() == {TRAIN, VAL, TEST}


def test_groups_are_stratified_by_their_main_label():
    groups = [f"g{n // 2}" for n in range(40)]
    labels = ["a"] * 20 + ["b"] * 20
    parts = parts_of(table(keys(40), labels, group=groups))
    assert sizes(parts[:20]) == sizes(parts[20:]) == (12, 4, 4)


def test_rows_without_a_group_are_one_group():
    groups = [None if n % 10 == 0 else f"g{n}" for n in range(100)]
    assert len(set(parts_of(table(keys(100), group=groups))[::10])) == 1


def test_a_text_that_two_groups_share_is_left_out_of_the_later_part():
    groups = [f"g{n}" for n in range(60)]
    rows = table(keys(60), group=groups)
    parts = parts_of(rows)
    in_train, in_val, in_test = (int(np.flatnonzero(parts == p)[0]) for p in (TRAIN, VAL, TEST))
    texts = keys(60)
    texts[in_test] = texts[in_val] = texts[in_train]
    split = split_rows(rows.with_columns(key=pl.Series(texts)), seed=0, fractions=USUAL)
    assert split.left_out_rows == 2
    expected = parts.copy()
    expected[[in_val, in_test]] = -1
    np.testing.assert_array_equal(split.parts, expected)
    assert split.method == "whole groups by hash (seed 0), stratified by label"


def test_groups_that_share_all_texts_are_refused():
    rows = table(["x", "y"] * 20, group=[f"g{n // 2}" for n in range(40)])
    with pytest.raises(TableError) as caught:
        parts_of(rows)
    left_out = str(caught.value).split(". ")[1].split()[0]
    assert str(caught.value) == (
        f"no text is left for val and test. {left_out} rows were left out because their text "
        "stands in an earlier part. Split without --group-column or --time-column, or use a table "
        "with more different texts."
    )
    assert int(left_out) > 10


# ---- by time


def test_the_past_trains_and_the_future_tests():
    random = np.random.default_rng(3)
    time = random.permutation(50)
    split = split_rows(table(keys(50), time=time), seed=0, fractions=USUAL)
    expected = np.select([time < 30, time < 40], [TRAIN, VAL], TEST)
    np.testing.assert_array_equal(split.parts, expected)
    assert split.method == "by time: the earliest rows train, the latest test"


def test_rows_of_one_moment_stay_together():
    time = [1] * 5 + [2] * 9 + [3] * 4 + [4] * 2  # the cuts at 12 and 16 fall into 2 and 3
    parts = parts_of(table(keys(20), time=time))
    assert parts.tolist() == [TRAIN] * 14 + [VAL] * 4 + [TEST] * 2


def test_a_text_that_was_seen_before_is_left_out_of_the_later_part():
    texts = [*keys(9), "note 0"]  # the last row repeats the first
    split = split_rows(table(texts, time=range(10)), seed=0, fractions=USUAL)
    assert split.parts.tolist() == [0] * 6 + [1, 1, 2, -1]
    assert split.left_out_rows == 1


def test_times_are_ordered_as_dates():
    dates = pl.Series([f"2024-{month:02}-01" for month in range(10, 0, -1)]).str.to_date()
    assert parts_of(table(keys(10), time=dates)).tolist() == [2, 2, 1, 1, 0, 0, 0, 0, 0, 0]


def test_missing_times_are_refused_with_their_row():
    rows = table(keys(10), time=[1, 2, None, 4, None, 6, 7, 8, 9, 10], row=range(2, 12))
    advice = "Fill them in, leave those rows out, or split without --time-column."
    with pytest.raises(TableError) as caught:
        parts_of(rows)
    assert str(caught.value) == f"the time column is empty in 2 rows (first in row 4). {advice}"
    with pytest.raises(TableError) as caught:
        parts_of(rows.drop("row"))
    assert str(caught.value) == f"the time column is empty in 2 rows. {advice}"


# ---- by the user's word


def test_named_parts_are_kept_as_they_are():
    named = ["train", "Training", " val ", "valid", "VALIDATION", "dev"]
    named += ["test", "testing", "eval", "evaluation", "Holdout", "train"]
    texts = [*keys(11), "note 6"]  # straddles by the user's word
    split = split_rows(table(texts, split=named), seed=0, fractions=USUAL)
    assert split.parts.tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0]
    assert split.method == "the table's own split column"
    assert split.left_out_rows == 0


def test_an_unknown_part_is_refused_with_the_nearest_known_one():
    with pytest.raises(TableError) as caught:
        parts_of(table(keys(3), split=["train", "trian", "test"]))
    assert str(caught.value) == (
        "the split column holds 'trian', which means no part of the split. Say 'train', 'val' or "
        "'test' in every row. Did you mean 'train'?"
    )


def test_the_nearest_known_part_is_told_of_the_first_name_that_has_one():
    with pytest.raises(TableError) as caught:
        parts_of(table(keys(4), split=["train", "aaa", "vall", "testt"]))
    assert str(caught.value) == (
        "the split column holds 'aaa', 'testt', 'vall', which mean no part of the split. Say "
        "'train', 'val' or 'test' in every row. For 'testt' did you mean 'test'?"
    )


def test_an_empty_part_name_is_refused():
    with pytest.raises(TableError, match="the split column holds '', 'zzz', which mean no part"):
        parts_of(table(keys(4), split=["train", None, "test", "zzz"]))


def test_a_missing_validation_part_is_cut_from_train():
    texts = keys(80) + keys(80) + keys(40, first=80)  # every train text twice
    rows = table(texts, ["a", "b"] * 100, split=["train"] * 160 + ["test"] * 40)
    split = split_rows(rows, seed=0, fractions=USUAL)
    assert (split.parts[160:] == TEST).all()
    assert sizes(split.parts[:160]) == (120, 40, 0)
    np.testing.assert_array_equal(split.parts[:80], split.parts[80:160])
    assert sizes(split.parts[:80:2]) == (30, 10, 0)  # stratified
    assert split.method == "the table's own split column; val cut from train by hash (seed 0)"
    assert (parts_of(rows, seed=1) != split.parts).any()


def test_a_missing_test_part_is_cut_from_train():
    rows = table(keys(100), split=["train"] * 80 + ["val"] * 20)
    assert sizes(parts_of(rows)[:80]) == (60, 0, 20)


def test_two_missing_parts_are_cut_from_train_in_the_wanted_shares():
    split = split_rows(table(keys(100), split=["train"] * 100), seed=0, fractions=USUAL)
    assert sizes(split.parts) == (60, 20, 20)
    assert split.method.endswith("; val and test cut from train by hash (seed 0)")


def test_a_missing_part_that_is_not_wanted_is_not_cut():
    rows = table(keys(20), split=["train"] * 10 + ["test"] * 10)
    assert sizes(parts_of(rows, fractions=(0.8, 0, 0.2))) == (10, 0, 10)


def test_a_table_without_a_training_part_is_refused():
    for names in (["test"] * 4, ["val", "test"] * 2):
        with pytest.raises(TableError) as caught:
            parts_of(table(keys(4), split=names))
        assert str(caught.value) == (
            "the split column has no row that says 'train'. Say 'train' in the rows to learn from."
        )


def test_train_with_too_few_texts_to_cut_from_is_refused():
    with pytest.raises(TableError, match="no text is left for val and test"):
        parts_of(table(keys(2), split=["train"] * 2))


# ---- what a random split of the rows would have shared


def test_worked_shares_of_a_random_split():
    assert shared_by_random_split(np.array([2]), (0.5, 0, 0.5)) == pytest.approx(2 / 3)
    assert shared_by_random_split(np.array([1, 1, 1]), USUAL) == 0
    assert shared_by_random_split(np.array([5, 2]), (1, 0, 0)) == 0
    # Twice: in test 1 - .8² = .36; in both 2 · .6 · .2 = .24.
    assert shared_by_random_split(np.array([2]), USUAL) == pytest.approx(0.24 / 0.36)
    # Once and twice: in test .2 + .36; in both .24.
    assert shared_by_random_split(np.array([1, 2]), USUAL) == pytest.approx(0.24 / 0.56)


@pytest.mark.parametrize("fractions", [USUAL, (0.9, 0.0, 0.1), (0.3, 0.3, 0.4)])
def test_the_share_of_a_random_split_equals_a_simulation(fractions):
    random = np.random.default_rng(0)
    counts = random.integers(1, 7, 60_000)
    text = np.repeat(np.arange(len(counts)), counts)
    part = random.choice(3, size=len(text), p=fractions)
    in_test = np.bincount(text[part == TEST], minlength=len(counts)) > 0
    in_train = np.bincount(text[part == TRAIN], minlength=len(counts)) > 0
    simulated = (in_test & in_train).sum() / in_test.sum()
    assert shared_by_random_split(counts, fractions) == pytest.approx(simulated, abs=0.01)


def test_the_order_of_the_texts_does_not_change_the_share():
    random = np.random.default_rng(0)
    counts = random.integers(1, 60, 500)
    shares = {shared_by_random_split(random.permutation(counts), USUAL) for _ in range(20)}
    assert len(shares) == 1


def test_the_share_is_never_negative():
    for val in np.linspace(0.01, 0.5, 30):
        fractions = (round(1 - val - 0.2, 12), val, 0.2)
        assert shared_by_random_split(np.ones(3, dtype=np.int64), fractions) >= 0


def test_counted_texts_have_the_share_of_as_many_texts():
    counts, texts = np.array([3, 1, 12]), np.array([40, 7, 2])
    share = shared_by_random_split(counts, USUAL, texts)
    assert share == shared_by_random_split(np.repeat(counts, texts), USUAL)
