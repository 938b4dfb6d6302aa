"""What a person is told of an error that is no fault of the program's."""

from __future__ import annotations

import errno

from ..installed import how_to_get


def fault_text(error: BaseException) -> str:
    """The error in a sentence or two: what is wrong, where, what to do."""
    if isinstance(error, MemoryError):
        return "there is not enough memory. Use a smaller table, or a machine with more."
    if isinstance(error, ModuleNotFoundError):
        return (
            f"the package {error.name!r} is not installed in this environment. "
            f"{how_to_get((error.name or '').partition('.')[0])}"
        )
    if not isinstance(error, OSError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    # Polars gives no errno, but says it.
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        return (
            f"{where}no space is left on the disk. Make room where the results go and where "
            "temporary files go (TMPDIR names another folder), and run the command again."
        )
    return f"{where}{error.strerror or error}."
