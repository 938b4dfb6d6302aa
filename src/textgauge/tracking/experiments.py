"""Experiments, on any server."""

from __future__ import annotations

from typing import Any

from .failures import deleted_experiment


def find_or_create(client: Any, name: str, tracking_uri: str) -> str:
    """The experiment's id. Raises what MLflow raises, and TrackingError if it is deleted."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except Exception:
            # Somebody may have created it in this very moment, or a request of ours did of which
            # the answer was lost.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise deleted_experiment(name, found.experiment_id, tracking_uri)
    return str(found.experiment_id)
