"""What a server lacks is sent to it, whatever becomes of the requests: nothing is lost or doubled.

The unmodified plugin azureml-mlflow, against a stand-in for its service.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from replayed import Synchroniser, WrittenRun, assert_server_holds_all, entry_of
from standins.azureml import AzureMLStandIn

from textgauge.tracking.mlflow_run import complete_files

Unsent = Callable[..., WrittenRun]

FIELDS = (
    "/experiments/create", "/runs/create", "/runs/log-batch", "/runs/log-inputs",
    "/registered-models/create", "/model-versions/create", "/model-versions/set-tag",
    "/runs/update",
)  # fmt: skip
"""Requests that change something, besides those for files."""


@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("action", ["cut_before", "cut_after"])
def test_a_cut_connection_neither_loses_nor_doubles(
    path: str,
    action: str,
    azureml: AzureMLStandIn,
    azureml_sync: Synchroniser,
    unsent: Unsent,
) -> None:
    name = f"of-{action}-{path.replace('/', '')}"
    run = unsent(azureml, model_name=name, alias="challenger")
    # The second of several too: the first is of what is sent together with the run.
    for after in (0, 1):
        azureml.add_fault(action=action, path=f"{path}$", after=after)
    [done], _ = azureml_sync.sync(run.store)
    assert done["problem"] is None
    assert_server_holds_all(run.store, run.run_id, azureml)
    assert [r.fault for r in azureml.requests(path=f"{path}$") if r.fault]
    [version] = azureml.registered_versions(name)
    assert version.tags == {"textgauge.alias": "challenger", "textgauge.run_id": run.run_id}


@pytest.mark.parametrize("action", ["cut_before", "cut_after"])
def test_metrics_are_sent_again_only_if_they_did_not_arrive(
    action: str, azureml: AzureMLStandIn, azureml_sync: Synchroniser, unsent: Unsent
) -> None:
    """Seen by the requests: the stand-in's store, unlike others, keeps equal values only once."""
    azureml_sync.sync(unsent(azureml, "undisturbed").store)
    sizes = batch_sizes(azureml)
    azureml.reset()
    run = unsent(azureml)
    azureml.add_fault(action=action, path="/runs/log-batch$", after=len(sizes) - 1)
    [done], _ = azureml_sync.sync(run.store)
    assert done["problem"] is None
    again = sizes[-1:] if action == "cut_before" else []
    assert batch_sizes(azureml) == sizes + again
    assert_server_holds_all(run.store, run.run_id, azureml)


@pytest.mark.parametrize("once", [True, False], ids=["named once", "put once"])
@pytest.mark.parametrize(
    ("action", "path"),
    [
        ("cut_before", "/batch/metadata"),
        ("cut_after", "/batch/metadata"),
        ("cut_before", "blob.core.windows.net"),
        ("cut_after", "blob.core.windows.net"),
    ],
)
def test_a_file_is_sent_whole(
    action: str,
    path: str,
    once: bool,
    azureml: AzureMLStandIn,
    azureml_sync: Synchroniser,
    unsent: Unsent,
) -> None:
    run = unsent(azureml)
    azureml.name_artifacts_once(once)
    azureml.add_fault(action=action, path=path, after=1)
    [done], _ = azureml_sync.sync(run.store)
    assert len([r for r in azureml.requests() if r.fault]) == 1
    assert done["problem"] is None
    assert_server_holds_all(run.store, run.run_id, azureml)


@pytest.mark.parametrize("by", ["write", "contentinfo"])
def test_a_name_without_bytes_gets_them_where_the_service_lets_one(
    by: str, azureml: AzureMLStandIn, azureml_sync: Synchroniser, unsent: Unsent
) -> None:
    run = unsent(azureml, model_name=f"filled-by-{by}")
    azureml.give_place_for_a_name(by)
    for after in (0, len(complete_files(run.folder)) - 1):  # An ordinary file; the model's last.
        azureml.add_fault(action="cut_after", path="/batch/metadata", after=after)
    [done], _ = azureml_sync.sync(run.store)
    assert len([r for r in azureml.requests() if r.fault]) == 2
    assert done["problem"] is None
    assert_server_holds_all(run.store, run.run_id, azureml)
    assert len(azureml.registered_versions(f"filled-by-{by}")) == 1


@pytest.mark.parametrize("which", ["an ordinary file", "the last one of the model"])
def test_a_name_without_bytes_is_told_and_mended_by_a_new_run(
    which: str, azureml: AzureMLStandIn, azureml_sync: Synchroniser, unsent: Unsent
) -> None:
    name = f"with-{which.replace(' ', '-')}"
    run = unsent(azureml, model_name=name)
    azureml.give_place_for_a_name("none")
    files = complete_files(run.folder)
    number = 0 if which == "an ordinary file" else len(files) - 1
    azureml.add_fault(action="cut_after", path="/batch/metadata", after=number)
    [done], _ = azureml_sync.sync(run.store)
    hollow = {path for path in files if path in done["problem"]}
    assert len(hollow) == 1
    if number:
        assert hollow == {"model/MLmodel"}
    # All else is there: a model with a hole in it is no version of anything.
    first = entry_of(run.store, run.run_id).server_run_id
    assert first is not None
    assert azureml.artifacts(first).keys() == files - hollow
    assert azureml.run(first).info.status == "FINISHED"
    in_model = next(iter(hollow)).startswith("model/")
    assert len(azureml.registered_versions(name) if not in_model else [0]) == 1
    if in_model:
        assert not azureml.requests(path="/model-versions/create")
    # Asked again, it says the same, and never that all is well.
    [again], _ = azureml_sync.sync(run.store)
    assert again["problem"] == done["problem"]
    assert f"delete the run {first} there and run: textgauge sync {run.run_id}." in again["problem"]
    azureml.client().delete_run(azureml.stored_run_id(first))
    [mended], _ = azureml_sync.sync(run.store, run.run_id)
    assert mended["problem"] is None
    assert mended["server_run_id"] != first
    assert_server_holds_all(run.store, run.run_id, azureml)
    newest = azureml.registered_versions(name)[-1]
    assert azureml.stored_run_id(mended["server_run_id"]) == newest.run_id


def test_what_arrived_is_not_sent_again(
    azureml: AzureMLStandIn, azureml_sync: Synchroniser, unsent: Unsent
) -> None:
    run = unsent(azureml)
    # Everything but the status.
    azureml.add_fault(action="status", status=503, path="/runs/update$", times=None)
    [done], _ = azureml_sync.sync(run.store)
    assert done["problem"] == (
        "The Azure ML workspace texts-workspace answers with an error of its own (503)."
    )
    azureml.reset()
    [done], _ = azureml_sync.sync(run.store)
    assert done["problem"] is None
    assert_server_holds_all(run.store, run.run_id, azureml)
    assert not azureml.requests(path="/runs/create|/log-batch|/log-inputs|/batch/metadata")
    azureml.reset()
    assert azureml_sync.sync(run.store) == ([], [])
    assert azureml.requests() == []


def batch_sizes(azureml: AzureMLStandIn) -> list[int]:
    """How many bytes each batch of tags, parameters or metrics had; the metrics come last."""
    return [request.size for request in azureml.requests(path="/runs/log-batch$")]
