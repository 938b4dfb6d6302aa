"""Where the files of a run lie, before and after it is tracked."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from .errors import StorageError
from .tracking.protocol import RunRecord

WAITING = Path(".textgauge")
"""Where interrupted runs wait to be resumed, below the working folder."""


def refuse_full_folder(out: Path | str | None, how: str = " with --out") -> Path | None:
    """`out` as a path, if a model can be put there. Raises StorageError otherwise.

    `how` says how another folder is given.
    """
    if out is None:
        return None
    folder = Path(out)
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise StorageError(
                f"{folder} is not empty; give a new folder{how}, or remove it first."
            )
        # Find out now, not after the training, whether anything can be written there.
        in_the_way = next((p for p in (folder, *folder.parents) if p.exists()), folder)
        if not in_the_way.is_dir():
            raise StorageError(
                f"{in_the_way} is a file, so there can be no folder {folder}. "
                "Give another folder with --out."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as error:
        raise StorageError(
            f"nothing can be written in {folder.parent.resolve()}: {error.strerror or error}. "
            f"Give another folder{how}."
        ) from error
    return folder


def staging_folder(target: Path | None) -> tempfile.TemporaryDirectory[str]:
    """A folder that lasts as long as the training, where renaming to `target` is possible.

    The model lies there until it is proved and tracked: `target` holds a good model or nothing.
    """
    if target is None:
        return tempfile.TemporaryDirectory(prefix="textgauge-")
    return tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent)


def kept_bundle(record: RunRecord, bundle: Path) -> Path:
    """Where the model stays once the temporary folder is gone."""
    if record.artifact_folder is not None:
        return record.artifact_folder / "model"
    kept = WAITING / record.run_id / "model"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle, kept, dirs_exist_ok=True)
    return kept
