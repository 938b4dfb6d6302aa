"""Shards: every text in one of them, by its hash, and trained on as in one piece."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from textgauge.data.corpus import LabelledTexts
from textgauge.text.encoder import Encoded
from textgauge.training import shards as module
from textgauge.training.batches import Batch, EncodedTexts
from textgauge.training.shards import ShardedTexts, count_shards, cut, join, shard_of


def make_texts(count: int = 230, classes: int = 3) -> EncodedTexts:
    """Texts of 1 to 9 tokens; the first id of each is its number + 10."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 10, count).astype(np.int32)
    ids = random.integers(3, 9, lengths.sum()).astype(np.int32)
    ids[np.cumsum(lengths) - lengths] = np.arange(count) + 10
    counts = random.integers(0, 4, (count, classes))
    counts[:, 0] += 1
    text, label = np.nonzero(counts)
    names = pl.Series([f"text {n:03}" for n in range(count)])
    labelled = LabelledTexts(names, text, label, counts[text, label])
    encoded = Encoded(ids, random.random(len(ids), dtype=np.float32), lengths)
    return EncodedTexts(encoded, labelled, classes)


def numbers_in(batches: list[Batch]) -> list[int]:
    return [number for batch in batches for number in (batch.ids[:, 0] - 10).tolist()]


def sharded(texts: EncodedTexts, shards: int) -> ShardedTexts:
    return cut(texts, np.random.default_rng(1).integers(0, shards, texts.texts), shards)


def test_small_tables_are_one_shard_and_workers_get_as_many_each() -> None:
    assert count_shards(1) == count_shards(module.SHARD_TEXTS) == 1
    assert count_shards(module.SHARD_TEXTS + 1) == 2
    assert [count_shards(5 * module.SHARD_TEXTS, workers) for workers in (1, 2, 3)] == [5, 6, 6]


def test_shards_follow_the_low_bits_of_the_hash_evenly() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    shards = shard_of(hashes, 8)
    assert set(shards) == set(range(8))
    assert np.bincount(shards).min() > 2_300
    # The high bits decide the part of the split: they must not decide the shard as well.
    np.testing.assert_array_equal(shard_of(hashes & np.uint64(0xFFFF_FFFF), 8), shards)


def test_taken_texts_keep_their_tokens_and_labels() -> None:
    texts = make_texts()
    rows = np.array([7, 0, 229, 100])
    taken = texts.take(rows)
    whole, part = texts.batch(rows), taken.batch(np.arange(4))
    for name in ("ids", "positions", "lengths", "targets"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
    assert taken.labelled.texts.to_list() == [texts.labelled.texts[int(row)] for row in rows]


def test_joined_shards_are_the_texts_again() -> None:
    texts = make_texts()
    pieces = [texts.take(np.arange(begin, begin + 46)) for begin in range(0, 230, 46)]
    joined = join(pieces)
    for rows in (np.arange(230), np.array([3, 200, 45, 46])):
        whole, again = texts.batch(rows), joined.batch(rows)
        for name in ("ids", "positions", "lengths", "targets"):
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


@pytest.mark.parametrize("shards", [1, 3, 9])
def test_every_text_comes_once_an_epoch_in_a_new_order(shards: int) -> None:
    texts = sharded(make_texts(), shards)
    orders = [
        numbers_in(list(texts.shuffled(16, np.random.default_rng(seed)))) for seed in (0, 0, 1)
    ]
    assert sorted(orders[0]) == list(range(230))
    assert orders[0] == orders[1] != orders[2]
    in_order = [batch for _, batch in texts.in_order(16)]
    assert sorted(numbers_in(in_order)) == list(range(230))


def test_one_shard_is_shuffled_as_the_texts_in_memory() -> None:
    texts = make_texts()
    alone = list(texts.shuffled(16, np.random.default_rng(4)))
    as_shard = list(sharded(texts, 1).shuffled(16, np.random.default_rng(4)))
    assert [b.ids.tolist() for b in alone] == [b.ids.tolist() for b in as_shard]


def test_few_shards_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []

    def counted(parts: list[EncodedTexts]) -> EncodedTexts:
        together.append(len(parts))
        return join(parts)

    monkeypatch.setattr(module, "join", counted)
    list(sharded(make_texts(), 10).shuffled(16, np.random.default_rng(0)))
    assert together == [4, 4, 2]


def test_counts_are_those_of_all_shards() -> None:
    texts = make_texts()
    cut_up = sharded(texts, 5)
    assert (cut_up.texts, cut_up.rows, cut_up.classes) == (texts.texts, texts.rows, 3)
    np.testing.assert_array_equal(cut_up.label_rows, texts.label_rows)
    nothing = ShardedTexts([], 3, 0, 0, texts.label_rows)
    assert list(nothing.shuffled(4, np.random.default_rng(0))) == []
