"""Results that appear whole or not at all: a folder of files, or a table.

Spark writes beside the target; the last step is a renaming. A task that is run twice leaves its
rows once, because Spark lets only one attempt of each task commit.
"""

from __future__ import annotations

import abc
import contextlib
import re
import uuid
from types import TracebackType
from typing import Any, Self

from ...errors import StorageError, TextgaugeError
from .failures import explain, first_sentence
from .jobs import wait_for_tasks
from .leftovers import remove_left
from .storage import Storage, literal, parent_and_name

_AS_WRITTEN = {"ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false"}
_FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    ".parquet": ("parquet", {}),
    ".csv": ("csv", {"header": "true", "escape": '"', **_AS_WRITTEN}),
    ".tsv": ("csv", {"header": "true", "escape": '"', "sep": "\t", **_AS_WRITTEN}),
    ".jsonl": ("json", {"ignoreNullFields": "false"}),
    ".ndjson": ("json", {"ignoreNullFields": "false"}),
}
"""What Spark can write, by the ending of the folder's name: format and options."""

_TABLE_NAME = re.compile(r"\w+(\.\w+){0,2}")
_DONE = "_SUCCESS"

RECORD_COLUMNS = ("file", "record", "as_read")
"""Of the rows that could not be read; a table with others is nobody's to drop."""


class Output(abc.ABC):
    """A place for a table; a context manager that leaves nothing half-written behind."""

    name: str

    @abc.abstractmethod
    def write(self, frame: Any) -> None:
        """Write beside the target. Raises StorageError, or what the work on `frame` raises."""

    @abc.abstractmethod
    def count(self) -> int:
        """Rows that were written."""

    @abc.abstractmethod
    def is_empty(self) -> bool:
        """Whether not one file or row arrived where the target is."""

    @abc.abstractmethod
    def publish(self) -> None:
        """Put what was written in the target's place, whatever was there. Raises StorageError."""

    @abc.abstractmethod
    def remove(self) -> None:
        """Remove an earlier result of the target's name, if there is one."""

    @abc.abstractmethod
    def beside(self, suffix: str) -> Output:
        """A place for JSON records of the same name with something behind it."""

    @abc.abstractmethod
    def _tidy(self, *, broken_off: bool) -> None:
        """Remove what was written beside the target and not published."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(Exception):  # The first error is the one to tell.
            self._tidy(broken_off=kind is not None)


def open_output(session: Any, out: str) -> Output:
    """The place that `out` names: `scored.parquet`, `dbfs:/lab/scored.csv`, or a table's name.

    Raises:
        StorageError: the ending is not known, or something else is in the way.

    """
    found = re.search(r"\.\w+$", out.rstrip("/").lower())
    known = _FORMATS.get(found[0] if found else "")
    if known is not None:
        return FolderOutput(session, out, *known)
    if _TABLE_NAME.fullmatch(out):
        return TableOutput(session, out)
    raise StorageError(
        f"{out} has an ending that is not known; with --engine spark, score writes folders that "
        f"end in {', '.join(_FORMATS)}, and tables (CATALOG.SCHEMA.TABLE)."
    )


# ---- folders -------------------------------------------------------------------------------------


class FolderOutput(Output):
    """A folder of files, as Spark writes it."""

    def __init__(self, session: Any, out: str, form: str, options: dict[str, str]) -> None:
        self.name = out
        self._session, self._form, self._options = session, form, options
        self._storage = Storage(session)
        self._target = self._storage.absolute(out.rstrip("/"))
        parent, name = parent_and_name(self._target)
        mark = uuid.uuid4().hex[:8]
        self._partial = f"{parent}/.{name}-{mark}.partial"
        self._earlier = f"{parent}/.{name}-{mark}.earlier"
        self._refuse_foreign()
        try:
            self._storage.make_folder(parent)
        except Exception as error:
            raise self._cannot(error) from error

    def beside(self, suffix: str) -> Output:
        """A folder of JSON Lines."""
        return FolderOutput(self._session, self.name.rstrip("/") + suffix, *_FORMATS[".jsonl"])

    def _refuse_foreign(self) -> None:
        """Replace what Spark wrote, or a file of that name, and nothing else."""
        if not self._storage.is_folder(self._target):
            return
        names = self._storage.names_in(self._target)
        if names and _DONE not in names:
            raise StorageError(
                f"{self.name} is a folder that holds something else ({names[0]}); name another "
                "with --out, or remove it first."
            )

    def write(self, frame: Any) -> None:
        """Write beside the target."""
        try:
            frame.write.format(self._form).options(**self._options).save(self._partial)
        except Exception as error:
            if type(error).__name__ == "AnalysisException" or "PERMISSION" in str(error):
                raise self._cannot(error) from error
            raise explain(error) from error

    def count(self) -> int:
        """Rows that were written; of JSON Lines, lines."""
        assert self._form == "json"
        return int(self._session.read.text(literal(self._partial)).count())

    def is_empty(self) -> bool:
        """Whether no file arrived here, such as when executors write to their own disks."""
        names = self._storage.names_in(self._partial)
        return not any(name.startswith("part-") for name in names)

    def publish(self) -> None:
        """Rename; an earlier result is put back if that fails."""
        storage = self._storage
        try:
            there = storage.exists(self._target)
            if there:
                storage.rename(self._target, self._earlier)
            try:
                storage.rename(self._partial, self._target)
            except Exception:
                if there:
                    storage.rename(self._earlier, self._target)
                raise
            storage.remove(self._earlier)
        except Exception as error:
            raise self._cannot(error) from error

    def remove(self) -> None:
        """Remove an earlier result."""
        self._storage.remove(self._target)

    def _cannot(self, error: Exception) -> StorageError:
        return StorageError(f"{self.name} cannot be written: {first_sentence(_said(error))}")

    def _tidy(self, *, broken_off: bool) -> None:
        if broken_off:
            remove_left(self._session, self._storage, self._partial)
        else:
            self._storage.remove(self._partial)


# ---- tables --------------------------------------------------------------------------------------


class TableOutput(Output):
    """A table of Spark's catalog."""

    def __init__(self, session: Any, name: str) -> None:
        self.name = name
        self._session = session
        # A Delta table is overwritten in one transaction; other tables are renamed into place.
        self._at_once = session.conf.get("spark.sql.sources.default", "parquet") == "delta"
        mark = uuid.uuid4().hex[:8]
        self._partial = name if self._at_once else f"{name}__partial_{mark}"
        self._earlier = f"{name}__earlier_{mark}"
        self._rows: int | None = None

    def beside(self, suffix: str) -> Output:
        """A table."""
        return TableOutput(self._session, self.name + suffix.replace("-", "_"))

    def write(self, frame: Any) -> None:
        """Write a table beside the target, or the target where that happens at once or not."""
        writer = frame.write
        if self._at_once:
            writer = writer.mode("overwrite").option("overwriteSchema", "true")
        try:
            writer.saveAsTable(self._partial)
        except Exception as error:
            if type(error).__name__ == "AnalysisException":
                raise StorageError(
                    f"the table {self.name} cannot be written: {first_sentence(str(error))} For a "
                    f"folder, end its name in {', '.join(_FORMATS)}."
                ) from error
            raise explain(error) from error

    def count(self) -> int:
        """Rows that were written."""
        return int(self._session.table(self._partial).count())

    def is_empty(self) -> bool:
        """A table is where Spark's catalog says; it is not looked into."""
        return False

    def publish(self) -> None:
        """Rename; an earlier table is put back if that fails."""
        if self._at_once:
            return
        try:
            there = self._session.catalog.tableExists(self.name)
            if there:
                self._rename(self.name, self._earlier)
            try:
                self._rename(self._partial, self.name)
            except Exception:
                if there:
                    self._rename(self._earlier, self.name)
                raise
            if there:
                self._drop(self._earlier)
        except TextgaugeError:
            raise
        except Exception as error:
            said = first_sentence(str(error))
            raise StorageError(f"the table {self.name} cannot be replaced: {said}") from error

    def remove(self) -> None:
        """Drop an earlier result."""
        if self._session.catalog.tableExists(self.name) and set(RECORD_COLUMNS) == set(
            self._session.table(self.name).columns
        ):
            self._drop(self.name)

    def _rename(self, name: str, new: str) -> None:
        self._session.sql(f"ALTER TABLE {_quoted(name)} RENAME TO {_quoted(new)}")

    def _drop(self, name: str) -> None:
        self._session.sql(f"DROP TABLE IF EXISTS {_quoted(name)}")

    def _tidy(self, *, broken_off: bool) -> None:
        if self._at_once:
            return
        if broken_off:
            wait_for_tasks(self._session)
        self._drop(self._partial)


def _quoted(name: str) -> str:
    return ".".join(f"`{part}`" for part in name.split("."))


def _said(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return str(error) if java is None else str(java.getMessage())
