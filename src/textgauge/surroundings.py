"""What a result depends on besides table and settings: versions, the machine, where the table was.

A run records it with its model; `verify` compares it with what there is now.
"""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import as_utf8

PACKAGES = ("textgauge", "torch", "numpy", "polars", "scikit-learn", "onnx", "onnxruntime")
"""Of other versions the last bits may differ, or more."""


def made_with() -> dict[str, dict[str, str]]:
    """`versions` of Python and the packages, and facts on the `machine`: which sums come first."""
    import torch

    return {
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "instructions": str(torch.backends.cpu.get_cpu_capability()),
        },
    }


def origin(
    source: Any, *, engine: str, workers: int, encoding: str | None, delimiter: str | None
) -> dict[str, str | int | None]:
    """Where a table came from and how it was read, for whoever reads it again.

    `source` is a file's whole path, or another name without login; None for what has no place:
    standard input, a DataFrame.
    """
    return {
        "source": _place(source),
        "encoding": encoding,
        "delimiter": delimiter,
        "engine": "spark" if type(source).__module__.startswith("pyspark.") else engine,
        "workers": workers,
    }


def _place(source: Any) -> str | None:
    """See `origin`.

    >>> _place("https://me:secret@host/notes.csv?sig=1"), _place("-")
    ('https://host/notes.csv', None)
    """
    if not isinstance(source, str | Path) or str(source) == "-":
        return None
    text = str(source)
    if "://" in text:
        parts = urlsplit(text)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    path = Path(text).expanduser()
    return as_utf8(str(path.resolve()) if path.exists() else text)
