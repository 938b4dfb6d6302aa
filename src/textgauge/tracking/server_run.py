"""A run on a server: what it is known to hold, and how its fields are filled.

Each function sends what the server lacks and notes that it holds it; see `replay` for the order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .failures import is_missing
from .inherited import PARENT_TAG
from .limits import Shortened, fit_metrics, fit_params, fit_tags
from .servers import Server, asking_once

OPEN = "RUNNING"


@dataclass
class Held:
    """What the server holds of the run, as far as we know."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Counter[tuple[int, str]]] = field(default_factory=dict)
    datasets: set[tuple[str, str]] = field(default_factory=set)
    files: set[str] | None = None  # not asked yet
    status: str = ""


@dataclass(frozen=True)
class ServerRun:
    """A run on a server.

    Attributes:
        client: an `MlflowClient` for the server.
        server: whose run it is.
        run_id: its id there.
        held: what it holds; the functions here keep it up to date.
        on_progress: called after each request that got through.
    """

    client: Any
    server: Server
    run_id: str
    held: Held
    on_progress: Callable[[], None]

    def artifacts(self) -> Any:
        """MLflow's own access to the run's files.

        Its client asks for logged models first, which Azure ML does not have, and hides why a
        download failed.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(self.artifact_uri())

    def artifact_uri(self) -> str:
        """Where the server says that the run's files lie."""
        return str(self.client.get_run(self.run_id).info.artifact_uri)


def ask_what_it_holds(client: Any, run_id: str) -> Held:
    """What the server says that it holds of the run; of files nothing yet."""
    run = client.get_run(run_id)
    held = Held(dict(run.data.params), dict(run.data.tags), status=run.info.status)
    for key in run.data.metrics:
        history = client.get_metric_history(run_id, key)
        held.metrics[key] = Counter(_point(metric) for metric in history)
    if run.inputs is not None:
        held.datasets = {_dataset_key(each) for each in run.inputs.dataset_inputs}
    return held


def send_tags(to: ServerRun, run: Any, *, parent: str | None, keep_open: bool) -> list[Shortened]:
    """Send new and changed tags; gives those that the server cannot hold whole.

    Args:
        to: the run on the server.
        run: as the local store holds it.
        parent: the id there of the run that it stands below, if it does.
        keep_open: the run there is the user's own: name, user and source stay theirs.

    """
    from mlflow.entities import RunTag

    tags = {key: value for key, value in run.data.tags.items() if key != PARENT_TAG}
    if parent is not None:
        tags[PARENT_TAG] = parent
    if keep_open:
        tags = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
    fitting, shortened = fit_tags(tags, to.held.tags, to.server.limits)
    for key in [k for k in to.held.tags if k.startswith("textgauge.") and k not in tags]:
        # Of an earlier end: the run was gone on with since.
        to.client.delete_tag(to.run_id, key)
        del to.held.tags[key]
    new = {key: value for key, value in fitting.items() if to.held.tags.get(key) != value}
    for part in _parts(new.items(), to.server.limits.fields):
        to.client.log_batch(to.run_id, tags=[RunTag(key, value) for key, value in part])
        to.held.tags.update(part)
        to.on_progress()
    return shortened


def send_params(to: ServerRun, run: Any) -> list[Shortened]:
    """Send new parameters; gives those that the server cannot hold whole."""
    from mlflow.entities import Param

    fitting, shortened = fit_params(run.data.params, to.server.limits)
    new = {key: value for key, value in fitting.items() if key not in to.held.params}
    for part in _parts(new.items(), to.server.limits.fields):
        to.client.log_batch(to.run_id, params=[Param(key, value) for key, value in part])
        to.held.params.update(part)
        to.on_progress()
    return shortened


def send_metrics(to: ServerRun, run: Any, store: Any, *, ended: bool) -> list[Shortened]:
    """Send new values of metrics; at the end of the run, gives those that found no room.

    Args:
        to: the run on the server.
        run: as the local store holds it.
        store: an `MlflowClient` on the local store.
        ended: the run is over; before that, what found no room still grows.

    """
    allowed, left_out = fit_metrics(run.data.metrics, to.held.metrics, to.server.limits)
    rows: list[Any] = []
    for key in allowed:
        again = Counter(to.held.metrics.setdefault(key, Counter()))
        for metric in store.get_metric_history(run.info.run_id, key):
            if again[_point(metric)] > 0:
                again[_point(metric)] -= 1
            else:
                rows.append(metric)
    # In the order in which they were measured, whatever their names.
    rows.sort(key=lambda metric: (metric.timestamp, metric.step))
    for part in _parts(rows, to.server.limits.metric_rows):
        with asking_once():
            to.client.log_batch(to.run_id, metrics=list(part))
        for metric in part:
            to.held.metrics[metric.key][_point(metric)] += 1
        to.on_progress()
    return [
        Shortened(
            "metrics",
            key,
            [
                [metric.step, metric.value, metric.timestamp]
                for metric in store.get_metric_history(run.info.run_id, key)
            ],
        )
        for key in (left_out if ended else ())
    ]


def send_datasets(to: ServerRun, run: Any) -> None:
    """Send datasets that the server lacks; one that knows none is left without."""
    inputs = run.inputs.dataset_inputs if run.inputs is not None else []
    new = [each for each in inputs if _dataset_key(each) not in to.held.datasets]
    if not new:
        return
    try:
        to.client.log_inputs(to.run_id, datasets=new)
    except Exception as error:
        if not is_missing(error):
            raise
        # The digest stands in a tag and in the model's card all the same.
    to.held.datasets.update(_dataset_key(each) for each in new)


def send_status(to: ServerRun, run: Any, *, ended: bool) -> None:
    """Set how the run ended, or that it goes on again."""
    status = run.info.status if ended else OPEN
    if to.held.status == status:
        return
    if status == OPEN:
        to.client.update_run(to.run_id, status=OPEN)
    else:
        to.client.set_terminated(to.run_id, status, run.info.end_time)
    to.held.status = status


def _point(metric: Any) -> tuple[int, str]:
    """What makes a value the same one: its step and its value, of which NaN equals NaN."""
    return metric.step, repr(float(metric.value))


def _dataset_key(each: Any) -> tuple[str, str]:
    return each.dataset.name, each.dataset.digest


def _parts(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    everything = list(values)
    for begin in range(0, len(everything), size):
        yield everything[begin : begin + size]
