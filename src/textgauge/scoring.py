"""Use a saved model on a table: predictions for every row, or figures against its labels."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from .bundle.predictor import Predictor
from .data.corpus import LabelledTexts, gather_texts
from .data.normal_form import normalise
from .data.tables import Columns, read_frame, read_table
from .errors import ColumnError, StorageError, TableError, did_you_mean
from .review.metrics import Evaluation, evaluate
from .review.slices import Slice, by_slice
from .tracking.addresses import resolve_model
from .training.progress import NoProgress, Progress

_WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".csv": lambda frame, path: frame.write_csv(path),
    ".tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    ".jsonl": lambda frame, path: frame.write_ndjson(path),
    ".ndjson": lambda frame, path: frame.write_ndjson(path),
    ".parquet": lambda frame, path: frame.write_parquet(path),
    ".arrow": lambda frame, path: frame.write_ipc(path),
}
"""What `score` can write, by the ending of the file's name."""

_ADDED = ("predicted_label", "probability", "decision")
"""The columns that `score` adds."""


@dataclass(frozen=True)
class Scored:
    """What a scoring came to. `seconds` counts reading, predicting and writing.

    Attributes:
        rows: rows that were scored.
        unique_texts: distinct texts among them.
        seconds: whole.
        out: file, or with Spark a folder or a table's name.
        estimated: whether `unique_texts` is an estimate, as beyond 65,536 with Spark.
        unreadable_rows: rows that Spark could not read; None in this process, where one such row
            is an error.
        unreadable: where these are kept.

    """

    rows: int
    unique_texts: int
    seconds: float
    out: Path | str
    estimated: bool = False
    unreadable_rows: int | None = None
    unreadable: str | None = None

    @property
    def texts_told(self) -> str:
        """The number of distinct texts, for people."""
        return f"{'about ' if self.estimated else ''}{self.unique_texts:,}"

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge score --json` prints it."""
        values = {
            "rows": self.rows,
            "unique_texts": self.unique_texts,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows / max(self.seconds, 1e-9)),
            "out": str(self.out),
        }
        if self.unreadable_rows is not None:
            values["unique_texts_estimated"] = self.estimated
            values["unreadable_rows"] = self.unreadable_rows
            values["unreadable"] = self.unreadable
        return values


@dataclass(frozen=True)
class Evaluated:
    """Figures of a saved model on a table.

    Attributes:
        evaluation: over rows and over distinct texts.
        rows: rows that were judged.
        unique_texts: distinct texts among them.
        unknown_labels: labels of the table that the model can't give, with their rows, which
            were left out.
        slices: the same rows by the values of a column, the lowest accuracy first; None where
            none was named.

    """

    evaluation: Evaluation
    rows: int
    unique_texts: int
    unknown_labels: dict[str, int]
    slices: tuple[Slice, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge evaluate --json` prints it."""
        values: dict[str, Any] = {
            "eval_loss": self.evaluation.rows.loss,
            "eval_accuracy": self.evaluation.rows.accuracy,
            "eval_macro_f1": self.evaluation.rows.macro_f1,
            "rows": self.rows,
            "unique_texts": self.unique_texts,
            "unknown_labels": self.unknown_labels,
            "over_rows": self.evaluation.rows.to_json(),
            "over_texts": self.evaluation.texts.to_json(),
        }
        if self.slices is not None:
            values["slices"] = [each.to_json() for each in self.slices]
        return values


def load_predictor(address: str | Path, tracking_uri: str | None = None) -> Predictor:
    """Load a saved model by its folder, or by a `runs:/` or `models:/` address.

    Raises:
        BundleError: there is no model, or it is damaged.
        TrackingError: the address can't be found in the tracking store.

    """
    return Predictor.load(resolve_model(str(address), tracking_uri))


def score_table(
    predictor: Predictor,
    source: Any,
    out: Path | str,
    *,
    text: str = "text",
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Scored:
    """Predict every row of a table and write it with three columns more.

    Adds `predicted_label`, `probability` and `decision`, which are null where the text is. The
    output appears whole or not at all.

    Raises:
        TableError: the table can't be read, or has such a column already.
        StorageError: the output can't be written.

    """
    begin = time.perf_counter()
    out = Path(out)
    write = _WRITERS.get(out.suffix.lower())
    if write is None:
        raise StorageError(
            f"{out} has an ending that is not known; score writes {', '.join(_WRITERS)}."
        )
    frame = read_frame(source, encoding=encoding, delimiter=delimiter)
    if text not in frame.columns:
        listed = ", ".join(repr(name) for name in frame.columns)
        raise ColumnError(
            f"the table has no column {text!r}; it has {listed}."
            f"{did_you_mean(text, frame.columns)} Pass --text NAME."
        )
    taken = [name for name in _ADDED if name in frame.columns]
    if taken:
        raise TableError(f"the table already has a column {taken[0]!r}; rename or drop it first.")
    try:
        texts = frame[text].cast(pl.String)
    except pl.exceptions.PolarsError:
        raise ColumnError(
            f"column {text!r} of the table holds {frame[text].dtype}, no texts. Pass --text NAME."
        ) from None
    predicted = predictor.predict_frame(texts).with_columns(
        pl.when(texts.is_not_null()).then(pl.all())
    )
    _write_whole(pl.concat([frame, predicted], how="horizontal"), out, write)
    distinct = normalise(texts.drop_nulls().unique()).n_unique()
    return Scored(len(frame), distinct, time.perf_counter() - begin, out)


def score_model(
    model: str | Path,
    source: Any,
    out: Path | str,
    *,
    text: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    engine: str = "local",
    spark_master: str | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Predict every row of a table with a saved model, in this process or on Spark.

    Args:
        model: a folder, or a `runs:/` or `models:/` address.
        source: a file or a DataFrame; with Spark also a table's name, a folder or a glob.
        out: a file; with Spark a folder or a table's name.
        text: the column with the texts; default the one that the model was trained with.
        tracking_uri: where to look for an address.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        engine: "local" or "spark".
        spark_master: where no Spark session is active; default all cores of this machine.
        progress: is told how far it is.

    Raises:
        TextgaugeError: as `load_predictor`, `score_table`, and with Spark `open_session` and
            `score_on_spark` do.

    """
    if engine == "local":
        predictor = load_predictor(model, tracking_uri)
        text = text or str(predictor.settings["config"]["text"])
        return score_table(
            predictor, source, out, text=text, encoding=encoding, delimiter=delimiter
        )
    from .engines.spark.scoring import score_on_spark
    from .engines.spark.session import open_session

    folder = resolve_model(str(model), tracking_uri)
    progress = progress or NoProgress()
    progress.stage("starting Spark")
    with open_session(spark_master) as session:
        done = score_on_spark(
            session,
            folder,
            source,
            out,
            text=text,
            encoding=encoding,
            delimiter=delimiter,
            progress=progress,
        )
    return Scored(
        rows=done.rows,
        unique_texts=done.unique_texts,
        seconds=done.seconds,
        out=done.out,
        estimated=done.estimated,
        unreadable_rows=done.unreadable_rows,
        unreadable=done.unreadable,
    )


def evaluate_table(
    predictor: Predictor,
    source: Any,
    *,
    text: str = "text",
    label: str = "label",
    slice_by: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Evaluated:
    """Judge a saved model on a labelled table.

    Args:
        predictor: the model.
        source: what `read_table` takes.
        text: the column with the texts.
        label: the column with the labels.
        slice_by: a column whose values are judged each by itself, too.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Raises:
        TableError: the table can't be read, or has none of the model's labels.

    """
    columns = Columns(text, label, slice=slice_by)
    table = read_table(source, columns, encoding=encoding, delimiter=delimiter)
    known = pl.Series(predictor.classes)
    labelled = table.frame.filter(pl.col("text").is_not_null() & pl.col("label").is_not_null())
    foreign = labelled.filter(~pl.col("label").is_in(known.implode()))
    judged = labelled.filter(pl.col("label").is_in(known.implode()))
    texts: LabelledTexts = gather_texts(judged, predictor.classes)
    if not len(texts):
        found = ", ".join(repr(v) for v in foreign["label"].unique(maintain_order=True).head(5))
        raise TableError(
            f"{table.name} has none of the model's labels ({', '.join(predictor.classes[:5])}); "
            f"its label column {label!r} holds {found or 'nothing'}. Pass --label NAME."
        )
    probabilities = predictor.predict(texts.texts).probabilities
    return Evaluated(
        evaluation=evaluate(texts, probabilities, predictor.classes, with_intervals=True),
        rows=texts.rows,
        unique_texts=len(texts),
        unknown_labels=dict(foreign["label"].value_counts().sort("label").iter_rows()),
        slices=None
        if slice_by is None
        else tuple(by_slice(judged, texts, probabilities, predictor.classes)),
    )


def _write_whole(
    frame: pl.DataFrame, out: Path, write: Callable[[pl.DataFrame, Path], None]
) -> None:
    """Write beside the target and rename, so that nobody takes a half-written file for whole."""
    partial = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}-", suffix=".partial")
        os.close(handle)
        partial = Path(name)
        write(frame, partial)
        partial.chmod(0o666 & ~_umask())
        partial.replace(out)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StorageError(f"{out} cannot be written: {error}.") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
