"""Bytes for an artifact of Azure ML that has a name and no bytes.

Its client makes a name first and puts the bytes afterwards, to an address that came with the name.
If that answer is lost, the service gives the name to nobody again, and the client has no way to the
address. Azure's Artifact API has one ("Get writable shared access signature for Artifact"); what is
read through may do as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_PATIENCE = 30.0
"""Seconds for the service to answer."""

_RUN = re.compile(r"/experiments/(?P<experiment>[^/]+)/runs/(?P<run>[^/]+)/artifacts")


def put_bytes(host: str, scope: str, token: str, artifact_uri: str, path: str, file: Path) -> bool:
    """Put `file` where a run's artifact has its place; False if nobody gives one to write to.

    Args:
        host: of the region's service, such as `https://westeurope.api.azureml.ms`.
        scope: of the workspace, `/subscriptions/…/workspaces/W`.
        token: for the service.
        artifact_uri: of the run, `azureml://…/experiments/E/runs/R/artifacts`.
        path: of the artifact in the run.
        file: its bytes.

    Raises:
        what the network raises, and Azure's exceptions but for a place that takes no bytes.

    """
    from azure.core.exceptions import HttpResponseError, ResourceExistsError
    from azure.storage.blob import BlobClient

    for place in _places(host, scope, token, artifact_uri, path):
        try:
            with file.open("rb") as stream:
                BlobClient.from_blob_url(place).upload_blob(stream)
        except ResourceExistsError:
            return True  # Another attempt got through meanwhile; it was of the same file.
        except HttpResponseError as error:
            if error.status_code != 403:
                raise
        else:
            return True
    return False


def _places(host: str, scope: str, token: str, artifact_uri: str, path: str) -> Iterator[str]:
    """Addresses of the artifact's blob: the one to write to, then the one to read from."""
    import requests

    match = _RUN.search(artifact_uri)
    if match is None:
        return
    of_run = f"{host}/history/v1.0{scope}/experiments/{match['experiment']}/runs/{match['run']}"
    of_store = f"{host}/artifact/v2.0{scope}/artifacts/ExperimentRun/dcid.{match['run']}"
    for address in (f"{of_store}/write", f"{of_run}/artifacts/contentinfo"):
        answer = requests.get(
            address,
            params={"path": path},
            headers={"Authorization": f"Bearer {token}"},
            timeout=_PATIENCE,
        )
        if answer.status_code in (404, 405):
            continue
        answer.raise_for_status()
        place = answer.json().get("contentUri")
        if place:
            yield str(place)
