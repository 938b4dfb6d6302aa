"""What is kept of a comparison below the working folder, so that it can be gone on with.

.textgauge/RUN_ID/
    comparison.json     what it compares, and the rows of the board that are whole
    trials.log          Optuna's journal of all trials
    MODEL-N.safetensors checkpoints: of trials at work, and of the best that is not on the board yet
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import SettingsError, StorageError
from .folders import WAITING
from .leaderboard import Entry

_FORMAT = 1
_FILE = "comparison.json"


@dataclass(frozen=True)
class Kept:
    """A comparison that is not over.

    Attributes:
        folder: where it is kept.
        settings: those that were given.
        table: its name.
        digest: of the table, cut into its parts.
        rows: the rows of the board that are whole: of each architecture its best trial.
        peers: the rows of the peers; none before they were measured.

    """

    folder: Path
    settings: Mapping[str, Any]
    table: str
    digest: str
    rows: Mapping[str, Entry] = field(default_factory=dict)
    peers: tuple[Entry, ...] = ()

    @classmethod
    def of_run(cls, run_id: str) -> Kept:
        """What is kept of a run.

        Raises:
            SettingsError: nothing, or it is no comparison.

        """
        folder = WAITING / run_id
        try:
            values = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SettingsError(_nothing_there(folder, run_id)) from None
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{folder / _FILE} cannot be read ({error}); compare again without --resume."
            ) from None
        if values.get("format") != _FORMAT:
            raise SettingsError(
                f"{folder} was written by another version of textgauge; compare again without "
                "--resume."
            )
        return cls(
            folder,
            values["settings"],
            values["table"],
            values["digest"],
            {model: Entry.from_json(row) for model, row in values["rows"].items()},
            tuple(Entry.from_json(row) for row in values["peers"]),
        )

    def refuse_other(self, settings: Mapping[str, Any], table: str, digest: str) -> None:
        """Raise SettingsError where a comparison with these is another one."""
        other = [
            f"{name} was {_told(self.settings.get(name))} and is {_told(settings.get(name))} now"
            for name in sorted({*self.settings, *settings})
            if self.settings.get(name) != settings.get(name)
        ]
        if other:
            raise SettingsError(
                f"this is not the comparison that is to be gone on with: {'; '.join(other)}. Pass "
                "the same settings as before, or compare again without --resume."
            )
        if digest != self.digest:
            raise SettingsError(
                f"{table} is not the table that is to be gone on with ({self.table}, as it was "
                "then): its rows are others. Pass that one, or compare again without --resume."
            )

    def with_row(self, entry: Entry) -> Kept:
        """With the row of an architecture, in the place of an earlier one; written."""
        return replace(self, rows={**self.rows, entry.model: entry}).write()

    def with_peers(self, peers: tuple[Entry, ...]) -> Kept:
        """With the rows of the peers; written."""
        return replace(self, peers=peers).write()

    def write(self) -> Kept:
        """Write it; the file is there whole or not at all. Raises StorageError."""
        values = {
            "format": _FORMAT,
            "settings": dict(self.settings),
            "table": self.table,
            "digest": self.digest,
            "rows": {model: asdict(entry) for model, entry in self.rows.items()},
            "peers": [asdict(entry) for entry in self.peers],
        }
        partial = self.folder / f"{_FILE}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")
            partial.replace(self.folder / _FILE)
        except OSError as error:
            raise StorageError(
                f"{self.folder / _FILE} cannot be written: {error.strerror or error}."
            ) from error
        return self

    def discard(self) -> None:
        """Nothing is left to go on with."""
        shutil.rmtree(self.folder, ignore_errors=True)
        parent = self.folder.parent
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def _nothing_there(folder: Path, run_id: str) -> str:
    if (folder / "checkpoint.safetensors").exists():
        return (
            f"the run {run_id} is a training, not a comparison: textgauge train TABLE --resume "
            f"{run_id}."
        )
    others = sorted(path.parent.name for path in WAITING.glob(f"*/{_FILE}"))
    known = f"There are {', '.join(others)}." if others else "None waits here."
    return (
        f"there is no comparison {run_id} to go on with in {folder.parent.resolve()}: it ended "
        f"whole, or was begun in another folder. {known}"
    )


def _told(value: Any) -> str:
    return "not given" if value is None else repr(value)
