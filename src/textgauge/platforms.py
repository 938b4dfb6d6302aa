"""Where this Python runs, and what follows from it: where runs are tracked, where files may lie."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATABRICKS, AZURE_ML, LOCAL = "Databricks", "Azure Machine Learning", "this machine"

_DATABRICKS_DISK = Path("/local_disk0/tmp")
_AZURE_ML_DISK = Path("/var/tmp")
_CLUSTER_NAME = "spark.databricks.clusterUsageTags.clusterName"


@dataclass(frozen=True)
class Platform:
    """Where this Python runs.

    Attributes:
        name: "Databricks", "Azure Machine Learning" or "this machine".
        cluster: the name of the cluster, or of the compute instance; None where there is none.
        tracking_uri: where runs go, as `textgauge.train` takes it; None: the local store.
        folder: for the files of a run, on a disk of the machine's own. The local store needs locks,
            which workspace files, volumes and network shares do not have.
        spark: the Spark session that is there already, or None; none is started.

    """

    name: str
    cluster: str | None
    tracking_uri: str | None
    folder: Path
    spark: Any = field(default=None, repr=False)

    def model_name(self, name: str) -> str:
        """`name` as the registry takes it: in Unity Catalog below the session's catalog and schema.

        Without a session (tracking to Databricks from elsewhere) the name stays as it is.
        """
        if self.spark is None or not (self.tracking_uri or "").startswith("databricks"):
            return name
        catalog = self.spark.catalog
        return f"{catalog.currentCatalog()}.{catalog.currentDatabase()}.{name}"

    def __str__(self) -> str:
        from .tracking.failures import public_uri

        named = "" if self.cluster is None else f", {self.cluster}"
        return "\n".join(
            [
                f"runs on: {self.name}{named}",
                f"Spark session: {'none' if self.spark is None else 'yes'}",
                f"tracks to: {public_uri(self.tracking_uri or 'the local store, mlflow.db')}",
            ]
        )


def platform(azureml: str | None = None) -> Platform:
    """Find out where this Python runs, a notebook for example, from what the platform sets.

    Databricks sets DATABRICKS_RUNTIME_VERSION, a compute instance of Azure Machine Learning
    CI_NAME and MLFLOW_TRACKING_URI.

    Args:
        azureml: the Azure ML workspace to track in, from anywhere: SUBSCRIPTION/GROUP/WORKSPACE, or
            its config.json. Default: MLFLOW_TRACKING_URI, on Databricks its own workspace, else the
            local store.

    Returns:
        The platform; its `folder` is there.

    Raises:
        TrackingError: `azureml` names no workspace.

    """
    environ = os.environ
    uri, spark, cluster = environ.get("MLFLOW_TRACKING_URI") or None, _spark_session(), None
    if environ.get("DATABRICKS_RUNTIME_VERSION"):
        name, folder, uri = DATABRICKS, _DATABRICKS_DISK, uri or "databricks"
        if spark is not None:
            cluster = spark.conf.get(_CLUSTER_NAME, None)
    elif environ.get("CI_NAME") and (uri or "").startswith("azureml:"):
        # The home folder is a network share there.
        name, folder, cluster = AZURE_ML, _AZURE_ML_DISK / getpass.getuser(), environ["CI_NAME"]
    else:
        name, folder = LOCAL, Path.cwd()
    if azureml is not None:
        from .tracking.servers.azureml import AzureML

        uri = AzureML.from_name(azureml).uri
    folder.mkdir(parents=True, exist_ok=True)
    return Platform(name, cluster, uri, folder, spark)


def _spark_session() -> Any:
    """The session of the notebook; pyspark is not imported to see that there is none."""
    if "pyspark" not in sys.modules and not os.environ.get("DATABRICKS_RUNTIME_VERSION"):
        return None
    try:
        from .engines.spark.session import running_session
    except ImportError:  # pyspark is not installed.
        return None
    return running_session()
