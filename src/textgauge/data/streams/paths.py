"""Which files a path, a glob or a folder stands for, and what the names of their folders tell."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from ...errors import TableError
from ..columns import listed
from ..tables import tables_among
from .origin import reading

DELTA_LOG = "_delta_log"
_PARTITION = re.compile(r"([^=]+)=(.*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Found:
    """A file, and what the folders that it is in tell of its rows: `year=2024/part-0.parquet`."""

    path: Path
    name: str
    values: dict[str, str | None] = field(default_factory=dict)


def find_files(text: str) -> tuple[list[Found], str]:
    """Return the files, sorted by name, and what they are called together.

    Files whose names begin with a dot or an underscore are passed over, and those of a folder that
    end as no table does. Raises TableError where there is none.
    """
    path = Path(text).expanduser()
    if glob.has_magic(text) and not _there(path):
        files = _matching(str(path), text)
        return files, _called(files, path.parent)
    if path.is_dir():
        files = _inside(path)
        return files, _called(files, path)
    return [Found(path, path.name)], path.name


def _called(files: list[Found], folder: Path) -> str:
    if len(files) == 1:
        return files[0].name
    name = "" if glob.has_magic(str(folder)) else folder.name or folder.resolve().name
    return f"{len(files):,} files" + (f" in {name}" if name else "")


def is_delta(text: str) -> bool:
    """Whether a path is that of a Delta table."""
    return _there(Path(text).expanduser() / DELTA_LOG)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # No path could be so long, or hold such a character.


def _matching(pattern: str, given: str) -> list[Found]:
    hidden = Path(pattern).name.startswith("_")
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path's needs relative ones
    paths = [Path(each) for each in sorted(matches)]
    files = [path for path in paths if path.is_file() and (hidden or path.name[0] not in "._")]
    if not files:
        folders = f" It matches folders only: {listed([p.name for p in paths])}." if paths else ""
        raise TableError(
            f"no file matches {given!r}.{folders} Check the path, and put it in quotes on a "
            "command line."
        )
    return [Found(path, path.name) for path in files]


def _inside(folder: Path) -> list[Found]:
    found, others = _walk(folder, folder, {})
    if not found:
        what = f"holds {listed(others)}, no table" if others else "is empty"
        raise TableError(
            f"the folder {folder} {what}. Name a folder of .csv, .tsv, .jsonl, .parquet or .arrow "
            "files."
        )
    return found


def _walk(folder: Path, root: Path, values: dict[str, str | None]) -> tuple[list[Found], list[str]]:
    """Return the tables of a folder and its partitions' folders, and what else is there."""
    found: list[Found] = []
    others: list[str] = []
    with reading(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name[0] in "._":
            continue
        path = Path(entry.path)
        if entry.is_dir():
            partition = _PARTITION.fullmatch(entry.name)
            if partition is None:
                others.append(f"{entry.name}/")
                continue
            value = None if partition[2] == _NO_VALUE else unquote(partition[2])
            inner, more = _walk(path, root, {**values, unquote(partition[1]): value})
            found += inner
            others += more
        elif tables_among([entry.name.lower()]):
            found.append(Found(path, str(path.relative_to(root)), values))
        else:
            others.append(entry.name)
    return found, others


def partition_types(files: list[Found]) -> dict[str, pl.DataType]:
    """Return the columns that the folders tell of: Int64 where all values are whole numbers."""
    columns: dict[str, set[str]] = {}
    for file in files:
        for name, value in file.values.items():
            columns.setdefault(name, set()).update([] if value is None else [value])
    return {
        name: pl.Int64() if values and all(map(_is_whole, values)) else pl.String()
        for name, values in columns.items()
    }


def _is_whole(value: str) -> bool:
    return bool(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value))
