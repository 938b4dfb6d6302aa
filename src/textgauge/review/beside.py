"""Work in a process of its own beside the training, on texts that are handed over in a folder.

scikit-learn takes longer to import than a small model to train, so what needs it runs beside. The
process says with a line when a result is written, and waits for one where it is to go on.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import TextgaugeError

_ERRORS = "errors.txt"


class Beside:
    """A module at work in its own process, and the folder that both share.

    Args:
        module: its name; run as `python -m`, with the folder and `arguments` behind.
        texts: written as NAME.arrow, with a column `text`.
        triples: of the training texts, written as triples.npy. Shape: (3, triples).
        rows: of each training text, written as rows.npy, where the module wants them.
        arguments: for the module.
        environment: variables of the process besides those that it inherits.

    """

    def __init__(
        self,
        module: str,
        texts: Mapping[str, pl.Series],
        triples: npt.NDArray[np.int64],
        *,
        rows: npt.NDArray[np.int64] | None = None,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="textgauge-beside-")
        self.path = Path(self._folder.name)
        for name, column in texts.items():
            pl.DataFrame({"text": column}).write_ipc(self.path / f"{name}.arrow")
        np.save(self.path / "triples.npy", triples, allow_pickle=False)
        if rows is not None:
            np.save(self.path / "rows.npy", rows, allow_pickle=False)
        options: dict[str, Any] = {}
        if environment is not None:
            options["env"] = {**os.environ, **environment}
        # Into a file: a pipe that nobody reads could fill up.
        with (self.path / _ERRORS).open("wb") as errors:
            self._process = subprocess.Popen(
                # -P: a file of the user's that is called like a module must not be imported.
                [sys.executable, "-P", "-m", module, str(self.path), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                **options,
            )

    def hear(self, failure: str) -> None:
        """Wait until the process says that the next of its results is written.

        Raises:
            TextgaugeError: it ended instead; `failure` says what could not be done.

        """
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self._process.wait()
            said = (self.path / _ERRORS).read_text("utf-8", errors="replace")
            last = said.strip().splitlines()[-1:] or ["no message"]
            self.stop()
            raise TextgaugeError(f"{failure}: {last[0]}")

    def go_on(self) -> None:
        """Let the process go on, if it is still there: else `hear` tells why not."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """End the process if it still runs, and clean up."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._folder.cleanup()
