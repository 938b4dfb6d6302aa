"""Stop at any epoch, go on later, and end with the same weights."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import BundleError, StorageError
from .history import Epoch

FORMAT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Everything the loop needs to go on after an epoch as if it had never stopped.

    Attributes:
        weights: the model after its last epoch.
        best_weights: the model after its best epoch.
        optimizer: Adam's moments by parameter.
        history: the epochs so far. Chance needs nothing kept: each epoch draws afresh (`chance`).

    """

    weights: Mapping[str, Tensor]
    best_weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    history: tuple[Epoch, ...]

    def save(self, path: Path, identity: str) -> None:
        """Write one safetensors file; it appears whole or not at all.

        Args:
            path: the file.
            identity: what it belongs to (settings and data); `load` refuses another.

        """
        tensors: dict[str, Tensor] = {}
        for group in ("weights", "best_weights", "optimizer"):
            for name, tensor in getattr(self, group).items():
                tensors[f"{group}/{name}"] = tensor.detach().clone().contiguous()
        state = {
            "format": FORMAT,
            "identity": identity,
            "history": [epoch.to_json() for epoch in self.history],
        }
        partial = path.with_suffix(".partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(save(tensors, metadata={"state": json.dumps(state)}))
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise StorageError(
                f"the checkpoint {path} cannot be written: {error.strerror or error}."
            ) from error

    @classmethod
    def load(cls, path: Path, identity: str) -> Checkpoint:
        """Read a checkpoint back.

        Raises:
            BundleError: it is missing, damaged, or belongs to other settings or data.

        """
        groups: dict[str, dict[str, Tensor]] = {"weights": {}, "best_weights": {}, "optimizer": {}}
        try:
            with safe_open(path, framework="pt") as file:
                state = json.loads((file.metadata() or {})["state"])
                for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    group, _, name = key.partition("/")
                    if name:
                        groups[group][name] = file.get_tensor(key)
        except FileNotFoundError:
            raise BundleError(
                f"there is no checkpoint at {path}: the run ended whole, or before its first epoch "
                "was over. Train again without --resume."
            ) from None
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise BundleError(f"the checkpoint {path} is damaged ({error}); train again.") from None
        if state["format"] != FORMAT:
            raise BundleError(
                f"the checkpoint {path} was written by another version of textgauge (format "
                f"{state['format']}, this one reads {FORMAT}). Train again without --resume."
            )
        if state["identity"] != identity:
            raise BundleError(
                f"the checkpoint {path} belongs to another table or other settings. Pass the same "
                "table and settings as before, or train again without --resume."
            )
        history = tuple(Epoch(**epoch) for epoch in state["history"])
        return cls(
            groups["weights"],
            groups["best_weights"],
            groups["optimizer"],
            history,
        )


class CheckpointKeeper:
    """Keeps the newest checkpoint, and writes it now and then and when training is interrupted.

    Args:
        place: where to write, or None while that is not known yet.
        identity: what the checkpoint belongs to.
        every: seconds between two writes; a short run that ends well never writes.

    """

    def __init__(
        self, place: Callable[[], Path | None], identity: str, every: float = 20.0
    ) -> None:
        self._place, self.identity, self._every = place, identity, every
        self._newest: Checkpoint | None = None
        self._written_at = time.monotonic()

    def keep(self, checkpoint: Checkpoint) -> None:
        """Take the checkpoint of an epoch; write it if the last write is long ago."""
        self._newest = checkpoint
        if time.monotonic() - self._written_at >= self._every:
            self.write()

    def write(self) -> Path | None:
        """Write the newest checkpoint; None if there is none, or no place for it."""
        place = self._place()
        if self._newest is None or place is None:
            return None
        self._newest.save(place, self.identity)
        self._written_at = time.monotonic()
        return place

    def discard(self) -> None:
        """Training ended well: nothing is left to resume."""
        place = self._place()
        if place is not None and place.exists():
            place.unlink()
            # The folders are the keeper's own, unless another run's checkpoint lies there.
            for folder in (place.parent, place.parent.parent):
                if any(folder.iterdir()):
                    break
                folder.rmdir()
