"""A table on Spark becomes the same corpus, with the same vocabulary, as in one process."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from textgauge.config import Config
from textgauge.data.component_notes import make_component_notes
from textgauge.data.split import hash_of
from textgauge.engines.local import LocalTable, open_table
from textgauge.engines.spark import corpus, learning, splitting
from textgauge.engines.spark.counting import Reading, count_pairs
from textgauge.engines.spark.frames import collected
from textgauge.engines.spark.splitting import find_cuts, hash_column, with_parts
from textgauge.engines.spark.table import ClusterTable
from textgauge.engines.spark.tables import open_table as open_spark_table
from textgauge.errors import ColumnError, SettingsError, TableError
from textgauge.text.learn import learn_encoder
from textgauge.text.notation import Notation
from textgauge.training.progress import NoProgress

SPLITS = {
    "text": Config(),
    "group": Config(group_column="group"),
    "time": Config(time_column="day"),
    "column": Config(split_column="part"),
    "column without val": Config(split_column="part without val"),
    "words": Config(numbers=False, max_words=20, min_texts=3, seed=5, review_rate=0.05),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Notes with contradictions, odd texts, rows that cannot be used, and columns for any split."""
    random = np.random.default_rng(0)
    notes = make_component_notes(4_000)
    rows = len(notes)
    odd = pl.DataFrame(
        {
            "text": [
                None,
                "",
                "  ",
                "ﬁne STEEL İ",
                "Steel\tcomponent -1,250.5",
                "鉄 部品 1979",
                "n/a",
            ],
            "label": ["1", "0", "1", "0", "1", None, "0"],
        }
    )
    wrong = notes.head(9).select("text", label=pl.lit("1"))
    frame = pl.concat([notes.select("text", pl.col("label").cast(pl.String)), odd, wrong])
    more = len(frame)
    frame = frame.with_columns(
        pl.Series("group", random.integers(0, 200, more)),
        pl.Series("day", random.integers(0, 40, more)),
        pl.Series("part", random.choice(["Train", "test ", "dev"], more)),
        pl.Series("part without val", random.choice(["train", "test"], more)),
        pl.Series("price", random.random(more)),
    )
    assert rows < more
    path = tmp_path_factory.mktemp("table") / "notes.parquet"
    frame.write_parquet(path)
    return path


def on_spark(
    spark: Any, source: Any, config: Config, folder: Path, workers: int = 1
) -> ClusterTable:
    table = open_spark_table(spark, source)
    return ClusterTable(spark, table, config, NoProgress(), folder=folder, workers=workers)


def here(source: Path, config: Config) -> LocalTable:
    return open_table(source, config, NoProgress())


@pytest.mark.parametrize("how", SPLITS)
def test_the_same_split_counts_and_vocabulary(
    how: str, spark: Any, table: Path, tmp_path: Path
) -> None:
    local, there = here(table, SPLITS[how]), on_spark(spark, str(table), SPLITS[how], tmp_path)
    ours, theirs = local.corpus, there.corpus
    for name in (
        "classes", "sizes", "digest", "split_method", "left_out_rows", "test_texts_in_train",
        "random_split_share", "dropped_rows",
    ):  # fmt: skip
        assert getattr(theirs, name) == getattr(ours, name), name
    for part in ("train", "val", "test"):
        expected, found = getattr(ours, part), getattr(theirs, part)
        assert found.texts.equals(expected.texts)
        for triple in ("text_index", "label", "count"):
            np.testing.assert_array_equal(getattr(found, triple), getattr(expected, triple))
    encoder, other = local.learn_encoder(), there.learn_encoder()
    assert other.vocabulary.words == encoder.vocabulary.words
    if encoder.numbers is None:
        assert other.numbers is None
    else:
        np.testing.assert_array_equal(other.numbers.edges, encoder.numbers.edges)
        assert other.numbers.notation == encoder.numbers.notation
    assert there.facts.rows == local.facts.rows
    assert there.check.profile == local.check.profile
    problems = [{(p.code, p.severity, p.count) for p in t.check.problems} for t in (local, there)]
    assert problems[0] == problems[1]
    assert {"contradictory-texts", "missing-text", "stand-in-text"} <= {
        c for c, _, _ in problems[1]
    }


def test_of_many_texts_those_with_the_smallest_hashes_come_to_the_driver(
    spark: Any, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "SAMPLE", 100)
    local, there = here(table, Config()).corpus, on_spark(spark, str(table), Config(), tmp_path)
    assert there.corpus.sizes == local.sizes
    assert local.train.texts.len() > 500
    for expected, found in (
        (local.train, there.corpus.train), (local.test, there.corpus.test)
    ):  # fmt: skip
        drawn = sorted(expected.texts, key=lambda text: sha256(f"sample\n{text}".encode()).digest())
        assert found.texts.to_list() == sorted(drawn[:100])


def test_cuts_are_found_among_few_hashes(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With so little room that three digits are counted before any hash is fetched."""
    monkeypatch.setattr(splitting, "FETCHED", 3)
    keys = pl.Series("unit", [f"text {number}" for number in range(3_000)])
    strata = pl.Series("stratum", ["a"] * 2_000 + ["b"] * 998 + ["c", "c"])
    from pyspark.sql import functions as F  # noqa: N812

    from textgauge.data.split import stratified_parts

    frame = spark.createDataFrame(pl.DataFrame([keys, strata]).to_arrow())
    units = frame.withColumn("hash", hash_column(F.col("unit"), 7)).cache()
    fractions = (0.5, 0.2, 0.3)
    cuts = find_cuts(units, fractions)
    found = collected(with_parts(units, cuts, spark).select("unit", "part", "hash"))
    expected = pl.DataFrame(
        {"unit": keys, "wanted": stratified_parts(keys, strata, 7, fractions).astype(np.int32)}
    ).with_columns(hashed=pl.Series(hash_of(keys, 7)))
    both = expected.join(found, on="unit")
    assert len(both) == 3_000
    assert (both["wanted"] == both["part"]).all()
    assert both["hash"].to_list() == [f"{value:016x}" for value in both["hashed"]]


def test_a_table_that_cannot_be_trained_on_says_all_that_is_wrong(
    spark: Any, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.parquet"
    pl.DataFrame({"text": ["a\x00b", "a b", "c d"], "label": ["1", "1", "1"]}).write_parquet(path)
    with pytest.raises(TableError) as caught:
        on_spark(spark, str(path), Config(), tmp_path)
    assert "NUL bytes" in str(caught.value)
    assert "nothing to learn" in str(caught.value)


def test_a_wrong_column_names_the_nearest(spark: Any, table: Path, tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="Did you mean 'text'"):
        on_spark(spark, str(table), Config(text="txt"), tmp_path)


def test_labels_of_whole_floats_and_numbers_are_those_of_one_process(
    spark: Any, tmp_path: Path
) -> None:
    notes = make_component_notes(600)
    for kind in (pl.Float64, pl.Int64, pl.Boolean):
        path = tmp_path / f"{kind}.parquet"
        notes.select("text", pl.col("label").cast(pl.Int64).cast(kind)).write_parquet(path)
        rows = open_spark_table(spark, str(path)).rows()
        pairs = collected(count_pairs(rows, Reading.of(rows, path.name)))
        assert tuple(sorted(pairs["label"].unique())) == here(path, Config()).corpus.classes
        assert pairs["rows"].sum() == 600


def test_a_split_of_an_unknown_word_is_told(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "said.parquet"
    notes = make_component_notes(300).select("text", pl.col("label").cast(pl.String))
    said = notes.with_columns(part=pl.Series(["train", "trian", "test"] * 100))
    said.write_parquet(path)
    with pytest.raises(TableError, match=r"'trian', which means no part.*Did you mean 'train'"):
        on_spark(spark, str(path), Config(split_column="part"), tmp_path)


def test_every_row_is_for_one_machine(spark: Any, table: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--every-row trains on one machine"):
        on_spark(spark, str(table), Config(distinct=False), tmp_path)


def test_a_column_to_look_into_the_test_part_by_is_for_one_machine(
    spark: Any, table: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="evaluate MODEL TABLE --slice year"):
        on_spark(spark, str(table), Config(slice_column="year"), tmp_path)


@pytest.fixture
def uncoalesced(spark: Any) -> Iterator[None]:
    """Spark makes as many files as it is told to, however few values there are."""
    setting = "spark.sql.adaptive.coalescePartitions.enabled"
    spark.conf.set(setting, "false")
    yield
    spark.conf.unset(setting)


def test_how_numbers_are_written_is_learned_from_all_partitions(spark: Any, tmp_path: Path) -> None:
    texts = pl.Series("key", ["spalt 0,35 mm", "spalt 1.200,5 mm", "kein", "teil 7"])
    keys = spark.createDataFrame(texts.to_frame().to_arrow()).repartition(2)
    found = learning.learn_encoder(keys, Config(), tmp_path)
    expected = learn_encoder(texts, Config())
    assert found.numbers is not None
    assert expected.numbers is not None
    assert found.numbers.notation == expected.numbers.notation == Notation(decimal_comma=True)
    assert found.numbers.edges.tolist() == [0.35, 7.0, 1200.5]


def test_numbers_that_are_too_many_for_the_driver_give_the_same_edges(
    spark: Any, uncoalesced: None, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "IN_MEMORY", 5)
    for bins in (4, 1_000):
        config = Config(number_bins=bins)
        keys = spark.createDataFrame(
            here(table, config).corpus.train.texts.to_frame("key").to_arrow()
        )
        scale = learning.learn_numbers(keys, config, tmp_path / str(bins))
        expected = here(table, config).learn_encoder().numbers
        assert scale is not None
        assert expected is not None
        np.testing.assert_array_equal(scale.edges, expected.edges)
        assert len(list((tmp_path / str(bins) / "numbers").glob("part-*.parquet"))) > 1
