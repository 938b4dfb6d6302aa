"""What a training run tells its tracking store, whichever store that is.

`textgauge.run` knows only this file. Nothing here imports MLflow.

The order of calls, and what each promises:

    with open_tracker(...) as tracker:     returns at once; the store is opened beside the training
        tracker.start(plan)                the run is created as soon as the store is open
        tracker.log_metrics({...}, step=1) handed over, never waited for
        tracker.preflight(timeout=30)      raises if the server will never take the run
        if (problem := tracker.failure()): what went wrong so far, without waiting
            raise problem
        tracker.log_model(folder)
        record = tracker.end("FINISHED")   waits until everything has been written, or raises

Leaving the block early ends the run as KILLED (Ctrl-C, exit) or FAILED (any other exception).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from ..errors import TrackingError

Status = Literal["FINISHED", "FAILED", "KILLED"]
"""How a run can end, in MLflow's words."""

DEFAULT_EXPERIMENT = "textgauge"
DEFAULT_ALIAS = "challenger"
"""Points to the newest registered version, until somebody makes it the champion."""

CHAMPION = "champion"
"""Points to the version that is in use."""

MODEL_FOLDER = "model"
"""Where in a run's artifacts the model lies; `runs:/RUN_ID/model` is its address."""


@dataclass(frozen=True)
class Registration:
    """The model shall become a version of the registered model `name`, and `alias` point to it."""

    name: str
    alias: str | None = None


@dataclass(frozen=True)
class ServerAddress:
    """A server that shall have the run too; `run_id` is the user's own run there, if there is."""

    uri: str
    run_id: str | None = None


@dataclass(frozen=True)
class Destination:
    """Where a run goes: always into a store, and from there to a server if one is given.

    Attributes:
        tracking_uri: of the store that the run is written to.
        experiment: its name; servers may give it another form.
        run_id: a run in the store that exists already and is gone on with, in its own experiment.
        parent: id of the run in the store that a new run stands below.
        keep_open: that run is the user's own: it is written into, but never ended.
        server: shall have all that the store gets.
        registration: of the model, wherever the run goes.
    """

    tracking_uri: str
    experiment: str
    run_id: str | None = None
    parent: str | None = None
    keep_open: bool = False
    server: ServerAddress | None = None
    registration: Registration | None = None


@dataclass(frozen=True)
class RunPlan:
    """What is known about a run before it starts.

    `params` are all settings of the run, values of any kind (they are stored as text, nested ones
    as JSON). Experiment and server are the tracker's own: it opened them before the plan existed.
    """

    name: str
    params: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetDescription:
    """A table, described for the run without its contents.

    `schema` maps column names to types (Polars' names: String, Int64, Float64, Boolean, Date …).
    `digest` identifies the contents; MLflow keeps 36 characters of it in the field, the whole
    stands in the profile beside `rows`.
    """

    name: str
    source: str
    digest: str
    schema: Mapping[str, str]
    rows: int
    context: str = "training"


@dataclass(frozen=True)
class RunRecord:
    """Where a run can be found: on its server if that has all of it, else in the local store.

    Attributes:
        run_id: there.
        experiment_id: there.
        experiment: its name there.
        tracking_uri: of the server or the store, without secrets.
        run_url: the run's page, for a browser.
        artifact_folder: the run's folder on this machine, or None where a database keeps it.
        journal_run_id: the run's id in the local store, if it was meant for a server.
        missing: why its server lacks something, in one sentence; None if it has all.
        seconds: where the tracking's own time went: import, store, run, and end (from the moment
            that the end was asked for until everything was written).
    """

    run_id: str
    experiment_id: str
    experiment: str
    tracking_uri: str
    run_url: str
    artifact_folder: Path | None = None
    journal_run_id: str | None = None
    missing: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, str | None]:
        """What the commands' JSON says of a run first."""
        return {
            "run_id": self.run_id,
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "run_url": self.run_url,
            "journal_run_id": self.journal_run_id,
            "missing_on_server": self.missing,
        }

    @property
    def model_address(self) -> str:
        """The address that `mlflow.pyfunc.load_model` and `textgauge.load` take."""
        return f"runs:/{self.run_id}/{MODEL_FOLDER}"


class Tracker(Protocol):
    """Writes one run. Only `ready`, `end` and `close` wait; the others hand over and return.

    Everything that is handed over is written in order. After a failure the rest is dropped, the
    run is marked FAILED, and `failure` says why.
    """

    def start(self, run: RunPlan) -> None:
        """Create the run, or go on with an existing one. Called once, before anything is logged."""

    def log_params(self, params: Mapping[str, object]) -> None:
        """Add settings; they cannot be changed later."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add one value to each named curve, at `step` (None: step 0, for single values)."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; one that is there already is replaced."""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Store the file under `folder`. It must stay as it is until `end` has returned."""

    def log_dataset(self, dataset: DatasetDescription) -> None:
        """Note which table the run used."""

    def log_model(self, folder: Path, example: Sequence[str] = ()) -> None:
        """Make a bundle folder an MLflow model folder (in place) and store it as `model/`.

        `example` are a few raw texts that show a user what to send. The folder must stay as it is
        until `end` has returned.
        """

    def failure(self) -> TrackingError | None:
        """Why the run cannot go on, or None. Returns at once.

        A server that is down, slow or unwilling is no failure: the store has the run.
        """

    def preflight(self, timeout: float) -> None:
        """Wait until it is known whether the server takes the run, `timeout` seconds at most.

        Raises TrackingError if it never will: no client, no login, no right to write. A server that
        says so only later is told in `news`.
        """

    def news(self) -> list[str]:
        """What there is to tell since the last call, each a sentence. Returns at once."""

    def ready(self, timeout: float | None = None) -> RunRecord:
        """Wait until the run is there.

        Raises TrackingError if it could not be created, or is not there within `timeout` seconds;
        the latter is no failure, and `timeout=0` merely asks.
        """

    def child(self, run_id: str | None = None) -> Tracker:
        """A tracker for a run that stands below this one, wherever this one goes.

        Waits until this run is there; raises TrackingError as `ready` does. The child has to be
        ended before its parent is.

        Args:
            run_id: a child that exists already and is gone on with; its id in the local store.

        """

    def end(self, status: Status = "FINISHED") -> RunRecord:
        """End the run and wait until everything is written.

        Raises TrackingError if anything was lost; the run is then marked FAILED where that is
        still possible.
        """

    def close(self, status: Status = "FAILED") -> None:
        """End the run with `status` unless it has ended. Raises nothing; does no harm twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
