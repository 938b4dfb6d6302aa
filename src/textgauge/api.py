"""The commands from Python: check, train, compare, load, evaluate, explain, score and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .tracking.protocol import CHAMPION, DEFAULT_ALIAS, Registration

if TYPE_CHECKING:
    from .bundle.predictor import Predictor
    from .compared import CompareResult
    from .data.checks import CheckReport
    from .evaluating import Evaluated
    from .exporting import Exported
    from .registered import Registered
    from .result import TrainResult
    from .review.explanation import Explanation
    from .scored import Scored
    from .verifying import Verified

# Each function imports what it needs: who only predicts shall not wait for what trains.


def check(
    table: Any, *, encoding: str | None = None, delimiter: str | None = None, **settings: Any
) -> CheckReport:
    """Tell what is in a table and everything that is wrong with it, as `textgauge check` does.

    Args:
        table: a file (CSV, TSV, JSON Lines, Parquet, Arrow, also .gz), or a pandas or Polars
            DataFrame.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        **settings: any field of `textgauge.Config`, as in `train`.

    Returns:
        The report: `ok`, `profile`, `problems`; `to_json()` gives it as plain values.

    Raises:
        SettingsError: a setting is unknown or has a value that cannot be used.
        TableError: the table cannot be read.

    """
    from .config import Config
    from .data.checks import check_table
    from .data.tables import read_table
    from .engines.local import columns_of

    config = Config.from_mapping(settings)
    found = read_table(
        table,
        columns_of(config),
        encoding=encoding,
        delimiter=delimiter,
        separator=config.separator,
    )
    return check_table(
        found,
        label_names=config.label_names,
        fractions=config.fractions,
        seed=config.seed,
        separator=config.separator,
    )


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
    from .config import Config
    from .run import train as train_run
    from .terminal.progress import close, progress_for, progress_stream

    config = Config.from_mapping(settings)
    progress = progress_for(progress_stream(), quiet=quiet)
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


def compare(
    table: Any,
    *,
    models: Sequence[str] | None = None,
    trials: int | None = None,
    budget: str | float | None = None,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    register: str | None = None,
    alias: str = DEFAULT_ALIAS,
    out: Path | str | None = None,
    resume: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    quiet: bool = False,
    started: float | None = None,
    **settings: Any,
) -> CompareResult:
    """Compare several models on a table, as the command `textgauge compare` does.

    Args:
        table: a file (CSV, TSV, JSON Lines, Parquet, Arrow, also .gz), or a pandas or Polars
            DataFrame.
        models: names of architectures; default all that can be trained here.
        trials: of each architecture at most, the first with its default settings; default 10.
        budget: the time for all trials together: "10m", or seconds; default as long as they take.
        experiment: name of the MLflow experiment.
        tracking_uri: as in `train`.
        register: name under which the best model is registered, if it proves itself.
        alias: points to the registered version; for "champion" it may not be worse than the
            champion there is (see `register`).
        out: a new folder for the best model, besides the copy that is stored with its run.
        resume: id of the run of a comparison to go on with.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        quiet: show no progress on standard error.
        started: `time.monotonic()` when the whole began; default now.
        **settings: any field of `textgauge.Config` but `model`; what is given is not searched.

    Returns:
        The result: `leaderboard.entries` (rows; `leaderboard.to_json()` fits a DataFrame), `best`,
        run and model folder; `to_json()` gives all as plain values. Where the best could not be
        registered, `registration_problem` says why; all else is whole.

    Raises:
        SettingsError: a setting or a model is unknown, the budget is too small for one trial, or
            another comparison is to be gone on with.
        TableError: the table cannot be read, or not be trained on.
        MissingPackageError: Optuna is not installed.
        TrackingError: the tracking store or server refused.
        TextgaugeError: no trial could be trained.

    """
    from .comparing import compare as compare_models
    from .errors import SettingsError, TextgaugeError
    from .registering import register_run
    from .terminal.progress import close, progress_for, progress_stream

    if "model" in settings:
        raise SettingsError(f"name the models to compare: models=[{settings['model']!r}, …].")
    progress = progress_for(progress_stream(), quiet=quiet)
    try:
        result = compare_models(
            table,
            settings,
            models=models,
            trials=trials,
            budget=budget,
            experiment=experiment,
            tracking_uri=tracking_uri,
            out=out,
            resume=resume,
            encoding=encoding,
            delimiter=delimiter,
            progress=progress,
            started=started,
        )
        if register is None:
            return result
        try:
            # The board is whole: what goes wrong now costs none of it.
            found = register_run(
                result.best.run_id or "",
                register,
                alias=alias,
                champion_check=alias == CHAMPION,
                tracking_uri=tracking_uri,
                progress=progress,
            )
        except TextgaugeError as error:
            return replace(result, registration_problem=str(error))
        return replace(result, registered=found)
    finally:
        close(progress)


def load(
    model: str | Path, tracking_uri: str | None = None, *, cores: int | None = None
) -> Predictor:
    """Load a saved model; it predicts raw texts without torch.

    Args:
        model: a folder, `runs:/RUN_ID/model`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        tracking_uri: where to look for an address; default as in `train`.
        cores: how many cores the network may use; default all. Between predictions it uses none.

    Raises:
        BundleError: there is no model, it is damaged or was changed, or it holds a pickle.
        SettingsError: `cores` is no whole number of 1 or more.
        TrackingError: the address cannot be found.

    """
    from .bundle.predictor import Predictor
    from .tracking.addresses import resolve_model

    return Predictor.load(resolve_model(str(model), tracking_uri), cores)


def evaluate(
    model: str | Path,
    table: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    slice_by: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Evaluated:
    """Judge a saved model on a labelled table, as `textgauge evaluate` does, without torch.

    Args:
        model: a folder, `runs:/RUN_ID/model`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        table: a file (CSV, TSV, JSON Lines, Parquet, Arrow, also .gz), or a pandas or Polars
            DataFrame.
        text: the column with the texts; default the one that the model was trained with.
        label: likewise with the labels.
        slice_by: a column whose values are judged each by itself, too.
        tracking_uri: where to look for an address; default as in `train`.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Returns:
        The figures over rows and over distinct texts, and what differs from what the model was
        trained on (`drift`); `to_json()` gives them as plain values.

    Raises:
        BundleError: there is no model, or it is damaged.
        TrackingError: the address cannot be found.
        TableError: the table cannot be read, or has none of the model's labels.

    """
    from .evaluating import evaluate_table

    predictor = load(model, tracking_uri)
    trained_with = predictor.settings["config"]
    return evaluate_table(
        predictor,
        table,
        text=trained_with["text"] if text is None else text,
        label=trained_with["label"] if label is None else label,
        slice_by=slice_by,
        encoding=encoding,
        delimiter=delimiter,
    )


def score(
    model: str | Path,
    table: Any,
    out: str | Path,
    *,
    text: str | None = None,
    query: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    format: str | None = None,  # noqa: A002 - as the option is named
    overwrite: bool = False,
    cores: int | None = None,
    engine: str = "local",
    spark_master: str | None = None,
    quiet: bool = False,
) -> Scored:
    """Predict every row of a table of any size, as `textgauge score` does, in bounded memory.

    Args:
        model: a folder, `runs:/RUN_ID/model`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        table: a file (CSV, TSV, JSON Lines, Parquet, Arrow, also .gz), a glob or a folder of these,
            a Delta table's folder, an SQL address, "-" for standard input, or a pandas or Polars
            DataFrame; with `engine="spark"` also a Spark table.
        out: a file that ends in .csv, .tsv, .jsonl, .parquet or .arrow, or "-" for standard
            output; with Spark a folder or a table's name.
        text: the column with the texts; default the one that the model was trained with.
        query: what to ask the database that `table` names.
        tracking_uri: where to look for an address; default as in `train`.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        format: of the output, as "jsonl"; default by the file's name, for standard output CSV;
            not with Spark.
        overwrite: replace a file that is there.
        cores: that the model uses at most; default all.
        engine: "local" or "spark".
        spark_master: where no Spark session is active; default all cores of this machine.
        quiet: show no progress on standard error.

    Returns:
        Rows, distinct texts, rows that could not be read; `to_json()` gives them as plain values.

    Raises:
        BundleError: there is no model, or it is damaged.
        TrackingError: the address cannot be found.
        TableError: the table cannot be read.
        SettingsError: an unknown `format`, encoding or delimiter.
        StorageError: the output is there already, cannot be written, or cannot hold a column.

    """
    from .scoring import score_model
    from .terminal.progress import close, progress_for, progress_stream

    progress = progress_for(progress_stream(), quiet=quiet)
    try:
        return score_model(
            model,
            table,
            out,
            text=text,
            query=query,
            tracking_uri=tracking_uri,
            encoding=encoding,
            delimiter=delimiter,
            form=format,
            overwrite=overwrite,
            cores=cores,
            engine=engine,
            spark_master=spark_master,
            progress=progress,
        )
    finally:
        close(progress)


def explain(
    model: str | Path,
    what: Any,
    *,
    text: str | None = None,
    limit: int | None = None,
    label: str | None = None,
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
        label: of a model that gives a text any number of labels: the one to explain, decided or
            not; default all that are decided.
        tracking_uri: where to look for an address; default as in `train`.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Returns:
        An explanation for each distinct text, of a model that gives several labels one for each of
        them; its `contributions` are what each of its `words` adds
        to the probability of the decision.

    Raises:
        BundleError: there is no model, it is damaged, or it was saved without what explains it.
        TrackingError: the address cannot be found.
        TableError: the table cannot be read, or has no text.

    """
    from .explaining import explain_model

    found = explain_model(
        model,
        what,
        text=text,
        limit=limit,
        label=label,
        tracking_uri=tracking_uri,
        encoding=encoding,
        delimiter=delimiter,
    )
    if found.labels is not None:
        return [each for text in found.labels for each in text]
    return list(found.explanations)


def export(
    model: str | Path,
    folder: str | Path,
    *,
    int8: bool = False,
    data: Any = None,
    text: str | None = None,
    label: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Exported:
    """Write a folder that predicts with numpy and onnxruntime only, as `textgauge export` does.

    Args:
        model: a folder, `runs:/RUN_ID/model`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        folder: a new one; it appears whole or not at all.
        int8: store the weights in 8 bits.
        data: a labelled table to measure the cost of that on: a file, or a pandas or Polars
            DataFrame.
        text: the table's column with the texts; default the one that the model was trained with.
        label: likewise with the labels.
        tracking_uri: where to look for an address; default as in `train`.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Returns:
        The files with their sizes, and what 8 bits cost.

    Raises:
        SettingsError: `int8` without `data`, or `data` without `int8`.
        BundleError: there is no model, or it is damaged.
        TrackingError: the address cannot be found.
        TableError: the table cannot be read, or has none of the model's labels.
        StorageError: the folder is not empty, or cannot be written.

    """
    from .exporting import export_model

    return export_model(
        model,
        folder,
        int8=int8,
        data=data,
        text=text,
        label=label,
        tracking_uri=tracking_uri,
        encoding=encoding,
        delimiter=delimiter,
    )


def register(
    run: str | Path,
    name: str,
    *,
    alias: str = CHAMPION,
    least: Mapping[str, float] | None = None,
    champion_check: bool = True,
    margin: float = 0.0,
    data: Any = None,
    text: str | None = None,
    label: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    quiet: bool = False,
) -> Registered:
    """Register a run's model if it proves itself and all gates hold, as `textgauge register` does.

    Args:
        run: a run's id, or its model: a folder, `runs:/RUN_ID/model`, `models:/NAME@ALIAS`.
        name: of the registered model (Unity Catalog: CATALOG.SCHEMA.NAME).
        alias: points to the version.
        least: the least values of metrics of the run: `{"macro_f1": 0.9}`.
        champion_check: whether the model may not be worse than the champion on the same texts.
        margin: how much lower than the champion's its macro F1 may be.
        data: a labelled table to compare both on: a file, or a pandas or Polars DataFrame; default
            the run's own test part, where its table still is.
        text: the table's column with the texts; default the one that the model was trained with.
        label: likewise with the labels.
        tracking_uri: the store or server; default where the run was meant to go.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        quiet: show no progress on standard error.

    Returns:
        What was found and done. Where a gate did not hold, `registered` is False and nothing was
        changed.

    Raises:
        SettingsError: a metric that the run does not have, a wrong margin or alias.
        TrackingError: there is no such run, it did not finish, or the store or server refused.
        BundleError: the run has no model, or its folder is not as it was saved.
        ProofError: the model does not predict the same in a fresh process.
        TableError: there is no table to compare on, or it cannot be read.

    """
    from .registering import register_run
    from .terminal.progress import close, progress_for, progress_stream

    progress = progress_for(progress_stream(), quiet=quiet)
    try:
        return register_run(
            run,
            name,
            alias=alias,
            least=least,
            champion_check=champion_check,
            margin=margin,
            data=data,
            text=text,
            label=label,
            tracking_uri=tracking_uri,
            encoding=encoding,
            delimiter=delimiter,
            progress=progress,
        )
    finally:
        close(progress)


def verify(
    run: str | Path,
    table: Any = None,
    *,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    quiet: bool = False,
) -> Verified:
    """Train again from what a run recorded, as `textgauge verify` does; nothing is tracked.

    Args:
        run: a run's id, or its model: a folder, `runs:/RUN_ID/model`, `models:/NAME/VERSION`.
        table: where the table is now: a file, or a pandas or Polars DataFrame; default where it
            was.
        tracking_uri: where to look the run up; default as in `train`.
        encoding: of a text file; default as recorded.
        delimiter: of a text file; default as recorded.
        quiet: show no progress on standard error.

    Returns:
        What differs; `same` says whether figures and decisions are those of the run.

    Raises:
        TrackingError: there is no such run.
        BundleError: the run has no model, or it is damaged.
        TableError: the table is not there, or cannot be read.

    """
    from .terminal.progress import close, progress_for, progress_stream
    from .verifying import verify_run

    progress = progress_for(progress_stream(), quiet=quiet)
    try:
        return verify_run(
            run,
            table=table,
            tracking_uri=tracking_uri,
            encoding=encoding,
            delimiter=delimiter,
            progress=progress,
        )
    finally:
        close(progress)
