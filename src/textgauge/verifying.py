"""Train again from what a run recorded, and tell whether the same comes out.

The table is asked for first: another one cannot give the same result, and says so without a
training. Then the stages of `run.train` that a result depends on are gone through with the recorded
settings; nothing is tracked or saved. Compared is all that the run recorded of its result, whatever
that is: figures by their names, epochs, decisions, weights.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import describe
from .bundle import files
from .bundle.label_sets import SetPrediction, SetRule
from .bundle.predictor import Predictor, probabilities_by
from .bundle.stored import StoredFiles
from .config import Config
from .engines.local import LocalTable, open_table
from .errors import BundleError, EngineError, SettingsError, TableError
from .review.deciding import asked_of
from .review.metrics import Evaluation, evaluate
from .review.repetition import (
    TOLERANCE,
    Compared,
    Decisions,
    Difference,
    compare_decisions,
    compare_figures,
    compare_set_decisions,
    flat,
)
from .review.set_metrics import SetEvaluation, evaluate_sets
from .review.set_rule import choose_set_rule
from .surroundings import made_with
from .tracking.addresses import model_of_run
from .training.progress import NoProgress, Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .data.corpus import LabelledTexts
    from .training.fit import Fitted


WORKERS = "training workers"
"""How `Verified.surroundings` calls the processes that trained together."""


@dataclass(frozen=True)
class Verified:
    """What came of training again.

    Attributes:
        run: as it was given.
        model: the run's saved model.
        table: name of the table.
        data: what differs in the table; not empty: nothing was trained.
        figures: of the test part, over rows and over texts.
        epochs: the history of the training; None where the run did not record it.
        decisions: on the test texts.
        weights_identical: whether the weights are the same to the last bit.
        exact: whether the test probabilities are those of then to the last bit; None where the run
            did not record that.
        surroundings: versions and facts on the machine that are others now.
        not_compared: what the run did not record, in words.
        seconds: wall time.

    """

    run: str
    model: Path
    table: str
    data: tuple[Difference, ...]
    figures: Compared | None = None
    epochs: Compared | None = None
    decisions: Decisions | None = None
    weights_identical: bool = False
    exact: bool | None = None
    surroundings: tuple[Difference, ...] = ()
    not_compared: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def outcome(self) -> str:
        """One of "other data", "identical" (to the last bit), "same" (to 1e-6), "differs"."""
        if self.data or self.figures is None or self.decisions is None:
            return "other data"
        epochs = self.epochs
        if self.figures.differing or (epochs and epochs.differing) or self.decisions.otherwise:
            return "differs"
        identical = self.figures.identical and (epochs is None or epochs.identical)
        return "identical" if identical and self.weights_identical and self.exact else "same"

    @property
    def same(self) -> bool:
        """Whether the run can be repeated: same figures, same decisions."""
        return self.outcome in ("identical", "same")

    def to_json(self) -> dict[str, Any]:
        """The result as `textgauge verify --json` prints it."""
        parts = {name: getattr(self, name) for name in ("figures", "epochs", "decisions")}
        return {
            "run": self.run,
            "model": str(self.model),
            "table": self.table,
            "same": self.same,
            "outcome": self.outcome,
            "tolerance": TOLERANCE,
            "data": [each.to_json() for each in self.data],
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
            "weights_identical": self.weights_identical,
            "predictions_identical": self.exact,
            "surroundings": [each.to_json() for each in self.surroundings],
            "not_compared": list(self.not_compared),
            "seconds": round(self.seconds, 3),
        }


def verify_run(
    run: str | Path,
    *,
    table: Any = None,
    tracking_uri: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Train again as a run did, and compare.

    Args:
        run: a run's id, or its model's folder or address.
        table: where the table is now; None: where it was.
        tracking_uri: where to look the run up.
        encoding: of a text file; None: as recorded.
        delimiter: of a text file; None: as recorded.
        progress: is told how far it is.

    Raises:
        TrackingError: there is no such run.
        BundleError: the run has no model, or it is damaged, or was trained with settings that this
            textgauge does not know.
        TableError: the table is not there, or cannot be read.
        EngineError: Spark trained on more texts than one process reviews.

    """
    began, progress = time.monotonic(), progress or NoProgress()
    model = model_of_run(run, tracking_uri)
    saved = Predictor.load(model)
    record = _Record.of(saved.settings, model)
    prepared, changed = _opened(record, table, encoding, delimiter, progress)
    found = Verified(str(run), model, prepared.facts.name, changed)
    if not changed:
        fitted = prepared.fit(
            prepared.learn_encoder(),
            progress=progress,
            on_epoch=lambda epoch: None,
            on_checkpoint=lambda checkpoint: None,
            start_from=None,
        )
        progress.stage("comparing")
        found = _compared(found, record, saved, prepared, fitted)
    return replace(found, seconds=time.monotonic() - began)


def recorded_table(
    saved: Predictor, model: Path, progress: Progress | None = None
) -> tuple[LocalTable, tuple[Difference, ...]]:
    """The table that a model was trained on, cut into the same parts, and what differs in it.

    Where nothing differs, the test part is that of the run.

    Raises:
        TableError: it is not there any more, or cannot be read.
        BundleError: the model does not say what it was trained on, or is damaged.
        EngineError: Spark trained on more texts than one process reviews.

    """
    return _opened(_Record.of(saved.settings, model), None, None, None, progress or NoProgress())


def _opened(
    record: _Record, table: Any, encoding: str | None, delimiter: str | None, progress: Progress
) -> tuple[LocalTable, tuple[Difference, ...]]:
    _refuse_sample(record)
    source, how = _source(record.data, table, encoding, delimiter)
    prepared = open_table(source, record.config, progress, **how)
    return prepared, tuple(_data_differences(record.data, prepared))


_KINDS: tuple[tuple[str, str, Any], ...] = (
    ("data", "name", str),
    ("data", "digest", str),
    ("data", "origin", Mapping | None),
    ("data", "labels", Mapping | None),
    ("all", "training", Mapping | None),
    ("all", "test_predictions", str | None),
    ("all", "made_with", Mapping | None),
)
"""What a record must hold, in its part "data" or beside it."""


@dataclass(frozen=True)
class _Record:
    """What a run recorded of itself; None, or nothing, where an older textgauge did not.

    Attributes:
        config: the settings.
        data: the table: its name, digest, sizes and where it was.
        figures: of the model, over rows and over texts.
        weights: as they lie in the model's folder.
        training: the epochs.
        predictions: digest of the test probabilities.
        made_with: versions and machine.
        version: of textgauge.

    """

    config: Config
    data: Mapping[str, Any]
    figures: Mapping[str, Any]
    weights: bytes
    training: Mapping[str, Any] | None
    predictions: str | None
    made_with: Mapping[str, Mapping[str, str]] | None
    version: str | None

    @property
    def origin(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.data.get("origin") or {}
        return found

    @classmethod
    def of(cls, settings: Mapping[str, Any], model: Path) -> _Record:
        """From the settings of a saved model. Raises BundleError where they are damaged."""
        version = settings.get("version")
        try:
            data, figures = settings["data"], next(iter(settings["figures"].values()))
            for whole, name, kind in _KINDS:
                found = (data if whole == "data" else settings).get(name)
                if not isinstance(found, kind):
                    raise TypeError(f"{name} is {found!r}")
            made_with = settings.get("made_with")
            for part in (
                figures,
                *(made_with or {}).values(),
                *(data.get("labels") or {}).values(),
            ):
                if not isinstance(part, Mapping):
                    raise TypeError(f"{part!r} should be an object")
            values = dict(settings["config"])
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise BundleError(
                f"{model / files.SETTINGS} is damaged ({type(error).__name__}: {error}); copy the "
                "model again or train again."
            ) from None
        try:
            config = Config.from_mapping(values, origin="the run")
        except SettingsError as error:
            raise BundleError(
                f"{model / files.SETTINGS} holds settings that cannot be trained with: {error} "
                f"textgauge {version} made it; use that version."
            ) from None
        try:
            weights = StoredFiles(model).read(files.WEIGHTS)
        except BundleError as error:
            raise BundleError(f"the weights of the run cannot be compared: {error}") from None
        return cls(
            config,
            data,
            figures,
            weights,
            settings.get("training"),
            settings.get("test_predictions"),
            made_with,
            version,
        )


def _refuse_sample(record: _Record) -> None:
    """Where Spark held more texts than one machine shall, the figures are of a sample."""
    if record.data.get("labels") is not None and "test" not in record.data["labels"]:
        raise EngineError(
            f"The run was trained by {record.origin.get('engine')} on {record.data['name']}, which "
            "has more test texts than one process reviews, and cannot be repeated in one. Train "
            "again with --engine spark and compare the figures of both runs."
        )


def _source(
    data: Mapping[str, Any], table: Any, encoding: str | None, delimiter: str | None
) -> tuple[Any, dict[str, str | None]]:
    """The table and how it is read; a table that the user names is read as recorded, too."""
    read = data.get("origin") or {}
    how = {
        "encoding": encoding or read.get("encoding"),
        "delimiter": delimiter or read.get("delimiter"),
    }
    if table is not None:
        return table, how
    place = read.get("source")
    give = "Give it with --table FILE."
    if place is None:
        why = "and it did not record where that was" if not read else "which has no place"
        raise TableError(f"The run was trained on {data['name']}, {why}. {give}")
    if not Path(place).is_file():
        engine = f" by {read['engine']}" if read.get("engine", "local") != "local" else ""
        raise TableError(
            f"The run was trained{engine} on {place}, where no file is now. If it was moved or "
            f"can be written to a file: {give}"
        )
    return place, how


def _data_differences(data: Mapping[str, Any], table: LocalTable) -> Iterator[Difference]:
    """What differs between the recorded table and this one; nothing if the digest is the same."""
    corpus = table.corpus
    if data["digest"] == corpus.digest:
        return
    now = describe.data_facts(table.facts, table.check, corpus)
    known = {name: data[name] for name in ("rows", "distinct_texts", "parts") if name in data}
    then, here = flat(known), flat({name: now[name] for name in known})
    for part, labels in (data.get("labels") or {}).items():
        # A label that only one of both has is a difference, too.
        then |= flat({part: labels}, "labels in")
        here |= flat({part: now["labels"][part]}, "labels in")
    for name in dict.fromkeys((*then, *here)):
        if then.get(name) != here.get(name):
            yield Difference(name, then.get(name), here.get(name))
    yield Difference("digest", data["digest"], corpus.digest)


def _compared(
    found: Verified, record: _Record, saved: Predictor, table: LocalTable, fitted: Fitted
) -> Verified:
    """`found` with all that tells whether the result is the same."""
    from .bundle.save import weights_of
    from .reviewing import probabilities_on_val
    from .training.loop import predict_logits

    test, classes = table.corpus.test, table.corpus.classes

    def predicted(part: LabelledTexts) -> npt.NDArray[np.float32]:
        logits = predict_logits(fitted.model, fitted.encode(part))
        return probabilities_by(logits, has_sets=part.sets is not None)

    probabilities = predicted(test)
    before = saved.probabilities_of(saved.encoder.encode_normalised(test.texts))
    figures: Evaluation | SetEvaluation
    if isinstance(saved.rule, SetRule):
        # The thresholds are found again, too.
        on_val = probabilities_on_val(fitted, table.corpus)
        asked = asked_of(record.config, classes)
        rule = choose_set_rule(asked, table.corpus.val, on_val).rule
        figures = evaluate_sets(test, probabilities, rule, classes, with_intervals=True)
        then = SetPrediction(classes, before, saved.rule)
        decisions = compare_set_decisions(
            then, SetPrediction(classes, probabilities, rule), test.texts
        )
    else:
        figures = evaluate(test, probabilities, classes, with_intervals=True)
        decisions = compare_decisions(before, probabilities, test.texts, classes)
    lacking = {
        "the epochs": record.training,
        "the exact probabilities": record.predictions,
        "versions and machine": record.made_with,
    }
    return replace(
        found,
        figures=compare_figures(
            record.figures, {"rows": figures.rows.to_json(), "texts": figures.texts.to_json()}
        ),
        epochs=None
        if record.training is None
        else compare_figures(record.training, describe.training_facts(fitted)),
        decisions=decisions,
        weights_identical=record.weights == weights_of(fitted.model),
        exact=None
        if record.predictions is None
        else record.predictions == describe.predictions_digest(probabilities),
        surroundings=tuple(_surroundings(record)),
        not_compared=tuple(name for name, recorded in lacking.items() if recorded is None),
    )


def _surroundings(record: _Record) -> Iterator[Difference]:
    """What is another now."""
    then, now = record.made_with, made_with()
    if then is None:
        then = {"versions": {**now["versions"], "textgauge": str(record.version)}}
    for kind, facts in now.items():
        known = then.get(kind, facts)
        for name in dict.fromkeys((*known, *facts)):
            if known.get(name) != facts.get(name):
                yield Difference(name, known.get(name), facts.get(name))
    if record.origin.get("engine", "local") != "local":
        yield Difference("engine", record.origin["engine"], "local")
    if record.origin.get("workers", 1) != 1:
        yield Difference(WORKERS, record.origin["workers"], 1)
