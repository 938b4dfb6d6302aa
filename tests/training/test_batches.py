"""Every text stands in exactly one batch, beside texts of its length, with its own targets."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from textgauge.data.corpus import LabelledTexts
from textgauge.text.encoder import Encoded
from textgauge.training.batches import EncodedTexts, choose_batch_size


def make_texts(count=230, classes=3, seed=0):
    """Texts of 1 to 19 tokens; the first id of each is its number + 10."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 20, count).astype(np.int32)
    ids = random.integers(3, 9, lengths.sum()).astype(np.int32)
    ids[np.cumsum(lengths) - lengths] = np.arange(count) + 10
    counts = random.integers(0, 4, (count, classes))
    counts[:, 0] += 1
    text, label = np.nonzero(counts)
    labelled = LabelledTexts(
        pl.Series([f"text {n}" for n in range(count)]), text, label, counts[text, label]
    )
    encoded = Encoded(ids, random.random(len(ids), dtype=np.float32), lengths)
    return EncodedTexts(encoded, labelled, classes), counts


def numbers_in(batch):
    return (batch.ids[:, 0] - 10).tolist()


def shuffled(texts, batch_size, seed=0):
    return list(texts.shuffled(batch_size, np.random.default_rng(seed)))


# ---- one batch


def test_a_batch_holds_the_chosen_texts_and_their_label_counts():
    texts, counts = make_texts()
    rows = np.array([7, 0, 229, 7, 100])
    batch = texts.batch(rows)
    assert numbers_in(batch) == rows.tolist()
    np.testing.assert_array_equal(batch.targets, counts[rows])
    np.testing.assert_array_equal(batch.lengths, texts.encoded.lengths[rows])
    ids, positions, _ = texts.encoded.padded(rows)
    np.testing.assert_array_equal(batch.ids, ids)
    np.testing.assert_array_equal(batch.positions, positions)
    assert batch.ids.shape == batch.positions.shape == (5, texts.encoded.lengths[rows].max())


def test_texts_with_one_label_and_with_all_labels_keep_their_counts():
    labelled = LabelledTexts(
        pl.Series(["a", "b", "c"]),
        np.array([0, 0, 0, 1, 2, 2]),
        np.array([0, 1, 2, 1, 0, 2]),
        np.array([1, 2, 3, 9, 5, 4]),
    )
    encoded = Encoded(np.array([3, 4, 5], np.int32), np.zeros(3, np.float32), np.ones(3, np.int32))
    targets = EncodedTexts(encoded, labelled, 3).batch(np.array([2, 0, 1])).targets
    assert targets.tolist() == [[5, 0, 4], [1, 2, 3], [0, 9, 0]]


@pytest.mark.parametrize("most", [1, 25, 60])
def test_a_batch_is_cut_into_parts_of_so_many_tokens(most):
    texts, counts = make_texts()
    batch = texts.batch(np.arange(40))
    parts = list(batch.parts(most))
    assert [n for part in parts for n in numbers_in(part)] == list(range(40))
    assert all(part.ids.numel() <= most or len(part.lengths) == 1 for part in parts)
    assert all(part.ids.shape[1] == part.lengths.max() for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.targets for part in parts]), counts[:40])
    sums = np.concatenate([part.positions.sum(1) for part in parts])
    np.testing.assert_allclose(sums, batch.positions.sum(1), rtol=1e-5)


def test_short_texts_are_computed_together_although_a_long_one_is_in_the_batch():
    lengths = np.array([2] * 30 + [90], np.int32)
    encoded = Encoded(
        np.ones(lengths.sum(), np.int32), np.zeros(lengths.sum(), np.float32), lengths
    )
    one_each = np.arange(31)
    labelled = LabelledTexts(
        pl.Series(["x"] * 31), one_each, np.zeros(31, np.int64), np.ones(31, np.int64)
    )
    batch = EncodedTexts(encoded, labelled, 1).batch(one_each)
    assert [tuple(part.ids.shape) for part in batch.parts(40)] == [(20, 2), (10, 2), (1, 90)]


def test_a_batch_that_is_small_enough_is_its_only_part():
    batch = make_texts()[0].batch(np.arange(4))
    assert list(batch.parts(None)) == list(batch.parts(batch.ids.numel())) == [batch]


# ---- in order


@pytest.mark.parametrize("batch_size", [1, 32, 230, 500])
def test_in_order_every_text_comes_once_short_ones_first(batch_size):
    texts, _ = make_texts()
    seen, lengths = [], []
    for rows, batch in texts.in_order(batch_size):
        assert numbers_in(batch) == rows.tolist()
        assert len(rows) <= batch_size
        seen += rows.tolist()
        lengths += batch.lengths.tolist()
    assert sorted(seen) == list(range(230))
    assert lengths == sorted(lengths)


# ---- shuffled


@pytest.mark.parametrize("batch_size", [1, 3, 32, 230, 500])
def test_shuffled_every_text_comes_once_with_its_own_targets(batch_size):
    texts, counts = make_texts()
    batches = shuffled(texts, batch_size)
    seen = [number for batch in batches for number in numbers_in(batch)]
    assert sorted(seen) == list(range(230))
    for batch in batches:
        np.testing.assert_array_equal(batch.targets, counts[numbers_in(batch)])


@pytest.mark.parametrize("batch_size", [1, 2, 4, 7, 32, 230])
def test_there_are_as_many_batches_as_the_texts_need(batch_size):
    texts, _ = make_texts()
    batches = shuffled(texts, batch_size)
    assert len(batches) == -(-230 // batch_size)
    sizes = sorted(len(batch.lengths) for batch in batches)
    assert sizes[1:] == [batch_size] * (len(batches) - 1)


def test_shuffled_batches_hold_texts_of_similar_length():
    texts, _ = make_texts()
    spans = sorted((int(b.lengths.min()), int(b.lengths.max())) for b in shuffled(texts, 10))
    # 230 texts are less than a stretch of 50 batches: sorted as a whole, spans hardly overlap.
    for (_, high), (low, _) in pairwise(spans):
        assert high <= low
    # Over several stretches there is still little padding.
    many, _ = make_texts(2000)
    padded = sum(b.ids.numel() for b in shuffled(many, 4))
    assert padded < 1.05 * many.encoded.lengths.sum()


def test_the_short_texts_do_not_always_come_first():
    texts, _ = make_texts()
    means = [float(b.lengths.float().mean()) for b in shuffled(texts, 10)]
    assert means != sorted(means)
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.6


def test_composition_changes_every_epoch_and_repeats_with_the_seed():
    texts, _ = make_texts()
    random = np.random.default_rng(5)
    first, second = ([numbers_in(b) for b in texts.shuffled(16, random)] for _ in range(2))
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    assert first == [numbers_in(b) for b in shuffled(texts, 16, seed=5)]
    assert first != [numbers_in(b) for b in shuffled(texts, 16, seed=6)]


# ---- the batch size


@pytest.mark.parametrize(
    ("texts", "size"),
    [
        (1, 16),
        (300, 16),
        (1279, 16),
        (1280, 32),
        (1440, 32),
        (2559, 32),
        (2560, 64),
        (10_240, 256),
        (1_000_000, 256),
    ],
)
def test_worked_batch_sizes(texts, size):
    assert choose_batch_size(texts) == size


def test_the_batch_size_makes_about_fifty_steps():
    for texts in range(640, 16_000, 97):
        assert 40 <= texts / choose_batch_size(texts) <= 80
