"""MLflow's client, imported without what it was not asked for.

At its import MLflow loads every plugin that is installed. Azure ML's takes more than a second, and
asks the network if the cloud is not the public one: a workspace that is down would keep the local
store from being opened. So it is left out at first, and taken in when a workspace is tracked to.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PLUGIN = "azureml"


def import_client() -> Any:
    """MLflow's client class. A plugin that somebody imported before stays in."""
    with _hidden(_PLUGIN), warnings.catch_warnings():
        # MLflow 3.15 uses what SQLAlchemy 2.1 deprecates, and tells of the plugin left out; both
        # are no concern of the user's.
        warnings.simplefilter("ignore")
        from mlflow.tracking._model_registry.utils import _get_store_registry
        from mlflow.tracking.client import MlflowClient

        _get_store_registry()  # It is made at the first use, and loads the plugins then.
    return MlflowClient


def take_in_plugins() -> None:
    """Register the plugins that `import_client` left out.

    Raises what a plugin raises at its import; call again.
    """
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
    from mlflow.tracking._model_registry.utils import _get_store_registry
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    registries = (_tracking_store_registry, _get_store_registry(), _artifact_repository_registry)
    for registry in registries:
        if _PLUGIN not in registry._registry:
            registry.register_entrypoints()


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Let imports of a package fail that is not imported yet."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
