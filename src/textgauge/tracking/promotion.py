"""A run's model becomes the champion, or a challenger, of a registered model.

`find_run` and `find_version` say what a store or server holds and bring the files here; `promote`
changes the registry, and nothing else does. It goes the same way as `train --register`
(`registry.register_version`), and moves the alias last: what fails before leaves the champion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BundleError, TrackingError
from .addresses import Place, place_at
from .failures import is_missing
from .inherited import RUN_TAG
from .journal import Journal
from .limits import Shortened, fit_tags
from .open import choose_destination, local_store_uri
from .protocol import CHAMPION, MODEL_FOLDER
from .registry import move_alias, register_version, version_by_alias
from .servers import Limits, asking_once, server_at
from .sqlite_store import sqlite_path, sqlite_uri

PREVIOUS = "previous"
"""Points to the version that was the champion before: the way back."""

_RUN = re.compile(r"runs:/+([^/]+)(?:/.*)?")
_RUN_ID = re.compile(r"^\s*run_id:\s*['\"]?([0-9A-Za-z_-]+)", re.MULTILINE)
_DESCRIPTION = 5_000
"""Characters of a version's description at most."""


@dataclass(frozen=True)
class RunFound:
    """A run, and its model's files on this machine.

    Attributes:
        run_id: in the store or on the server that holds it.
        tracking_uri: of that.
        where: what it is called in messages.
        status: how it ended, in MLflow's words.
        metrics: the last value of each.
        tags: of the run.
        folder: the model, as the store or server gave it back.

    """

    run_id: str
    tracking_uri: str | None
    where: str
    status: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    folder: Path


@dataclass(frozen=True)
class VersionFound:
    """A version of a registered model.

    Attributes:
        number: of the version.
        run_id: of its run; empty where it was made without one.
        folder: its files on this machine; None where it is of the very run that is looked at, or
            where the files are gone and that was to be no error.

    """

    number: str
    run_id: str
    folder: Path | None = None


@dataclass(frozen=True)
class Promoted:
    """What was changed in the registry.

    Attributes:
        name: of the registered model, as it is called there.
        version: that the alias points to.
        created: whether it is new; False where the run had one.
        previous: the version that was the champion, and carries `PREVIOUS` now; None if none was.
        shortened: tags that the registry cannot hold whole.

    """

    name: str
    version: str
    created: bool
    previous: str | None = None
    shortened: tuple[Shortened, ...] = field(default=(), compare=False)


def find_run(run: str | Path, tracking_uri: str | None = None) -> RunFound:
    """The run, and its model as the store or server gives it back.

    Args:
        run: a run's id here or on its server, `runs:/RUN_ID/model`, a registered model's address,
            or the folder of a run's model.
        tracking_uri: the store or server; None: where the run was meant to go, else as in
            `open_tracker`.

    Raises:
        TrackingError: there is no such run, it did not finish, or the server lacks it.
        BundleError: the run has no model, or the folder does not say whose it is.

    """
    run_id, tracking_uri = _run_id(str(run), tracking_uri)
    with place_at(tracking_uri, f"run {run_id}") as place:
        if str(run).startswith("models:/"):
            run_id = _run_of_version(place, str(run))
        found = place.run(run_id)
        info = found.info
        if info.lifecycle_stage != "active":
            raise TrackingError(f"The run {run_id} is deleted. Restore it first, or name another.")
        if info.status != "FINISHED":
            raise TrackingError(
                f"The run {run_id} is {info.status}, not FINISHED: only a run that came to its end "
                f"has a proved model. Go on with it (textgauge train TABLE --resume {run_id}), or "
                "name another."
            )
        folder = place.find(f"runs:/{run_id}/{MODEL_FOLDER}")
        return RunFound(
            run_id,
            tracking_uri,
            place.name,
            info.status,
            dict(found.data.metrics),
            dict(found.data.tags),
            folder,
        )


def find_version(
    found: RunFound, name: str, alias: str, *, may_lack: bool = False
) -> VersionFound | None:
    """The version that an alias points to, with its files unless it is the run's own.

    Args:
        found: the run.
        name: of the registered model.
        alias: to look for.
        may_lack: whether it is no error if the files are gone.

    Raises:
        TrackingError: the name is none there, or the registry failed.
        BundleError: the version's files are gone.

    """
    with place_at(found.tracking_uri, f"the registered model {name}") as place:
        called = place.model_name(name)
        version = place.asked(lambda: version_by_alias(place.client, called, alias))
        if version is None:
            return None
        number, run_id = str(version.version), version.run_id or ""
        if run_id == found.run_id:
            return VersionFound(number, run_id)
        try:
            return VersionFound(number, run_id, place.find(f"models:/{called}/{number}"))
        except BundleError:
            if not may_lack:
                raise
            return VersionFound(number, run_id)


def promote(
    found: RunFound,
    name: str,
    alias: str,
    *,
    tags: Mapping[str, str],
    description: str,
    champion: str | None,
) -> Promoted:
    """Make the run's model a version, unless it is one, and have `alias` point to it.

    Args:
        found: the run.
        name: of the registered model, created if there is none.
        alias: with `CHAMPION` the version that had it gets `PREVIOUS`.
        tags: of the version.
        description: of the version, Markdown.
        champion: the version that was held against it; another one by now is an error.

    Raises:
        TrackingError: the registry refused, or has another champion by now.

    """
    with place_at(found.tracking_uri, f"the registered model {name}") as place:
        client, called = place.client, place.model_name(name)
        with asking_once():
            before = place.asked(lambda: version_by_alias(client, called, CHAMPION))
            now = None if before is None else str(before.version)
            if now != champion:
                raise TrackingError(
                    f"The champion of {called} is version {now or 'none'} now, no more "
                    f"{champion or 'none'}: somebody else registered meanwhile. Nothing was "
                    "changed; run the command again."
                )
            known = {str(each.version) for each in _versions(place, called)}
            fitting, shortened = fit_tags({RUN_TAG: found.run_id, **tags}, {}, _limits(found))
            number = register_version(client, called, found.run_id, tags=fitting)
            if number in known:
                for key, value in fitting.items():
                    client.set_model_version_tag(called, number, key, value)
            _describe(client, called, number, description)
            move_alias(client, called, alias, number)
            previous = None
            if alias == CHAMPION and now not in (None, number):
                previous = now
                move_alias(client, called, PREVIOUS, str(now))
    return Promoted(called, number, number not in known, previous, tuple(shortened))


def _versions(place: Place, name: str) -> list[Any]:
    found = place.asked(lambda: place.client.search_model_versions(f"name='{name}'"))
    return list(found or ())


def _describe(client: Any, name: str, number: str, description: str) -> None:
    try:
        client.update_model_version(name, number, description[:_DESCRIPTION])
    except Exception as error:
        if not is_missing(error):
            raise
        # A registry without descriptions: the tags say the most of it.


def _limits(found: RunFound) -> Limits:
    server = choose_destination(found.tracking_uri).server
    return Limits() if server is None else server_at(server.uri).limits


def _run_id(run: str, tracking_uri: str | None) -> tuple[str, str | None]:
    """The run's id where it is looked up, and where that is."""
    if run.startswith("models:/"):
        return run, tracking_uri
    match = _RUN.fullmatch(run)
    if match:
        run = match.group(1)
    elif Path(run).expanduser().is_dir():
        run = _run_of_folder(Path(run).expanduser())
    given = tracking_uri or choose_destination(None).tracking_uri
    store = sqlite_path(given) or sqlite_path(local_store_uri())
    if store is None or not store.is_file():
        return run, tracking_uri
    to = None if tracking_uri is None else choose_destination(tracking_uri).server
    journal = Journal(store)
    entry = journal.find(run) if to is None else journal.find(run, server_at(to.uri).uri)
    if entry is None:
        return run, tracking_uri
    if tracking_uri is not None and to is None:
        return entry.run_id, sqlite_uri(store)  # The store was named: there it is meant.
    if entry.server_run_id is None or entry.state != "done":
        raise TrackingError(
            f"The run {run} is not whole on its server {entry.uri}: textgauge sync. Or register it "
            f"here: --tracking-uri {sqlite_uri(store)}."
        )
    return entry.server_run_id, tracking_uri or entry.uri


def _run_of_folder(folder: Path) -> str:
    """The run that a model's folder says it is of."""
    described = folder / "MLmodel"
    match = _RUN_ID.search(described.read_text("utf-8")) if described.is_file() else None
    if match is None:
        raise BundleError(
            f"{folder} does not say of which run it is: it has no MLmodel with a run_id. Pass the "
            "run's id, as textgauge train printed it."
        )
    return match.group(1)


def _run_of_version(place: Place, address: str) -> str:
    """The run of a registered version."""
    match = re.fullmatch(r"models:/+([^/@]+)(?:@([^/@]+)|/([^/]+))/*", address)
    if match is None:
        raise TrackingError(f"The address {address} is not complete: models:/NAME/VERSION.")
    name, alias, number = match.groups()
    version = place.asked(
        lambda: (
            version_by_alias(place.client, name, alias)
            if alias
            else place.client.get_model_version(name, number)
        )
    )
    if version is None or not version.run_id:
        raise TrackingError(f"{place.name} has no {address} that was made of a run.")
    return str(version.run_id)
