"""Use a saved model on a table of any size: predictions for every row, in bounded memory.

    table ─▶ pieces ─▶ a prediction for each text that is new ─▶ rows, beside OUT ─▶ OUT
                └▶ rows that can't be read ─▶ beside OUT ─▶ OUT's unreadable

After each piece all that the next one needs is on disk, so a killed process is gone on with by the
same command, and ends with the same bytes.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .bundle import files
from .bundle.predictor import Predictor
from .bundle.scorer import Scorer
from .bundle.stored import StoredFiles
from .data.appending import AS_LINES
from .data.outputs import Output, check_output, open_output, refuse_types
from .data.predictions import ADDED, as_texts, refuse_columns
from .data.streams import Piece, Stream, open_stream
from .errors import SettingsError, TableError
from .installed import installed_version
from .review.cautions import reading_warnings
from .review.reference import number_span
from .scored import Scored
from .text.reading import RowsRead
from .text.tally import Tally
from .tracking.addresses import resolve_model
from .training.progress import NoProgress, Progress

LOOKED_AT = 250_000
"""Rows after which it is known whether texts come twice."""

HARDLY_ANY_TWICE = 0.98
"""Distinct texts a row from which on nothing is gained by remembering them."""


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
    query: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    form: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Scored:
    """Predict every row of a table and write it with three columns more.

    Adds `predicted_label`, `probability` and `decision`, which are null where the text is. The
    output appears whole or not at all. Rows that can't be read go to a file beside it.

    Args:
        predictor: the model.
        source: what `data.streams.open_stream` takes.
        out: a file that ends in .csv, .tsv, .jsonl, .ndjson, .parquet or .arrow; "-" for standard
            output.
        text: the column with the texts.
        query: what to ask a database that `source` names.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        form: the format, as "jsonl"; default by the file's name, for standard output CSV.
        overwrite: a file that is there is replaced.
        progress: is told how far it is.

    Raises:
        TableError: the table can't be read, or has such a column already.
        StorageError: the output can't be written, or is there already.

    """
    begin, progress = time.perf_counter(), progress or NoProgress()
    # Before a long query is asked.
    ending = check_output(out, "score", overwrite=overwrite, form=form)
    progress.stage("opening the table")
    stream = open_stream(
        source,
        query=query,
        encoding=encoding,
        delimiter=delimiter,
        lines_without=tuple(ADDED) if ending in AS_LINES else None,
    )
    refuse_columns(stream.schema.names(), text)
    refuse_types(stream.schema, ending)
    made_of = _made_of(predictor, stream, text)
    with open_output(out, "score", made_of=made_of, form=form, overwrite=overwrite) as output:
        progress.stage("scoring")
        run = _Run(predictor, stream, text, output)
        if run.seen.rows:
            progress.note(f"going on after {run.seen.rows:,} rows that were scored before")
        try:
            for piece in stream.pieces(run.after):
                run.score(piece)
                progress.rows(run.seen.rows, piece.done)
            output.finish(run.empty())
        except TableError:
            output.discard()  # A table that was mended is another one.
            raise
        except BaseException:
            if output.kept and output.steps:
                kept = output.steps[-1]["rows"]
                progress.warn(f"{kept:,} rows are scored and kept; the same command goes on there")
            raise
        return run.result(time.perf_counter() - begin)


def _made_of(predictor: Predictor, stream: Stream, text: str) -> dict[str, Any] | None:
    """All that decides the output's bytes; None where the table can't be read the same again."""
    from importlib.metadata import version

    if stream.identity is None or predictor.digest is None:
        return None
    return {
        "table": stream.identity,
        "model": predictor.digest,
        "text": text,
        # Another version of these may round or write otherwise.
        "textgauge": installed_version(),
        **{package: version(package) for package in ("polars", "onnxruntime")},
    }


@dataclass
class _State:
    """What the next piece, or the next process, needs of what a piece taught.

    `files` are new ones by name, and `learned` names the one with new texts; `drops` are those
    that are not needed any more, all with texts if they were `forgot`.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    drops: list[str] = field(default_factory=list)
    learned: str | None = None
    forgot: bool = False


class _Run:
    """A scoring on its way: what it has seen, and what the next piece needs."""

    def __init__(self, predictor: Predictor, stream: Stream, text: str, output: Output) -> None:
        self._stream, self._text, self._output = stream, text, output
        self._scorer = Scorer(predictor)
        self._memory: list[str] = []  # files with what the scorer remembers, in their order
        self._hashes: str | None = None  # file with the hashes of the tally
        self.after: dict[str, Any] | None = None
        self.seen = Tally()
        self._unreadable = self.continued_from = 0
        if output.steps:
            self._take_up(output.steps)

    def score(self, piece: Piece) -> None:
        """Score a piece; it is in the output when this returns."""
        known, forgotten = len(self._scorer), self._scorer.forgotten
        texts = as_texts(piece.frame[self._text], self._stream.name)
        predicted, seen = self._scorer.score(texts, remember=self._texts_come_twice())
        before, self.seen = self.seen, self.seen.plus(seen)
        self._unreadable += len(piece.unreadable)
        self.after = piece.after
        state = _State()
        if self._output.kept:
            state = self._state(
                begin=known if self._scorer.forgotten == forgotten else None,
                counted=not _same(before.hashes, self.seen.hashes),
            )
        # JSON lines stay as they stand: as columns, their numbers would be texts.
        whole = piece.frame.hstack(predicted.get_columns()) if piece.lines is None else predicted
        self._output.write(
            whole,
            unreadable=_lines(piece),
            told={
                "after": self.after,
                "rows": self.seen.rows,
                "read": asdict(self.seen.read),
                "unreadable": self._unreadable,
                "learned": state.learned,
                "forgot": state.forgot,
                "hashes": self._hashes,
            },
            files=state.files,
            drops=state.drops,
            lines=piece.lines,
        )

    def _texts_come_twice(self) -> bool:
        """Whether they do so far: a function of what is kept, so that going on changes nothing."""
        rows = self.seen.read.rows
        return rows < LOOKED_AT or self.seen.texts < HARDLY_ANY_TWICE * rows

    def _state(self, *, begin: int | None, counted: bool) -> _State:
        """What was learned with a piece; `begin` None: texts were forgotten."""
        number, state = len(self._output.steps) + 1, _State()
        if begin is None:
            state.forgot, state.drops = True, self._memory
            self._memory, begin = [], 0
        if len(self._scorer) > begin:
            state.learned = f"memory-{number}"
            state.files[state.learned] = _as_bytes(self._scorer.remembered(begin))
            self._memory.append(state.learned)
        if counted:
            assert self.seen.hashes is not None
            if self._hashes is not None:
                state.drops = [*state.drops, self._hashes]
            self._hashes = f"hashes-{number}"
            state.files[self._hashes] = self.seen.hashes.tobytes()
        return state

    def _take_up(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Go on where an earlier process stopped."""
        for step in steps:
            if step["forgot"]:
                self._memory = []
            if step["learned"] is not None:
                self._memory.append(step["learned"])
        step = steps[-1]
        self._hashes = step["hashes"]
        for name in self._memory:
            self._scorer.remember(pl.read_ipc(io.BytesIO(self._output.read(name))))
        hashes = None
        if self._hashes is not None:
            hashes = np.frombuffer(self._output.read(self._hashes), np.uint64)
        self.seen = Tally(step["rows"], hashes, RowsRead(**step["read"]))
        self._unreadable = step["unreadable"]
        self.after, self.continued_from = step["after"], step["rows"]

    def empty(self) -> pl.DataFrame:
        """The columns of the output without rows."""
        return pl.DataFrame(schema={**self._stream.schema, **ADDED})

    def result(self, seconds: float) -> Scored:
        """What it came to."""
        predictor, seen = self._scorer.predictor, self.seen
        span = number_span(predictor)
        return Scored(
            rows=seen.rows,
            unique_texts=seen.texts,
            seconds=seconds,
            out=self._output.name,
            estimated=seen.estimated,
            unreadable_rows=self._unreadable,
            unreadable=str(self._output.unreadable) if self._unreadable else None,
            continued_from=self.continued_from,
            read=seen.read,
            reads_numbers=span is not None,
            warnings=reading_warnings(seen.read, predictor.profile, span),
        )


def _same(one: Any, other: Any) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


def _as_bytes(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_ipc(out)
    return out.getvalue()


def _lines(piece: Piece) -> bytes:
    """The rows that could not be read, as JSON lines."""
    return b"".join(json.dumps(asdict(row)).encode() + b"\n" for row in piece.unreadable)


def score_model(
    model: str | Path,
    source: Any,
    out: Path | str,
    *,
    text: str | None = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    query: str | None = None,
    form: str | None = None,
    overwrite: bool = False,
    cores: int | None = None,
    engine: str = "local",
    spark_master: str | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Predict every row of a table with a saved model, in this process or on Spark.

    Args:
        model: a folder, or a `runs:/` or `models:/` address.
        source: what `data.streams.open_stream` takes; with Spark also a table's name.
        out: a file, or "-" for standard output; with Spark a folder or a table's name.
        text: the column with the texts; default the one that the model was trained with.
        tracking_uri: where to look for an address.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        query: what to ask a database that `source` names; not with Spark.
        form: the format of the output, as "jsonl"; not with Spark.
        overwrite: a file that is there is replaced; not with Spark.
        cores: that the model uses at most; not with Spark.
        engine: "local" or "spark".
        spark_master: where no Spark session is active; default all cores of this machine.
        progress: is told how far it is.

    Raises:
        TextgaugeError: as `load_predictor`, `score_table`, and with Spark `open_session` and
            `score_on_spark` do.

    """
    if engine == "local":
        predictor = Predictor.load(resolve_model(str(model), tracking_uri), cores)
        return score_table(
            predictor,
            source,
            out,
            text=text or str(predictor.settings["config"]["text"]),
            query=query,
            encoding=encoding,
            delimiter=delimiter,
            form=form,
            overwrite=overwrite,
            progress=progress,
        )
    from .engines.spark.scoring import score_on_spark
    from .engines.spark.session import open_session

    folder = resolve_model(str(model), tracking_uri)
    if StoredFiles(folder).json(files.SETTINGS).get("multi_label"):
        raise SettingsError(
            "Spark does not score with models of several labels a text yet: leave --engine spark "
            "out."
        )
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
        read=done.read,
        reads_numbers=done.reads_numbers,
        warnings=done.warnings,
    )
