"""The files of a bundle as they were saved: each is checked before anything is made of it.

A bundle is data: JSON and a network. What is more than that is refused before it is read: a pickle
under whatever name, and a link that leaves the folder. `digests.json` tells what each file was when
it was saved, so that a file that was cut, changed or mixed up is found. It is no signature: whoever
changes a file on purpose can write a new digest, too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import BundleError
from . import files

PICKLE_SUFFIXES = frozenset(
    (
        *(".bin", ".ckpt", ".cloudpickle", ".dill", ".joblib", ".npy", ".npz"),
        *(".pickle", ".pkl", ".pt", ".pth"),
    )
)
"""Of files that Python's libraries unpickle, numpy's arrays of objects among them."""


class StoredFiles:
    """The files in the folder of a bundle.

    Raises:
        BundleError: there is no folder, it holds what a bundle never does, or `digests.json` is
            damaged.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._require(files.SETTINGS)
        _refuse_strangers(folder)
        self._digests = self._read_digests()

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return (self.folder / name).exists()

    def read(self, name: str) -> bytes:
        """The file's bytes.

        Raises:
            BundleError: it is not there, cannot be read, or is not what was saved.

        """
        self._require(name)
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise damaged(path, error) from None
        if self._digests is not None:
            if name not in self._digests:
                raise damaged(path, ValueError(f"{files.DIGESTS} does not know it"))
            if hashlib.sha256(content).hexdigest() != self._digests[name]:
                raise damaged(path, ValueError(f"it is not what was saved, says {files.DIGESTS}"))
        return content

    def json(self, name: str) -> dict[str, Any]:
        """The file's JSON object, strictly: no key twice, no NaN, text that can be written.

        Raises:
            BundleError: as `read`, or it is no such object.

        """
        content = self.read(name)
        try:
            return strict_json(content)
        except (ValueError, TypeError, RecursionError) as error:
            raise damaged(self.folder / name, error) from None

    def digest_of(self, *names: str) -> str:
        """One digest of several files, in hexadecimal digits. Raises as `read` does."""
        digest = hashlib.sha256()
        for name in names:
            content = self.read(name)
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    def _require(self, name: str) -> None:
        if not (self.folder / name).is_file():
            raise _missing(self.folder, name)

    def _read_digests(self) -> dict[str, str] | None:
        """The digests by file; None where an older textgauge saved none."""
        path = self.folder / files.DIGESTS
        if not path.exists():
            return None
        try:
            found = strict_json(path.read_bytes())["sha256"]
            if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
                raise TypeError("sha256 must be an object of texts")
        except (OSError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise damaged(path, error) from None
        return found


def write_digests(folder: Path, names: Iterable[str]) -> None:
    """Write down what these files of the bundle are now, as far as they are there."""
    found = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in names
        if (folder / name).exists()
    }
    text = json.dumps({"sha256": found}, indent=1) + "\n"
    (folder / files.DIGESTS).write_text(text, encoding="utf-8")


def strict_json(content: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError, TypeError, RecursionError: it is none, holds a key twice, a number that is not
            finite, or half of a surrogate pair.

    """
    values = json.loads(
        content.decode("utf-8"),
        object_pairs_hook=_without_repeats,
        parse_constant=_no_number,
        parse_float=_finite,
    )
    if not isinstance(values, dict):
        raise TypeError("expected an object")
    if b"\\u" in content:
        # An escape can name half a surrogate pair, which cannot be written out again.
        json.dumps(values, ensure_ascii=False).encode("utf-8")
    return values


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has {next(n for n in names if names.count(n) > 1)!r} twice")
    return values


def _no_number(name: str) -> Any:
    raise ValueError(f"it holds {name}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds the number {text[:20]}")
    return value


# ---- what a bundle never holds -------------------------------------------------------------------


def _refuse_strangers(folder: Path) -> None:
    root = os.path.realpath(folder)
    try:
        for place, folders, names in os.walk(folder):
            for name in (*folders, *names):
                path = Path(place, name)
                target = os.path.realpath(path)
                if path.is_symlink() and os.path.commonpath((root, target)) != root:
                    raise BundleError(
                        f"{path} is a link that leaves the folder, to {target}; copy the file "
                        "itself there."
                    )
            for name in names:
                path = Path(place, name)
                if path.is_file() and is_pickle(path):
                    raise BundleError(
                        f"{path} is a pickle, which runs code when it is loaded; a saved model has "
                        "none. Remove it if you know where it is from, or copy the model again."
                    )
    except OSError as error:
        raise damaged(Path(error.filename or folder), error) from None


def is_pickle(path: Path) -> bool:
    """Whether a file is one by its name or its first bytes, or is a zip archive that holds one.

    Raises:
        OSError: it cannot be read.

    """
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return True
    with path.open("rb") as file:
        head = file.read(4)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        # No pickle goes on with a zero, but the length that begins a safetensors file may.
        return head[2:3] != b"\0"
    if head[:2] != b"PK":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False
    return any(Path(name).suffix.lower() in PICKLE_SUFFIXES for name in names)


# ---- what is said --------------------------------------------------------------------------------


def _missing(folder: Path, name: str) -> BundleError:
    if not folder.is_dir():
        return BundleError(
            f"there is no folder {folder}; give a model's folder, runs:/RUN_ID/model or "
            "models:/NAME/VERSION."
        )
    return BundleError(
        f"{folder} is no saved model: it has no {name}. A model's folder holds {files.SETTINGS}, "
        f"{files.VOCABULARY} and {files.ONNX}."
    )


def damaged(path: Path, error: Exception) -> BundleError:
    """That a file is not what it should be, and what to do."""
    if isinstance(error, KeyError):
        first_line = f"it has no {error}"
    elif isinstance(error, RecursionError):
        first_line = "it is nested too deeply"
    else:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return BundleError(f"{path} is damaged ({first_line}); copy the model again or train again.")
