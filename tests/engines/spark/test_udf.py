"""A logged model as MLflow's own Spark function gives what the predictor gives."""

from __future__ import annotations

import shutil

import polars as pl
import pytest
from needed import need_package

from textgauge.bundle.predictor import Predictor

RESULT = "predicted_label string, probability double, decision string"
"""What the function must be told to give: MLflow reads no result type from the signature."""


@pytest.fixture(scope="module")
def logged(deciding, tmp_path_factory):
    from textgauge.tracking.model_folder import make_model_folder

    folder = tmp_path_factory.mktemp("logged") / "model"
    shutil.copytree(deciding.folder, folder)
    make_model_folder(folder)
    return folder


@pytest.mark.filterwarnings("default")
def test_mlflows_spark_function_predicts_and_decides_as_the_predictor(spark, logged, catalogue):
    need_package("mlflow", "ui")
    import mlflow.pyfunc

    function = mlflow.pyfunc.spark_udf(spark, str(logged), env_manager="local", result_type=RESULT)
    some = catalogue.filter(pl.col("text").is_not_null()).head(1_000)
    frame = spark.createDataFrame(some.to_pandas()).repartition(3)
    found = frame.select("id", function("text").alias("p")).select("id", "p.*")
    rows = sorted(tuple(row) for row in found.collect())
    predictor = Predictor.load(logged)
    expected = some.select("id").hstack(predictor.predict_frame(some["text"])).sort("id")
    assert rows == expected.rows()
    assert set(expected["decision"]) >= {"review"}
