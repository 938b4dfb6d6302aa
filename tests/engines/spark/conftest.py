"""One Spark session on two slots of this machine for all tests of a process, and a table."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from engines.spark.cluster import Cluster
from engines.spark.needed import need_spark, quick_java, what_is_missing

from textgauge.bundle.predictor import Predictor
from textgauge.data.component_notes import make_component_notes

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bear with pyspark, which leaves it to Python to close its sockets."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(autouse=True)
def sockets_closed() -> Iterator[None]:
    """Close them here, and not in a test that minds."""
    yield
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Options with which Java starts Spark soon; every session of these tests has them."""
    with pytest.MonkeyPatch.context() as patch:
        options = "" if what_is_missing() else quick_java(tmp_path_factory)
        patch.setenv("SPARK_SUBMIT_OPTS", options)
        yield options


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session on `local[2]`, as a command would start it. Not to be stopped."""
    need_spark()
    from textgauge.engines.spark.session import open_session

    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("spark"))  # Where Spark puts its tables.
    try:
        with open_session("local[2]") as session:
            os.chdir(before)
            session.conf.set("spark.sql.shuffle.partitions", "4")
            yield session
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, java: str) -> Iterator[Cluster]:
    """A standalone cluster of two workers with a core each, for commands from outside."""
    need_spark()
    with Cluster(tmp_path_factory.mktemp("cluster"), java=java) as running:
        yield running


@pytest.fixture(scope="session")
def predictor(trained: Any) -> Predictor:
    return Predictor.load(trained.folder)


@pytest.fixture(scope="session")
def catalogue() -> pl.DataFrame:
    """3,000 rows: notes of which many repeat, odd characters, empty, blank and missing texts."""
    notes = make_component_notes(2_990).select("text")
    odd = [None, "", "  ", "ﬁne STEEL İ", "  Steel\tcomponent ", "鉄 部品 1979", None, "'\"\\,;\n|"]
    odd += ["x" * 5_000, "component \U0001f600"]
    return (
        pl.concat([notes, pl.DataFrame({"text": odd})])
        .with_row_index("id")
        .with_columns(pl.col("id").cast(pl.Int64), price=pl.col("id") / 7)
        .sample(fraction=1, shuffle=True, seed=1)
    )
