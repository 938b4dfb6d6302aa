"""What runs on the executors, without Spark: gathering, remembering, counting."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from textgauge.bundle.predictor import Predictor
from textgauge.bundle.scorer import Scorer
from textgauge.data.normal_form import normalise
from textgauge.engines.spark import worker
from textgauge.engines.spark.worker import TallyParam, Task, gather
from textgauge.text.tally import Tally


class Counting:
    """A predictor that counts the texts that it computes."""

    def __init__(self, predictor) -> None:
        self._predictor, self.classes = predictor, predictor.classes
        self.asked: list[str] = []

    def predict_normalised(self, texts):
        self.asked += texts.to_list()
        return self._predictor.predict_normalised(texts)


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


def test_a_partition_is_decided_as_in_this_process(deciding, catalogue, monkeypatch):
    predictor = Predictor.load(deciding.folder)
    found, _ = score(Scorer(predictor), catalogue, monkeypatch)
    texts = catalogue["text"]
    expected = predictor.predict_frame(texts)["decision"].to_list()
    missing = texts.is_null().to_list()
    assert found["decision"].to_list() == [
        None if gone else decision for gone, decision in zip(missing, expected, strict=True)
    ]
    assert "review" in expected


def test_what_could_be_read_is_counted_over_the_rows(predictor, catalogue, monkeypatch):
    monkeypatch.setattr(worker, "CHUNK_ROWS", 300)
    more = pl.DataFrame({"text": ["bolt of 9999", "Bolt of 9999", "bolt  of 12"] * 50})
    frame = pl.concat([catalogue.select("text"), more])
    _, tally = score(Scorer(predictor, memory=50_000), frame, monkeypatch, rows=170)
    with_text = frame["text"].is_not_null().to_numpy()
    assert tally.read == predictor.predict(frame["text"]).reading.summed(with_text)
    assert tally.read.tokens > tally.read.unknown > 0
    assert tally.read.outside == 150


def test_a_text_is_computed_once_over_all_partitions(predictor, catalogue, monkeypatch):
    monkeypatch.setattr(worker, "CHUNK_ROWS", 500)
    counting = Counting(predictor)
    scorer = Scorer(counting)
    for _ in range(2):
        score(scorer, catalogue, monkeypatch, rows=100)
    distinct = catalogue["text"].drop_nulls().unique()
    assert sorted(counting.asked) == sorted(normalise(distinct))


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
