"""The code that a saved model takes along, so that it predicts where textgauge is not installed.

    BUNDLE/code/textgauge_predictor_<8 hex>/   errors.py, text/…, bundle/predictor.py, …

The package is named after its contents, so that it clashes neither with an installed textgauge nor
with another model's code in the same process; it works under any name because its imports are
relative.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

CARRIED_FILES = (
    "bundle/decision.py",
    "bundle/files.py",
    "bundle/label_sets.py",
    "bundle/network.py",
    "bundle/predictor.py",
    "bundle/pyfunc.py",
    "bundle/settings.py",
    "bundle/stored.py",
    "cores.py",
    "data/normal_form.py",
    "data/texts.py",
    "errors.py",
    "text/encoder.py",
    "text/grams.py",
    "text/notation.py",
    "text/numbers.py",
    "text/pretrained.py",
    "text/reader.py",
    "text/reading.py",
    "text/tokens.py",
    "text/vocabulary.py",
)
"""The code that a saved model takes along: the loader and all that it imports of this package."""

CODE_FOLDER = "code"
PACKAGE_PREFIX = "textgauge_predictor_"
PACKAGE = Path(__file__).resolve().parent.parent
"""This package, which the carried files are taken from."""


def carry_code(folder: Path, source: Path = PACKAGE) -> str:
    """Put the predictor's code into the bundle `folder`; return the package's name there.

    Needs no MLflow. Code that an earlier call put there is replaced. `source` is the package to
    take the files from (this one).
    """
    contents = {name: (source / name).read_bytes() for name in CARRIED_FILES}
    for name in list(contents):
        for parent in Path(name).parents:
            # The real __init__ files offer more of the package than is carried.
            contents.setdefault(
                (parent / "__init__.py").as_posix(),
                b'"""Carried by a model that textgauge trained."""\n',
            )
    package = PACKAGE_PREFIX + digest_of(contents)
    code = folder / CODE_FOLDER
    for earlier in code.glob(PACKAGE_PREFIX + "*"):
        if earlier.name != package:
            shutil.rmtree(earlier)
    for name, content in contents.items():
        path = code / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    return package


def digest_of(contents: Mapping[str, bytes]) -> str:
    """What a package of these files, by their names in it, is named after: 8 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name}\0{len(contents[name])}\0".encode() + contents[name])
    return digest.hexdigest()[:8]


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all, even to a reader at the same time."""
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
