"""Files and folders as Spark sees them: this machine's, or those of a cluster's storage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


class Storage:
    """Questions and changes through the file systems that the session knows.

    Paths are strings: `/data/notes.csv`, `dbfs:/notes`, `abfss://…`. A relative one lies in the
    working folder where Spark's default storage is this machine's.
    """

    def __init__(self, session: Any) -> None:
        context = session.sparkContext
        self._paths = context._jvm.org.apache.hadoop.fs.Path
        self._systems = context._jvm.org.apache.hadoop.fs.FileSystem
        self._settings = context._jsc.hadoopConfiguration()

    def absolute(self, path: str) -> str:
        """The path in full."""
        if _SCHEME.match(path):
            return path
        default = str(self._systems.getDefaultUri(self._settings).getScheme())
        return str(Path(path).expanduser().absolute()) if default == "file" else path

    def find(self, pattern: str) -> list[str]:
        """Files and folders that match a glob, in order; a path that is there matches itself."""
        if self.exists(pattern):
            return [pattern]
        path = self._paths(pattern)
        found = self._system(path).globStatus(path)
        return sorted(str(each.getPath().toString()) for each in found or ())

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        place = self._paths(path)
        return bool(self._system(place).exists(place))

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder."""
        place = self._paths(path)
        system = self._system(place)
        return bool(system.exists(place) and system.getFileStatus(place).isDirectory())

    def size(self, path: str) -> int:
        """Bytes of a file."""
        place = self._paths(path)
        return int(self._system(place).getFileStatus(place).getLen())

    def names_in(self, folder: str) -> list[str]:
        """Names of the files and folders in a folder, in order."""
        place = self._paths(folder)
        return sorted(
            str(each.getPath().getName()) for each in self._system(place).listStatus(place)
        )

    def rename(self, path: str, new: str) -> None:
        """Give a file or folder another name. Raises OSError where that fails."""
        place = self._paths(path)
        if not self._system(place).rename(place, self._paths(new)):
            raise OSError(f"{path} cannot be renamed to {new}")

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; does nothing if there is none."""
        place = self._paths(path)
        self._system(place).delete(place, True)

    def make_folder(self, folder: str) -> None:
        """Make a folder and those above it. Raises OSError where that fails."""
        place = self._paths(folder)
        if not self._system(place).mkdirs(place):
            raise OSError(f"the folder {folder} cannot be made")

    def _system(self, path: Any) -> Any:
        return path.getFileSystem(self._settings)


def parent_and_name(path: str) -> tuple[str, str]:
    """Cut a path before its last name.

    >>> parent_and_name("dbfs:/lab/scored.parquet/"), parent_and_name("scored.csv")
    (('dbfs:/lab', 'scored.parquet'), ('.', 'scored.csv'))
    """
    parent, slash, name = path.rstrip("/").rpartition("/")
    return (parent or "/") if slash else ".", name


def literal(path: str) -> str:
    r"""The path as a pattern that matches nothing else: Spark reads every path as a glob.

    >>> literal("notes[1].csv")
    'notes\\[1\\].csv'
    """
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", path)
