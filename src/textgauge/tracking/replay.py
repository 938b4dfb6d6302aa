"""Brings a server up to what the local store holds of a run.

    store (all of the run) ──▶ what the server lacks ──▶ server

It compares and sends the difference, so it can be cut off anywhere and begun again: nothing is
left out and nothing doubled. As long as all goes well it remembers what the server holds; after an
error it asks, because a request whose answer was lost may have been carried out.

Run, tags, parameters, metrics, datasets, files, model version and status go in this order: a run
that has its final status on the server has everything else there too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import TrackingError
from .experiments import find_or_create
from .failures import NotYetError, capital, is_missing, is_unauthorised
from .inherited import PARENT_TAG, RUN_TAG, may_write_into
from .journal import Entry, Journal
from .limits import Shortened
from .mlflow_run import local_folder
from .protocol import MODEL_FOLDER
from .registry import register_version
from .server_files import hollow_files, send_files
from .server_run import (
    OPEN,
    Held,
    ServerRun,
    ask_what_it_holds,
    send_datasets,
    send_metrics,
    send_params,
    send_status,
    send_tags,
)
from .servers import Server, asking_once

BEYOND_LIMITS = "beyond_limits"
"""Artifact folder of values that a server had no room for; nothing else is written there."""

_WORDS = {"params": "parameters", "tags": "tags", "metrics": "metrics"}


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
        self._hollow: set[str] = set()
        self._client: Any = None
        self._held: Held | None = None
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
        entry, server_run_id = self.entry, self.entry.server_run_id or ""
        run = self._store.get_run(entry.run_id)
        if self._held is None:
            self._held = ask_what_it_holds(self._client, server_run_id)
        to = ServerRun(self._client, self._server, server_run_id, self._held, self._on_progress)
        folder = local_folder(run.info.artifact_uri) or Path()
        shortened = send_tags(to, run, parent=self._parent(run), keep_open=entry.keep_open)
        shortened += send_params(to, run)
        shortened += send_metrics(to, run, self._store, ended=ended)
        kept_whole = self._keep_whole(shortened, folder)
        send_datasets(to, run)
        complete = {*files, *kept_whole} - self._hollow
        self._hollow |= send_files(to, folder, complete, self._journal, entry)
        if ended and not any(path.startswith(f"{MODEL_FOLDER}/") for path in self._hollow):
            self._register(folder)
        if not entry.keep_open:
            send_status(to, run, ended=ended)
        if ended and self._hollow:
            raise hollow_files(to, self._hollow, folder, self.entry)

    def _accept(self) -> None:
        """Log in and have the run created: from now on the server has a place for all of it."""
        if self._client is None:
            self._server.log_in()
            self._client = self._server.connect()
        if self._held is None:
            # Nothing was sent yet, or the last attempt failed.
            self._server.reach()
        if not self.accepted:
            self._open_run()
            self.accepted = True
            self._on_accepted()

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
            self._journal.forget_sent(entry)
            self.entry = self._journal.update(
                entry, server_run_id=None, keep_open=False, model_version=None
            )
        tags = {RUN_TAG: entry.run_id}
        if inherited is not None:
            self._experiment_id = inherited.info.experiment_id
            tags[PARENT_TAG] = inherited.info.run_id
        else:
            self._experiment_id = find_or_create(self._client, self.experiment, self._server.uri)
        # Asked before, and perhaps the run was created and only the answer got lost.
        server_run_id = self._created_before() if self.entry.tried else None
        if server_run_id is None:
            server_run_id = self._create_run(tags)
        self.entry = self._journal.update(self.entry, server_run_id=server_run_id)

    def _create_run(self, tags: dict[str, str]) -> str:
        run = self._store.get_run(self.entry.run_id)
        if (parent := self._parent(run)) is not None:
            # From its first moment on, as nested runs of MLflow have it.
            tags = {**tags, PARENT_TAG: parent}
        self.entry = self._journal.update(self.entry, tried=True)
        with asking_once():
            created = self._client.create_run(
                self._experiment_id,
                start_time=run.info.start_time,
                run_name=run.info.run_name,
                tags=tags,
            )
        self._held = Held(tags=tags, files=set(), status=OPEN)
        return str(created.info.run_id)

    def _parent(self, run: Any) -> str | None:
        """The id on the server of the run that this one stands below; None where it has none there.

        Raises NotYetError while the server lacks it, TrackingError if it refused it.
        """
        above = run.data.tags.get(PARENT_TAG)
        entry = None if above is None else self._journal.find(above, self.entry.uri)
        if entry is None or entry.run_id != above:
            return None  # It was not meant to go there.
        if entry.server_run_id is None and entry.state == "refused":
            raise TrackingError(
                f"The run {above}, which the run {run.info.run_id} is a part of, is not on its "
                f"server. Send it first: textgauge sync {above}."
            )
        if entry.server_run_id is None:
            raise NotYetError(f"The run {above}, which has to come first, is not there yet.")
        return entry.server_run_id

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
            note = (
                f"{capital(self._server.title)} cannot hold these {_WORDS[kind]} whole: {names}. "
                f"They stand in the run's file {path}"
            )
            if note not in self._noted:
                self._noted.add(note)
                self._on_note(note)
            yield path

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
                f"{capital(self._server.title)} takes models of at most {most:,} files; this has "
                f"{files:,}."
            )
        with asking_once():
            version = register_version(
                self._client,
                self._server.model_name(entry.model_name),
                entry.server_run_id or "",
                alias=entry.alias,
                tags={RUN_TAG: entry.run_id},
            )
        self.entry = self._journal.update(entry, model_version=version)
        self._on_progress()
