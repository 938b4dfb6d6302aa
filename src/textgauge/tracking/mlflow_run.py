"""One run, written through `MlflowClient` with explicit ids: no state is shared with anybody.

Runs in the tracking worker. Takes the events that `local.LocalTracker` sends, in order.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import TrackingError
from .experiments import find_or_create
from .failures import is_missing
from .inherited import PARENT_TAG, RUN_TAG, may_write_into
from .model_folder import make_model_folder
from .protocol import MODEL_FOLDER, Registration
from .registry import register_version
from .sqlite_store import LOCK_PATIENCE, wait_until_unlocked
from .ui import run_url

Event = dict[str, Any]

RESERVE = 262_144
"""Bytes kept free beside a local store while a run is open, for its last word."""

ENDED_TAG = "textgauge.ended"
"""Says why a run ended without the training process saying so."""

_METRICS_PER_BATCH = 1000
_FIELDS_PER_BATCH = 100
_LONGEST = {"params": 6000, "tags": 8000}
"""Characters that MLflow keeps of a value; it cuts the rest off without a word."""

_TYPES = {
    "string": "string", "categorical": "string", "enum": "string", "boolean": "boolean",
    "float32": "float", "float64": "double", "int8": "integer", "int16": "integer",
    "int32": "integer", "uint8": "integer", "uint16": "integer", "int64": "long",
    "uint32": "long", "uint64": "long", "date": "datetime", "datetime": "datetime",
    "binary": "binary",
}  # fmt: skip
"""Polars' names of types to MLflow's."""


class MlflowRun:
    """A run in the store at `client`'s URI."""

    def __init__(
        self,
        client: Any,
        *,
        tracking_uri: str,
        experiment: str,
        store: Path,
        lock_patience: float = LOCK_PATIENCE,
        run_id: str | None = None,
        keep_open: bool = False,
        first_tags: Mapping[str, str] | None = None,
        registration: Registration | None = None,
    ) -> None:
        """Take the client for the store.

        Args:
            client: an `MlflowClient`.
            tracking_uri: the store's address as users know it.
            experiment: name of the experiment, created if there is none.
            store: the store's file.
            lock_patience: seconds to wait for another process's lock on it.
            run_id: an existing run to go on with.
            keep_open: leave the run as it is at the end: it is the user's own. If it has ended, or
                another training wrote into it, a new run is started instead.
            first_tags: a new run has them from its first moment on.
            registration: of the model in the store's own registry.

        """
        self._client = client
        self._tracking_uri = tracking_uri
        self.experiment = experiment
        self._store = store
        self._lock_patience = lock_patience
        self._existing_run_id = run_id
        self._keep_open = keep_open
        self._first_tags = dict(first_tags or {})
        self.registration = registration
        self._experiment_id = ""
        self._writers: dict[str, Callable[[str, Event], None]] = {
            "params": self._log_params,
            "tags": self._log_tags,
            "metrics": self._log_metrics,
            "artifact": self._log_artifact,
            "dataset": self._log_dataset,
            "model": self._log_model,
        }
        self.run_id: str | None = None
        self.record: Event | None = None
        self._reserve: Path | None = None

    def open(self) -> None:
        """Find the experiment, or create it. Raises what MLflow raises, and TrackingError."""
        if self._keep_open:
            self._adopt_or_leave()
        if self._existing_run_id is not None:
            run = self._client.get_run(self._existing_run_id)
            if run.info.lifecycle_stage != "active":
                raise TrackingError(
                    f"The run {self._existing_run_id} is deleted. Restore it (mlflow runs restore "
                    f"--run-id {self._existing_run_id}), or start a new one."
                )
            self._experiment_id = run.info.experiment_id
            self.experiment = self._client.get_experiment(self._experiment_id).name
            return
        self._experiment_id = find_or_create(self._client, self.experiment, self._tracking_uri)

    def _adopt_or_leave(self) -> None:
        """Take the user's run if it is open and free; else start one, as its child if it is there.

        A variable that names a run may be left over from long ago.
        """
        assert self._existing_run_id is not None
        try:
            run = self._client.get_run(self._existing_run_id)
        except Exception as error:
            if not is_missing(error):
                raise
            run = None
        if run is not None and may_write_into(run):
            return
        if run is not None and run.info.lifecycle_stage == "active":
            self._first_tags[PARENT_TAG] = self._existing_run_id
            self.experiment = self._client.get_experiment(run.info.experiment_id).name
        self._existing_run_id, self._keep_open = None, False

    def apply(self, event: Event) -> None:
        """Write what one event says. Raises what MLflow raises, OSError and TrackingError."""
        self._wait_for_lock()
        if event["do"] == "start":
            self._start(event)
        elif self.run_id is None:
            raise TrackingError("Something was logged before the run was started.")
        else:
            self._writers[event["do"]](self.run_id, event)

    def files(self) -> frozenset[str]:
        """All artifacts of the run, relative to its folder; none where a server keeps them."""
        folder = self.record["artifact_folder"] if self.record else None
        return frozenset() if folder is None else complete_files(Path(folder))

    def largest_file(self) -> int:
        """Bytes of the largest artifact."""
        folder = Path(self.record["artifact_folder"] or "") if self.record else Path()
        return max(((folder / path).stat().st_size for path in self.files()), default=0)

    def end(self, status: str, time_ms: int) -> None:
        """Set how the run ended; a run that the user opened is left as it is."""
        if self.run_id is not None and not self._keep_open:
            if self._reserve is not None:
                self._reserve.unlink(missing_ok=True)
            self._wait_for_lock()
            self._client.set_terminated(self.run_id, status, time_ms)

    def _wait_for_lock(self) -> None:
        """Wait as long as was promised; MLflow would wait 20 s."""
        wait_until_unlocked(self._store, self._lock_patience)

    def _start(self, event: Event) -> None:
        params, tags = event["params"], event["tags"]
        if self._existing_run_id is not None:
            self.run_id = self._existing_run_id
            run = self._client.get_run(self.run_id)
            params, changed = _new_params(params, run.data.params)
            # Name, user and source stay those of whoever started the run.
            tags = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
            if changed:
                tags["textgauge.resumed_with"] = json.dumps(changed)
            if ENDED_TAG in run.data.tags:
                self._client.delete_tag(self.run_id, ENDED_TAG)
            if not self._keep_open:
                self._client.update_run(self.run_id, status="RUNNING")
        else:
            run = self._client.create_run(
                self._experiment_id,
                start_time=event["time"],
                run_name=event["name"],
                tags=self._first_tags,
            )
            self.run_id = run.info.run_id
        tags = {**tags, RUN_TAG: self.run_id}
        if not self._keep_open:
            # Given back at the end: on a full disk too, a run must be marked as failed.
            self._reserve = self._store.with_name(f".{self._store.name}.{self.run_id}.reserve")
            self._reserve.write_bytes(bytes(RESERVE))
        folder = local_folder(run.info.artifact_uri)
        if folder is not None:
            # Here rather than with the first artifact, so that a folder that cannot be written
            # is known before the training and not after it.
            folder.mkdir(parents=True, exist_ok=True)
        self.record = {
            "run_id": self.run_id,
            "experiment_id": self._experiment_id,
            "experiment": self.experiment,
            "tracking_uri": self._tracking_uri,
            "run_url": run_url(self._tracking_uri, self._experiment_id, self.run_id),
            "artifact_folder": None if folder is None else str(folder),
        }
        self._log_tags(self.run_id, {"values": tags})
        self._log_params(self.run_id, {"values": params})

    def _log_params(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Param

        self._keep_long_values(run_id, "params", event["values"])
        for part in _parts(event["values"].items(), _FIELDS_PER_BATCH):
            self._client.log_batch(run_id, params=[Param(key, value) for key, value in part])

    def _log_tags(self, run_id: str, event: Event) -> None:
        from mlflow.entities import RunTag

        self._keep_long_values(run_id, "tags", event["values"])
        for part in _parts(event["values"].items(), _FIELDS_PER_BATCH):
            self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in part])

    def _log_metrics(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Metric

        for part in _parts(event["rows"], _METRICS_PER_BATCH):
            self._client.log_batch(
                run_id, metrics=[Metric(key, value, time, step) for key, value, step, time in part]
            )

    def _log_artifact(self, run_id: str, event: Event) -> None:
        self._client.log_artifact(run_id, event["path"], event["folder"] or None)

    def _log_dataset(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        columns = [
            {"type": mlflow_type(kind), "name": name, "required": True}
            for name, kind in event["schema"].items()
        ]
        dataset = Dataset(
            name=event["name"][:500],
            digest=event["digest"][:36],
            source_type="local",
            source=json.dumps({"uri": event["source"]}),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps({"num_rows": event["rows"], "digest": event["digest"]}),
        )
        tag = InputTag("mlflow.data.context", event["context"])
        self._client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags=[tag])])

    def _log_model(self, run_id: str, event: Event) -> None:
        folder = Path(event["folder"])
        make_model_folder(
            folder, run_id=run_id, artifact_path=MODEL_FOLDER, example=event["example"]
        )
        files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        # Whoever imports the carried code meanwhile leaves byte code there, which comes and goes.
        files = [path for path in files if "__pycache__" not in path.parts]
        # MLmodel last: what was cut off in the middle is no model to MLflow.
        for path in sorted(files, key=lambda path: (path.name == "MLmodel", path)):
            place = (Path(MODEL_FOLDER) / path.parent).as_posix()
            self._client.log_artifact(run_id, str(folder / path), place)
        if self.registration is not None:
            register_version(
                self._client,
                self.registration.name,
                run_id,
                alias=self.registration.alias,
                tags={RUN_TAG: run_id},
            )

    def _keep_long_values(self, run_id: str, kind: str, values: dict[str, str]) -> None:
        """Store values whole that MLflow's field will cut off."""
        long = {key: value for key, value in values.items() if len(value) > _LONGEST[kind]}
        if long:
            name = f"long_values/{kind}_{time.time_ns()}.json"
            self._client.log_text(run_id, json.dumps(long, ensure_ascii=False, indent=1), name)


def complete_files(folder: Path) -> frozenset[str]:
    """The artifacts in a run's folder, relative to it, when nobody is writing one."""
    return frozenset(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def local_folder(artifact_uri: str) -> Path | None:
    """The folder on this machine that `artifact_uri` names, or None if it is elsewhere.

    >>> local_folder("mlflow-artifacts:/1/ab/artifacts") is None
    True
    """
    if artifact_uri.startswith("/"):
        return Path(artifact_uri)
    parts = urlsplit(artifact_uri)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def mlflow_type(polars_type: str) -> str:
    """MLflow's name of a column type; `string` for what it has no name for.

    >>> mlflow_type("Int64"), mlflow_type("Datetime(time_unit='us', time_zone=None)")
    ('long', 'datetime')
    """
    return _TYPES.get(polars_type.partition("(")[0].strip().lower(), "string")


def _new_params(
    params: dict[str, str], known: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Those of `params` that an existing run lacks, and those that it holds with another value.

    MLflow lets nobody change a parameter; such values are told in a tag.
    """
    new = {key: value for key, value in params.items() if key not in known}
    cut = _LONGEST["params"]
    changed = {k: v for k, v in params.items() if k in known and v[:cut] != known[k][:cut]}
    return new, changed


def _parts(values: Iterable[Any], size: int) -> Iterator[Sequence[Any]]:
    everything = list(values)
    for begin in range(0, len(everything), size):
        yield everything[begin : begin + size]
