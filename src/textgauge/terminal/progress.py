"""How far the work is: a bar and a row an epoch on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import IO, Any

from ..training.history import Epoch
from ..training.progress import NoProgress, Progress

_HEADER = "epoch   train loss   train acc.    val loss    val acc.   seconds"


OFTEN = 10.0
"""Seconds between two lines of a log that tell how many rows are done."""


def progress_stream() -> IO[str]:
    """Where progress is shown: standard error, but in a notebook standard output.

    Notebooks show the other in red, as if something had gone wrong.
    """
    in_notebook = type(sys.stdout).__module__.startswith("ipykernel.")
    return sys.stdout if in_notebook else sys.stderr


def progress_for(stream: IO[str], *, quiet: bool = False) -> Progress:
    """The progress display that suits a stream."""
    if quiet:
        return OnlyWarnings(stream)
    return TerminalProgress(stream) if stream.isatty() else PlainProgress(stream)


class OnlyWarnings(NoProgress):
    """Says nothing but what a person must know: `--quiet`."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def warn(self, text: str) -> None:
        """Print the warning."""
        print(f"warning: {text}", file=self._stream, flush=True)


class PlainProgress(OnlyWarnings):
    """A line for each thing that happens; for logs."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._epochs = 0
        self._pace = Pace()
        self._told = time.monotonic()

    def stage(self, text: str) -> None:
        """Print the stage."""
        self._print(f"{text} …")

    def rows(self, rows: int, share: float) -> None:
        """Print how many rows are done, now and then."""
        told = self._pace.told(rows, share, time.monotonic())
        if time.monotonic() - self._told >= OFTEN:
            self._print(told)
            self._told = time.monotonic()

    def epoch(self, epoch: Epoch) -> None:
        """Print the epoch's figures, below a header the first time."""
        if not self._epochs:
            self._print(_HEADER)
        self._epochs += 1
        self._print(epoch_row(epoch))

    def note(self, text: str) -> None:
        """Print the note."""
        self._print(text)

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class TerminalProgress(PlainProgress):
    """The current stage and a bar in the last line; finished epochs stay above it."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task: Any = None

    def stage(self, text: str) -> None:
        """Show the stage in the last line."""
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(text, total=None)
        self._bar.update(self._task, description=text, completed=0)
        self._bar.tasks[0].total = None  # For `update`, None means "as it is".

    def step(self, step: int, steps: int) -> None:
        """Move the bar."""
        if self._task is not None:
            done = f"epoch {self._epochs + 1}"
            self._bar.update(self._task, description=done, total=steps, completed=step)

    def rows(self, rows: int, share: float) -> None:
        """Move the bar, and show the pace beside it."""
        if self._task is not None:
            done = self._pace.told(rows, share, time.monotonic())
            self._bar.update(
                self._task, description=done, total=1.0 if share else None, completed=share
            )

    def warn(self, text: str) -> None:
        """Print the warning above the bar."""
        self._print(f"warning: {text}")

    def close(self) -> None:
        """Take the last line away."""
        self._bar.stop()

    def _print(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Pace:
    """How fast rows are done, since the first that were told of here."""

    def __init__(self) -> None:
        self._first: tuple[int, float, float] | None = None

    def told(self, rows: int, share: float, now: float) -> str:
        """Rows done, rows a second and the time left, as far as they are known.

        Args:
            rows: that are done.
            share: of all rows, in [0, 1]; 0 where it is not known.
            now: seconds on any clock.

        >>> pace = Pace()
        >>> pace.told(0, 0.0, 100.0)
        '0 rows'
        >>> pace.told(3_000_000, 0.25, 102.0)
        '3,000,000 rows, 1,500,000 a second, 6 s left'
        """
        if self._first is None:
            self._first = (rows, share, now)
        before, share_before, begin = self._first
        text, seconds = f"{rows:,} rows", now - begin
        if seconds > 0 and rows > before:
            text += f", {(rows - before) / seconds:,.0f} a second"
        if seconds > 0 and share > share_before:
            text += f", {_duration((1 - share) * seconds / (share - share_before))} left"
        return text


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def epoch_row(epoch: Epoch) -> str:
    """The figures of an epoch, in the columns of the header."""
    return (
        f"{epoch.epoch:>5}   {epoch.train_loss:>10.4f}   {epoch.train_accuracy:>10.2%}   "
        f"{epoch.val_loss:>9.4f}   {epoch.val_accuracy:>9.2%}   {epoch.seconds:>7.1f}"
    )


def close(progress: Progress) -> None:
    """End a display that holds the last line of the terminal."""
    if isinstance(progress, TerminalProgress):
        progress.close()
        sys.stderr.flush()
