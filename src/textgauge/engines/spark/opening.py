"""From a table's name to a table that a training run can work with."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import Config
from ...errors import EngineError, SettingsError
from .executors import check_executors, slots_of
from .failures import explain
from .jobs import run_explained, run_job
from .session import open_session
from .table import ClusterTable
from .tables import open_table

if TYPE_CHECKING:
    from ...training.progress import Progress

_PATIENCE = 60.0
"""Seconds for the executors to look for a file."""


@contextmanager
def prepared_table(
    source: Any,
    config: Config,
    progress: Progress,
    *,
    master: str | None = None,
    workers: int | None = None,
    folder: Path | str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Iterator[ClusterTable]:
    """Open a session and a table on it; both, and what was written for them, last as long as this.

    Args:
        source: see `tables.open_table`.
        config: the settings.
        progress: is told how far it is.
        master: where no session is active; see `session.open_session`.
        workers: processes that train together; None: by the number of texts and of slots.
        folder: where executors and driver share files; None: a temporary one, where all of them
            are on this machine.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.

    Raises:
        TextgaugeError: see `open_session`, `check_executors`, `open_table` and `ClusterTable`.

    """
    with ExitStack() as stack:
        progress.stage("starting Spark")
        spark = stack.enter_context(open_session(master))
        check_executors(spark, workers or 1)
        shared = stack.enter_context(_shared_folder(spark, folder))
        progress.stage("reading")

        def prepare() -> ClusterTable:
            table = open_table(spark, source, encoding=encoding, delimiter=delimiter)
            return ClusterTable(spark, table, config, progress, folder=shared, workers=workers)

        name = str(source) if isinstance(source, str | Path) else "the table"
        yield run_explained(spark, "textgauge: checking and splitting", name, prepare)


@contextmanager
def _shared_folder(spark: Any, folder: Path | str | None) -> Iterator[Path]:
    """A new folder that the executors see as well, removed in the end."""
    master = str(spark.sparkContext.master)
    if folder is None and not (master.startswith("local") or "//127.0.0.1:" in master):
        raise SettingsError(
            "training on a cluster needs a folder that this machine and all executors see under "
            "the same path (on Databricks one in a volume, /Volumes/…). Name it with "
            "--spark-folder."
        )
    try:
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(
            prefix="textgauge-", dir=folder, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise SettingsError(
            f"nothing can be written in {folder}: {error.strerror or error}. Name another folder "
            "with --spark-folder."
        ) from error
    with made as name:
        shared = Path(name).absolute()
        # Another user's executors write here too.
        shared.chmod(0o777)
        _refuse_unshared(spark, shared)
        yield shared


def _refuse_unshared(spark: Any, folder: Path) -> None:
    """Raise EngineError unless every executor sees what was written here."""
    token = folder / uuid.uuid4().hex
    token.touch()
    name, slots = str(token), slots_of(spark) or 1

    def look(_: Any) -> bool:
        return os.path.exists(name)  # noqa: PTH110 - on another machine, with nothing imported

    try:
        seen = run_job(
            spark,
            "textgauge: looking for the shared folder",
            lambda: spark.sparkContext.parallelize(range(slots), slots).map(look).collect(),
            _PATIENCE,
        )
    except TimeoutError as error:
        raise EngineError("the executors do not answer; see the cluster's page.") from error
    except Exception as error:
        raise explain(error) from error
    finally:
        token.unlink(missing_ok=True)
    if not all(seen):
        raise EngineError(
            f"{len(seen) - sum(seen)} of {len(seen)} executor slots do not see the folder "
            f"{folder.parent}. Name one that this machine and all executors share with "
            "--spark-folder."
        )
