"""Every error that textgauge raises on purpose, drawn as a tree.

    TextgaugeError                exit status 1: one clear message, no traceback
    ├── SettingsError             exit status 2: an option or a setting is wrong
    ├── TableError                a table cannot be read or cannot be used
    │   └── ColumnError           a column is missing or named wrongly
    ├── BundleError               a saved model is missing, damaged or from another version
    │   └── ProofError            a saved model does not predict what the trained model predicted
    ├── TrackingError             the tracking store or server refused, or is not there
    ├── StorageError              a file or folder cannot be written, or the disk is full
    ├── EngineError               Spark is not there, or its cluster cannot do the work
    └── MissingPackageError       an optional package is not installed

A message says what was wrong, where, what was found, and the next thing to try.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TextgaugeError(Exception):
    """The root of the tree: something that the user or the surroundings can mend."""

    exit_status = 1


class SettingsError(TextgaugeError):
    """An option or a setting has a value that cannot be used."""

    exit_status = 2


class TableError(TextgaugeError):
    """A table cannot be read, or holds nothing that can be trained on."""


class ColumnError(TableError):
    """A column that was asked for is not in the table."""


class BundleError(TextgaugeError):
    """A saved model is missing, damaged, or was written by another version."""


class ProofError(BundleError):
    """A saved model, loaded in a fresh process, does not predict as the trained one did."""


class TrackingError(TextgaugeError):
    """The tracking store or server refused something, or cannot be reached."""


class StorageError(TextgaugeError):
    """A file or folder cannot be written."""


class EngineError(TextgaugeError):
    """Spark cannot be started or reached, or its executors cannot do the work."""


class MissingPackageError(TextgaugeError):
    """A package that only some commands need is not installed."""


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C's, or came of it.

    Ctrl-C in the middle of an import, say, comes out as the ImportError of what was imported.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def as_utf8(name: str) -> str:
    """The name of a file as it can be written down: a question mark for each byte that is no UTF-8.

    >>> as_utf8(bytes([84, 252, 114]).decode("utf-8", "surrogateescape"))
    'T?r'
    """
    return name.encode("utf-8", "replace").decode("utf-8")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, or None if none is close.

    >>> nearest("lable", ["text", "label"])
    'label'
    """
    known = list(known)
    found = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.6)
    if not found:
        return None
    return next(k for k in known if k.lower() == found[0])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A ready piece of message, " Did you mean 'label'?", or "" if nothing is close."""
    close = nearest(name, known)
    return f" Did you mean {close!r}?" if close is not None else ""
