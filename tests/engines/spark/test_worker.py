"""What runs on the executors, without Spark: gathering, remembering, counting."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from textgauge.data.normal_form import normalise
from textgauge.engines.spark import worker
from textgauge.engines.spark.worker import COUNTED, Scorer, Tally, TallyParam, Task, gather


class Counting:
    """A predictor that counts the texts that it computes."""

    def __init__(self, predictor) -> None:
        self._predictor = predictor
        self.asked: list[str] = []

    def predict_frame(self, texts):
        self.asked += texts.to_list()
        return self._predictor.predict_frame(texts)


class Sum:
    """An accumulator, as a task sees it."""

    def __init__(self) -> None:
        self.value = Tally()

    def add(self, tally: Tally) -> None:
        self.value = TallyParam().addInPlace(self.value, tally)


def batches(frame: pl.DataFrame, rows: int) -> list[pa.RecordBatch]:
    return frame.to_arrow().to_batches(max_chunksize=rows)


def score(scorer: Scorer, frame: pl.DataFrame, monkeypatch, rows: int = 700, column: str = "text"):
    """Score a frame as one partition, in batches; returns the result and the tally."""
    monkeypatch.setattr(worker, "_scorers", {"digest": scorer})
    tally = Sum()
    task = Task("digest", None, column, tally)
    found = list(task(iter(batches(frame, rows))))
    return pl.DataFrame(pl.from_arrow(pa.Table.from_batches(found))), tally.value


# ---- gather --------------------------------------------------------------------------------------


def test_batches_are_gathered_until_there_are_enough_rows_or_bytes():
    made = batches(pl.DataFrame({"text": ["a"] * 10}), 1)
    assert [len(chunk) for chunk in gather(made, 4, 10**9)] == [4, 4, 2]
    assert [len(chunk) for chunk in gather(made, 10**9, made[0].nbytes * 3)] == [3, 3, 3, 1]
    assert list(gather([], 4, 4)) == []


def test_empty_batches_are_left_out():
    empty = pa.RecordBatch.from_pydict({"text": pa.array([], pa.string())})
    (full,) = batches(pl.DataFrame({"text": ["a"]}), 1)
    assert list(gather([empty, empty], 4, 4)) == []
    assert [len(chunk) for chunk in gather([empty, full, empty], 4, 10**9)] == [1]


def test_no_more_is_gathered_than_is_given_out():
    """A partition of any size takes no more memory than a chunk."""
    taken = []

    def endless():
        while True:
            (batch,) = batches(pl.DataFrame({"text": ["a", "b"]}), 2)
            taken.append(batch)
            yield batch

    chunks = gather(endless(), 10, 10**9)
    next(chunks), next(chunks)
    assert len(taken) == 10


# ---- predictions ---------------------------------------------------------------------------------


def test_a_partition_in_batches_is_predicted_as_a_whole(predictor, catalogue, monkeypatch):
    monkeypatch.setattr(worker, "CHUNK_ROWS", 1_000)
    found, tally = score(Scorer(predictor), catalogue, monkeypatch, rows=170)
    expected = predictor.predict_frame(catalogue["text"]).with_columns(
        pl.when(catalogue["text"].is_not_null()).then(pl.all())
    )
    assert found.select(catalogue.columns).equals(catalogue)
    assert found.select(expected.columns).equals(expected)
    assert tally.rows == len(catalogue)
    assert tally.texts == normalise(catalogue["text"].drop_nulls()).n_unique()


def test_a_text_is_computed_once_over_all_partitions(predictor, catalogue, monkeypatch):
    monkeypatch.setattr(worker, "CHUNK_ROWS", 500)
    counting = Counting(predictor)
    scorer = Scorer(counting)
    for _ in range(2):
        score(scorer, catalogue, monkeypatch, rows=100)
    assert sorted(counting.asked) == sorted(catalogue["text"].drop_nulls().unique())


def test_what_is_remembered_is_bounded_and_forgetting_changes_nothing(
    predictor, catalogue, monkeypatch
):
    monkeypatch.setattr(worker, "CHUNK_ROWS", 300)
    expected, _ = score(Scorer(predictor), catalogue, monkeypatch, rows=100)
    monkeypatch.setattr(worker, "MEMORY_BYTES", 20_000)
    scorer = Scorer(predictor)
    found, tally = score(scorer, catalogue, monkeypatch, rows=100)
    assert scorer.known is None or scorer.known.estimated_size() < 100_000
    assert found.equals(expected)
    assert tally.texts == normalise(catalogue["text"].drop_nulls()).n_unique()


def test_a_partition_without_any_text_gives_nulls(predictor, monkeypatch):
    frame = pl.DataFrame({"text": pl.Series([None, None], dtype=pl.String), "n": [1, 2]})
    counting = Counting(predictor)
    found, tally = score(Scorer(counting), frame, monkeypatch)
    assert found["predicted_label"].to_list() == [None, None]
    assert found.schema["probability"] == pl.Float64
    assert (tally.rows, tally.texts, counting.asked) == (2, 0, [])


def test_an_empty_partition_gives_nothing(predictor, monkeypatch):
    monkeypatch.setattr(worker, "_scorers", {"digest": Scorer(predictor)})
    tally = Sum()
    assert list(Task("digest", None, "text", tally)(iter([]))) == []
    assert tally.value == Tally()


def test_numbers_are_read_as_texts(predictor, monkeypatch):
    found, _ = score(Scorer(predictor), pl.DataFrame({"text": [1979, None]}), monkeypatch)
    assert found["predicted_label"][0] == predictor.predict(["1979"]).labels[0]
    assert found["text"].to_list() == [1979, None]


def test_a_process_loads_a_model_once_and_keeps_only_the_last(trained, monkeypatch):
    monkeypatch.setattr(worker, "_scorers", {})
    files = {path.name: path.read_bytes() for path in trained.folder.iterdir() if path.is_file()}
    first = worker.scorer_of("a", lambda: files)
    assert worker.scorer_of("a", lambda: pytest.fail("loaded twice")) is first
    worker.scorer_of("b", lambda: files)
    assert list(worker._scorers) == ["b"]


# ---- counting ------------------------------------------------------------------------------------


def test_few_texts_are_counted_and_a_repeated_task_counts_them_once():
    one = Tally(3, np.array([1, 5, 9], dtype=np.uint64))
    other = Tally(2, np.array([5, 7], dtype=np.uint64))
    both = one.plus(other)
    assert (both.rows, both.texts, both.estimated) == (5, 4, False)
    assert one.plus(one).texts == 3
    assert Tally().plus(one).texts == one.plus(Tally()).texts == 3


def test_many_texts_are_estimated_within_one_percent_in_bounded_memory():
    random = np.random.default_rng(0)
    total = Tally()
    for _ in range(10):
        hashes = np.unique(random.integers(0, 2**64, 200_000, dtype=np.uint64))
        total = total.plus(Tally(200_000, hashes[:COUNTED]))
    assert total.hashes.nbytes <= 2**19
    assert total.estimated
    assert abs(total.texts / 2_000_000 - 1) < 0.01


def test_hashes_of_texts_are_spread_evenly():
    """The estimate needs it: the mean of uniform hashes is the middle of their range."""
    hashes = pl.Series([f"note {n}" for n in range(50_000)]).hash(seed=0).to_numpy()
    assert len(np.unique(hashes)) == 50_000
    assert abs(hashes.astype(float).mean() / 2.0**63 - 1) < 0.02
