"""Standard input as a table's source, whose waiting Ctrl-C ends at any moment."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any, BinaryIO, cast

from ..errors import TableError

_PATIENCE = 0.2  # seconds in which a signal is not heeded, at most


def open_standard_input(command: str) -> BinaryIO:
    """Open what is sent to this process; `command` is the beginning of an example.

    Raises TableError where nothing is sent, since a terminal would wait for what is typed.
    """
    if sys.stdin.isatty():
        raise TableError(
            f"nothing is sent to standard input. Send a table: textgauge {command} - < notes.csv"
        )
    try:
        number = sys.stdin.fileno()
        select.select([number], [], [], 0)
    except (OSError, ValueError):  # no file of the system's, or a system that cannot wait for one
        return sys.stdin.buffer
    return cast("BinaryIO", io.BufferedReader(_Awaited(number)))


def standard_input_is_empty() -> TableError:
    """Make the error for a pipe that ended without a table."""
    return TableError("standard input is empty. See that the command before the pipe works.")


class _Awaited(io.RawIOBase):
    """A file that is waited for in short turns.

    A signal that comes between Python's last look and the system call does not end that call:
    a plain `read` would then wait for bytes that may never come.
    """

    def __init__(self, number: int):
        super().__init__()
        self._number = number

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not select.select([self._number], [], [], _PATIENCE)[0]:
            pass
        return os.readv(self._number, [buffer])
