"""Brings a server up to what the local store holds of a run.

    store (all of the run) ──▶ what the server lacks ──▶ server

It compares and sends the difference, so it can be cut off anywhere and begun again: nothing is
left out and nothing doubled. As long as all goes well it remembers what the server holds; after an
error it asks, because a request whose answer was lost may have been carried out.

Run, tags, parameters, metrics, datasets, files, model version and status go in this order: a run
that has its final status on the server has everything else there too.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import TrackingError
from .experiments import find_or_create
from .failures import (
    is_conflict,
    is_missing,
    is_passing,
    is_unauthorised,
)
from .inherited import RUN_TAG, may_write_into
from .journal import Entry, Journal
from .limits import Shortened, fit_metrics, fit_params, fit_tags
from .mlflow_run import local_folder
from .protocol import MODEL_FOLDER
from .registry import register_version
from .servers import Server

_OPEN = "RUNNING"
BEYOND_LIMITS = "beyond_limits"
"""Artifact folder of values that a server had no room for; nothing else is written there."""

_UPLOADS = 4
"""Files that are sent at the same time: a cloud takes tenths of a second to answer for each."""


@dataclass
class _Held:
    """What the server holds of the run, as far as we know."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Counter[tuple[int, str]]] = field(default_factory=dict)
    datasets: set[tuple[str, str]] = field(default_factory=set)
    files: set[str] | None = None  # not asked yet
    status: str = ""


class Replay:
    """One run and one server."""

    def __init__(
        self,
        store: Any,
        journal: Journal,
        entry: Entry,
        server: Server,
        *,
        on_accepted: Callable[[], None] = lambda: None,
        on_progress: Callable[[], None] = lambda: None,
        on_note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Nothing is contacted yet.

        Args:
            store: an `MlflowClient` on the local store.
            journal: the store's journal.
            entry: which run shall go where.
            server: the one that `entry.uri` names.
            on_accepted: called when the server has the run and will take what it holds.
            on_progress: called after each request that got through.
            on_note: is told, once each, what had to be shortened or left out.

        """
        self._store, self._journal, self._server = store, journal, server
        self._on_accepted, self._on_progress, self._on_note = on_accepted, on_progress, on_note
        self._noted: set[str] = set()
        self._client: Any = None
        self._held: _Held | None = None
        self._experiment_id = ""
        self.entry = entry
        self.accepted = False

    @property
    def experiment(self) -> str:
        """What the experiment is called on the server."""
        return self._server.experiment_name(self.entry.experiment)

    @property
    def run_url(self) -> str:
        """The run's page on the server; once it was accepted."""
        return self._server.run_url(self._experiment_id, self.entry.server_run_id or "")

    @property
    def experiment_id(self) -> str:
        """The experiment's id on the server; once the run was accepted."""
        return self._experiment_id

    def catch_up(self, files: Collection[str], *, ended: bool) -> None:
        """Send what the server lacks, after logging in and creating the run if need be.

        Args:
            files: artifacts of the run that are complete, relative to its folder.
            ended: the run is over: the model is registered and its status set.

        Raises:
            whatever went wrong; call again with the same arguments or newer ones.

        """
        try:
            self._send_all(files, ended=ended)
        except Exception as error:
            self._held = None
            if not is_unauthorised(error):
                raise
            # The token has expired, or was taken back: once more with a new one.
            self._client = None
            self._send_all(files, ended=ended)

    def _send_all(self, files: Collection[str], *, ended: bool) -> None:
        self._accept()
        run = self._store.get_run(self.entry.run_id)
        if self._held is None:
            self._held = self._ask_what_it_holds()
        folder = local_folder(run.info.artifact_uri) or Path()
        shortened = self._send_tags(run, self._held) + self._send_params(run, self._held)
        shortened += self._send_metrics(run, self._held)
        kept_whole = self._keep_whole(shortened, folder)
        self._send_datasets(run, self._held)
        self._send_files(folder, sorted({*files, *kept_whole}), self._held)
        if ended:
            self._register(folder)
        self._send_status(run, self._held, ended=ended)

    def _accept(self) -> None:
        """Log in and have the run created: from now on the server has a place for all of it."""
        if self._client is None:
            self._server.log_in()
            self._client = self._server.connect()
        if not self.accepted:
            self._open_run()
            self.accepted = True
            self._on_accepted()

    # The run

    def _open_run(self) -> None:
        """Find the run there, or create it."""
        entry, inherited = self.entry, None
        if entry.server_run_id is not None:
            found = self._find_run(entry.server_run_id)
            if found is not None and (not entry.keep_open or may_write_into(found, entry.run_id)):
                self._experiment_id = found.info.experiment_id
                return
            # Deleted since, or another training's by now: then this one becomes its child.
            inherited = found
            self.entry = self._journal.update(entry, server_run_id=None, keep_open=False)
        tags = {RUN_TAG: entry.run_id}
        if inherited is not None:
            self._experiment_id = inherited.info.experiment_id
            tags["mlflow.parentRunId"] = inherited.info.run_id
        else:
            self._experiment_id = find_or_create(self._client, self.experiment, self._server.uri)
        # Asked before, and perhaps the run was created and only the answer got lost.
        server_run_id = self._created_before() if self.entry.tried else None
        if server_run_id is None:
            server_run_id = self._create_run(tags)
        self.entry = self._journal.update(self.entry, server_run_id=server_run_id)

    def _create_run(self, tags: dict[str, str]) -> str:
        run = self._store.get_run(self.entry.run_id)
        self.entry = self._journal.update(self.entry, tried=True)
        with _asking_once():
            created = self._client.create_run(
                self._experiment_id,
                start_time=run.info.start_time,
                run_name=run.info.run_name,
                tags=tags,
            )
        self._held = _Held(tags=tags, files=set(), status=_OPEN)
        return str(created.info.run_id)

    def _find_run(self, run_id: str) -> Any | None:
        try:
            run = self._client.get_run(run_id)
        except Exception as error:
            if not is_missing(error):
                raise
            return None
        return run if run.info.lifecycle_stage == "active" else None

    def _created_before(self) -> str | None:
        found = self._client.search_runs(
            [self._experiment_id],
            f"tags.`{RUN_TAG}` = '{self.entry.run_id}'",
            order_by=["attributes.start_time ASC"],
        )
        return found[0].info.run_id if found else None

    def _ask_what_it_holds(self) -> _Held:
        run = self._client.get_run(self.entry.server_run_id)
        held = _Held(dict(run.data.params), dict(run.data.tags), status=run.info.status)
        for key in run.data.metrics:
            history = self._client.get_metric_history(self.entry.server_run_id, key)
            held.metrics[key] = Counter(_point(metric) for metric in history)
        if run.inputs is not None:
            held.datasets = {_dataset_key(each) for each in run.inputs.dataset_inputs}
        return held

    def _send_status(self, run: Any, held: _Held, *, ended: bool) -> None:
        status = run.info.status if ended else _OPEN
        if self.entry.keep_open or held.status == status:
            return
        if status == _OPEN:
            self._client.update_run(self.entry.server_run_id, status=_OPEN)
        else:
            self._client.set_terminated(self.entry.server_run_id, status, run.info.end_time)
        held.status = status

    # Fields

    def _send_tags(self, run: Any, held: _Held) -> list[Shortened]:
        from mlflow.entities import RunTag

        tags = run.data.tags
        if self.entry.keep_open:
            # Name, user and source stay those of whoever started the run.
            tags = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
        fitting, shortened = fit_tags(tags, held.tags, self._server.limits)
        for key in [key for key in held.tags if key.startswith("textgauge.") and key not in tags]:
            # Of an earlier end: the run was gone on with since.
            self._client.delete_tag(self.entry.server_run_id, key)
            del held.tags[key]
        new = {key: value for key, value in fitting.items() if held.tags.get(key) != value}
        for part in _parts(new.items(), self._server.limits.fields):
            self._client.log_batch(
                self.entry.server_run_id, tags=[RunTag(key, value) for key, value in part]
            )
            held.tags.update(part)
            self._on_progress()
        return shortened

    def _send_params(self, run: Any, held: _Held) -> list[Shortened]:
        from mlflow.entities import Param

        fitting, shortened = fit_params(run.data.params, self._server.limits)
        new = {key: value for key, value in fitting.items() if key not in held.params}
        for part in _parts(new.items(), self._server.limits.fields):
            self._client.log_batch(
                self.entry.server_run_id, params=[Param(key, value) for key, value in part]
            )
            held.params.update(part)
            self._on_progress()
        return shortened

    def _send_metrics(self, run: Any, held: _Held) -> list[Shortened]:
        allowed, left_out = fit_metrics(run.data.metrics, held.metrics, self._server.limits)
        rows: list[Any] = []
        for key in allowed:
            known = held.metrics.setdefault(key, Counter())
            again = Counter(known)
            for metric in self._store.get_metric_history(self.entry.run_id, key):
                if again[_point(metric)] > 0:
                    again[_point(metric)] -= 1
                else:
                    rows.append(metric)
        # In the order in which they were measured, whatever their names.
        rows.sort(key=lambda metric: (metric.timestamp, metric.step))
        for part in _parts(rows, self._server.limits.metric_rows):
            with _asking_once():
                self._client.log_batch(self.entry.server_run_id, metrics=list(part))
            for metric in part:
                held.metrics[metric.key][_point(metric)] += 1
            self._on_progress()
        return [
            Shortened(
                "metrics",
                key,
                [
                    [metric.step, metric.value, metric.timestamp]
                    for metric in self._store.get_metric_history(self.entry.run_id, key)
                ],
            )
            for key in left_out
        ]

    def _send_datasets(self, run: Any, held: _Held) -> None:
        inputs = run.inputs.dataset_inputs if run.inputs is not None else []
        new = [each for each in inputs if _dataset_key(each) not in held.datasets]
        if not new:
            return
        try:
            self._client.log_inputs(self.entry.server_run_id, datasets=new)
        except Exception as error:
            if not is_missing(error):
                raise
            # A service without datasets; the digest stands in a tag and in the model card.
        held.datasets.update(_dataset_key(each) for each in new)

    def _keep_whole(self, shortened: Sequence[Shortened], folder: Path) -> Iterator[str]:
        """Write what did not fit into files of the run, and say so once. Gives their paths."""
        for kind in dict.fromkeys(each.kind for each in shortened):
            values = {each.key: each.whole for each in shortened if each.kind == kind}
            # One file for each set of values: services there are that never replace a file.
            text = json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True)
            path = f"{BEYOND_LIMITS}/{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
            if not (folder / path).exists():
                self._store.log_text(self.entry.run_id, text, path)
            names = ", ".join(sorted(values)[:5]) + (" …" if len(values) > 5 else "")
            note = f"{self._server.title} has no room for all of {kind} {names}: whole in {path}"
            if note not in self._noted:
                self._noted.add(note)
                self._on_note(note)
            yield path

    # Files

    def _send_files(self, folder: Path, files: Iterable[str], held: _Held) -> None:
        sent = self._journal.sent(self.entry)
        new = [path for path in files if path not in sent]
        if new and held.files is None:
            held.files = self._list({Path(path).parent.as_posix() for path in new})
        # The last one by itself, when all others are there: what lacks it is no model to MLflow.
        last = [path for path in new if path == f"{MODEL_FOLDER}/MLmodel"]
        for together in ([path for path in new if path not in last], last):
            with ThreadPoolExecutor(_UPLOADS) as pool:
                for path in pool.map(lambda path: self._send_file(folder, path, held), together):
                    self._journal.mark_sent(self.entry, [path])
                    self._on_progress()

    def _send_file(self, folder: Path, path: str, held: _Held) -> str:
        if path in (held.files or ()) and self._holds_same(folder, path):
            return path
        place = Path(path).parent.as_posix()
        try:
            self._client.log_artifact(
                self.entry.server_run_id, str(folder / path), "" if place == "." else place
            )
        except Exception as error:
            # A service that never replaces a file, and an upload whose answer got lost.
            if not is_conflict(error):
                raise
            if self._holds_same(folder, path) is False:
                raise TrackingError(
                    f"{self._server.title} holds another {path} of this run and lets nobody "
                    f"replace it. The one that belongs there is {folder / path}."
                ) from error
        return path

    def _holds_same(self, folder: Path, path: str) -> bool | None:
        """Whether the server's file is ours, byte for byte; None if it cannot be read."""
        with tempfile.TemporaryDirectory(prefix="textgauge-") as name:
            try:
                self._client.download_artifacts(self.entry.server_run_id, path, name)
            except Exception as error:
                if is_passing(error):
                    raise
                return None
            copy = Path(name) / path
            return filecmp.cmp(folder / path, copy, shallow=False) if copy.is_file() else None

    def _list(self, places: Iterable[str]) -> set[str]:
        """The files that the server lists in these folders, whether or not it has them whole."""
        found: set[str] = set()
        for place in sorted(places):
            try:
                listed = self._client.list_artifacts(
                    self.entry.server_run_id, None if place == "." else place
                )
            except Exception as error:
                if not is_missing(error):
                    raise
                continue
            found.update(each.path for each in listed if not each.is_dir)
        return found

    # The model

    def _register(self, folder: Path) -> None:
        entry = self.entry
        if entry.model_name is None or entry.model_version is not None:
            return
        if not (folder / MODEL_FOLDER / "MLmodel").exists():
            return  # The run ended before it had a model.
        files = sum(path.is_file() for path in (folder / MODEL_FOLDER).rglob("*"))
        most = self._server.limits.model_files
        if most is not None and files > most:
            raise TrackingError(
                f"{self._server.title} takes models of at most {most:,} files; this has {files:,}."
            )
        with _asking_once():
            version = register_version(
                self._client,
                self._server.model_name(entry.model_name),
                entry.server_run_id or "",
                alias=entry.alias,
                tags={RUN_TAG: entry.run_id},
            )
        self.entry = self._journal.update(entry, model_version=version)
        self._on_progress()


@contextmanager
def _asking_once() -> Iterator[None]:
    """Keep MLflow from repeating a request whose answer was lost: it may have been carried out."""
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _point(metric: Any) -> tuple[int, str]:
    """What makes a value the same one: its step and its value, of which NaN equals NaN."""
    return metric.step, repr(float(metric.value))


def _dataset_key(each: Any) -> tuple[str, str]:
    return each.dataset.name, each.dataset.digest


def _parts(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    everything = list(values)
    for begin in range(0, len(everything), size):
        yield everything[begin : begin + size]
