"""The Python side of the commands: `textgauge.train`, `textgauge.load`, `textgauge.explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .bundle.predictor import Predictor
from .config import Config
from .explaining import explain_model
from .result import TrainResult
from .review.explanation import Explanation
from .run import train as train_run
from .scoring import load_predictor
from .terminal.progress import close, progress_for
from .tracking.protocol import DEFAULT_ALIAS, Registration


def train(
    table: Any,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    register: str | None = None,
    alias: str | None = DEFAULT_ALIAS,
    out: Path | str | None = None,
    resume: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    engine: str = "local",
    spark_master: str | None = None,
    spark_workers: int | None = None,
    spark_folder: Path | str | None = None,
    quiet: bool = False,
    **settings: Any,
) -> TrainResult:
    """Train a classifier on a table and track the run, as the command `textgauge train` does.

    Args:
        table: a file (CSV, TSV, JSON Lines, Parquet, Arrow, also .gz), or a pandas, Polars or
            Spark DataFrame; with `engine="spark"` also a table's name, a folder or a glob.
        experiment: name of the MLflow experiment.
        tracking_uri: `sqlite:///PATH`, an MLflow server's address, `azureml://…`, `databricks` or
            `databricks://PROFILE`; default MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.
        register: name under which the model is registered (Unity Catalog: CATALOG.SCHEMA.NAME).
        alias: points to the registered version.
        out: a new folder for the model, besides the copy that is stored with the run.
        resume: id of an interrupted run to go on with.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        engine: "local" or "spark"; a Spark DataFrame is worked on by Spark in any case.
        spark_master: where no Spark session is active; default all cores of this machine.
        spark_workers: processes that train together; default by the number of texts and slots.
        spark_folder: a folder that driver and executors share; default a temporary one, where all
            of them are on this machine.
        quiet: show no progress on standard error.
        **settings: any field of `textgauge.Config`: `text="note"`, `epochs=10`, `seed=1` …

    Returns:
        The result: run, model folder, figures, history; `to_json()` gives them as plain values.

    Raises:
        SettingsError: a setting is unknown or has a value that cannot be used.
        TableError: the table cannot be read, or not be trained on.
        EngineError: Spark is not there, or its cluster cannot do the work.
        TrackingError: the tracking store or server refused. A server that is merely down is no
            error: `result.run.missing` says so, and `textgauge sync` sends the rest.

    """
    config = Config.from_mapping(settings)
    progress = progress_for(sys.stderr, quiet=quiet)
    try:
        return train_run(
            table,
            config,
            experiment=experiment,
            tracking_uri=tracking_uri,
            registration=Registration(register, alias) if register else None,
            out=out,
            resume=resume,
            encoding=encoding,
            delimiter=delimiter,
            engine=engine,
            spark_master=spark_master,
            spark_workers=spark_workers,
            spark_folder=spark_folder,
            progress=progress,
        )
    finally:
        close(progress)


def load(model: str | Path, tracking_uri: str | None = None) -> Predictor:
    """Load a saved model; it predicts raw texts without torch.

    Args:
        model: a folder, `runs:/RUN_ID/model`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        tracking_uri: where to look for an address; default as in `train`.

    Raises:
        BundleError: there is no model, or it is damaged.
        TrackingError: the address cannot be found.

    """
    return load_predictor(model, tracking_uri)


def explain(
    model: str | Path,
    what: Any,
    *,
    text: str | None = None,
    limit: int | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> list[Explanation]:
    """Tell which words moved a saved model's decisions, as `textgauge explain` does, without torch.

    Args:
        model: a folder, `runs:/RUN_ID/model`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        what: a text; or a table: a file, or a pandas or Polars DataFrame.
        text: the table's column with the texts; default the one that the model was trained with.
        limit: how many distinct texts of a table at most.
        tracking_uri: where to look for an address; default as in `train`.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Returns:
        An explanation for each distinct text; its `contributions` are what each of its `words` adds
        to the probability of the decision.

    Raises:
        BundleError: there is no model, it is damaged, or it was saved without what explains it.
        TrackingError: the address cannot be found.
        TableError: the table cannot be read, or has no text.

    """
    found = explain_model(
        model,
        what,
        text=text,
        limit=limit,
        tracking_uri=tracking_uri,
        encoding=encoding,
        delimiter=delimiter,
    )
    return list(found.explanations)
